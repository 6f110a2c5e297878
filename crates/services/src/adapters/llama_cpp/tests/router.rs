//! Router mode: nothing that is asked may load a model.

use std::time::Duration;

use plimsoll_core::metric::Metric;

use super::*;
use crate::{
    adapter::{ActionError, Actions, Condition, Figure},
    client::{Bounds, CallError},
    service::{Loaded, Slots},
};

const A: &str = "ggml-org/gemma-3-4b-it-GGUF:Q4_K_M";

async fn router(models: &[(&'static str, &'static str)]) -> Server {
    Server::start(State { models: models.to_vec(), ..State::default() }).await
}

fn busy(slots: Option<Slots>) -> (Option<u32>, Option<u32>, Option<u32>) {
    let slots = slots.unwrap();
    (slots.total, slots.busy, slots.waiting)
}

#[tokio::test]
async fn only_models_that_are_loaded_are_asked_and_none_is_ever_loaded() {
    let models =
        [(A, "loaded"), ("b-Q8_0", "unloaded"), ("c", "sleeping"), ("d", "failed"), ("e", "new")];
    let server = router(&models).await;
    let mut memory = Memory::default();
    for _ in 0..100 {
        let told = server.look(&mut memory).await;
        assert_eq!(told.condition, Condition::Ready);
        assert_eq!(told.actions, Some(Actions { load: true, unload: true }));
        assert_eq!(told.version.as_deref(), Some("b9931-1a2b3c4"));
        let seen: Vec<Loaded> = told.models.unwrap().iter().map(|m| m.loaded).collect();
        let gone = Loaded::Unloaded;
        assert_eq!(seen, [Loaded::Loaded, gone, gone, gone, Loaded::Unknown]);
        assert_eq!(busy(told.slots), (Some(4), Some(3), Some(46)));
        let total = Figure::total(Metric::TokensGenerated, 3014.0).of(A);
        assert!(told.figures.contains(&total));
        assert_eq!(told.hints.len(), 1);
        assert_eq!(told.hints[0].text, "The process of d ended with exit code 1.");
    }
    LlamaCpp.identify(&server.peer.probe()).await.unwrap();
    LlamaCpp.slots(&server.peer.target()).await.unwrap();
    let state = server.state().clone();
    assert_eq!((state.loads, state.wakes, state.models), (0, 0, models.to_vec()));
    // Everything about a model names the loaded one, and forbids to load it.
    let about: Vec<String> =
        server.peer.asked().into_iter().filter(|line| line.contains("model=")).collect();
    let encoded = "?model=ggml-org%2Fgemma-3-4b-it-GGUF%3AQ4_K_M&autoload=false";
    assert!(about.iter().all(|line| line.ends_with(encoded)), "{about:?}");
    // 100 times its figures and, as it works, its slots; once its properties.
    assert_eq!((about.len(), server.count("/metrics"), server.count("/slots")), (201, 100, 100));
}

#[tokio::test]
async fn a_model_that_went_since_the_list_was_told_is_not_loaded_again() {
    let server = Peer::http(|asked| match asked.path.split('?').next().unwrap_or_default() {
        "/health" => Reply::json(200, "{}"),
        "/props" if asked.path == "/props" => {
            Reply::json(200, "{\"role\":\"router\",\"build_info\":\"b1\"}")
        }
        "/v1/models" => {
            Reply::json(200, "{\"data\":[{\"id\":\"a\",\"status\":{\"value\":\"loaded\"}}]}")
        }
        _ => Reply::json(400, "{\"error\":{\"message\":\"model is not loaded\"}}"),
    })
    .await;
    let told = LlamaCpp.scrape(&server.target(), &mut Memory::default()).await.unwrap();
    assert_eq!((told.condition, told.hints), (Condition::Ready, vec![]));
    assert_eq!(busy(told.slots), (None, None, None));
    assert_eq!(server.asked().last().unwrap(), "GET /props?model=a&autoload=false");
}

#[tokio::test]
async fn slots_of_several_models_add_up_and_figures_stay_apart() {
    let server = router(&[("a", "loaded"), ("b", "loaded")]).await;
    let told = server.first_look().await;
    assert_eq!(busy(told.slots), (Some(8), Some(6), Some(92)));
    let of = |model: &str| Figure::total(Metric::TokensPrompt, 1200.0).of(model);
    assert!(told.figures.contains(&of("a")) && told.figures.contains(&of("b")));
}

#[tokio::test]
async fn with_nothing_loaded_nothing_runs_and_while_one_loads_who_waits_is_not_known() {
    let server = router(&[("a", "unloaded")]).await;
    assert_eq!(busy(server.first_look().await.slots), (None, Some(0), Some(0)));
    server.state().models[0].1 = "loading";
    let told = server.first_look().await;
    assert_eq!(told.models.unwrap()[0].loaded, Loaded::Loading);
    assert_eq!(busy(told.slots), (None, Some(0), None));
    assert_eq!((server.state().loads, server.count("/metrics")), (0, 0));
}

#[tokio::test]
async fn without_metrics_the_hint_is_said_once() {
    let models = vec![("a", "loaded"), ("b", "loaded")];
    let server = Server::start(State { models, no_metrics: true, ..State::default() }).await;
    let told = server.first_look().await;
    let ids: Vec<&str> = told.hints.iter().map(|hint| hint.id.as_str()).collect();
    assert_eq!(ids, ["no-metrics"]);
    assert_eq!(busy(told.slots), (Some(8), Some(2), None));
}

#[tokio::test]
async fn loading_returns_when_the_model_is_there() {
    let server = router(&[(A, "unloaded")]).await;
    // Told to: the name, its state, and after the order still loading twice.
    server.state().next = vec!["unloaded", "unloaded", "loading", "loading", "loaded"];
    LlamaCpp.load(&server.peer.target(), A).await.unwrap();
    let posts: Vec<Asked> =
        server.peer.requests().into_iter().filter(|asked| asked.method == "POST").collect();
    assert_eq!(posts.len(), 1);
    assert_eq!((posts[0].path.as_str(), posts[0].body.contains(A)), ("/models/load", true));
    assert_eq!(server.state().next, [""; 0]);
    // What is there is not ordered again.
    LlamaCpp.load(&server.peer.target(), A).await.unwrap();
    assert_eq!(server.peer.asked().iter().filter(|line| line.starts_with("POST")).count(), 1);
}

#[tokio::test]
async fn a_model_that_fails_to_load_is_told_with_its_exit_code() {
    let server = router(&[("a", "unloaded")]).await;
    server.state().next = vec!["unloaded", "unloaded", "loading", "failed"];
    let error = LlamaCpp.load(&server.peer.target(), "a").await.unwrap_err();
    assert_eq!(error, ActionError::Refused("The process of a ended with exit code 1.".into()));
    let error = LlamaCpp.load(&server.peer.target(), "nobody").await.unwrap_err();
    assert_eq!(error, ActionError::Refused("This server has no model nobody.".into()));
}

#[tokio::test]
async fn unloading_returns_when_the_model_is_gone() {
    let server = router(&[("a", "loaded")]).await;
    server.state().next = vec!["loaded", "loaded", "loaded", "unloaded"];
    LlamaCpp.unload(&server.peer.target(), "a").await.unwrap();
    let posts = |server: &Server| {
        server.peer.asked().into_iter().filter(|line| line.starts_with("POST")).collect::<Vec<_>>()
    };
    assert_eq!(posts(&server), ["POST /models/unload"]);
    // What is gone is not ordered to go.
    LlamaCpp.unload(&server.peer.target(), "a").await.unwrap();
    assert_eq!(posts(&server).len(), 1);
}

#[tokio::test]
async fn patience_ends_with_the_budget() {
    let server = router(&[("a", "loading")]).await;
    let bounds = Bounds { budget: Duration::from_millis(600), ..Bounds::default() };
    let error = LlamaCpp.load(&server.peer.target().within(bounds), "a").await.unwrap_err();
    assert!(matches!(error, ActionError::Call(CallError::TooSlow { .. })), "{error}");
}

#[tokio::test]
async fn a_router_that_wants_a_key_is_locked_and_takes_no_orders() {
    let models = vec![("a", "loaded")];
    let server = Server::start(State { models, key: Some("k"), ..State::default() }).await;
    let told = server.first_look().await;
    assert!(matches!(told.condition, Condition::Locked(_)));
    let error = LlamaCpp.load(&server.peer.target(), "a").await.unwrap_err();
    assert!(matches!(error, ActionError::Call(CallError::WantsKey { .. })), "{error}");
}

#[tokio::test]
async fn a_model_whose_name_has_no_end_is_not_asked() {
    let long: &'static str = "x".repeat(100_000).leak();
    let server = router(&[(long, "loaded"), (A, "loaded")]).await;
    let told = server.look(&mut Memory::default()).await;
    let names: Vec<String> = told.models.unwrap().into_iter().map(|model| model.name).collect();
    assert_eq!(names, [A]);
    assert!(server.peer.asked().iter().all(|line| line.len() < 1000));
}
