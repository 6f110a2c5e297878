//! The adapters, one file a protocol. Each begins with the facts of its protocol.

mod http;

use std::sync::Arc;

use crate::adapter::Adapter;

pub use http::Http;

/// One adapter of every kind that there is.
pub fn all() -> Vec<Arc<dyn Adapter>> {
    vec![Arc::new(Http)]
}
