//! The adapters, one file a protocol. Each begins with the facts of its protocol.

mod cards;
mod chroma;
mod hints;
mod http;
mod llama_cpp;
mod llama_cpp_python;
mod lm_studio;
mod mcp;
mod milvus;
mod ollama;
mod open_ai;
#[cfg(test)]
mod peer;
mod qdrant;
mod redis;
#[cfg(test)]
mod scripted;
mod sglang;
mod speaches;
mod tally;
#[cfg(test)]
mod together;
mod vllm;
mod whisper_cpp;

use std::sync::Arc;

use crate::adapter::Adapter;

pub use chroma::Chroma;
pub use http::Http;
pub use llama_cpp::LlamaCpp;
pub use llama_cpp_python::LlamaCppPython;
pub use lm_studio::LmStudio;
pub use mcp::Mcp;
pub use milvus::Milvus;
pub use ollama::Ollama;
pub use open_ai::OpenAi;
pub use qdrant::Qdrant;
pub use redis::Redis;
pub use sglang::SgLang;
pub use speaches::Speaches;
pub use vllm::Vllm;
pub use whisper_cpp::WhisperCpp;

/// One adapter of every kind that there is.
pub fn all() -> Vec<Arc<dyn Adapter>> {
    vec![
        Arc::new(LlamaCpp),
        Arc::new(LlamaCppPython),
        Arc::new(Vllm),
        Arc::new(Ollama),
        Arc::new(SgLang),
        Arc::new(LmStudio),
        Arc::new(Redis),
        Arc::new(Qdrant),
        Arc::new(Milvus),
        Arc::new(Chroma),
        Arc::new(OpenAi),
        Arc::new(WhisperCpp),
        Arc::new(Speaches),
        Arc::new(Mcp),
        Arc::new(Http),
    ]
}
