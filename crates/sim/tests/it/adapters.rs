//! The adapters that look at real servers take the doubles for real ones.

use std::time::Duration;

use plimsoll_core::metric::Metric;
use plimsoll_services::{
    adapter::{Adapter, Condition, FigureValue, Memory, Probe, Scrape, identify},
    adapters,
    client::{Bounds, Client, Limits, Target},
    kind::ServiceKind,
    service::Loaded,
};
use plimsoll_sim::server::{Double, Fault, Handle, On, Planned, Spec};

use super::{
    streams::double,
    wire::{Wire, ask, chat},
};

const BOUNDS: Bounds =
    Bounds { budget: Duration::from_secs(2), max_body: 4 << 20, connections: None };

fn target(double: &Handle) -> Target {
    let client = Client::new(Limits::of(2, false)).unwrap();
    Target::new(&client, &double.url(), None, BOUNDS).unwrap()
}

fn adapter(kind: ServiceKind) -> std::sync::Arc<dyn Adapter> {
    adapters::all().into_iter().find(|adapter| adapter.kind() == kind).unwrap()
}

async fn look(double: &Handle, kind: ServiceKind) -> Scrape {
    adapter(kind).scrape(&target(double), &mut Memory::default()).await.unwrap()
}

fn figure(scrape: &Scrape, metric: Metric) -> f64 {
    let told = scrape.figures.iter().find(|figure| figure.metric == metric);
    match told.unwrap_or_else(|| panic!("no {metric:?} in {:?}", scrape.figures)).value {
        FigureValue::Gauge(value) | FigureValue::Total(value) => value,
        FigureValue::Buckets(ref buckets) => buckets.cumulative.last().unwrap().1,
    }
}

#[tokio::test]
async fn each_double_is_known_as_what_it_speaks() {
    for (name, kind, version) in [
        ("llama-cpp", ServiceKind::LlamaCpp, "b9931-1a2b3c4"),
        ("vllm", ServiceKind::Vllm, "0.11.0"),
        ("ollama", ServiceKind::Ollama, "0.12.3"),
    ] {
        let double = double(name).await;
        let probe = Probe::new(target(&double));
        let known = identify(&adapters::all(), &probe, None, Duration::from_secs(60)).await;
        let known = known.unwrap_or_else(|| panic!("{name} is not known"));
        assert_eq!((known.kind, known.version.as_deref()), (kind, Some(version)));
        let stats = double.stats();
        assert_eq!((stats.requests, stats.tokens), (0, 0), "asking cost it no work");
    }
}

#[tokio::test(start_paused = true)]
async fn slots_queue_and_tokens_of_llama_cpp_are_read() {
    let double = double("llama-cpp").await;
    let address = double.address();
    let mut wires = Vec::new();
    for _ in 0..6 {
        let mut wire = Wire::to(address).await;
        wire.send("POST", "/v1/chat/completions", &chat(true, 128)).await;
        wires.push(wire);
    }
    double.until(|stats| stats.running == 4 && stats.waiting == 2).await;
    let scrape = look(&double, ServiceKind::LlamaCpp).await;
    assert_eq!((&scrape.condition, &*scrape.hints), (&Condition::Ready, &[][..]));
    let slots = scrape.slots.unwrap();
    assert_eq!((slots.total, slots.busy, slots.waiting), (Some(4), Some(4), Some(2)));
    let model = &scrape.models.unwrap()[0];
    assert_eq!((&*model.name, model.context_tokens), ("Qwen2.5-14B-Instruct-Q4_K_M", Some(8192)));
    assert_eq!(model.quantization.as_deref(), Some("Q4_K_M"));
    for wire in &mut wires {
        assert!(wire.reply().await.unwrap().whole);
    }
    let scrape = look(&double, ServiceKind::LlamaCpp).await;
    assert_eq!(figure(&scrape, Metric::TokensGenerated), 6.0 * 128.0);
    assert_eq!(scrape.slots.unwrap().busy, Some(0));
}

#[tokio::test(start_paused = true)]
async fn the_figures_and_latencies_of_vllm_are_read() {
    let double = double("vllm").await;
    let body = chat(true, 100).replace("\"model\":\"m\",", "");
    for _ in 0..3 {
        ask(double.address(), "POST", "/v1/chat/completions", &body).await.unwrap();
    }
    let scrape = look(&double, ServiceKind::Vllm).await;
    assert_eq!((&scrape.condition, &*scrape.hints), (&Condition::Ready, &[][..]));
    assert_eq!(figure(&scrape, Metric::RequestsFinished), 3.0);
    assert_eq!(figure(&scrape, Metric::TokensGenerated), 300.0);
    assert_eq!(figure(&scrape, Metric::KvUsed), 0.0);
    assert_eq!(figure(&scrape, Metric::Preemptions), 0.0);
    assert_eq!(figure(&scrape, Metric::LatencyTtft), 3.0);
    assert_eq!(figure(&scrape, Metric::LatencyItl), 297.0);
    assert_eq!(figure(&scrape, Metric::LatencyE2e), 3.0);
    let hits = figure(&scrape, Metric::PrefixHits);
    assert!(hits > 0.0 && hits < figure(&scrape, Metric::PrefixQueries), "asked again: {hits}");
    assert_eq!(scrape.models.unwrap()[0].context_tokens, Some(16384));
}

#[tokio::test(start_paused = true)]
async fn a_full_kv_cache_is_seen_with_its_preemptions() {
    let mut spec = Spec::named("vllm").unwrap();
    (spec.models[0].kv_blocks, spec.models[0].context) = (Some(64), 1024);
    spec.models[0].answer_tokens = 600;
    let double = Double::start(spec).await.unwrap();
    let body = chat(true, 600).replace("\"model\":\"m\",", "");
    let mut wires = Vec::new();
    for _ in 0..4 {
        let mut wire = Wire::to(double.address()).await;
        wire.send("POST", "/v1/chat/completions", &body).await;
        wires.push(wire);
    }
    double.until(|stats| stats.tokens > 900).await;
    let scrape = look(&double, ServiceKind::Vllm).await;
    assert!(figure(&scrape, Metric::KvUsed) > 50.0);
    for wire in &mut wires {
        assert!(wire.reply().await.unwrap().whole, "none is lost");
    }
    let scrape = look(&double, ServiceKind::Vllm).await;
    assert!(figure(&scrape, Metric::Preemptions) >= 1.0);
    assert_eq!(figure(&scrape, Metric::TokensGenerated), 2400.0);
}

#[tokio::test(start_paused = true)]
async fn models_of_ollama_are_loaded_told_and_unloaded() {
    let double = double("ollama").await;
    let (ollama, target) = (adapter(ServiceKind::Ollama), target(&double));
    let scrape = ollama.scrape(&target, &mut Memory::default()).await.unwrap();
    let models = scrape.models.unwrap();
    assert_eq!(models.len(), 3);
    assert!(models.iter().all(|model| model.loaded == Loaded::Unloaded));
    assert_eq!(double.stats().loads, 0, "a look loads nothing");

    let patient = target.within(Bounds { budget: Duration::from_secs(60), ..BOUNDS });
    ollama.load(&patient, "qwen3:8b").await.unwrap();
    let scrape = ollama.scrape(&target, &mut Memory::default()).await.unwrap();
    let model = &scrape.models.unwrap()[0];
    assert_eq!((&*model.name, model.loaded), ("qwen3:8b", Loaded::Loaded));
    let share = model.gpu_share.unwrap();
    assert!((0.62..0.65).contains(&share), "{share}");
    assert!(model.expires_ms.is_some());
    assert!(scrape.hints.iter().any(|hint| hint.id == "on-the-cpu"), "{:?}", scrape.hints);

    // A model that only embeds is loaded in its own way; what rests makes room for another.
    ollama.load(&patient, "nomic-embed-text").await.unwrap();
    ollama.load(&patient, "llama3.2:1b").await.unwrap();
    let scrape = ollama.scrape(&target, &mut Memory::default()).await.unwrap();
    let loaded: Vec<_> = scrape
        .models
        .unwrap()
        .into_iter()
        .filter(|model| model.loaded == Loaded::Loaded)
        .map(|model| model.name)
        .collect();
    assert_eq!(loaded, ["llama3.2:1b", "nomic-embed-text:latest"]);

    // What was unloaded can be loaded again at once; one that embeds goes by the same word.
    ollama.unload(&patient, "llama3.2:1b").await.unwrap();
    ollama.load(&patient, "llama3.2:1b").await.unwrap();
    let gone = r#"{"model":"nomic-embed-text","keep_alive":0}"#;
    let reply = ask(double.address(), "POST", "/api/generate", gone).await.unwrap();
    assert_eq!((reply.status, &reply.json()["done_reason"]), (200, &"unload".into()));
    ollama.unload(&patient, "llama3.2:1b").await.unwrap();
    tokio::time::sleep(Duration::from_secs(301)).await;
    let scrape = ollama.scrape(&target, &mut Memory::default()).await.unwrap();
    assert!(scrape.models.unwrap().iter().all(|model| model.loaded == Loaded::Unloaded));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_sleeps_is_looked_at_without_waking_it() {
    let mut spec = Spec::named("llama-cpp").unwrap();
    spec.sleep_idle_ms = Some(10_000);
    spec.models[0].load_ms = 2000;
    let double = Double::start(spec).await.unwrap();
    tokio::time::sleep(Duration::from_secs(15)).await;
    let loads = double.stats().loads;
    let scrape = look(&double, ServiceKind::LlamaCpp).await;
    assert!(scrape.hints.iter().any(|hint| hint.id == "sleeping"), "{:?}", scrape.hints);
    assert_eq!(double.stats().loads, loads);
    // The next request wakes it, and waits for that.
    let reply = ask(double.address(), "POST", "/v1/chat/completions", &chat(false, 1)).await;
    assert_eq!(reply.unwrap().status, 200);
    assert_eq!(double.stats().loads, loads + 1);
}

#[tokio::test(start_paused = true)]
async fn faults_of_a_server_are_judged_as_those_of_a_real_one() {
    let double = double("llama-cpp").await;
    let (llama, target) = (adapter(ServiceKind::LlamaCpp), target(&double));
    let mut memory = Memory::default();
    double.set_fault(Planned::new(Fault::Loads).on(On::Control).times(1));
    let scrape = llama.scrape(&target, &mut memory).await.unwrap();
    assert_eq!(scrape.condition, Condition::Loading("Loading model".into()));

    double.set_fault(
        Planned::new(Fault::Answers { status: 500, retry_after_s: None }).on(On::Control).times(1),
    );
    let scrape = llama.scrape(&target, &mut memory).await.unwrap();
    assert!(matches!(scrape.condition, Condition::Ailing(_)), "{:?}", scrape.condition);

    for fault in [Fault::HangsUp, Fault::SlowHeaders { ms: 60_000 }] {
        double.set_fault(Planned::new(fault).on(On::Control));
        let error = llama.scrape(&target, &mut memory).await.unwrap_err();
        assert!(error.is_absent(), "{fault:?}: {error}");
        double.clear_faults();
    }
    for fault in [Fault::WrongJson, Fault::Endless, Fault::HalfFrame { after_tokens: 0 }] {
        double.set_fault(Planned::new(fault).on(On::Control));
        let outcome = llama.scrape(&target, &mut memory).await;
        let well = outcome.is_ok_and(|scrape| scrape.hints.is_empty());
        assert!(!well, "{fault:?} is noticed");
        double.clear_faults();
    }
    assert!(llama.scrape(&target, &mut memory).await.unwrap().hints.is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_its_key_it_says_little() {
    let mut spec = Spec::named("llama-cpp").unwrap();
    spec.key = Some("sk-1".into());
    let double = Double::start(spec).await.unwrap();
    let scrape = look(&double, ServiceKind::LlamaCpp).await;
    assert!(matches!(scrape.condition, Condition::Locked(_)), "{:?}", scrape.condition);
    let reply = ask(double.address(), "POST", "/v1/chat/completions", &chat(false, 1)).await;
    assert_eq!(reply.unwrap().status, 401);
}
