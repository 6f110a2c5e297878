//! What a service is: the protocol it speaks, found out by asking and never
//! taken from its port.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A protocol that an adapter speaks. Written in the configuration by
/// [`ServiceKind::name`], e.g. `kind = "llama-cpp"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceKind {
    /// llama.cpp's own server, one model or in router mode.
    LlamaCpp,
    Vllm,
    Ollama,
    #[serde(rename = "sglang")]
    SgLang,
    LmStudio,
    /// The server of the Python package: no health, metrics or slots.
    LlamaCppPython,
    /// Any other server with `/v1/models`.
    #[serde(rename = "openai")]
    OpenAi,
    Redis,
    Qdrant,
    Milvus,
    Chroma,
    WhisperCpp,
    Speaches,
    /// A Model Context Protocol server over HTTP.
    Mcp,
    /// Anything that answers HTTP; its health path says whether it is well.
    Http,
}

// === impl ServiceKind ===

impl ServiceKind {
    /// All kinds, in the order in which an unknown port is asked: the most
    /// particular answers first, those that would fit many servers last.
    /// llama-cpp-python comes before all that ask for `/v1/models`: that question
    /// breaks off the answer that it is giving.
    pub const ALL: &'static [ServiceKind] = &[
        ServiceKind::LlamaCpp,
        ServiceKind::LlamaCppPython,
        ServiceKind::Vllm,
        ServiceKind::Ollama,
        ServiceKind::SgLang,
        ServiceKind::LmStudio,
        ServiceKind::Qdrant,
        ServiceKind::Milvus,
        ServiceKind::Chroma,
        ServiceKind::Speaches,
        ServiceKind::WhisperCpp,
        ServiceKind::OpenAi,
        ServiceKind::Mcp,
        ServiceKind::Redis,
        ServiceKind::Http,
    ];

    /// The name in the configuration and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            ServiceKind::LlamaCpp => "llama-cpp",
            ServiceKind::Vllm => "vllm",
            ServiceKind::Ollama => "ollama",
            ServiceKind::SgLang => "sglang",
            ServiceKind::LmStudio => "lm-studio",
            ServiceKind::LlamaCppPython => "llama-cpp-python",
            ServiceKind::OpenAi => "openai",
            ServiceKind::Redis => "redis",
            ServiceKind::Qdrant => "qdrant",
            ServiceKind::Milvus => "milvus",
            ServiceKind::Chroma => "chroma",
            ServiceKind::WhisperCpp => "whisper-cpp",
            ServiceKind::Speaches => "speaches",
            ServiceKind::Mcp => "mcp",
            ServiceKind::Http => "http",
        }
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<ServiceKind> {
        ServiceKind::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// What people call it.
    pub fn label(self) -> &'static str {
        match self {
            ServiceKind::LlamaCpp => "llama.cpp",
            ServiceKind::Vllm => "vLLM",
            ServiceKind::Ollama => "Ollama",
            ServiceKind::SgLang => "SGLang",
            ServiceKind::LmStudio => "LM Studio",
            ServiceKind::LlamaCppPython => "llama-cpp-python",
            ServiceKind::OpenAi => "OpenAI-compatible server",
            ServiceKind::Redis => "Redis",
            ServiceKind::Qdrant => "Qdrant",
            ServiceKind::Milvus => "Milvus",
            ServiceKind::Chroma => "Chroma",
            ServiceKind::WhisperCpp => "whisper.cpp",
            ServiceKind::Speaches => "Speaches",
            ServiceKind::Mcp => "MCP server",
            ServiceKind::Http => "HTTP service",
        }
    }

    /// The port it has unless it is told otherwise: shown as a hint in a form,
    /// and never a reason to believe that something is of this kind.
    pub fn usual_port(self) -> Option<u16> {
        Some(match self {
            ServiceKind::LlamaCpp | ServiceKind::WhisperCpp => 8080,
            ServiceKind::Vllm
            | ServiceKind::LlamaCppPython
            | ServiceKind::Chroma
            | ServiceKind::Speaches => 8000,
            ServiceKind::Ollama => 11_434,
            ServiceKind::SgLang => 30_000,
            ServiceKind::LmStudio => 1234,
            ServiceKind::Redis => 6379,
            ServiceKind::Qdrant => 6333,
            ServiceKind::Milvus => 19_530,
            ServiceKind::OpenAi | ServiceKind::Mcp | ServiceKind::Http => return None,
        })
    }

    /// Whether what it tells is worth a look every second. Ollama has no figures of
    /// requests, and writes a line into its log for each question.
    pub fn is_lively(self) -> bool {
        self.is_engine() && self != ServiceKind::Ollama
    }

    /// Whether it serves models.
    pub fn is_engine(self) -> bool {
        matches!(
            self,
            ServiceKind::LlamaCpp
                | ServiceKind::Vllm
                | ServiceKind::Ollama
                | ServiceKind::SgLang
                | ServiceKind::LmStudio
                | ServiceKind::LlamaCppPython
                | ServiceKind::OpenAi
                | ServiceKind::WhisperCpp
                | ServiceKind::Speaches
        )
    }

    /// The scheme of its address.
    pub fn scheme(self) -> &'static str {
        if self == ServiceKind::Redis { "redis" } else { "http" }
    }
}

impl std::fmt::Display for ServiceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_one_name_in_the_configuration_and_on_the_wire() {
        // The configuration offers them in the same order, and `auto` before them.
        let offered = plimsoll_core::config::table::SERVICE_KINDS;
        assert_eq!((offered[0], offered.len()), ("auto", ServiceKind::ALL.len() + 1));
        for (&kind, &name) in ServiceKind::ALL.iter().zip(&offered[1..]) {
            assert_eq!(kind.name(), name);
            assert_eq!(ServiceKind::named(name), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), name);
            assert!(!kind.label().is_empty());
        }
        assert_eq!(ServiceKind::named("llama_cpp"), None);
    }

    #[test]
    fn what_fits_many_servers_is_asked_after_what_fits_one() {
        let place = |kind| ServiceKind::ALL.iter().position(|&k| k == kind).unwrap();
        assert!(place(ServiceKind::OpenAi) > place(ServiceKind::Speaches));
        assert!(place(ServiceKind::LlamaCppPython) < place(ServiceKind::Vllm));
        assert_eq!(place(ServiceKind::Http), ServiceKind::ALL.len() - 1);
    }
}
