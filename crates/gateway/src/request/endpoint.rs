//! What a path asks for.

use hyper::Method;
use plimsoll_core::request::Endpoint;

/// The paths that are known here. All are asked by `POST`; the second spellings are
/// those that llama.cpp, vLLM and Ollama answer themselves.
const TABLE: [(&str, Endpoint); 19] = [
    ("/v1/chat/completions", Endpoint::Chat),
    ("/chat/completions", Endpoint::Chat),
    ("/v1/completions", Endpoint::Completions),
    ("/v1/responses", Endpoint::Responses),
    ("/responses", Endpoint::Responses),
    ("/v1/embeddings", Endpoint::Embeddings),
    ("/v1/rerank", Endpoint::Rerank),
    ("/v1/reranking", Endpoint::Rerank),
    ("/v2/rerank", Endpoint::Rerank),
    ("/rerank", Endpoint::Rerank),
    ("/reranking", Endpoint::Rerank),
    ("/v1/audio/transcriptions", Endpoint::Transcriptions),
    ("/v1/audio/translations", Endpoint::Translations),
    ("/v1/audio/speech", Endpoint::Speech),
    ("/v1/messages", Endpoint::Messages),
    ("/api/chat", Endpoint::OllamaChat),
    ("/api/generate", Endpoint::OllamaGenerate),
    ("/api/embed", Endpoint::OllamaEmbed),
    ("/api/embeddings", Endpoint::OllamaEmbed),
];

/// Below `/v1/`, and yet no question to a model: what is below them changes the server, or
/// shows what another asked.
const ADMINISTRATIVE: [&str; 9] = [
    "load_lora_adapter",
    "unload_lora_adapter",
    "models",
    "model",
    "admin",
    "files",
    "fine_tuning",
    "lora",
    "internal",
];

/// Which endpoint it is; `None` where it is none: another method, a path outside `/v1`
/// that is not known, one that administers a server, or one that is written so that two
/// readers could understand two things (`%`, `//`, `..`).
pub fn of(method: &Method, path: &str) -> Option<Endpoint> {
    if method != Method::POST {
        return None;
    }
    if let Some(endpoint) = known(path).or_else(|| known(without_slash(path)?)) {
        return Some(endpoint);
    }
    let rest = path.strip_prefix("/v1/")?;
    (!rest.is_empty() && is_plain(path) && !is_administrative(path)).then_some(Endpoint::Other)
}

fn known(path: &str) -> Option<Endpoint> {
    TABLE.iter().find(|(known, _)| *known == path).map(|(_, endpoint)| *endpoint)
}

/// A known path that has a slash behind it, without that: servers redirect such ones, to
/// themselves.
pub fn without_slash(path: &str) -> Option<&str> {
    path.strip_suffix('/').filter(|path| known(path).is_some())
}

/// It changes a server, or what it holds: closed, unless a key allows it.
pub fn is_administrative(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("/v1/") else { return false };
    let first = rest.split('/').next().unwrap_or_default();
    ADMINISTRATIVE.iter().any(|closed| first.eq_ignore_ascii_case(closed))
}

/// Written so that every server reads the same.
fn is_plain(path: &str) -> bool {
    path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'%' | b'\\' | b';'))
        && !path.split('/').skip(1).any(|part| matches!(part, "." | ".."))
        && !path.contains("//")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_is_told_by_its_whole_name() {
        let of = |path| of(&Method::POST, path);
        assert_eq!(of("/v1/chat/completions"), Some(Endpoint::Chat));
        assert_eq!(of("/v1/audio/translations"), Some(Endpoint::Translations));
        assert_eq!(of("/api/embeddings"), Some(Endpoint::OllamaEmbed));
        assert_eq!(of("/v1/images/generations"), Some(Endpoint::Other));
        assert_eq!(of("/v1/messages/count_tokens"), Some(Endpoint::Other));
        assert_eq!(of("/v1/chat/completions/"), Some(Endpoint::Chat));
        assert_eq!(of("/api/chat/"), Some(Endpoint::OllamaChat));
        assert_eq!(without_slash("/v1/chat/completions/"), Some("/v1/chat/completions"));
        assert_eq!(without_slash("/v1/chat/completions"), None);
        assert_eq!(without_slash("/v1/anything/"), None, "only what is known is judged");
        for none in ["/", "/v1", "/v1/", "/api/pull", "/api/chat/x", "/tokenize", "/slots", ""] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn only_a_post_asks_a_model() {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS] {
            assert_eq!(of(&method, "/v1/chat/completions"), None);
        }
    }

    #[test]
    fn what_administers_a_server_is_no_question() {
        for path in [
            "/v1/load_lora_adapter",
            "/v1/Unload_LoRA_adapter",
            "/v1/models/load",
            "/v1/model/unload",
            "/v1/fine_tuning/jobs",
        ] {
            assert!(is_administrative(path), "{path}");
            assert_eq!(of(&Method::POST, path), None, "{path}");
        }
        assert!(!is_administrative("/v1/chat/completions"));
    }

    #[test]
    fn a_path_with_two_readings_is_none() {
        for path in [
            "/v1/%6coad_lora_adapter",
            "/v1//load_lora_adapter",
            "/v1/x/../load_lora_adapter",
            "/v1/./chat",
            "/v1/a\\b",
            "/v1/x;y",
            "/v1/a b",
            "/v1/é",
        ] {
            assert_eq!(of(&Method::POST, path), None, "{path}");
        }
    }
}
