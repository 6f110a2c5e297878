//! Anything that answers HTTP and is no better known.
//!
//! - `/health` is asked, then `/`, by convention. Nothing else is: an unknown
//!   server may do anything on any other path.
//! - Found by itself it is never taken for a service (every router and printer
//!   answers HTTP): only a configuration names it.

use async_trait::async_trait;

use crate::{
    adapter::{Adapter, Identity, Memory, Probe, Scrape},
    client::{CallError, Target},
    health,
    kind::ServiceKind,
};

/// A plain HTTP service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Http;

#[async_trait]
impl Adapter for Http {
    fn kind(&self) -> ServiceKind {
        ServiceKind::Http
    }

    async fn identify(&self, _probe: &Probe) -> Option<Identity> {
        None
    }

    async fn scrape(&self, target: &Target, _memory: &mut Memory) -> Result<Scrape, CallError> {
        let condition = health::look(target, "/").await?;
        Ok(Scrape { condition, ..Scrape::default() })
    }
}
