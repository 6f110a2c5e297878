//! Where a backend is, read once from its address.

use hyper::{
    Uri,
    header::HeaderValue,
    http::uri::{PathAndQuery, Scheme},
};
use plimsoll_services::client::Secret;

/// A backend's address, ready for sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub tls: bool,
    /// Without brackets.
    pub host: String,
    pub port: u16,
    /// For the header `Host`.
    pub authority: HeaderValue,
    /// Stands before every path; without a slash at its end, most often empty.
    pub prefix: String,
}

/// An address that requests cannot be sent to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadAddress(String);

// === impl Origin ===

impl Origin {
    /// `http` or `https`, host, port, and a path before `/v1` where it has one.
    pub fn parse(url: &str) -> Result<Self, BadAddress> {
        let bad = |what: &str| BadAddress(format!("`{url}` {what}"));
        let uri: Uri = url.parse().map_err(|_| bad("is no address"))?;
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            _ => return Err(bad("begins with neither http:// nor https://")),
        };
        let authority = uri.authority().ok_or_else(|| bad("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(BadAddress("an address with a password in it is not used".into()));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(bad("names no host"));
        }
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let value = HeaderValue::from_str(authority.as_str()).map_err(|_| bad("is no address"))?;
        let path = uri.path().trim_end_matches('/');
        // `…/v1` is how many people write it; the paths of requests begin with it already.
        let prefix = path.strip_suffix("/v1").unwrap_or(path).to_owned();
        Ok(Self { tls, host, port, authority: value, prefix })
    }

    /// `host:port`, for sentences.
    pub fn place(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// What stands in a request's first line: path and query, never the host.
    pub fn target(&self, asked: &Uri) -> Uri {
        let path = asked.path_and_query().map_or("/", PathAndQuery::as_str);
        if self.prefix.is_empty() && asked.authority().is_none() {
            return asked.clone();
        }
        // Both parts were read as paths before.
        format!("{}{path}", self.prefix).parse().unwrap_or_default()
    }

    /// The path and query, as Plimsoll's clients ask for it, of an address that this backend
    /// names; `None` where that is not at this backend.
    pub fn path_of(&self, location: &HeaderValue) -> Option<String> {
        let text = location.to_str().ok()?;
        let path = if text.starts_with('/') && !text.starts_with("//") {
            text.to_owned()
        } else {
            let there = Self::parse(text.split(['?', '#']).next()?).ok()?;
            if (there.tls, &there.host, there.port) != (self.tls, &self.host, self.port) {
                return None;
            }
            text.parse::<Uri>().ok()?.path_and_query()?.as_str().to_owned()
        };
        path.strip_prefix(&self.prefix).filter(|path| path.starts_with('/')).map(str::to_owned)
    }
}

/// The header that bears a backend's own key; marked so that nothing prints it.
pub fn authorization(key: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.reveal())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_its_port_and_its_path() {
        let plain = Origin::parse("http://127.0.0.1:8080").unwrap();
        assert_eq!((plain.tls, plain.port, plain.prefix.as_str()), (false, 8080, ""));
        let far = Origin::parse("https://models.example/team/v1/").unwrap();
        assert_eq!((far.tls, far.port, far.prefix.as_str()), (true, 443, "/team"));
        let asked: Uri = "/v1/models?x=1".parse().unwrap();
        assert_eq!(far.target(&asked), "/team/v1/models?x=1");
        let six = Origin::parse("http://[::1]:11434/v1").unwrap();
        assert_eq!((six.host.as_str(), six.place().as_str()), ("::1", "[::1]:11434"));
    }

    #[test]
    fn only_the_path_of_an_absolute_address_goes_on() {
        let asked: Uri = "http://evil.example/v1/models".parse().unwrap();
        assert_eq!(Origin::parse("http://h:1").unwrap().target(&asked), "/v1/models");
    }

    #[test]
    fn only_what_is_at_the_backend_itself_is_a_path_of_it() {
        let of = |url: &str, text: &str| {
            Origin::parse(url).unwrap().path_of(&HeaderValue::from_str(text).unwrap())
        };
        for (text, path) in [
            ("/v1/embeddings?x=1", Some("/v1/embeddings?x=1")),
            ("http://h:1/v1/embeddings", Some("/v1/embeddings")),
            ("https://h:1/v1/embeddings", None),
            ("http://h:2/v1/embeddings", None),
            ("http://me@h:1/v1/embeddings", None),
            ("http://other:1/v1/embeddings", None),
            ("//other/v1/embeddings", None),
            ("embeddings", None),
            ("", None),
        ] {
            assert_eq!(of("http://h:1", text).as_deref(), path, "{text}");
        }
        assert_eq!(of("http://h:1/team/v1", "/team/v1/x").as_deref(), Some("/v1/x"));
        assert_eq!(of("http://h:1/team", "http://h:1/v1/x"), None);
    }

    #[test]
    fn what_is_no_address_is_refused_and_no_password_is_told() {
        for bad in ["", "redis://h", "http://", "h:80", "/v1"] {
            assert!(Origin::parse(bad).is_err(), "{bad}");
        }
        let error = Origin::parse("http://me:secret@h/").unwrap_err().to_string();
        assert!(!error.contains("secret"));
    }

    #[test]
    fn a_key_is_never_printed() {
        let value = authorization(&Secret::new("sk-geheim")).unwrap();
        assert!(!format!("{value:?}").contains("geheim"));
    }
}
