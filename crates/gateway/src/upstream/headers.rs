//! Which headers cross: all but those that speak of one connection only, and keys.

use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};

use crate::clients;

/// They speak of one connection, or of what this side says itself.
const OF_ONE_CONNECTION: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Beside those and its key, what a client tells Plimsoll and no backend. Bodies are not
/// compressed on the way, so that what passes can be counted.
const FOR_PLIMSOLL: [HeaderName; 8] = [
    header::HOST,
    header::EXPECT,
    header::CONTENT_LENGTH,
    header::ACCEPT_ENCODING,
    header::COOKIE,
    header::TRAILER,
    // Which page asks was judged at the door, and is nothing for a backend to know or to judge.
    header::ORIGIN,
    header::REFERER,
];

/// What Plimsoll's own begin with.
const OWN: &str = "x-plimsoll-";

/// Takes out of a request's headers what does not go on to a backend.
pub fn cross_to_backend(headers: &mut HeaderMap) {
    let ends = |name: &HeaderName| FOR_PLIMSOLL.contains(name) || clients::bearers().contains(name);
    take_out(headers, ends);
}

/// Which pages may ask is Plimsoll's own word: llama.cpp, for one, lets every page.
const FOR_PAGES: [HeaderName; 7] = [
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
    HeaderName::from_static("access-control-allow-private-network"),
];

/// In an answer: a cookie would be kept for Plimsoll's address, and sent to all that listens
/// there.
const FOR_NOBODY: [HeaderName; 2] = [header::TRAILER, header::SET_COOKIE];

/// Takes out of an answer's headers what does not go on to the client. Its length stays
/// unless the body is changed on the way.
pub fn cross_to_client(headers: &mut HeaderMap) {
    let ends = |name: &HeaderName| FOR_NOBODY.contains(name) || FOR_PAGES.contains(name);
    take_out(headers, ends);
}

/// What ends here, what speaks of one connection, and what Plimsoll and its clients tell each
/// other: no backend hears that, and none says it in Plimsoll's name.
fn take_out(headers: &mut HeaderMap, ends: impl Fn(&HeaderName) -> bool) {
    // `Connection` names further ones that end here.
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter(|value| !is_plain(value))
        // One odd name in a list must not shield the others.
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    // A request has a handful of headers, and to look at each is cheaper than to look for all
    // that could be among them.
    let goes = |name: &&HeaderName| {
        ends(name)
            || OF_ONE_CONNECTION.contains(name)
            || name.as_str().starts_with(OWN)
            || named.contains(name)
    };
    let going: Vec<HeaderName> = headers.keys().filter(goes).cloned().collect();
    for name in going {
        headers.remove(name);
    }
}

fn is_plain(value: &HeaderValue) -> bool {
    let value = value.as_bytes();
    value.eq_ignore_ascii_case(b"keep-alive") || value.eq_ignore_ascii_case(b"close")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
        of.iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn what_the_client_proves_itself_with_never_reaches_a_backend() {
        let mut told = headers(&[
            ("authorization", "Bearer sk-client"),
            ("x-api-key", "sk-client"),
            ("api-key", "sk-client"),
            ("cookie", "session=1"),
            ("anthropic-version", "2023-06-01"),
        ]);
        cross_to_backend(&mut told);
        assert_eq!(told, headers(&[("anthropic-version", "2023-06-01")]));
    }

    #[test]
    fn headers_that_connection_names_end_here() {
        let mut told = headers(&[
            ("connection", "keep-alive, X-Secret-Hop"),
            ("x-secret-hop", "1"),
            ("x", "2"),
        ]);
        cross_to_backend(&mut told);
        assert_eq!(told, headers(&[("x", "2")]));
        let mut said = headers(&[
            ("connection", "close"),
            ("keep-alive", "timeout=5, max=100"),
            ("transfer-encoding", "chunked"),
            ("content-length", "3"),
            ("access-control-allow-origin", "*"),
            ("access-control-allow-credentials", "true"),
        ]);
        cross_to_client(&mut said);
        assert_eq!(said, headers(&[("content-length", "3")]));
    }

    #[test]
    fn every_connection_header_is_read_and_not_only_the_first() {
        let mut told = HeaderMap::new();
        for value in [&b"keep-alive"[..], b"X-Secret-Hop", b"\xff, x-other-hop", b"close"] {
            told.append(header::CONNECTION, HeaderValue::from_bytes(value).unwrap());
        }
        told.extend(headers(&[("x-secret-hop", "1"), ("x-other-hop", "1"), ("x", "2")]));
        cross_to_backend(&mut told);
        assert_eq!(told, headers(&[("x", "2")]));
    }

    #[test]
    fn what_pages_and_plimsoll_say_reaches_no_backend() {
        let mut told = headers(&[
            ("x-plimsoll-priority", "batch"),
            ("x-plimsoll-anything", "1"),
            ("origin", "https://page.example"),
            ("referer", "https://page.example/secret"),
            ("user-agent", "code/1"),
        ]);
        cross_to_backend(&mut told);
        assert_eq!(told, headers(&[("user-agent", "code/1")]));
    }

    #[test]
    fn no_backend_sets_a_cookie_or_speaks_in_plimsolls_name() {
        let mut said = headers(&[
            ("set-cookie", "a=b"),
            ("set-cookie", "c=d"),
            ("x-plimsoll-backend", "another"),
            ("x-plimsoll-cache", "hit"),
            ("x-request-id", "7"),
        ]);
        cross_to_client(&mut said);
        assert_eq!(said, headers(&[("x-request-id", "7")]));
    }
}
