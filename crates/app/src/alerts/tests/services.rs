//! The rules about services as such, each at its own defaults.

use std::time::Duration;

use plimsoll_core::{alert::Severity, metric::Metric};
use plimsoll_services::{
    adapter::Condition,
    client::CallError,
    kind::ServiceKind,
    managed::LOADING_MS,
    service::{Origin, Run, RunState, Service, ServiceState},
    state::{Look, Machine},
};

use super::{
    bench::{Bench, GIB, GPU, START_MS},
    service_bench::{Tuned, engine, model, only, service},
};
use crate::words::clock;

fn redis() -> Service {
    service("cache", ServiceKind::Redis)
}

#[test]
fn a_service_that_is_down_says_why_and_since_when() {
    let down = |reason: &str| {
        let down = engine("vllm").is(ServiceState::Down, reason);
        down.with(|s| s.since_ms = START_MS)
    };
    let mut bench = only("service-down");
    bench.see_for(15, &[down("refused on 127.0.0.1:8000")]);
    assert!(bench.events.is_empty(), "a restart takes a moment");
    bench.see(&[down("refused on 127.0.0.1:8000")]);
    assert_eq!(bench.active(), ["service-down vllm"]);
    let since = clock(START_MS);
    assert_eq!(
        bench.title(),
        format!("The vllm is down since {since}: refused on 127.0.0.1:8000.")
    );
    bench.see_for(5, &[down("no answer within 2 s")]);
    assert!(bench.title().ends_with("no answer within 2 s."));
    // On its way up it is neither.
    bench.see(&[engine("vllm").is(ServiceState::Starting, "loads its model")]);
    assert_eq!(bench.active().len(), 1);
    bench.see(&[engine("vllm")]);
    assert!(bench.active().is_empty());
}

#[test]
fn what_is_off_on_purpose_is_not_down() {
    let down = || engine("vllm").is(ServiceState::Down, "refused");
    let run = |state| Run {
        state,
        reason: String::new(),
        since_ms: START_MS,
        pid: None,
        restarts: 0,
        next_ms: None,
        planned_vram_bytes: None,
        command: Vec::new(),
    };
    let managed = |state| down().with(|service| service.run = Some(run(state)));
    let since_ms = START_MS - LOADING_MS;
    let for_ever =
        down().with(|service| service.run = Some(Run { since_ms, ..run(RunState::Starting) }));
    for (what, seen, alerts) in [
        ("nobody runs it", down(), true),
        ("stopped", managed(RunState::Stopped), false),
        ("its turn has not come", managed(RunState::Waiting), false),
        ("it is being started", managed(RunState::Starting), false),
        ("it loads for ever", for_ever, true),
        ("it ended too often", managed(RunState::Failed), true),
        ("it is started again and again", managed(RunState::Restarting), true),
        ("it runs and does not answer", managed(RunState::Running), true),
        ("not watched", engine("vllm").is(ServiceState::Unknown, "not watched"), false),
        ("not accepted", down().with(|s| s.origin = Origin::Proposed), false),
    ] {
        let mut bench = only("service-down");
        bench.see_for(60, &[seen]);
        assert_eq!(bench.active().len(), usize::from(alerts), "{what}");
    }
    // What ended by itself says why, also while another try is under way.
    let failed = engine("vllm").is(ServiceState::Starting, "does not answer yet").with(|service| {
        let reason = "ended with exit code 1: no such model".into();
        service.run = Some(Run { reason, ..run(RunState::Failed) });
    });
    let mut bench = only("service-down");
    bench.see_for(16, &[failed]);
    assert!(
        bench.title().ends_with(": ended with exit code 1: no such model."),
        "{}",
        bench.title()
    );
}

/// Its load is interrupted every 40 s, and a supervisor starts it anew 5 s later: it is never
/// down for as long as a restart may take, and never there.
#[test]
fn a_server_whose_load_is_interrupted_again_and_again_alerts_once_ten_minutes_are_over() {
    let loading = Condition::Loading("Loading model".into());
    let refused = CallError::Refused { place: "127.0.0.1:8080".into() };
    let mut machine = Machine::new(START_MS);
    let mut bench = only("service-down");
    let mut alerted = None;
    for second in 0..700 {
        let (began, loads) = (second / 45 * 45, second % 45 < 40);
        machine.take(Look {
            at_ms: START_MS + second * 1000,
            outcome: if loads { Ok(&loading) } else { Err(&refused) },
            took: Duration::ZERO,
            budget: Duration::from_secs(2),
            process_started_ms: loads.then_some(START_MS + began * 1000),
        });
        bench.see(&[engine("llama").is(machine.state(), machine.reason())]);
        if alerted.is_none() && !bench.active().is_empty() {
            alerted = Some(second);
        }
    }
    assert_eq!(alerted, Some(600 + 1 + 15), "ten minutes, and 15 s as for any other");
    assert_eq!(bench.active(), ["service-down llama"]);
    bench.see(&[engine("llama")]);
    assert!(bench.active().is_empty());
}

#[test]
fn a_service_that_is_not_well_is_worth_a_line_and_no_notification() {
    let ill = [engine("vllm").is(ServiceState::Degraded, "answers slowly")];
    let mut bench = only("service-degraded");
    bench.see_for(60, &ill);
    assert!(bench.events.is_empty());
    bench.see(&ill);
    assert_eq!(bench.title(), "The vllm is degraded: answers slowly.");
    assert_eq!(bench.rows()[0].severity, Severity::Info);
    assert!(bench.notices().is_empty());
}

#[test]
fn a_queue_alerts_where_the_server_is_at_its_limit() {
    for (running, total, waiting, title) in [
        (4, Some(4), 8, None),
        (4, Some(4), 12, Some("12 requests wait inside The vllm; all 4 slots are busy.")),
        // Slots are free: it is about to take them.
        (2, Some(4), 12, None),
        (32, None, 12, Some("12 requests wait inside The vllm; 32 run.")),
    ] {
        let mut bench = only("service-queue");
        let seen = [engine("vllm").waits(running, total, waiting)];
        bench.see_for(60, &seen);
        assert!(bench.events.is_empty());
        bench.see(&seen);
        assert_eq!(bench.active().len(), usize::from(title.is_some()), "{waiting} of {total:?}");
        if let Some(title) = title {
            assert_eq!(bench.title(), title);
            bench.see(&[engine("vllm").waits(running, total, 5)]);
            assert_eq!(bench.active().len(), 1, "it ends at 4");
            bench.see(&[engine("vllm").waits(running, total, 4)]);
            assert!(bench.active().is_empty());
        }
    }
}

#[test]
fn a_redis_alerts_near_its_limit_where_it_evicts_nothing() {
    let nearly =
        |share: f64| redis().redis(share, 0.0).hints("memory-nearly-full", "It is nearly full.");
    for (what, before, seen, alerts) in [
        ("nearly full, and evicts nothing", None, nearly(93.0), true),
        ("room enough", None, redis().redis(80.0, 0.0), false),
        ("a cache: full by its policy", None, redis().redis(99.0, 0.0), false),
        ("a cache that was seen to evict", Some(redis().redis(99.0, 5.0)), nearly(93.0), false),
    ] {
        let mut bench = only("redis-memory");
        bench.see_for(usize::from(before.is_some()), before.as_slice());
        bench.see_for(61, &[seen]);
        assert_eq!(bench.active().len(), usize::from(alerts), "{what}");
    }
    let mut bench = only("redis-memory");
    bench.see_for(61, &[nearly(93.0)]);
    assert_eq!(
        bench.title(),
        "The cache uses 93 % of its memory limit (952 MiB of 1.00 GiB) and evicts nothing."
    );
    // A lower threshold is in force as well.
    let mut bench = only("redis-memory");
    bench.reconfigure(|config| {
        config.alerts.rules.get_mut("redis-memory").unwrap().threshold = Some(50.0);
    });
    bench.see_for(61, &[redis().redis(60.0, 0.0)]);
    assert_eq!(bench.active(), ["redis-memory cache"]);
}

#[test]
fn a_redis_that_cannot_save_or_throws_much_away_alerts() {
    let mut bench = only("redis-persistence");
    let failing = redis().redis(10.0, 0.0).hints("aof-failed", "It cannot write its file.");
    bench.see_for(11, &[failing]);
    assert_eq!(bench.title(), "The cache does not save its data: It cannot write its file.");
    assert_eq!(bench.rows()[0].severity, Severity::Critical);
    bench.see(&[redis().redis(10.0, 0.0)]);
    assert!(bench.active().is_empty());

    let mut bench = only("redis-evictions");
    let evicts = |rate| {
        redis().redis(99.0, rate).with(|service| {
            if let Some(redis) = &mut service.figures.redis {
                redis.hit_percent = Some(71.0);
            }
        })
    };
    bench.see_for(90, &[evicts(10.0)]);
    assert!(bench.events.is_empty());
    bench.see_for(61, &[evicts(240.0)]);
    assert_eq!(
        bench.title(),
        "The cache evicts 240 keys a second. 71 % of the look-ups find their key."
    );
}

#[test]
fn rules_about_services_carry_their_lines_to_the_charts() {
    let mut bench = Bench::new(|_| {});
    let seen = [
        engine("vllm").waits(1, Some(4), 0),
        redis().redis(10.0, 0.0),
        service("ollama", ServiceKind::Ollama).models(&[model("m", 10.0, 10.0)]),
    ];
    bench.see_on(&seen, Some(9.0));
    let rules = bench.engine.rules();
    let line = |id: &str| {
        let rule = rules.iter().find(|rule| rule.id == id).unwrap();
        let line = &rule.lines[0];
        (line.metric.clone(), line.subject.clone(), line.value, line.below)
    };
    let is = |metric: Metric, subject: &str, value: f64, below: bool| {
        (metric.name().to_string(), subject.to_string(), value, below)
    };
    assert_eq!(line("service-queue"), is(Metric::RequestsWaiting, "vllm", 8.0, false));
    assert_eq!(line("redis-memory"), is(Metric::RedisMemoryUsed, "cache", 0.9 * GIB, false));
    assert_eq!(line("redis-evictions"), is(Metric::RedisEvicted, "cache", 10.0, false));
    assert_eq!(line("model-on-cpu"), is(Metric::ModelVram, "ollama/m", 9.5 * GIB, true));
    assert_eq!(line("vram-contention"), is(Metric::VramFree, GPU, GIB, true));
    let states = ["service-down", "service-degraded", "redis-persistence"];
    assert!(rules.iter().all(|rule| !states.contains(&&*rule.id) || rule.lines.is_empty()));
}
