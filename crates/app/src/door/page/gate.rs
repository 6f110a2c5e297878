//! Who may use the page. Pure: method, address and headers in, a verdict out.

use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use subtle::ConstantTimeEq;

use crate::api::{Fault, FaultCode};

/// Holds the token until it is used, and the secret that it is exchanged for.
#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    /// What a browser on this machine may call us, e.g. `localhost:8787`.
    names: Vec<String>,
    cookie: String,
    secret: String,
    /// Of the newest link; `None` once it was used.
    token: Mutex<Option<String>>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    /// The token was right: go to the page, with this `Set-Cookie`.
    Enter(String),
    Refuse(StatusCode, Fault),
}

// === impl Gate ===

impl Gate {
    pub fn new(address: SocketAddr) -> Result<Self, Fault> {
        let port = address.port();
        Ok(Self {
            address,
            names: vec![address.to_string(), format!("localhost:{port}")],
            // Cookies do not know ports: two Plimsolls must not overwrite each other's.
            cookie: format!("plimsoll-{port}"),
            secret: random()?,
            token: Mutex::default(),
        })
    }

    pub fn page(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The address with a new token that opens it, once. A link from before that nobody used is
    /// void from now on.
    pub fn fresh_link(&self) -> Result<String, Fault> {
        let token = random()?;
        let link = format!("{}?token={token}", self.page());
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
        Ok(link)
    }

    pub fn judge(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Verdict {
        if let Err(fault) = self.host(headers).and_then(|()| self.origin(method, headers)) {
            return Verdict::Refuse(StatusCode::FORBIDDEN, fault);
        }
        if matches!(uri.path(), "/health" | "/ready") {
            return Verdict::Pass;
        }
        let known = self.has_cookie(headers);
        if let Some(token) = token_of(uri) {
            // Someone who is in already and opens the link again just goes on.
            return if known || self.redeem(token) {
                Verdict::Enter(self.set_cookie())
            } else {
                Verdict::Refuse(
                    StatusCode::UNAUTHORIZED,
                    Fault::new(
                        FaultCode::Denied,
                        "This link was used already, or a newer one took its place.",
                    )
                    .hint("A link opens one browser, once. `plimsoll link` gives a new one."),
                )
            };
        }
        if known {
            return Verdict::Pass;
        }
        Verdict::Refuse(
            StatusCode::UNAUTHORIZED,
            Fault::new(FaultCode::Denied, "This browser has not been let in yet.").hint(
                "Open the link that `plimsoll up --ui` printed, or a new one: `plimsoll link`.",
            ),
        )
    }

    /// A foreign name that was made to resolve to 127.0.0.1 arrives with that name.
    fn host(&self, headers: &HeaderMap) -> Result<(), Fault> {
        let mut hosts = headers.get_all(header::HOST).iter();
        match (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) {
            (Some(host), None) if self.is_us(host) => Ok(()),
            _ => Err(Fault::new(
                FaultCode::Denied,
                format!(
                    "This page is at {} and answers to no other name.",
                    self.names.join(" and ")
                ),
            )),
        }
    }

    /// Another site's script arrives with that site's origin. Browsers send one with every POST;
    /// a program without a browser sends none, and then the cookie alone decides.
    fn origin(&self, method: &Method, headers: &HeaderMap) -> Result<(), Fault> {
        let refused =
            || Err(Fault::new(FaultCode::Denied, "Another site's page may not use this one."));
        if let Some(origin) = headers.get(header::ORIGIN) {
            let ours = origin
                .to_str()
                .ok()
                .and_then(|origin| origin.strip_prefix("http://"))
                .is_some_and(|host| self.is_us(host));
            if !ours {
                return refused();
            }
        }
        let site = headers.get("sec-fetch-site").map(axum::http::HeaderValue::as_bytes);
        let navigates = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
        match site {
            None | Some(b"same-origin" | b"none") => Ok(()),
            // A link somewhere else may lead here; it may not do anything here.
            Some(_) if navigates && method == Method::GET => Ok(()),
            Some(_) => refused(),
        }
    }

    fn is_us(&self, host: &str) -> bool {
        self.names.iter().any(|name| name.eq_ignore_ascii_case(host))
    }

    fn has_cookie(&self, headers: &HeaderMap) -> bool {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|cookies| cookies.to_str().ok())
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .any(|(name, value)| name == self.cookie && same(value, &self.secret))
    }

    /// Takes the token if it is right, and then never again.
    fn redeem(&self, token: &str) -> bool {
        let mut valid = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        valid.take_if(|valid| same(token, valid)).is_some()
    }

    fn set_cookie(&self) -> String {
        // It outlives the browser, not the program: the secret is new at each start.
        format!(
            "{}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000",
            self.cookie, self.secret
        )
    }
}

fn token_of(uri: &Uri) -> Option<&str> {
    if uri.path() != "/" {
        return None;
    }
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("token="))
}

/// Takes as long for a wrong secret as for the right one.
fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

/// 128 bits from the kernel, as hexadecimal digits.
fn random() -> Result<String, Fault> {
    let mut bytes = [0u8; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                return Err(Fault::new(
                    FaultCode::Internal,
                    format!("The kernel gives no random numbers: {error}."),
                ));
            }
        }
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: (&str, &str) = ("host", "127.0.0.1:8787");

    fn gate() -> Gate {
        Gate::new("127.0.0.1:8787".parse().unwrap()).unwrap()
    }

    fn judge(gate: &Gate, method: Method, path: &str, headers: &[(&str, &str)]) -> Verdict {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: header::HeaderName = name.parse().unwrap();
            map.append(name, value.parse().unwrap());
        }
        gate.judge(&method, &path.parse().unwrap(), &map)
    }

    fn status(verdict: &Verdict) -> u16 {
        match verdict {
            Verdict::Pass => 200,
            Verdict::Enter(_) => 303,
            Verdict::Refuse(status, _) => status.as_u16(),
        }
    }

    /// What a browser asks for when a person opens a new link.
    fn link(gate: &Gate) -> String {
        let link = gate.fresh_link().unwrap();
        link.strip_prefix("http://127.0.0.1:8787").unwrap().to_owned()
    }

    fn cookie(gate: &Gate) -> String {
        format!("theme=dark; {}={}", gate.cookie, gate.secret)
    }

    #[test]
    fn without_a_cookie_only_probes_pass() {
        let gate = gate();
        for (path, expected) in [
            ("/", 401),
            ("/api/call", 401),
            ("/assets/a.js", 401),
            ("/health", 200),
            ("/ready", 200),
        ] {
            assert_eq!(status(&judge(&gate, Method::GET, path, &[HOST])), expected, "{path}");
        }
    }

    #[test]
    fn a_token_opens_once_and_becomes_a_cookie() {
        let gate = gate();
        let link = link(&gate);
        assert_eq!(status(&judge(&gate, Method::GET, "/?token=0", &[HOST])), 401);
        let Verdict::Enter(set) = judge(&gate, Method::GET, &link, &[HOST]) else { panic!() };
        for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(set.contains(part), "{set}");
        }
        assert_eq!(status(&judge(&gate, Method::GET, &link, &[HOST])), 401, "used already");
        let value = set.split(';').next().unwrap();
        assert_eq!(judge(&gate, Method::GET, "/", &[HOST, ("cookie", value)]), Verdict::Pass);
        let again = judge(&gate, Method::GET, &link, &[HOST, ("cookie", value)]);
        assert_eq!(status(&again), 303, "the one who is in may open it again");
    }

    #[test]
    fn a_newer_link_makes_the_one_before_void_and_those_who_are_in_stay_in() {
        let gate = gate();
        let first = link(&gate);
        let Verdict::Enter(set) = judge(&gate, Method::GET, &first, &[HOST]) else { panic!() };
        let unused = link(&gate);
        let newest = link(&gate);
        assert_eq!(status(&judge(&gate, Method::GET, &unused, &[HOST])), 401, "void");
        assert_eq!(status(&judge(&gate, Method::GET, &first, &[HOST])), 401, "used");
        assert_eq!(status(&judge(&gate, Method::GET, &newest, &[HOST])), 303);
        assert_eq!(status(&judge(&gate, Method::GET, &newest, &[HOST])), 401, "once");
        let cookie = ("cookie", set.split(';').next().unwrap());
        assert_eq!(judge(&gate, Method::GET, "/", &[HOST, cookie]), Verdict::Pass);
    }

    #[test]
    fn a_foreign_host_is_refused_whatever_else_it_has() {
        let gate = gate();
        let cookie = cookie(&gate);
        let link = link(&gate);
        for host in ["evil.example", "evil.example:8787", "127.0.0.1", "127.0.0.1:8788", ""] {
            let headers = [("host", host), ("cookie", &cookie)];
            assert_eq!(status(&judge(&gate, Method::GET, "/health", &headers)), 403, "{host}");
            assert_eq!(status(&judge(&gate, Method::GET, &link, &headers)), 403, "{host}");
        }
        assert_eq!(status(&judge(&gate, Method::GET, "/", &[("cookie", &cookie)])), 403);
        let two = [HOST, ("host", "evil.example"), ("cookie", &cookie)];
        assert_eq!(status(&judge(&gate, Method::GET, "/", &two)), 403);
        let local = [("host", "LOCALHOST:8787"), ("cookie", cookie.as_str())];
        assert_eq!(judge(&gate, Method::GET, "/", &local), Verdict::Pass);
    }

    #[test]
    fn another_sites_script_is_refused_and_its_link_is_not() {
        let gate = gate();
        let cookie = cookie(&gate);
        let post = |extra: &[(&str, &str)]| {
            let mut headers = vec![HOST, ("cookie", cookie.as_str())];
            headers.extend_from_slice(extra);
            status(&judge(&gate, Method::POST, "/api/call", &headers))
        };
        assert_eq!(post(&[("origin", "http://127.0.0.1:8787")]), 200);
        assert_eq!(post(&[]), 200, "a program without a browser");
        for origin in
            ["http://evil.example", "null", "https://127.0.0.1:8787", "http://127.0.0.1:8788"]
        {
            assert_eq!(post(&[("origin", origin)]), 403, "{origin}");
        }
        assert_eq!(post(&[("sec-fetch-site", "cross-site")]), 403);
        assert_eq!(post(&[("sec-fetch-site", "same-site")]), 403, "another port is another site");
        let link = [
            HOST,
            ("cookie", &cookie),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
        ];
        assert_eq!(judge(&gate, Method::GET, "/", &link), Verdict::Pass);
        assert_eq!(status(&judge(&gate, Method::POST, "/", &link)), 403);
    }

    #[test]
    fn a_cookie_of_another_start_does_not_open() {
        let gate = gate();
        let other = Gate::new("127.0.0.1:8787".parse().unwrap()).unwrap();
        assert_ne!(link(&gate), link(&other));
        let cookie = cookie(&other);
        assert_eq!(status(&judge(&gate, Method::GET, "/", &[HOST, ("cookie", &cookie)])), 401);
    }
}
