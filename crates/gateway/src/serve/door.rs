//! Before anything is read: is this request meant for Plimsoll, and may its page ask?
//!
//! A web page can point a name of its own at 127.0.0.1 (DNS rebinding) and then read
//! what this machine answers. It cannot choose the header `Host` that the browser sends
//! for that name. And any page can send a request that it cannot read the answer of: it
//! cannot keep the browser from naming it in `Origin`.

use std::net::IpAddr;

use hyper::{
    HeaderMap, Method, Uri,
    header::{self, HeaderName, HeaderValue},
};

use super::options::Options;

/// Why a request is turned away at the door.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Turned {
    #[error(
        "This request was meant for the host `{0}`. Plimsoll answers to localhost and to \
         addresses in digits; further names are listed in `gateway.hosts`."
    )]
    Host(String),
    #[error(
        "The web page `{0}` may not use Plimsoll. Pages that may are listed in `gateway.origins`."
    )]
    Origin(String),
    #[error("A request says which host it is meant for, once.")]
    NoHost,
}

/// What a web page that may ask has to be told in the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page(Option<HeaderValue>);

/// Longest name that is quoted back.
const LONGEST: usize = 100;

/// Host, and the page where one asks.
pub fn pass(options: &Options, uri: &Uri, headers: &HeaderMap) -> Result<Page, Turned> {
    let host = host_of(uri, headers)?;
    if !is_ours(options, host) {
        return Err(Turned::Host(quoted(host)));
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(Page(None)) };
    let told = origin.to_str().unwrap_or_default();
    let listed = options.origins.iter().any(|listed| listed == "*" || listed == told);
    if listed {
        return Ok(Page(Some(origin.clone())));
    }
    // A page that came from here.
    let own = told.strip_prefix("http://").is_some_and(|own| own.eq_ignore_ascii_case(host));
    if own { Ok(Page(None)) } else { Err(Turned::Origin(quoted(told))) }
}

/// The host that a request names, with its port: in one place only, or twice the same.
fn host_of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a str, Turned> {
    let mut told = headers.get_all(header::HOST).iter();
    let first = told.next().and_then(|host| host.to_str().ok());
    if told.next().is_some() {
        return Err(Turned::NoHost);
    }
    match (uri.authority(), first) {
        (None, Some(host)) => Ok(host),
        (Some(absolute), Some(host)) if absolute.as_str().eq_ignore_ascii_case(host) => Ok(host),
        _ => Err(Turned::NoHost),
    }
}

fn is_ours(options: &Options, host: &str) -> bool {
    let name = name_of(host);
    name.eq_ignore_ascii_case("localhost")
        // An address in digits cannot be pointed elsewhere.
        || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
        || options.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Without its port.
fn name_of(host: &str) -> &str {
    if let Some(end) = host.find(']') {
        return host.get(..=end).unwrap_or(host);
    }
    host.split_once(':').map_or(host, |(name, _)| name)
}

fn quoted(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

// === impl Page ===

impl Page {
    /// Lets the page read the answer.
    pub fn allow(&self, headers: &mut HeaderMap) {
        let Some(origin) = &self.0 else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if !varies(headers) {
            headers.append(header::VARY, HeaderValue::from_static("origin"));
        }
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }

    /// Answers the browser's question before the page's request; `None` where no page
    /// that may ask has asked.
    pub fn preflight(&self, method: &Method, asked: &HeaderMap) -> Option<HeaderMap> {
        self.0.as_ref()?;
        if *method != Method::OPTIONS || !asked.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        {
            return None;
        }
        let mut headers = HeaderMap::new();
        self.allow(&mut headers);
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST, OPTIONS"),
        );
        if let Some(wanted) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        if asked.contains_key(PRIVATE_NETWORK) {
            headers.insert(
                HeaderName::from_static("access-control-allow-private-network"),
                HeaderValue::from_static("true"),
            );
        }
        Some(headers)
    }
}

/// It says so already that it is another answer for another page.
fn varies(headers: &HeaderMap) -> bool {
    let told = headers.get_all(header::VARY).iter().filter_map(|value| value.to_str().ok());
    told.flat_map(|value| value.split(','))
        .any(|name| matches!(name.trim(), "*") || name.trim().eq_ignore_ascii_case("origin"))
}

const PRIVATE_NETWORK: &str = "access-control-request-private-network";
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "retry-after, x-plimsoll-request, x-plimsoll-backend, x-plimsoll-wait-ms, \
     x-plimsoll-fallback, x-plimsoll-queue, x-plimsoll-expected-wait-ms, x-plimsoll-limit, \
     x-plimsoll-cache, x-plimsoll-shared, age",
);

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(of: &[(HeaderName, &'static str)]) -> HeaderMap {
        of.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    fn at_host(host: &'static str) -> Result<Page, Turned> {
        let told = headers(&[(header::HOST, host)]);
        pass(&Options::default(), &Uri::from_static("/v1/models"), &told)
    }

    #[test]
    fn a_name_that_somebody_points_at_this_machine_is_turned_away() {
        for ours in [
            "localhost:1876",
            "LOCALHOST",
            "127.0.0.1:1876",
            "[::1]:1876",
            "[::1]",
            "192.168.1.7:1876",
            "host.docker.internal:1876",
        ] {
            assert_eq!(at_host(ours), Ok(Page(None)), "{ours}");
        }
        for other in [
            "evil.example:1876",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "",
            "[::1",
        ] {
            assert!(matches!(at_host(other), Err(Turned::Host(_))), "{other}");
        }
    }

    #[test]
    fn a_request_names_its_host_once_and_the_same_everywhere() {
        let options = Options::default();
        let path = Uri::from_static("/v1/models");
        assert_eq!(pass(&options, &path, &HeaderMap::new()), Err(Turned::NoHost));
        let twice = headers(&[(header::HOST, "localhost"), (header::HOST, "evil.example")]);
        let mut both = HeaderMap::new();
        twice.iter().for_each(|(_, value)| {
            both.append(header::HOST, value.clone());
        });
        assert_eq!(pass(&options, &path, &both), Err(Turned::NoHost));
        let absolute = Uri::from_static("http://evil.example/v1/models");
        let told = headers(&[(header::HOST, "localhost")]);
        assert_eq!(pass(&options, &absolute, &told), Err(Turned::NoHost));
    }

    #[test]
    fn only_pages_that_are_listed_may_ask_and_are_told_so() {
        let mut options = Options::default();
        let path = Uri::from_static("/v1/models");
        let from = |origin| headers(&[(header::HOST, "localhost:1876"), (header::ORIGIN, origin)]);
        let evil = from("https://evil.example");
        assert!(matches!(pass(&options, &path, &evil), Err(Turned::Origin(_))));
        assert!(matches!(pass(&options, &path, &from("null")), Err(Turned::Origin(_))));
        assert_eq!(pass(&options, &path, &from("http://localhost:1876")), Ok(Page(None)));

        options.origins = vec!["http://localhost:3000".into()];
        let mut asks = from("http://localhost:3000");
        asks.insert(header::ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("POST"));
        let page = pass(&options, &path, &asks).unwrap();
        let told = page.preflight(&Method::OPTIONS, &asks).unwrap();
        assert_eq!(told["access-control-allow-origin"], "http://localhost:3000");
        // The answer to the page's own request is marked by the same word, once, whatever its
        // backend said of it.
        let mut told = told;
        page.allow(&mut told);
        assert_eq!(told.get_all(header::VARY).iter().count(), 1);
        let mut told = headers(&[(header::VARY, "accept-encoding, Origin")]);
        page.allow(&mut told);
        assert_eq!(told.get_all(header::VARY).iter().count(), 1);
        let mut told = headers(&[(header::VARY, "accept-encoding")]);
        page.allow(&mut told);
        assert_eq!(told.get_all(header::VARY).iter().count(), 2);
        let read = told[header::ACCESS_CONTROL_EXPOSE_HEADERS].to_str().unwrap();
        for name in ["x-plimsoll-cache", "x-plimsoll-shared", "age"] {
            assert!(read.split(", ").any(|read| read == name), "{name}");
        }
        assert!(matches!(pass(&options, &path, &evil), Err(Turned::Origin(_))));
        options.origins = vec!["*".into()];
        assert!(pass(&options, &path, &evil).is_ok());
    }
}
