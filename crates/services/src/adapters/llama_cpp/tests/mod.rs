//! The adapter against a double that behaves as real servers do, wakes and loads
//! included, and counts both.

mod router;
mod single;

use std::sync::{Arc, Mutex, MutexGuard};

use super::LlamaCpp;
use crate::{
    adapter::{Adapter, Memory, Scrape},
    adapters::peer::{Asked, Peer, Reply},
};

pub(super) const METRICS: &str = "# HELP llamacpp:prompt_tokens_total Number of prompt tokens.\n\
    # TYPE llamacpp:prompt_tokens_total counter\nllamacpp:prompt_tokens_total 1200\n\
    llamacpp:prompt_seconds_total 3.5\nllamacpp:tokens_predicted_total 3014\n\
    llamacpp:tokens_predicted_seconds_total 60.2\nllamacpp:n_decode_total 900\n\
    llamacpp:n_busy_slots_per_decode 2.1\nllamacpp:prompt_tokens_seconds 342.8\n\
    llamacpp:predicted_tokens_seconds 50.1\nllamacpp:requests_processing 3\n\
    llamacpp:requests_deferred 46\n";

pub(super) const SLOTS: &str = r#"[
    {"id":0,"id_task":135,"n_ctx":2048,"speculative":false,"is_processing":true,"params":{}},
    {"id":1,"id_task":120,"n_ctx":2048,"speculative":false,"is_processing":false,"params":{}},
    {"id":2,"id_task":-1,"n_ctx":2048,"is_processing":false},
    {"id":3,"id_task":-1,"n_ctx":2048,"is_processing":false}]"#;

/// A server as it stands.
#[derive(Clone, Default)]
pub(super) struct State {
    pub key: Option<&'static str>,
    pub loading: bool,
    pub sleeping: bool,
    /// In builds that have it, `/metrics` is told by `/props`.
    pub tells_endpoints: bool,
    pub no_metrics: bool,
    pub no_slots: bool,
    pub metrics: Option<&'static str>,
    /// A router's models: name and status. Empty: a server of one model.
    pub models: Vec<(&'static str, &'static str)>,
    /// Statuses that are told in turn after an order, each once.
    pub next: Vec<&'static str>,
    /// How often it woke, and loaded, because it was asked something.
    pub wakes: usize,
    pub loads: usize,
}

pub(super) struct Server {
    pub peer: Peer,
    state: Arc<Mutex<State>>,
}

// === impl Server ===

impl Server {
    pub async fn start(state: State) -> Self {
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        let peer =
            Peer::http(move |asked| shared.lock().unwrap().answer(asked).with("Server: llama.cpp"))
                .await;
        Self { peer, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub async fn look(&self, memory: &mut Memory) -> Scrape {
        LlamaCpp.scrape(&self.peer.target(), memory).await.unwrap()
    }

    pub async fn first_look(&self) -> Scrape {
        self.look(&mut Memory::default()).await
    }

    /// How often a path was asked, with whatever query.
    pub fn count(&self, path: &str) -> usize {
        let line = format!("GET {path}");
        let asked = self.peer.asked();
        asked.iter().filter(|a| a.split('?').next() == Some(line.as_str())).count()
    }
}

// === impl State ===

impl State {
    fn answer(&mut self, asked: &Asked) -> Reply {
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let error = |status, said: &str| {
            let body = format!("{{\"error\":{{\"code\":{status},\"message\":\"{said}\"}}}}");
            Reply::json(status, &body)
        };
        if self.loading {
            return error(503, "Loading model");
        }
        if path == "/health" {
            return Reply::json(200, "{\"status\":\"ok\"}");
        }
        let keyed = |key| asked.head.contains(&format!("authorization: bearer {key}"));
        if self.key.is_some_and(|key| !keyed(key)) {
            return error(401, "Invalid API Key");
        }
        let router = !self.models.is_empty();
        if asked.method == "POST" {
            return if router {
                self.order(path, &asked.body)
            } else {
                error(404, "File Not Found")
            };
        }
        if router && let Some(named) = query.split('&').find_map(|p| p.strip_prefix("model=")) {
            let named = named.replace("%2F", "/").replace("%3A", ":");
            let Some(model) = self.models.iter_mut().find(|(name, _)| *name == named) else {
                return error(400, "model not found");
            };
            if model.1 != "loaded" && model.1 != "sleeping" {
                if query.split('&').any(|p| p == "autoload=false") {
                    return error(400, "model is not loaded");
                }
                model.1 = "loaded";
                self.loads += 1;
            }
            if model.1 == "sleeping" && path != "/props" {
                model.1 = "loaded";
                self.wakes += 1;
            }
        } else if router && matches!(path, "/metrics" | "/slots") {
            return error(400, "model name is missing from the request");
        } else if self.sleeping && matches!(path, "/metrics" | "/slots") {
            // Builds of the winter 2025 wake for /metrics too.
            self.sleeping = false;
            self.wakes += 1;
        }
        match path {
            "/props" if router && query.is_empty() => Reply::json(
                200,
                "{\"role\":\"router\",\"max_instances\":4,\"model_path\":\"none\",\
                 \"default_generation_settings\":{\"n_ctx\":0},\"build_info\":\"b9931-1a2b3c4\"}",
            ),
            "/props" => Reply::json(200, &self.props()),
            "/v1/models" if router => Reply::json(200, &self.list()),
            "/v1/models" => Reply::json(
                200,
                "{\"object\":\"list\",\"data\":[{\"id\":\"../models/Qwen3-8B-Q4_K_M.gguf\",\
                 \"owned_by\":\"llamacpp\",\"meta\":{\"n_ctx_train\":40960,\"size\":4912898304}}]}",
            ),
            "/metrics" if self.no_metrics => error(501, "This server does not support metrics"),
            "/metrics" => Reply::text(200, self.metrics.unwrap_or(METRICS)),
            "/slots" if self.no_slots => error(501, "This server does not support slots"),
            "/slots" => Reply::json(200, SLOTS),
            _ => error(404, "File Not Found"),
        }
    }

    fn props(&self) -> String {
        let endpoints = if self.tells_endpoints {
            format!(
                "\"endpoint_metrics\":{},\"endpoint_slots\":{},",
                !self.no_metrics, !self.no_slots
            )
        } else {
            String::new()
        };
        format!(
            "{{\"default_generation_settings\":{{\"n_ctx\":2048,\"params\":{{}}}},{endpoints}\
             \"total_slots\":4,\"model_path\":\"../models/Qwen3-8B-Q4_K_M.gguf\",\
             \"chat_template\":\"x\",\"build_info\":\"b9931-1a2b3c4\",\"is_sleeping\":{}}}",
            self.sleeping
        )
    }

    fn list(&mut self) -> String {
        if let Some(status) = self.next.first().copied() {
            self.next.remove(0);
            self.models[0].1 = status;
        }
        let card = |(name, status): &(&str, &str)| {
            let status = match *status {
                "failed" => "{\"value\":\"unloaded\",\"failed\":true,\"exit_code\":1}".to_string(),
                status => format!("{{\"value\":\"{status}\",\"args\":[\"llama-server\"]}}"),
            };
            format!("{{\"id\":\"{name}\",\"object\":\"model\",\"status\":{status}}}")
        };
        let cards: Vec<String> = self.models.iter().map(card).collect();
        format!("{{\"object\":\"list\",\"data\":[{}]}}", cards.join(","))
    }

    fn order(&mut self, path: &str, body: &str) -> Reply {
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let named = body["model"].as_str().unwrap_or_default();
        let Some(model) = self.models.iter_mut().find(|(name, _)| *name == named) else {
            return Reply::json(404, "{\"error\":{\"message\":\"model is not found\"}}");
        };
        match path {
            "/models/load" if model.1 == "loaded" => {
                Reply::json(400, "{\"error\":{\"message\":\"model is already running\"}}")
            }
            "/models/load" | "/models/unload" => {
                if path == "/models/load" {
                    model.1 = "loading";
                }
                Reply::json(200, "{\"success\":true}")
            }
            _ => Reply::missing(),
        }
    }
}
