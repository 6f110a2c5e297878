//! Any other server with OpenAI's list of models.
//!
//! - `GET /v1/models` is `{"object":"list","data":[{"id":…,"object":"model"}]}`. It is
//!   the only path that all of them have: no health, no figures, no slots. So it is
//!   asked and nothing else is; where it answers, the server is well.
//! - Whether a model lies in memory is not told. Some add how long its context is, by
//!   one of several names.
//! - 401 without a key. An address may already end with `/v1`, as such addresses are
//!   often written.
//! - A list of models that somebody passes on (a gateway, a router) loads none of them.

use async_trait::async_trait;
use serde::Deserialize;

use crate::{
    adapter::{Adapter, Condition, Identity, Memory, Probe, Scrape},
    client::{CallError, Target},
    health,
    kind::ServiceKind,
    service::{Hint, Loaded, MAX_MODELS, Model},
};

/// A server with OpenAI's list of models.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAi;

#[derive(Deserialize)]
struct List {
    object: Option<String>,
    data: Vec<Card>,
}

#[derive(Deserialize)]
struct Card {
    id: String,
    max_model_len: Option<u64>,
    max_context_length: Option<u64>,
    context_length: Option<u64>,
    context_window: Option<u64>,
}

#[async_trait]
impl Adapter for OpenAi {
    fn kind(&self) -> ServiceKind {
        ServiceKind::OpenAi
    }

    async fn identify(&self, probe: &Probe) -> Option<Identity> {
        let answer = probe.get(path_of(probe.target())).await.ok().filter(|a| a.is_ok())?;
        let list: List = answer.json().ok()?;
        if list.object.as_deref() != Some("list") {
            return None;
        }
        let name = match &list.data[..] {
            [only] => Some(only.id.clone()),
            _ => None,
        };
        Some(Identity { name, ..Identity::of(ServiceKind::OpenAi) })
    }

    async fn scrape(&self, target: &Target, _memory: &mut Memory) -> Result<Scrape, CallError> {
        let answer = target.get(path_of(target)).await?;
        let mut scrape = Scrape { condition: health::judge(&answer), ..Scrape::default() };
        match scrape.condition {
            Condition::Ready => {
                let list: List = answer.json()?;
                scrape.models = Some(list.data.into_iter().take(MAX_MODELS).map(model).collect());
            }
            Condition::Locked(_) => scrape.hints.push(if target.has_key() {
                Hint::warning(
                    "wants-a-key",
                    "This server refuses the key that it is given.",
                    "Put a key that it knows into the key file.",
                )
            } else {
                Hint::warning(
                    "wants-a-key",
                    "This server answers only those who have a key.",
                    "Put a key into a file and name it as key_file.",
                )
            }),
            Condition::Loading(_) | Condition::Ailing(_) => {}
        }
        Ok(scrape)
    }
}

/// Where its models are told.
fn path_of(target: &Target) -> &'static str {
    if target.url().ends_with("/v1") { "/models" } else { "/v1/models" }
}

fn model(card: Card) -> Model {
    let context_tokens = card
        .max_model_len
        .or(card.max_context_length)
        .or(card.context_length)
        .or(card.context_window)
        .filter(|&tokens| tokens > 0);
    Model { context_tokens, ..Model::named(card.id, Loaded::Unknown) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::peer::{Peer, Reply};

    const LIST: &str = r#"{"object":"list","data":[
        {"id":"qwen3-8b","object":"model","created":1,"owned_by":"x","context_length":32768}]}"#;

    async fn scrape(target: &Target) -> Result<Scrape, CallError> {
        OpenAi.scrape(target, &mut Memory::default()).await
    }

    #[tokio::test]
    async fn the_list_of_models_is_all_that_is_asked() {
        let server = Peer::http(|asked| match asked.path.as_str() {
            "/v1/models" => Reply::json(200, LIST),
            _ => Reply::json(500, "{}"),
        })
        .await;
        let identity = OpenAi.identify(&server.probe()).await.unwrap();
        assert_eq!(identity.name.as_deref(), Some("qwen3-8b"));
        let told = scrape(&server.target()).await.unwrap();
        assert_eq!(told.condition, Condition::Ready);
        let models = told.models.unwrap();
        assert_eq!((models.len(), models[0].loaded), (1, Loaded::Unknown));
        assert_eq!(models[0].context_tokens, Some(32_768));
        assert_eq!((told.slots, told.figures.len()), (None, 0));
        assert_eq!(server.asked(), ["GET /v1/models"; 2]);
    }

    #[tokio::test]
    async fn an_address_that_ends_with_v1_is_asked_for_its_models_once_less_deep() {
        let server = Peer::http(|_| Reply::json(200, LIST)).await;
        let told = scrape(&server.target_at("http", "/v1/", None)).await.unwrap();
        assert_eq!(told.models.map(|models| models.len()), Some(1));
        assert_eq!(server.asked(), ["GET /v1/models"]);
    }

    #[tokio::test]
    async fn without_a_key_it_is_locked_and_the_hint_says_what_to_do() {
        let server = Peer::http(|asked| {
            if asked.head.contains("authorization: bearer right") {
                Reply::json(200, LIST)
            } else {
                Reply::json(401, r#"{"error":{"message":"Invalid API key"}}"#)
            }
        })
        .await;
        let told = scrape(&server.target()).await.unwrap();
        assert!(matches!(told.condition, Condition::Locked(_)));
        assert!(told.hints[0].advice.contains("key_file"), "{:?}", told.hints);
        let told = scrape(&server.target_with("wrong")).await.unwrap();
        assert!(told.hints[0].text.contains("refuses"), "{:?}", told.hints);
        assert_eq!(scrape(&server.target_with("right")).await.unwrap().hints, []);
        // What only says 401 may be anything.
        assert_eq!(OpenAi.identify(&server.probe()).await, None);
    }

    #[tokio::test]
    async fn what_is_no_list_is_not_taken_for_one() {
        for body in ["{}", "[]", "{\"data\":[]}", "{\"object\":\"list\",\"data\":3}", "<html>"] {
            let server = Peer::http(move |_| Reply::json(200, body)).await;
            assert_eq!(OpenAi.identify(&server.probe()).await, None, "{body}");
        }
        let server = Peer::http(|_| Reply::json(200, "{\"object\":")).await;
        let error = scrape(&server.target()).await.unwrap_err();
        assert!(matches!(error, CallError::NotUnderstood { .. }), "{error}");
    }

    #[tokio::test]
    async fn more_models_than_are_told_are_cut() {
        let cards: Vec<String> = (0..5000).map(|n| format!("{{\"id\":\"m{n}\"}}")).collect();
        let body = format!("{{\"object\":\"list\",\"data\":[{}]}}", cards.join(","));
        let server = Peer::http(move |_| Reply::json(200, &body)).await;
        let told = scrape(&server.target()).await.unwrap();
        assert_eq!(told.models.map(|models| models.len()), Some(MAX_MODELS));
    }
}
