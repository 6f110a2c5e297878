//! Speaches (before 0.7 faster-whisper-server): speech to text and text to speech
//! behind OpenAI's interface.
//!
//! - `/health` answers `OK`, and needs no key; nor does `/openapi.json`, whose
//!   `info.title` is `Speaches` and whose `info.version` lags behind releases, so that
//!   it is not told. With `API_KEY` set all else wants it as a bearer.
//! - `/v1/models` lists what lies on its disk, each with its `task`
//!   (`automatic-speech-recognition`, `text-to-speech`, …). It looks through that
//!   folder each time, so it is asked only now and then.
//! - `/api/ps` tells the loaded ones, `{"models":["Systran/faster-whisper-small"]}`, and
//!   costs nothing. It loads by the first request and unloads after a time without one.
//! - `POST /api/ps/{model}` loads, with 201, or 409 where it is loaded. One that is not on
//!   its disk would be **downloaded**, so only a listed one is asked for. `DELETE` unloads,
//!   with 204; 404 where it is not loaded, 409 where it is in use.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use super::hints;
use crate::{
    adapter::{ActionError, Actions, Adapter, Condition, Identity, Memory, Probe, Scrape},
    client::{Answer, CallError, Target},
    health,
    kind::ServiceKind,
    service::{Hint, Loaded, MAX_MODELS, Model},
};

const MODELS: &str = "/v1/models";
const LOADED: &str = "/api/ps";
/// Looks after which the models on its disk are asked for again.
const LOOKS_BETWEEN: u32 = 30;

/// A Speaches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Speaches;

/// What is remembered of one server.
#[derive(Default)]
struct Known {
    on_disk: Option<Vec<String>>,
    looks: u32,
}

#[derive(Deserialize)]
struct List {
    data: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
}

#[derive(Deserialize)]
struct Running {
    models: Vec<String>,
}

#[async_trait]
impl Adapter for Speaches {
    fn kind(&self) -> ServiceKind {
        ServiceKind::Speaches
    }

    async fn identify(&self, probe: &Probe) -> Option<Identity> {
        // Asked for its large description only where it may be one.
        let models = probe.get(MODELS).await.ok()?;
        let wants_key = matches!(models.status, 401 | 403);
        if !models.is_ok() && !wants_key {
            return None;
        }
        let about = probe.json("/openapi.json").await?;
        let title = about.pointer("/info/title").and_then(Value::as_str)?;
        let is = ["speaches", "faster-whisper-server"]
            .iter()
            .any(|name| title.eq_ignore_ascii_case(name));
        is.then(|| Identity { wants_key, ..Identity::of(ServiceKind::Speaches) })
    }

    async fn scrape(&self, target: &Target, memory: &mut Memory) -> Result<Scrape, CallError> {
        let known = memory.of::<Known>();
        let condition = health::look(target, MODELS).await?;
        let mut scrape = Scrape { condition, ..Scrape::default() };
        if matches!(scrape.condition, Condition::Loading(_)) {
            return Ok(scrape);
        }
        let mut hint = None;
        if known.on_disk.is_none() || known.looks >= LOOKS_BETWEEN {
            match listed(target).await {
                Ok(names) => (known.on_disk, known.looks) = (Some(names), 0),
                Err(CallError::WantsKey { .. }) => hint = Some(hints::wants_a_key("its models")),
                Err(error) => hint = Some(unlisted(&error)),
            }
        }
        known.looks = known.looks.saturating_add(1);
        let loaded = match running(target).await {
            Ok(names) => Some(names),
            Err(CallError::WantsKey { .. }) => {
                hint = Some(hints::wants_a_key("its models"));
                None
            }
            // Older ones have no such path: then it is not known.
            Err(_) => None,
        };
        scrape.models = known.on_disk.as_deref().map(|on_disk| models(on_disk, loaded.as_deref()));
        scrape.hints.extend(hint);
        Ok(scrape)
    }

    fn actions(&self) -> Actions {
        Actions { load: true, unload: true }
    }

    async fn load(&self, target: &Target, model: &str) -> Result<(), ActionError> {
        let on_disk = listed(target).await?;
        if !on_disk.iter().any(|name| name == model) {
            return Err(ActionError::Refused(format!(
                "{model} is not on its disk; it would be downloaded, which is left to you"
            )));
        }
        let answer = target.post(&path_of(model)?, &json!({})).await?;
        // 409: it is loaded already, which is what was wanted.
        if answer.status == 409 { Ok(()) } else { done(answer) }
    }

    async fn unload(&self, target: &Target, model: &str) -> Result<(), ActionError> {
        let answer = target.delete(&path_of(model)?).await?;
        // 404: it is not loaded, which is what was wanted.
        if answer.status == 404 { Ok(()) } else { done(answer) }
    }
}

async fn listed(target: &Target) -> Result<Vec<String>, CallError> {
    let list: List = target.get_json(MODELS).await?;
    Ok(list.data.into_iter().map(|listed| listed.id).take(MAX_MODELS).collect())
}

async fn running(target: &Target) -> Result<Vec<String>, CallError> {
    Ok(target.get_json::<Running>(LOADED).await?.models)
}

/// Those on its disk; with the loaded ones, which it names by the same names.
fn models(on_disk: &[String], loaded: Option<&[String]>) -> Vec<Model> {
    let is_loaded = |name: &String| match loaded {
        Some(loaded) if loaded.contains(name) => Loaded::Loaded,
        Some(_) => Loaded::Unloaded,
        None => Loaded::Unknown,
    };
    let known = on_disk.iter().map(|name| Model::named(name, is_loaded(name)));
    let others = loaded.unwrap_or_default().iter().filter(|name| !on_disk.contains(name));
    let others = others.map(|name| Model::named(name, Loaded::Loaded));
    known.chain(others).take(MAX_MODELS).collect()
}

/// The path of a model: its name keeps its slashes, all that is not plain is written
/// as its bytes. A name that climbs would ask for another path, even written so.
fn path_of(model: &str) -> Result<String, ActionError> {
    if model.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(ActionError::Refused(format!("{model:?} is not the name of a model")));
    }
    let mut path = format!("{LOADED}/");
    for byte in model.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._/".contains(&byte) {
            path.push(byte.into());
        } else {
            path += &format!("%{byte:02X}");
        }
    }
    Ok(path)
}

fn done(answer: Answer) -> Result<(), ActionError> {
    if answer.is_ok() {
        return Ok(());
    }
    let words = health::words_of(&answer);
    match answer.ok() {
        Err(CallError::Status { .. }) if !words.is_empty() => Err(ActionError::Refused(words)),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}

fn unlisted(error: &CallError) -> Hint {
    Hint::advice(
        "no-models",
        format!("Its models cannot be read: {error}."),
        "Look at /v1/models of this server.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::peer::{Asked, Peer, Reply};

    const SMALL: &str = "Systran/faster-whisper-small";
    const LIST: &str = r#"{"object":"list","data":[
        {"id":"Systran/faster-whisper-small","created":1700000000,"object":"model","owned_by":"Systran",
         "language":["en","de"],"task":"automatic-speech-recognition"},
        {"id":"speaches-ai/Kokoro-82M-v1.0-ONNX","created":1700000001,"object":"model","owned_by":"speaches-ai",
         "language":null,"task":"text-to-speech","sample_rate":24000}]}"#;

    fn usual(asked: &Asked) -> Reply {
        match asked.line().as_str() {
            "GET /health" => Reply::text(200, "OK"),
            "GET /v1/models" => Reply::json(200, LIST),
            "GET /api/ps" => Reply::json(200, r#"{"models":["Systran/faster-whisper-small"]}"#),
            "GET /openapi.json" => Reply::json(
                200,
                r#"{"openapi":"3.1.0","info":{"title":"Speaches","version":"0.8.3"}}"#,
            ),
            "POST /api/ps/speaches-ai/Kokoro-82M-v1.0-ONNX" => Reply::text(201, ""),
            "POST /api/ps/Systran/faster-whisper-small" => Reply::text(409, "Model already loaded"),
            "DELETE /api/ps/Systran/faster-whisper-small" => Reply::text(409, "Model is in use"),
            _ => Reply::missing(),
        }
    }

    async fn look(peer: &Peer) -> Scrape {
        Speaches.scrape(&peer.target(), &mut Memory::default()).await.unwrap()
    }

    #[tokio::test]
    async fn its_models_are_told_with_what_is_loaded() {
        let scrape = look(&Peer::http(usual).await).await;
        assert_eq!(scrape.condition, Condition::Ready);
        let models = scrape.models.unwrap();
        let told: Vec<_> = models.iter().map(|m| (m.name.as_str(), m.loaded)).collect();
        let kokoro = "speaches-ai/Kokoro-82M-v1.0-ONNX";
        assert_eq!(told, [(SMALL, Loaded::Loaded), (kokoro, Loaded::Unloaded)]);
        assert!(scrape.hints.is_empty());
    }

    #[tokio::test]
    async fn its_disk_is_looked_through_only_now_and_then_and_nothing_is_loaded() {
        let peer = Peer::http(usual).await;
        let mut memory = Memory::default();
        for _ in 0..=LOOKS_BETWEEN {
            let scrape = Speaches.scrape(&peer.target(), &mut memory).await.unwrap();
            assert_eq!(scrape.models.unwrap().len(), 2);
        }
        let asked = peer.asked();
        assert_eq!(asked.iter().filter(|line| *line == "GET /v1/models").count(), 2);
        assert!(asked.iter().all(|line| line.starts_with("GET ")));
    }

    #[tokio::test]
    async fn whether_a_model_is_loaded_is_unknown_where_it_is_not_told() {
        let peer = Peer::http(|asked| match asked.path.as_str() {
            "/api/ps" => Reply::missing(),
            _ => usual(asked),
        })
        .await;
        let models = look(&peer).await.models.unwrap();
        assert!(models.iter().all(|model| model.loaded == Loaded::Unknown));
    }

    #[tokio::test]
    async fn with_a_key_its_health_stays_open_and_the_rest_is_a_hint() {
        let peer = Peer::http(|asked| match asked.path.as_str() {
            "/health" | "/openapi.json" => usual(asked),
            _ if asked.head.contains("authorization: bearer s3cret") => usual(asked),
            _ => Reply::json(403, r#"{"detail":"Not authenticated"}"#),
        })
        .await;
        let scrape = look(&peer).await;
        assert_eq!((scrape.condition, scrape.models), (Condition::Ready, None));
        assert_eq!(scrape.hints.len(), 1);
        assert_eq!(scrape.hints[0].id, "wants-a-key");
        assert!(Speaches.identify(&peer.probe()).await.unwrap().wants_key);
        let target = peer.target_with("s3cret");
        let scrape = Speaches.scrape(&target, &mut Memory::default()).await.unwrap();
        assert_eq!(scrape.models.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn it_is_known_by_its_title_and_another_server_is_not_taken_for_it() {
        let identity = Speaches.identify(&Peer::http(usual).await.probe()).await.unwrap();
        assert_eq!((identity.kind, identity.wants_key), (ServiceKind::Speaches, false));
        let vllm = Peer::http(|asked| match asked.path.as_str() {
            "/openapi.json" => Reply::json(200, r#"{"info":{"title":"FastAPI"}}"#),
            _ => usual(asked),
        })
        .await;
        assert_eq!(Speaches.identify(&vllm.probe()).await, None);
        let plain = Peer::http(|_| Reply::missing()).await;
        assert_eq!(Speaches.identify(&plain.probe()).await, None);
        assert_eq!(plain.asked(), ["GET /v1/models"]);
    }

    #[tokio::test]
    async fn only_what_is_on_its_disk_is_loaded_and_nothing_is_downloaded() {
        let peer = Peer::http(usual).await;
        let target = peer.target();
        Speaches.load(&target, "speaches-ai/Kokoro-82M-v1.0-ONNX").await.unwrap();
        Speaches.load(&target, SMALL).await.unwrap();
        let refused = Speaches.load(&target, "Systran/faster-whisper-large-v3").await.unwrap_err();
        assert!(refused.to_string().contains("not on its disk"), "{refused}");
        assert!(!peer.asked().iter().any(|line| line.contains("large")));
    }

    #[tokio::test]
    async fn a_model_in_use_is_not_unloaded_and_one_that_is_not_loaded_is_no_error() {
        let peer = Peer::http(usual).await;
        let refused = Speaches.unload(&peer.target(), SMALL).await.unwrap_err();
        assert_eq!(refused, ActionError::Refused("Model is in use".into()));
        Speaches.unload(&peer.target(), "speaches-ai/other").await.unwrap();
    }

    #[tokio::test]
    async fn broken_lists_are_a_hint_and_no_error() {
        for broken in ["[]", r#"{"data":[{"name":"x"}]}"#, "<html>", r#"{"data":null}"#] {
            let peer = Peer::http(move |asked| match asked.path.as_str() {
                "/v1/models" | "/api/ps" => Reply::json(200, broken),
                _ => usual(asked),
            })
            .await;
            let scrape = look(&peer).await;
            assert_eq!((scrape.condition, scrape.models), (Condition::Ready, None));
            assert_eq!(scrape.hints[0].id, "no-models");
        }
        let names: Vec<String> = (0..5000).map(|i| format!(r#"{{"id":"m{i}"}}"#)).collect();
        let many = format!(r#"{{"data":[{}]}}"#, names.join(","));
        let peer = Peer::http(move |asked| match asked.path.as_str() {
            "/v1/models" => Reply::json(200, &many),
            _ => usual(asked),
        })
        .await;
        assert_eq!(look(&peer).await.models.unwrap().len(), MAX_MODELS);
    }

    #[test]
    fn the_name_of_a_model_cannot_ask_for_another_path() {
        assert_eq!(path_of("a/b-1.0").unwrap(), "/api/ps/a/b-1.0");
        assert_eq!(path_of("a?b#c d").unwrap(), "/api/ps/a%3Fb%23c%20d");
        assert_eq!(path_of("%2e%2e/x").unwrap(), "/api/ps/%252e%252e/x");
        for bad in ["../v1/x", "a/..", "a//b", "", "./a"] {
            assert!(matches!(path_of(bad), Err(ActionError::Refused(_))), "{bad}");
        }
    }
}
