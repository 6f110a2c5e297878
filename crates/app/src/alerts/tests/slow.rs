//! A collapse of speed, against what is usual for the same service with the same models.

use plimsoll_services::{
    kind::ServiceKind,
    service::{Model, Service, ServiceState},
};

use super::{
    super::Minute,
    bench::{Bench, START_MS},
    service_bench::{Tuned, engine, model, only, service},
};

fn bench() -> Bench {
    only("model-slow")
}

fn vllm() -> Service {
    engine("vllm").models(&[model("m", 9.0, 9.0)])
}

/// Half an hour of work at 40 tokens/s for each of two requests.
fn usual(bench: &mut Bench) {
    bench.see_for(31 * 60, &[vllm().works(2.0, 80.0, 160.0)]);
    assert!(bench.events.is_empty());
}

#[test]
fn a_collapse_of_speed_alerts_after_two_minutes_with_both_figures() {
    let mut bench = bench();
    usual(&mut bench);
    let slow = [vllm().works(2.0, 12.0, 20.0)];
    bench.see_for(120, &slow);
    assert!(bench.events.is_empty(), "two minutes have not passed");
    bench.see_for(41, &slow);
    assert_eq!(bench.active(), ["model-slow vllm"]);
    let title = bench.title();
    assert!(
        title.starts_with("The vllm makes 6 tokens/s per running request; usual are 4"),
        "{title}"
    );
    assert!(title.ends_with("(the median of 31 busy minutes)."), "{title}");
    let value = bench.rows()[0].peak.unwrap();
    assert!((13.0..17.0).contains(&value), "percent of what is usual: {value}");
    // What is slow does not become usual by going on for an hour.
    bench.see_for(3600, &slow);
    assert_eq!(bench.active(), ["model-slow vllm"]);
    bench.see_for(41, &[vllm().works(2.0, 70.0, 140.0)]);
    assert!(bench.active().is_empty());
}

#[test]
fn other_work_is_no_collapse() {
    for (what, running, generated, prompt) in [
        ("half as fast", 2.0, 40.0, 80.0),
        ("one request instead of two", 1.0, 30.0, 60.0),
        ("sixteen requests, each a quarter as fast", 16.0, 160.0, 320.0),
        ("long prompts and short answers", 2.0, 8.0, 900.0),
        ("long answers without prompts", 2.0, 80.0, 0.0),
        ("nothing at all", 0.0, 0.0, 0.0),
    ] {
        let mut bench = bench();
        usual(&mut bench);
        bench.see_for(1200, &[vllm().works(running, generated, prompt)]);
        assert!(bench.events.is_empty(), "{what}: {:?}", bench.active());
    }
}

#[test]
fn nothing_is_slow_before_half_an_hour_was_seen() {
    let mut bench = bench();
    bench.see_for(20 * 60, &[vllm().works(2.0, 80.0, 160.0)]);
    bench.see_for(9 * 60, &[vllm().works(2.0, 4.0, 8.0)]);
    assert!(bench.events.is_empty());
}

#[test]
fn an_idle_server_ends_an_alert_and_begins_none() {
    let mut bench = bench();
    usual(&mut bench);
    bench.see_for(200, &[vllm().works(2.0, 8.0, 16.0)]);
    assert_eq!(bench.active().len(), 1);
    let idle = [vllm().works(0.0, 0.0, 0.0)];
    bench.see_for(60 + 302, &idle);
    assert!(bench.active().is_empty());
    bench.events.clear();
    bench.see_for(1200, &idle);
    let down = [vllm().is(ServiceState::Down, "refused")];
    bench.see_for(600, &down);
    assert!(bench.events.is_empty());
}

/// The totals of llama.cpp grow when a request ends.
#[test]
fn long_requests_of_a_server_that_counts_at_their_end_are_not_slow() {
    let llama = |running, generated| {
        let llama = service("llama", ServiceKind::LlamaCpp).models(&[model("m", 9.0, 9.0)]);
        [llama.works(running, generated, 0.0)]
    };
    let mut bench = bench();
    // Requests of 30 s with 1200 tokens each: 40 tokens/s.
    for _ in 0..70 {
        bench.see_for(29, &llama(1.0, 0.0));
        bench.see(&llama(1.0, 1200.0));
    }
    // One of ten minutes with 24 000 tokens is as fast.
    bench.see_for(600, &llama(1.0, 0.0));
    bench.see(&llama(1.0, 24_000.0));
    bench.see_for(30, &llama(0.0, 0.0));
    assert!(bench.events.is_empty(), "{:?}", bench.active());
    // Six of a minute with 300 tokens each are not.
    for _ in 0..6 {
        bench.see_for(59, &llama(1.0, 0.0));
        bench.see(&llama(1.0, 300.0));
    }
    assert_eq!(bench.active(), ["model-slow llama"]);
}

#[test]
fn a_server_that_counts_each_token_and_makes_none_is_slow() {
    let mut bench = bench();
    usual(&mut bench);
    bench.see_for(290, &[vllm().works(2.0, 0.0, 0.0)]);
    assert!(bench.events.is_empty());
    bench.see_for(30, &[vllm().works(2.0, 0.0, 0.0)]);
    assert!(bench.title().starts_with("The vllm makes 0 tokens/s"), "{}", bench.title());
}

#[test]
fn each_set_of_models_has_its_own_usual_speed() {
    let mut bench = bench();
    usual(&mut bench);
    let large = |generated| {
        let large: Model = model("large", 20.0, 20.0);
        [engine("vllm").models(&[large]).works(2.0, generated, 0.0)]
    };
    bench.see_for(3600, &large(8.0));
    assert!(bench.events.is_empty(), "a larger model is slower");
    bench.see_for(200, &large(1.0));
    assert_eq!(bench.active(), ["model-slow vllm"], "and has a usual speed, too");
    bench.see_for(300, &[vllm().works(2.0, 80.0, 160.0)]);
    assert!(bench.active().is_empty());
    bench.see_for(200, &[vllm().works(2.0, 8.0, 16.0)]);
    assert_eq!(bench.active(), ["model-slow vllm"], "the first one is still known");
}

#[test]
fn what_is_usual_is_asked_of_the_history_once_for_each_set() {
    let mut bench = bench();
    assert_eq!(bench.engine.wishes(), []);
    bench.see_for(3, &[vllm().works(1.0, 40.0, 0.0), engine("idle")]);
    let wishes = bench.engine.wishes();
    assert_eq!(wishes.len(), 1, "one without figures has no speed: {wishes:?}");
    let wish = &wishes[0];
    assert_eq!((&*wish.service, wish.models.as_slice()), ("vllm", &["m".to_string()][..]));
    assert_eq!((wish.sized, wish.since_ms), (true, Some(1)));
    bench.see_for(3, &[vllm().works(1.0, 40.0, 0.0)]);
    assert_eq!(bench.engine.wishes(), []);

    // A week of it, an hour a day: enough from the first minute on.
    let minutes: Vec<Minute> = (0..7 * 60)
        .map(|n| Minute {
            at_ms: START_MS - (n / 60) * 86_400_000 - (n % 60) * 60_000,
            span_s: 60.0,
            running: 2.0,
            generated_per_s: 80.0,
            prompt_per_s: 0.0,
        })
        .collect();
    bench.engine.learn(wish, &minutes);
    bench.see_for(200, &[vllm().works(2.0, 8.0, 0.0)]);
    assert_eq!(bench.active(), ["model-slow vllm"]);
    assert!(bench.title().ends_with("(the median of 420 busy minutes)."), "{}", bench.title());
}
