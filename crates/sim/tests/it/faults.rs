//! Every way to fail, as a client sees it.

use plimsoll_sim::server::{Double, Fault, On, Planned, Spec};
use tokio::time::{Duration, Instant, timeout};

use super::{
    streams::double,
    wire::{Wire, ask, chat},
};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test(start_paused = true)]
async fn it_dies_in_the_middle_of_a_stream() {
    let double = double("vllm").await;
    double.set_fault(Planned::new(Fault::Dies { after_tokens: 3 }).times(1));
    let body = chat(true, 9).replace("\"model\":\"m\",", "");
    let reply = ask(double.address(), "POST", CHAT, &body).await.unwrap();
    assert!(!reply.whole);
    assert_eq!(reply.events().len(), 1 + 3, "{}", reply.text());
    let reply = ask(double.address(), "POST", CHAT, &body).await.unwrap();
    assert!(reply.whole, "the second one is well");
    let stats = double.until(|stats| stats.in_flight == 0).await;
    assert_eq!((stats.faults, stats.finished, stats.cancelled), (1, 1, 1));
    double.set_fault(Planned::new(Fault::Dies { after_tokens: 0 }));
    let reply = ask(double.address(), "POST", CHAT, &body).await.unwrap();
    assert_eq!((reply.status, reply.body.len(), reply.whole), (200, 0, false));
    // An answer in one piece breaks in its middle.
    let whole = body.replace("\"stream\":true", "\"stream\":false");
    let reply = ask(double.address(), "POST", CHAT, &whole).await.unwrap();
    assert!(!reply.whole && !reply.body.is_empty());
}

#[tokio::test(start_paused = true)]
async fn it_sends_half_an_event_and_is_gone() {
    let double = double("llama-cpp").await;
    double.set_fault(Planned::new(Fault::HalfFrame { after_tokens: 2 }));
    let reply = ask(double.address(), "POST", CHAT, &chat(true, 9)).await.unwrap();
    assert!(!reply.whole);
    let text = reply.text();
    let (complete, rest) = text.rsplit_once("\n\n").unwrap();
    assert_eq!(complete.matches("data: ").count(), 3);
    assert!(rest.starts_with("data: {") && !rest.contains("}\n"), "{rest}");
}

#[tokio::test(start_paused = true)]
async fn it_stalls_for_a_while_or_for_ever() {
    let double = double("llama-cpp").await;
    let began = Instant::now();
    let stall = Fault::Stalls { after_tokens: 1, for_ms: Some(30_000) };
    double.set_fault(Planned::new(stall).times(1));
    let reply = ask(double.address(), "POST", CHAT, &chat(true, 5)).await.unwrap();
    assert!(reply.whole && began.elapsed() >= Duration::from_secs(30));
    double.set_fault(Planned::new(Fault::Stalls { after_tokens: 1, for_ms: None }));
    let mut wire = Wire::to(double.address()).await;
    wire.send("POST", CHAT, &chat(true, 5)).await;
    wire.head().await.unwrap();
    assert!(wire.chunk().await.is_some() && wire.chunk().await.is_some());
    assert!(timeout(Duration::from_secs(3600), wire.chunk()).await.is_err());
    assert_eq!(double.stats().in_flight, 1);
    drop(wire);
    double.until(|stats| stats.in_flight == 0).await;
}

#[tokio::test(start_paused = true)]
async fn it_answers_with_an_error_and_says_when_to_come_again() {
    let double = double("vllm").await;
    let busy = Fault::Answers { status: 429, retry_after_s: Some(7) };
    double.set_fault(Planned::new(busy).times(2));
    for _ in 0..2 {
        let reply = ask(double.address(), "POST", CHAT, &chat(true, 5)).await.unwrap();
        assert_eq!(reply.status, 429);
        assert!(reply.head.contains("retry-after: 7"), "{}", reply.head);
    }
    double.set_fault(Planned::new(Fault::Answers { status: 500, retry_after_s: None }).on(On::All));
    for (method, path) in [("POST", CHAT), ("GET", "/health"), ("GET", "/metrics")] {
        assert_eq!(ask(double.address(), method, path, "{}").await.unwrap().status, 500, "{path}");
    }
    double.clear_faults();
    assert_eq!(ask(double.address(), "GET", "/health", "").await.unwrap().status, 200);
    assert_eq!(double.stats().tokens, 0);
}

#[tokio::test(start_paused = true)]
async fn its_head_comes_late() {
    let double = double("vllm").await;
    double.set_fault(Planned::new(Fault::SlowHeaders { ms: 5000 }).on(On::All));
    for (method, path) in [("POST", CHAT), ("GET", "/health")] {
        let mut wire = Wire::to(double.address()).await;
        wire.send(method, path, &chat(true, 1).replace("\"model\":\"m\",", "")).await;
        assert!(timeout(Duration::from_millis(4990), wire.head()).await.is_err());
        assert_eq!(wire.reply().await.unwrap().status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn what_it_says_cannot_be_read() {
    let double = double("llama-cpp").await;
    double.set_fault(Planned::new(Fault::WrongJson).on(On::All));
    let reply = ask(double.address(), "POST", CHAT, &chat(false, 5)).await.unwrap();
    assert!(reply.whole && reply.status == 200);
    assert!(serde_json::from_slice::<serde_json::Value>(&reply.body).is_err());
    let reply = ask(double.address(), "GET", "/props", "").await.unwrap();
    assert!(std::str::from_utf8(&reply.body).is_err());
    let text = ask(double.address(), "POST", CHAT, &chat(true, 5)).await.unwrap().text();
    let broken = |event: &&str| {
        event.strip_prefix("data: ").is_some_and(|data| {
            data != "[DONE]" && serde_json::from_str::<serde_json::Value>(data).is_err()
        })
    };
    assert_eq!(text.split("\n\n").filter(broken).count(), 1, "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "the rest of it is well");
}

#[tokio::test(start_paused = true)]
async fn its_answer_never_ends() {
    let double = double("llama-cpp").await;
    double.set_fault(Planned::new(Fault::Endless).on(On::All));
    let mut wire = Wire::to(double.address()).await;
    wire.send("POST", CHAT, &chat(true, 5)).await;
    wire.head().await.unwrap();
    for _ in 0..300 {
        assert!(!wire.chunk().await.unwrap().is_empty());
    }
    drop(wire);
    double.until(|stats| stats.cancelled == 1 && stats.running == 0).await;
    let mut wire = Wire::to(double.address()).await;
    wire.send("GET", "/metrics", "").await;
    wire.head().await.unwrap();
    for _ in 0..100 {
        assert_eq!(wire.chunk().await.unwrap().len(), 16 << 10);
    }
}

#[tokio::test(start_paused = true)]
async fn it_hangs_up_without_an_answer() {
    let double = double("ollama").await;
    double.set_fault(Planned::new(Fault::HangsUp).on(On::All).times(2));
    assert!(ask(double.address(), "GET", "/api/ps", "").await.is_none());
    assert!(ask(double.address(), "POST", "/api/generate", "{}").await.is_none());
    assert_eq!(ask(double.address(), "GET", "/api/ps", "").await.unwrap().status, 200);
    assert_eq!(double.until(|stats| stats.in_flight == 0).await.faults, 2);
}

#[tokio::test(start_paused = true)]
async fn while_it_loads_llama_cpp_says_so_everywhere_and_vllm_does_not_listen() {
    let mut spec = Spec::named("llama-cpp").unwrap();
    spec.models[0].load_ms = 9000;
    let double = Double::start(spec).await.unwrap();
    for (method, path) in [("GET", "/health"), ("GET", "/metrics"), ("POST", CHAT)] {
        let reply = ask(double.address(), method, path, "{}").await.unwrap();
        assert_eq!(reply.status, 503);
        assert_eq!(reply.json()["error"]["message"], "Loading model");
    }
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(ask(double.address(), "GET", "/health", "").await.unwrap().status, 200);

    let mut spec = Spec::named("vllm").unwrap();
    spec.models[0].load_ms = 9000;
    let double = Double::start(spec).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(tokio::net::TcpStream::connect(double.address()).await.is_err());
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(ask(double.address(), "GET", "/health", "").await.unwrap().status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_told_over_the_private_path_and_that_never_fails() {
    let double = double("vllm").await;
    let fault = r#"{"kind":"answers","status":503,"on":"all","times":3}"#;
    let told = ask(double.address(), "POST", "/double/fault", fault).await.unwrap();
    assert_eq!(told.status, 200, "{}", told.text());
    assert_eq!(ask(double.address(), "GET", "/health", "").await.unwrap().status, 503);
    let stats = ask(double.address(), "GET", "/double/stats", "").await.unwrap();
    assert_eq!(stats.json()["faults"], 1);
    assert_eq!(ask(double.address(), "DELETE", "/double/fault", "").await.unwrap().status, 200);
    assert_eq!(ask(double.address(), "GET", "/health", "").await.unwrap().status, 200);
    let wrong = ask(double.address(), "POST", "/double/fault", r#"{"kind":"odd"}"#).await.unwrap();
    assert_eq!(wrong.status, 400);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_killed_breaks_its_streams_and_comes_back_on_its_port() {
    let double = double("llama-cpp").await;
    let mut wire = Wire::to(double.address()).await;
    wire.send("POST", CHAT, &chat(true, 4000)).await;
    wire.head().await.unwrap();
    double.kill();
    while wire.chunk().await.is_some() {}
    double.until(|stats| stats.connections == 0 && stats.in_flight == 0).await;
    assert!(tokio::net::TcpStream::connect(double.address()).await.is_err());
    double.revive();
    let mut reply = None;
    while reply.is_none() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if let Ok(stream) = tokio::net::TcpStream::connect(double.address()).await {
            drop(stream);
            reply = ask(double.address(), "GET", "/metrics", "").await;
        }
    }
    let told = reply.unwrap().text();
    assert!(told.contains("llamacpp:tokens_predicted_total 0\n"), "its counts begin anew: {told}");
}
