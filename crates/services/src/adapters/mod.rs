//! The adapters, one file a protocol. Each begins with the facts of its protocol.

mod chroma;
mod hints;
mod http;
mod lm_studio;
mod mcp;
mod milvus;
mod ollama;
#[cfg(test)]
mod peer;
mod qdrant;
mod redis;
#[cfg(test)]
mod scripted;
mod sglang;
mod speaches;
mod tally;
mod vllm;
mod whisper_cpp;

use std::sync::Arc;

use crate::adapter::Adapter;

pub use chroma::Chroma;
pub use http::Http;
pub use lm_studio::LmStudio;
pub use mcp::Mcp;
pub use milvus::Milvus;
pub use ollama::Ollama;
pub use qdrant::Qdrant;
pub use redis::Redis;
pub use sglang::SgLang;
pub use speaches::Speaches;
pub use vllm::Vllm;
pub use whisper_cpp::WhisperCpp;

/// One adapter of every kind that there is.
pub fn all() -> Vec<Arc<dyn Adapter>> {
    vec![
        Arc::new(Vllm),
        Arc::new(SgLang),
        Arc::new(Ollama),
        Arc::new(LmStudio),
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
