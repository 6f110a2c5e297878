//! All adapters before one server: it is known as what it is, whoever asks first.

use std::time::Duration;

use super::{all, scripted::Scripted};
use crate::{adapter::identify, kind::ServiceKind};

const PATIENCE: Duration = Duration::from_secs(60);

async fn known_as(server: &Scripted) -> Option<ServiceKind> {
    identify(&all(), &server.probe(), None, PATIENCE).await.map(|identity| identity.kind)
}

fn cards(owner: &str) -> String {
    format!(r#"{{"object":"list","data":[{{"id":"m","object":"model","owned_by":"{owner}"}}]}}"#)
}

#[tokio::test]
async fn engines_with_the_same_paths_are_told_apart() {
    let vllm = Scripted::start().await;
    vllm.on("GET /health", 200, "")
        .on("GET /version", 200, r#"{"version":"0.11.0"}"#)
        .on("GET /v1/models", 200, cards("vllm"))
        .on("GET /metrics", 200, "vllm:num_requests_running{model_name=\"m\"} 0\n");
    assert_eq!(known_as(&vllm).await, Some(ServiceKind::Vllm));

    let sglang = Scripted::start().await;
    sglang
        .on("GET /health", 200, "")
        .on("GET /model_info", 200, r#"{"model_path":"m","is_generation":true}"#)
        .on("GET /v1/models", 200, cards("sglang"))
        .on("GET /metrics", 200, "sglang:num_running_reqs{model_name=\"m\"} 0\n");
    assert_eq!(known_as(&sglang).await, Some(ServiceKind::SgLang));

    let ollama = Scripted::start().await;
    ollama
        .on("GET /", 200, "Ollama is running")
        .on("GET /api/version", 200, r#"{"version":"0.12.3"}"#)
        .on("GET /api/tags", 200, r#"{"models":[]}"#)
        .on("GET /v1/models", 200, cards("library"));
    assert_eq!(known_as(&ollama).await, Some(ServiceKind::Ollama));
}

#[tokio::test]
async fn a_server_that_answers_everything_with_200_is_known_by_its_greeting_alone() {
    let server = Scripted::start().await;
    server
        .otherwise(200, r#"{"error":"Unexpected endpoint or method. ({})"}"#)
        .on("GET /v1/models", 200, cards("organization_owner"))
        .on("GET /api/v1/models", 200, r#"{"models":[]}"#)
        .on("GET /lmstudio-greeting", 200, r#"{"lmstudio":true}"#);
    assert_eq!(known_as(&server).await, Some(ServiceKind::LmStudio));
}
