//! A server of one model.

use std::time::Duration;

use plimsoll_core::metric::Metric;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

use super::{
    super::{served::Served, wire::Props},
    *,
};
use crate::{
    adapter::{Actions, Condition, Figure},
    adapters::tally::amount,
    client::{Bounds, CallError},
    service::{Basis, HintLevel, Loaded},
};

fn hints(told: &Scrape) -> Vec<&str> {
    told.hints.iter().map(|hint| hint.id.as_str()).collect()
}

#[tokio::test]
async fn it_tells_its_version_model_slots_and_totals() {
    let server = Server::start(State::default()).await;
    let mut memory = Memory::default();
    let told = server.look(&mut memory).await;
    assert_eq!(told.condition, Condition::Ready);
    assert_eq!(told.actions, Some(Actions::default()), "it holds its one model for good");
    assert_eq!(told.version.as_deref(), Some("b9931-1a2b3c4"));
    let model = &told.models.as_ref().unwrap()[0];
    assert_eq!((model.name.as_str(), model.loaded), ("Qwen3-8B-Q4_K_M", Loaded::Loaded));
    assert_eq!(model.quantization.as_deref(), Some("Q4_K_M"));
    assert_eq!((model.context_tokens, model.size_bytes), (Some(2048), Some(4_912_898_304)));
    // It tells nothing of the GPU, and nothing is made up.
    assert_eq!((model.vram_bytes, model.gpu_share), (None, None));
    assert_eq!(told.held.unwrap().weights_bytes, Some(4_912_898_304));
    memory.set_command(Some("llama-server -m x -ngl 20".into()));
    assert_eq!(server.look(&mut memory).await.held.unwrap().weights_bytes, None);
    let slots = told.slots.unwrap();
    assert_eq!((slots.total, slots.busy, slots.basis), (Some(4), Some(3), Basis::Told));
    assert!(told.figures.contains(&Figure::total(Metric::TokensPrompt, 1200.0)));
    assert!(told.figures.contains(&Figure::total(Metric::TokensGenerated, 3014.0)));
    assert!(!told.figures.iter().any(|figure| figure.metric == Metric::KvUsed));
    assert_eq!(hints(&told), [""; 0]);
    let all = ["GET /health", "GET /props", "GET /v1/models", "GET /metrics", "GET /slots"];
    assert_eq!(server.peer.asked()[..5], all);
    // What hardly changes is not asked again, and of one that is idle no slots.
    server.state().metrics = Some("llamacpp:requests_processing 0\n");
    let asked = server.peer.asked().len();
    assert_eq!(server.look(&mut memory).await.models, told.models);
    assert_eq!(server.peer.asked()[asked..], ["GET /health", "GET /props", "GET /metrics"]);
}

#[tokio::test]
async fn requests_beyond_its_slots_are_waiting() {
    let server = Server::start(State::default()).await;
    let told = server.first_look().await;
    assert_eq!(told.slots.unwrap().waiting, Some(46));
    assert_eq!(amount(&told.figures, Metric::RequestsWaiting), Some(46));
    assert_eq!(amount(&told.figures, Metric::RequestsRunning), Some(3));
}

#[tokio::test]
async fn old_builds_tell_their_kv_cache_and_some_write_underscores() {
    for text in [
        "llamacpp:kv_cache_usage_ratio 0.25\nllamacpp:kv_cache_tokens 512\n\
         llamacpp:requests_processing 1\nllamacpp:tokens_predicted_total 9\n",
        "llamacpp_kv_cache_usage_ratio 0.25\nllamacpp_requests_processing 1\n\
         llamacpp_tokens_predicted_total 9\n",
    ] {
        let server = Server::start(State { metrics: Some(text), ..State::default() }).await;
        let told = server.first_look().await;
        assert!(told.figures.contains(&Figure::gauge(Metric::KvUsed, 25.0)), "{text}");
        assert!(told.figures.contains(&Figure::total(Metric::TokensGenerated, 9.0)));
        // What it does not tell is not zero.
        assert_eq!((told.slots.unwrap().busy, told.slots.unwrap().waiting), (Some(1), None));
    }
}

#[tokio::test]
async fn a_server_that_sleeps_is_never_woken() {
    let server = Server::start(State { sleeping: true, ..State::default() }).await;
    let mut memory = Memory::default();
    for _ in 0..130 {
        let told = server.look(&mut memory).await;
        assert_eq!(told.condition, Condition::Ready);
        assert_eq!(hints(&told), ["sleeping"]);
        assert_eq!(told.models.unwrap()[0].loaded, Loaded::Unloaded);
        let slots = told.slots.unwrap();
        assert_eq!((slots.total, slots.busy, slots.waiting), (Some(4), Some(0), Some(0)));
    }
    LlamaCpp.identify(&server.peer.probe()).await.unwrap();
    LlamaCpp.slots(&server.peer.target()).await.unwrap().unwrap();
    let state = server.state().clone();
    assert_eq!((state.wakes, state.sleeping), (0, true));
    assert_eq!((server.count("/slots"), server.count("/metrics")), (0, 0));
    // Somebody uses it: it is looked at like any other.
    server.state().sleeping = false;
    assert_eq!(server.look(&mut memory).await.slots.unwrap().busy, Some(3));
    assert_eq!(server.state().wakes, 0);
}

#[tokio::test]
async fn a_server_that_could_sleep_is_given_the_time_to() {
    const QUIET: &str = "llamacpp:requests_processing 0\nllamacpp:requests_deferred 0\n\
        llamacpp:tokens_predicted_total 5\n";
    let server = Server::start(State { metrics: Some(QUIET), ..State::default() }).await;
    let props: Props = server.peer.target().get_json("/props").await.unwrap();
    let limit = Some(Duration::from_secs(300));
    let (mut served, start, mut left) = (Served::default(), Instant::now(), 0);
    for second in 0..360 {
        let now = start + Duration::from_secs(second);
        let told = served.look(&server.peer.target(), "", &props, limit, now).await.unwrap();
        assert_eq!(told.slots.total, Some(4));
        if told.hints.iter().any(|hint| hint.id == "left-alone") {
            left += 1;
            // Not known now, and not said to be none.
            assert_eq!((told.slots.busy, told.figures.len()), (None, 0));
        }
    }
    // Five minutes without a single task, which is what it needs to fall asleep.
    assert_eq!((server.count("/metrics"), left), (61, 299));
    assert_eq!(server.count("/slots"), 0);
    // The same by its command line, seen through a whole look.
    let mut memory = Memory::default();
    memory.set_command(Some("llama-server --metrics --sleep-idle-seconds 0".into()));
    assert_eq!(hints(&server.look(&mut memory).await), [""; 0]);
    assert_eq!(hints(&server.look(&mut memory).await), ["left-alone"]);
}

#[tokio::test]
async fn without_metrics_its_slots_are_counted_and_the_hint_says_why() {
    let server = Server::start(State { no_metrics: true, ..State::default() }).await;
    let mut memory = Memory::default();
    for _ in 0..50 {
        let told = server.look(&mut memory).await;
        assert_eq!(told.condition, Condition::Ready);
        let slots = told.slots.unwrap();
        assert_eq!((slots.total, slots.busy, slots.waiting), (Some(4), Some(1), None));
        assert_eq!(hints(&told), ["no-metrics"]);
        assert!(told.hints[0].advice.contains("--metrics"));
        assert_eq!(told.hints[0].level, HintLevel::Advice);
    }
    // It is not asked each second for what it does not have.
    assert_eq!((server.count("/metrics"), server.count("/slots")), (1, 50));
}

#[tokio::test]
async fn what_a_server_says_that_it_does_not_have_is_not_asked_for() {
    let state =
        State { tells_endpoints: true, no_metrics: true, no_slots: true, ..State::default() };
    let server = Server::start(state).await;
    let told = server.first_look().await;
    assert_eq!((server.count("/metrics"), server.count("/slots")), (0, 0));
    let slots = told.slots.unwrap();
    assert_eq!((slots.total, slots.busy), (Some(4), None));
    assert_eq!(hints(&told), ["no-metrics"]);
}

#[tokio::test]
async fn without_its_key_it_is_locked_while_its_health_is_open() {
    let server = Server::start(State { key: Some("right"), ..State::default() }).await;
    let identity = LlamaCpp.identify(&server.peer.probe()).await.unwrap();
    assert!(identity.wants_key);
    let told = server.first_look().await;
    assert_eq!(told.condition, Condition::Locked("answers 401: it wants a key".into()));
    assert_eq!(hints(&told), ["wants-a-key"]);
    assert!(told.hints[0].advice.contains("key_file"));
    assert_eq!((told.slots, told.figures.len(), told.models), (None, 0, None));
    assert_eq!((server.count("/metrics"), server.count("/slots")), (0, 0));
    let with = async |key| {
        let target = server.peer.target_with(key);
        LlamaCpp.scrape(&target, &mut Memory::default()).await.unwrap()
    };
    assert!(with("wrong").await.hints[0].text.contains("refuses"));
    let told = with("right").await;
    assert_eq!((told.condition, told.slots.unwrap().busy), (Condition::Ready, Some(3)));
}

#[tokio::test]
async fn a_build_that_locks_its_figures_alone_is_locked_too() {
    let server = Peer::http(|asked| match asked.path.as_str() {
        "/health" => Reply::json(200, "{\"status\":\"ok\"}"),
        "/props" => Reply::json(200, &State::default().props()),
        _ => Reply::json(401, "{\"error\":{\"message\":\"Invalid API Key\"}}"),
    })
    .await;
    let told = LlamaCpp.scrape(&server.target(), &mut Memory::default()).await.unwrap();
    assert!(matches!(told.condition, Condition::Locked(_)));
    assert_eq!(told.version.as_deref(), Some("b9931-1a2b3c4"));
}

#[tokio::test]
async fn while_it_loads_nothing_but_its_health_is_asked() {
    let server = Server::start(State { loading: true, ..State::default() }).await;
    let told = server.first_look().await;
    assert_eq!(told.condition, Condition::Loading("Loading model".into()));
    assert_eq!(server.peer.asked(), ["GET /health"]);
    // It is known for what it is by its signature alone.
    let identity = LlamaCpp.identify(&server.peer.probe()).await.unwrap();
    assert_eq!((identity.version, identity.wants_key), (None, false));
}

#[tokio::test]
async fn it_is_known_by_its_answers_and_not_by_a_name() {
    let server = Server::start(State::default()).await;
    let identity = LlamaCpp.identify(&server.peer.probe()).await.unwrap();
    assert_eq!(identity.name.as_deref(), Some("Qwen3-8B-Q4_K_M"));
    assert_eq!(identity.version.as_deref(), Some("b9931-1a2b3c4"));
    assert_eq!(server.peer.asked(), ["GET /props"]);
    // Behind a proxy that signs for itself.
    let proxied = Peer::http(|asked| match asked.path.as_str() {
        "/props" => Reply::json(200, &State::default().props()).with("Server: nginx"),
        _ => Reply::missing(),
    })
    .await;
    assert!(LlamaCpp.identify(&proxied.probe()).await.is_some());
    for body in ["{}", "{\"total_slots\":4}", "{\"role\":\"router\"}", "[]", "<html>"] {
        let other = Peer::http(move |_| Reply::json(200, body)).await;
        assert_eq!(LlamaCpp.identify(&other.probe()).await, None, "{body}");
    }
}

#[tokio::test]
async fn answers_that_cannot_be_read_are_hints_and_no_failure() {
    for (path, body) in [
        ("/props", "{\"total_slots\":\"four\"}"),
        ("/props", "\u{0}"),
        ("/metrics", "<html>no</html>"),
        ("/metrics", "llamacpp:requests_processing NaN\u{0}"),
    ] {
        let server = Peer::http(move |asked| match asked.path.as_str() {
            asked if asked == path => Reply::text(200, body),
            "/props" => Reply::json(200, &State::default().props()),
            "/health" => Reply::json(200, "{}"),
            _ => Reply::missing(),
        })
        .await;
        let told = LlamaCpp.scrape(&server.target(), &mut Memory::default()).await.unwrap();
        assert_eq!((told.condition.clone(), hints(&told)), (Condition::Ready, vec!["no-figures"]));
        assert_eq!(told.slots.unwrap().busy, None, "{path}");
        // Whether it sleeps is not known then.
        assert!(!server.asked().contains(&"GET /slots".to_string()));
    }
}

/// Answers each request of a connection by its path; `None` is no answer at all.
async fn serve(mut stream: TcpStream, answer: fn(&str) -> Option<String>, then_close: bool) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(byte);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default();
        let Some(body) = answer(path) else { std::future::pending().await };
        let length = body.len();
        let reply = format!(
            "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=100\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        if stream.write_all(reply.as_bytes()).await.is_err() || then_close {
            return;
        }
    }
}

fn answers(path: &str) -> Option<String> {
    Some(match path {
        "/health" => "{\"status\":\"ok\"}".into(),
        "/props" => State::default().props(),
        "/metrics" => METRICS.into(),
        "/slots" => SLOTS.into(),
        _ => "{\"data\":[]}".into(),
    })
}

#[tokio::test]
async fn connections_that_are_closed_without_a_word_are_no_failure() {
    let server = Peer::raw(|stream| serve(stream, answers, true)).await;
    let (target, mut memory) = (server.target(), Memory::default());
    for _ in 0..40 {
        let told = LlamaCpp.scrape(&target, &mut memory).await.unwrap();
        assert_eq!((told.condition.clone(), hints(&told)), (Condition::Ready, vec![]));
        assert_eq!(told.slots.unwrap().busy, Some(3));
    }
}

#[tokio::test]
async fn figures_that_come_late_do_not_make_it_unwell() {
    let late = |path: &str| if path == "/metrics" { None } else { answers(path) };
    let server = Peer::raw(move |stream| serve(stream, late, false)).await;
    let bounds = Bounds { budget: Duration::from_millis(400), ..Bounds::default() };
    let target = server.target().within(bounds);
    let told = LlamaCpp.scrape(&target, &mut Memory::default()).await.unwrap();
    assert_eq!((told.condition.clone(), hints(&told)), (Condition::Ready, vec!["figures-late"]));
    assert_eq!((told.slots.unwrap().total, told.slots.unwrap().busy), (Some(4), None));
}

#[tokio::test]
async fn a_server_of_one_model_loads_none_and_says_how_it_could() {
    let server = Server::start(State::default()).await;
    let error = LlamaCpp.load(&server.peer.target(), "other").await.unwrap_err();
    assert!(error.to_string().contains("router mode"), "{error}");
    assert!(LlamaCpp.unload(&server.peer.target(), "Qwen3-8B-Q4_K_M").await.is_err());
    assert!(!server.peer.asked().iter().any(|line| line.starts_with("POST")));
}

#[tokio::test]
async fn what_does_not_answer_at_all_is_an_error() {
    let server = Peer::raw(|stream| async move { drop(stream) }).await;
    let error = LlamaCpp.scrape(&server.target(), &mut Memory::default()).await.unwrap_err();
    assert!(matches!(error, CallError::Closed { began: false, .. }), "{error}");
}
