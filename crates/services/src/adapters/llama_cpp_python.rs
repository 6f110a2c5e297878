//! The server of the Python package llama-cpp-python.
//!
//! - It has no health, metrics or slots. It works on **one request at a time**, behind
//!   a lock, so its one slot is assumed and whether it is busy is not told.
//! - **`GET /v1/models` takes that lock.** While it generates, the question waits; and
//!   with `interrupt_requests`, which is on unless it is switched off, it **breaks off
//!   the answer that is being streamed**. So this path is never asked, not even to
//!   recognise it: its model's name is read from its command line where that is known.
//! - It is a FastAPI application: `/openapi.json` has the title
//!   `🦙 llama.cpp Python API` and its version. That and `/docs` need no lock and, with
//!   an API key too, no key. Where `/docs` answers, it lives.
//! - It ignores `stream_options.include_usage`.

use async_trait::async_trait;

use super::llama_cpp::{name_of, quantization};
use crate::{
    adapter::{Adapter, Condition, Identity, Memory, Probe, Scrape},
    client::{CallError, Target},
    health,
    kind::ServiceKind,
    service::{Basis, Loaded, Model, Slots},
};

/// A server of llama-cpp-python.
#[derive(Clone, Copy, Debug, Default)]
pub struct LlamaCppPython;

/// What its schema is called; an animal stands before it.
const TITLE: &str = "llama.cpp Python API";

#[async_trait]
impl Adapter for LlamaCppPython {
    fn kind(&self) -> ServiceKind {
        ServiceKind::LlamaCppPython
    }

    async fn identify(&self, probe: &Probe) -> Option<Identity> {
        let schema = probe.json("/openapi.json").await?;
        let text = |pointer: &str| schema.pointer(pointer)?.as_str();
        text("/info/title").filter(|title| title.contains(TITLE))?;
        let version = text("/info/version").map(Into::into);
        Some(Identity { version, ..Identity::of(ServiceKind::LlamaCppPython) })
    }

    async fn scrape(&self, target: &Target, memory: &mut Memory) -> Result<Scrape, CallError> {
        let condition = health::look(target, "/docs").await?;
        let model = memory.command().and_then(model_of);
        let loaded = if condition == Condition::Ready { Loaded::Loaded } else { Loaded::Unknown };
        Ok(Scrape {
            condition,
            models: model.map(|(name, context)| {
                let quantization = quantization(&name);
                let name = name_of(&name);
                vec![Model { quantization, context_tokens: context, ..Model::named(name, loaded) }]
            }),
            slots: Some(Slots { total: Some(1), busy: None, waiting: None, basis: Basis::Assumed }),
            ..Scrape::default()
        })
    }
}

/// The model's name and its context by the server's command line; `None` where it
/// names none, e.g. because a configuration file does.
fn model_of(line: &str) -> Option<(String, Option<u64>)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let value = |flag: &str| {
        let after = words.iter().position(|word| *word == flag).and_then(|at| words.get(at + 1));
        let same = words.iter().find_map(|word| word.strip_prefix(flag)?.strip_prefix('='));
        after.copied().or(same).map(str::to_string)
    };
    let name = value("--model_alias").or_else(|| value("--model"))?;
    Some((name, value("--n_ctx").and_then(|n| n.parse().ok()).filter(|&n| n > 0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::peer::{Peer, Reply};

    async fn server() -> Peer {
        Peer::http(|asked| match asked.path.as_str() {
            "/openapi.json" => Reply::json(
                200,
                r#"{"openapi":"3.1.0","info":{"title":"🦙 llama.cpp Python API","version":"0.3.16"},"paths":{}}"#,
            ),
            "/docs" => Reply::of(200, "text/html", "<!DOCTYPE html><html></html>"),
            "/v1/models" => Reply::json(200, r#"{"object":"list","data":[{"id":"x"}]}"#),
            _ => Reply::missing(),
        })
        .await
    }

    fn breaks_an_answer_off(server: &Peer) -> bool {
        server.asked().iter().any(|line| line.contains("/v1/"))
    }

    #[tokio::test]
    async fn it_is_known_and_watched_without_a_question_that_breaks_an_answer_off() {
        let server = server().await;
        let identity = LlamaCppPython.identify(&server.probe()).await.unwrap();
        assert_eq!(identity.version.as_deref(), Some("0.3.16"));
        let mut memory = Memory::default();
        for _ in 0..100 {
            let told = LlamaCppPython.scrape(&server.target(), &mut memory).await.unwrap();
            assert_eq!(told.condition, Condition::Ready);
            assert_eq!(told.models, None);
        }
        assert!(!breaks_an_answer_off(&server), "{:?}", server.asked());
    }

    #[tokio::test]
    async fn every_kind_that_is_asked_before_it_leaves_an_answer_alone() {
        let server = server().await;
        let adapters = crate::adapters::all();
        let patience = std::time::Duration::from_secs(10);
        let found = crate::adapter::identify(&adapters, &server.probe(), None, patience).await;
        assert_eq!(found.map(|found| found.kind), Some(ServiceKind::LlamaCppPython));
        assert!(!breaks_an_answer_off(&server), "{:?}", server.asked());
    }

    #[tokio::test]
    async fn it_has_one_slot_that_is_assumed_and_of_which_nothing_is_told() {
        let server = server().await;
        let mut memory = Memory::default();
        let told = LlamaCppPython.scrape(&server.target(), &mut memory).await.unwrap();
        let slots = told.slots.unwrap();
        assert_eq!((slots.total, slots.basis), (Some(1), Basis::Assumed));
        assert_eq!((slots.busy, slots.waiting), (None, None));
        assert_eq!(told.figures, []);
    }

    #[tokio::test]
    async fn its_model_is_read_from_its_command_line() {
        let server = server().await;
        let mut memory = Memory::default();
        let line = "python3 -m llama_cpp.server --model /m/qwen3-8b-Q5_K_M.gguf --n_ctx 4096";
        memory.set_command(Some(line.into()));
        let told = LlamaCppPython.scrape(&server.target(), &mut memory).await.unwrap();
        let model = &told.models.unwrap()[0];
        assert_eq!((model.name.as_str(), model.loaded), ("qwen3-8b-Q5_K_M", Loaded::Loaded));
        assert_eq!(model.quantization.as_deref(), Some("Q5_K_M"));
        assert_eq!(model.context_tokens, Some(4096));
        let alias = model_of("x --model a.gguf --model_alias=gpt").unwrap();
        assert_eq!(alias, ("gpt".to_string(), None));
        assert_eq!(model_of("x --config_file c.json"), None);
        assert_eq!(model_of("x --model"), None);
    }

    #[tokio::test]
    async fn another_application_with_a_schema_is_not_taken_for_it() {
        let server = Peer::http(|_| Reply::json(200, r#"{"info":{"title":"FastAPI"}}"#)).await;
        assert_eq!(LlamaCppPython.identify(&server.probe()).await, None);
    }
}
