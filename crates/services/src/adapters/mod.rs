//! The adapters, one file a protocol. Each begins with the facts of its protocol.

mod chroma;
mod hints;
mod http;
mod mcp;
mod milvus;
#[cfg(test)]
mod peer;
mod qdrant;
mod redis;
mod speaches;
mod whisper_cpp;

use std::sync::Arc;

use crate::adapter::Adapter;

pub use chroma::Chroma;
pub use http::Http;
pub use mcp::Mcp;
pub use milvus::Milvus;
pub use qdrant::Qdrant;
pub use redis::Redis;
pub use speaches::Speaches;
pub use whisper_cpp::WhisperCpp;

/// One adapter of every kind that there is.
pub fn all() -> Vec<Arc<dyn Adapter>> {
    vec![
        Arc::new(Chroma),
        Arc::new(Mcp),
        Arc::new(Milvus),
        Arc::new(Qdrant),
        Arc::new(Redis),
        Arc::new(Speaches),
        Arc::new(WhisperCpp),
        Arc::new(Http),
    ]
}
