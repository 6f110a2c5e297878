//! One place that is asked, and the bounds of asking it.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use reqwest::{
    Method, Url,
    header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, LOCATION, SERVER},
};
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    time::Instant,
};

use super::{Answer, CallError, Client, Trust, tls};

/// Bounds of every single call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// From the first byte sent to the last byte read.
    pub budget: Duration,
    /// Of a body, after it is unpacked.
    pub max_body: usize,
    /// Connections to this place; `None`: what fits the machine.
    pub connections: Option<usize>,
}

/// A key, which no log and no error shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

/// A place: the base of a server's addresses, with a key where it wants one.
/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Target {
    client: Client,
    base: Url,
    /// Base without its last slash.
    prefix: String,
    place: String,
    key: Option<Secret>,
    /// Instead of the system's.
    trust: Option<Trust>,
    bounds: Bounds,
    permits: Arc<Semaphore>,
}

// === impl Bounds ===

impl Default for Bounds {
    fn default() -> Self {
        Self { budget: Duration::from_secs(2), max_body: 4 << 20, connections: None }
    }
}

// === impl Secret ===

impl Secret {
    /// The text without the space around it: files of keys end with a line break.
    pub fn new(text: &str) -> Self {
        Self(text.trim().into())
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

// === impl Target ===

impl Target {
    /// A place by its address, e.g. `http://127.0.0.1:8080` or `redis://127.0.0.1`.
    /// Refused with words: another scheme, no host, a password within the address.
    pub fn new(
        client: &Client,
        url: &str,
        key: Option<Secret>,
        bounds: Bounds,
    ) -> Result<Self, CallError> {
        let bad = |words: String| CallError::BadUrl(words);
        let base = Url::parse(url.trim())
            .map_err(|error| bad(format!("{url:?} is not an address: {error}")))?;
        if !matches!(base.scheme(), "http" | "https" | "redis" | "rediss") {
            let scheme = base.scheme();
            return Err(bad(format!(
                "{scheme}:// is not asked; use http://, https://, redis:// or rediss://"
            )));
        }
        let Some(host) = base.host_str().filter(|host| !host.is_empty()) else {
            return Err(bad(format!("{url:?} names no host")));
        };
        if !base.username().is_empty() || base.password().is_some() {
            return Err(bad("the address holds a password; put it into a key file".into()));
        }
        let Some(port) = port_of(&base) else {
            return Err(bad(format!("{url:?} names no port")));
        };
        let place = format!("{host}:{port}");
        let mut plain = base.clone();
        plain.set_query(None);
        plain.set_fragment(None);
        let prefix = plain.as_str().trim_end_matches('/').to_string();
        let permits = client.permits(&place, bounds.connections);
        let (client, trust) = (client.clone(), None);
        Ok(Self { client, base, prefix, place, key, trust, bounds, permits })
    }

    /// The address, without a key.
    pub fn url(&self) -> &str {
        &self.prefix
    }

    /// Host and port, e.g. `127.0.0.1:8080`.
    pub fn place(&self) -> &str {
        &self.place
    }

    pub fn scheme(&self) -> &str {
        self.base.scheme()
    }

    /// Whether its address is that of a Redis, with TLS or without.
    pub fn is_redis(&self) -> bool {
        is_redis(&self.base)
    }

    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    pub fn key(&self) -> Option<&Secret> {
        self.key.as_ref()
    }

    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// The same place, whose certificates are judged so; `None`: by the system's trust.
    #[must_use]
    pub fn trusting(self, trust: Option<Trust>) -> Self {
        Self { trust, ..self }
    }

    /// The same place within other bounds: a model takes longer to load than a look takes.
    pub fn within(&self, bounds: Bounds) -> Self {
        let permits = self.client.permits(&self.place, bounds.connections);
        Self { bounds, permits, ..self.clone() }
    }

    /// Whether it is on this machine, by its address or as `localhost`.
    pub fn is_local(&self) -> bool {
        let host = self.base.host_str().unwrap_or_default();
        host == "localhost" || ip_of(host).is_some_and(|ip| ip.is_loopback() || ip.is_unspecified())
    }

    /// Its address, if that is a number; loopback for `localhost`.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.base.host_str()? {
            "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
            host => ip_of(host),
        }
    }

    /// The port, the scheme's own where the address has none.
    pub fn port(&self) -> u16 {
        self.place.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or_default()
    }

    /// Asks for `path`, which begins with a slash and may have a query. Answers of
    /// any status but a redirect are answers; see [`Answer::ok`].
    pub async fn get(&self, path: &str) -> Result<Answer, CallError> {
        self.call(Method::GET, path, None).await
    }

    /// Asks for `path` and takes only a 2xx.
    pub async fn get_ok(&self, path: &str) -> Result<Answer, CallError> {
        self.get(path).await?.ok()
    }

    /// Asks for `path`, takes only a 2xx, and reads it as JSON.
    pub async fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        self.get_ok(path).await?.json()
    }

    /// Sends JSON to `path`. Answers of any status but a redirect are answers.
    pub async fn post(&self, path: &str, body: &serde_json::Value) -> Result<Answer, CallError> {
        self.call(Method::POST, path, Some(body.to_string())).await
    }

    /// Asks to delete `path`. Answers of any status but a redirect are answers.
    pub async fn delete(&self, path: &str) -> Result<Answer, CallError> {
        self.call(Method::DELETE, path, None).await
    }

    /// Over a connection of its own, with TLS for `rediss`: sends `request`, and reads
    /// until `complete` says that what has come so far is a whole answer. For protocols
    /// that are not HTTP.
    pub async fn talk(
        &self,
        request: &[u8],
        complete: impl FnMut(&[u8]) -> bool + Send,
    ) -> Result<Bytes, CallError> {
        let began = AtomicBool::new(false);
        let work = async {
            let failed = |error: &std::io::Error| {
                CallError::of_io(error, &self.place, began.load(Ordering::Relaxed))
            };
            let _permit = self.permits.acquire().await;
            let stream = TcpStream::connect(&self.place).await.map_err(|e| failed(&e))?;
            if self.base.scheme() == "rediss" {
                let host = self.base.host_str().unwrap_or_default();
                let config = match &self.trust {
                    Some(trust) => Ok(trust.tls()),
                    None => self.client.tls(),
                };
                let stream = tls::over(config, host, stream);
                let stream = stream.await.map_err(|e| failed(&e))?;
                return self.converse(stream, request, complete, &began).await;
            }
            self.converse(stream, request, complete, &began).await
        };
        self.in_time(&began, work).await
    }

    async fn converse(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin + Send,
        request: &[u8],
        mut complete: impl FnMut(&[u8]) -> bool + Send,
        began: &AtomicBool,
    ) -> Result<Bytes, CallError> {
        let failed = |error: &std::io::Error| {
            CallError::of_io(error, &self.place, began.load(Ordering::Relaxed))
        };
        stream.write_all(request).await.map_err(|e| failed(&e))?;
        // TLS keeps what is written until it is told to send it.
        stream.flush().await.map_err(|e| failed(&e))?;
        let mut answer = BytesMut::with_capacity(4096);
        while !complete(&answer) {
            if answer.len() >= self.bounds.max_body {
                return Err(self.too_large());
            }
            let most = self.bounds.max_body - answer.len();
            answer.reserve(most.min(16 << 10));
            if stream.read_buf(&mut answer).await.map_err(|e| failed(&e))? == 0 {
                let began = !answer.is_empty();
                return Err(CallError::Closed { place: self.place.clone(), began });
            }
            began.store(true, Ordering::Relaxed);
        }
        Ok(answer.freeze())
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Answer, CallError> {
        if self.is_redis() {
            return Err(CallError::BadUrl(format!("{} is a Redis and no HTTP", self.place)));
        }
        let began = AtomicBool::new(false);
        let work = async {
            // The permit is held until the body is read: that is how long a connection is busy.
            let _permit = self.permits.acquire().await;
            let first = self.once(&method, path, body.as_deref(), &began).await;
            match first {
                // llama.cpp closes a connection without saying so, and the pool may hand it
                // out once more. Asking again is safe for what changes nothing.
                Err(error) if error.is_stale() && method == Method::GET => {
                    self.once(&method, path, body.as_deref(), &began).await
                }
                answer => answer,
            }
        };
        self.in_time(&began, work).await
    }

    async fn once(
        &self,
        method: &Method,
        path: &str,
        body: Option<&str>,
        began: &AtomicBool,
    ) -> Result<Answer, CallError> {
        let asked = Instant::now();
        let url = format!("{}{path}", self.prefix);
        let mut request = self.http()?.request(method.clone(), url);
        if self.is_local() {
            // Packing costs the server's CPU and saves nothing on this machine.
            request = request.header(ACCEPT_ENCODING, "identity");
        }
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.reveal());
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let failed = |error: &reqwest::Error| {
            CallError::of(error, &self.place, began.load(Ordering::Relaxed))
        };
        let mut response = request.send().await.map_err(|error| failed(&error))?;
        began.store(true, Ordering::Relaxed);
        if response.status().is_redirection()
            && let Some(to) = header(response.headers(), LOCATION)
        {
            return Err(CallError::Redirected { place: self.place.clone(), to });
        }
        if response.content_length().is_some_and(|length| length > self.bounds.max_body as u64) {
            return Err(self.too_large());
        }
        let mut content = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            if content.len() + chunk.len() > self.bounds.max_body {
                return Err(self.too_large());
            }
            content.extend_from_slice(&chunk);
        }
        let content_type = header(response.headers(), CONTENT_TYPE)
            .map(|text| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        Ok(Answer {
            place: self.place.clone(),
            path: path.to_string(),
            status: response.status().as_u16(),
            content_type,
            server: header(response.headers(), SERVER),
            body: content.freeze(),
            took: asked.elapsed(),
        })
    }

    fn http(&self) -> Result<reqwest::Client, CallError> {
        match &self.trust {
            Some(trust) if self.base.scheme() == "https" => trust
                .http(&self.client.limits())
                .map_err(|error| CallError::of(&error, &self.place, false)),
            _ => Ok(self.client.http(self.base.scheme()).clone()),
        }
    }

    /// The work within the budget. Dropped at its end, it closes its connection.
    async fn in_time<T>(
        &self,
        began: &AtomicBool,
        work: impl Future<Output = Result<T, CallError>> + Send,
    ) -> Result<T, CallError> {
        match tokio::time::timeout(self.bounds.budget, work).await {
            Ok(done) => done,
            Err(_) => Err(CallError::TooSlow {
                place: self.place.clone(),
                budget_ms: u64::try_from(self.bounds.budget.as_millis()).unwrap_or(u64::MAX),
                began: began.load(Ordering::Relaxed),
            }),
        }
    }

    fn too_large(&self) -> CallError {
        CallError::TooLarge { place: self.place.clone(), limit_bytes: self.bounds.max_body }
    }
}

/// The port of an address, else the usual one of its scheme.
pub fn port_of(url: &Url) -> Option<u16> {
    url.port_or_known_default().or(is_redis(url).then_some(6379))
}

fn is_redis(base: &Url) -> bool {
    matches!(base.scheme(), "redis" | "rediss")
}

/// The address in a host, without the brackets of IPv6.
fn ip_of(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// A header as text, at most 200 characters of it.
fn header(headers: &HeaderMap, name: reqwest::header::HeaderName) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    Some(text.chars().take(200).collect())
}
