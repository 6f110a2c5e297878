//! Whether a managed service serves: asked of its address first, which is cheap,
//! and then of the watch over it, which knows its protocol.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::Url;
use tokio::{net::TcpStream, time::timeout};

use super::flags::Spec;
use crate::{client::port_of, fleet::Looker};

/// What a connection on this machine may take.
const CONNECT: Duration = Duration::from_millis(500);

/// What is known of a service from outside.
#[async_trait]
pub trait Ready: Send + Sync + 'static {
    /// Somebody listens at its address.
    async fn listens(&self, spec: &Spec) -> bool;

    /// It serves.
    async fn serves(&self, spec: &Spec) -> bool;
}

/// Asks the fleet.
pub struct ByFleet(Looker);

// === impl ByFleet ===

impl ByFleet {
    pub fn new(looker: Looker) -> Self {
        Self(looker)
    }
}

#[async_trait]
impl Ready for ByFleet {
    async fn listens(&self, spec: &Spec) -> bool {
        let Some(place) = place(&spec.url) else { return false };
        timeout(CONNECT, TcpStream::connect(place)).await.is_ok_and(|connected| connected.is_ok())
    }

    async fn serves(&self, spec: &Spec) -> bool {
        if !self.listens(spec).await {
            return false;
        }
        // One that is not watched serves when it listens: more is not known of it.
        if !spec.watched {
            return true;
        }
        let service = self.0.look_now(&spec.id).await;
        service.is_some_and(|service| service.state.serves())
    }
}

/// Host and port of an address.
fn place(url: &str) -> Option<(String, u16)> {
    let url = Url::parse(url.trim()).ok()?;
    let port = port_of(&url)?;
    // Brackets belong to the address as it is written, and not to the host.
    Some((url.host_str()?.trim_matches(['[', ']']).to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_from_every_kind_of_address() {
        let of = |url: &str| place(url).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(of("http://127.0.0.1:8080/v1").as_deref(), Some("127.0.0.1 8080"));
        assert_eq!(of("redis://localhost").as_deref(), Some("localhost 6379"));
        assert_eq!(of("rediss://localhost").as_deref(), Some("localhost 6379"));
        assert_eq!(of("rediss://[::1]:6380/0").as_deref(), Some("::1 6380"));
        assert_eq!(of("https://[::1]/").as_deref(), Some("::1 443"));
        assert_eq!(of("nonsense"), None);
    }
}
