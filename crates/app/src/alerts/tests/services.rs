//! The rules about services, each at its own defaults.

use plimsoll_core::{alert::Severity, metric::Metric};
use plimsoll_services::{
    kind::ServiceKind,
    service::{Loaded, Model, Origin, Run, RunState, Service, ServiceState},
};

use super::{
    bench::{Bench, GIB, GPU, START_MS},
    service_bench::{Tuned, engine, model, on_disk, service},
};
use crate::alerts::words::clock;

/// Without the rule that asks something else of the same figures.
fn only(rule: &str) -> Bench {
    Bench::new(|config| config.alerts.rules.retain(|id, _| id == rule))
}

fn ollama(models: &[Model]) -> Service {
    service("ollama", ServiceKind::Ollama).models(models)
}

fn redis() -> Service {
    service("cache", ServiceKind::Redis)
}

#[test]
fn a_model_that_fell_to_the_cpu_is_said_with_its_figures() {
    // Size, part on the GPU, whether that alerts, and in which words.
    for (size, on_gpu, title) in [
        (9.0, 9.0, None),
        // Some servers count buffers that are not part of the model.
        (9.0, 9.4, None),
        (9.0, 8.7, None),
        (
            9.0,
            4.9,
            Some(
                "qwen2.5:14b in The ollama: 4.10 GiB of 9.00 GiB lie in RAM: that part runs on the CPU.",
            ),
        ),
        (
            9.0,
            0.0,
            Some(
                "qwen2.5:14b in The ollama: nothing of its 9.00 GiB lies on a GPU: it runs on the CPU.",
            ),
        ),
    ] {
        let mut bench = only("model-on-cpu");
        bench.gpu = Some(Default::default());
        let seen = [ollama(&[model("qwen2.5:14b", size, on_gpu), on_disk("other")])];
        bench.see_for(30, &seen);
        assert!(bench.events.is_empty(), "it may still be loading");
        bench.see_for(1, &seen);
        assert_eq!(bench.active().len(), usize::from(title.is_some()), "{on_gpu} of {size}");
        if let Some(title) = title {
            assert_eq!(bench.active(), ["model-on-cpu ollama/qwen2.5:14b"]);
            assert_eq!(bench.title(), title);
            assert_eq!(bench.notices().len(), 1);
        }
    }
}

#[test]
fn a_model_on_the_cpu_of_a_machine_without_a_gpu_fell_from_nowhere() {
    let mut bench = only("model-on-cpu");
    bench.see_for(120, &[ollama(&[model("small", 1.0, 0.0)])]);
    assert!(bench.events.is_empty());
    // Of another machine it is known only by what was seen there.
    let far = |on_gpu| ollama(&[model("small", 1.0, on_gpu)]).with(|s| s.holder = None);
    bench.gpu = Some(Default::default());
    bench.see_for(120, &[far(0.0)]);
    assert!(bench.events.is_empty());
    bench.see_for(1, &[far(1.0)]);
    bench.see_for(31, &[far(0.0)]);
    assert_eq!(bench.active(), ["model-on-cpu ollama/small"]);
}

#[test]
fn an_alert_about_a_model_ends_with_the_model() {
    let fallen = [ollama(&[model("m", 9.0, 4.0)])];
    let ends: [(&str, Vec<Service>); 4] = [
        ("unloaded", vec![ollama(&[on_disk("m")])]),
        ("not listed any more", vec![ollama(&[])]),
        ("loaded as a whole", vec![ollama(&[model("m", 9.0, 9.0)])]),
        ("not watched any more", vec![]),
    ];
    for (how, after) in ends {
        let mut bench = only("model-on-cpu");
        bench.see_for(31, &fallen);
        assert_eq!(bench.active().len(), 1, "{how}");
        bench.see(&after);
        assert_eq!(bench.active(), [""; 0], "{how}");
    }
    // Down, nobody knows; after five minutes it is not waited for.
    let mut bench = only("model-on-cpu");
    bench.see_for(31, &fallen);
    let unknown = Model { loaded: Loaded::Unknown, ..model("m", 9.0, 4.0) };
    let down = [ollama(&[unknown]).is(ServiceState::Down, "refused")];
    bench.see_for(300, &down);
    assert_eq!(bench.active().len(), 1);
    bench.see_for(2, &down);
    assert!(bench.active().is_empty());
}

#[test]
fn the_line_of_a_models_vram_stands_at_its_share() {
    let mut bench = only("model-on-cpu");
    bench.see(&[ollama(&[model("m", 10.0, 10.0)])]);
    let rules = bench.engine.rules();
    let line = &rules[0].lines[0];
    assert_eq!((&*line.metric, &*line.subject), (Metric::ModelVram.name(), "ollama/m"));
    assert_eq!((line.value, line.below), (9.5 * GIB, true));
}

#[test]
fn loads_count_where_they_were_seen_and_alert_when_they_repeat() {
    let a = || ollama(&[model("a", 5.0, 5.0), on_disk("b")]);
    let b = || ollama(&[on_disk("a"), model("b", 5.0, 5.0)]);
    let mut bench = only("model-reloads");
    bench.see_for(60, &[a()]);
    for n in 0..3 {
        bench.see_for(20, &[if n % 2 == 0 { b() } else { a() }]);
        assert!(bench.events.is_empty(), "what lay there at the first look is no load; {n}");
    }
    bench.see(&[a()]);
    assert_eq!(bench.active(), ["model-reloads ollama"]);
    assert_eq!(
        bench.title(),
        "The ollama has loaded models 4 times within 10 min: a twice, b twice."
    );
    // Each is forgotten ten minutes after it; it ends with one left.
    bench.see_for(579, &[a()]);
    assert_eq!(bench.active(), ["model-reloads ollama"]);
    bench.see_for(3, &[a()]);
    assert!(bench.active().is_empty());
}

#[test]
fn many_models_one_after_another_are_a_start_and_no_churn() {
    let mut bench = only("model-reloads");
    bench.see(&[ollama(&[])]);
    let names: Vec<String> = (0..8).map(|n| format!("m{n}")).collect();
    for n in 1..=8 {
        let models: Vec<Model> = names[..n].iter().map(|name| model(name, 1.0, 1.0)).collect();
        bench.see_for(5, &[ollama(&models)]);
    }
    assert!(bench.events.is_empty());
}

#[test]
fn a_server_that_starts_again_and_again_loads_again_and_a_lost_answer_is_no_load() {
    let llama = |started| engine("llama").models(&[model("m", 5.0, 5.0)]).started(started);
    let mut bench = only("model-reloads");
    for started in 1..=5 {
        bench.see_for(10, &[llama(started)]);
    }
    assert_eq!(bench.active(), ["model-reloads llama"], "four new processes");

    let mut bench = only("model-reloads");
    let unknown = || {
        let m = Model { loaded: Loaded::Unknown, ..model("m", 5.0, 5.0) };
        engine("llama").models(&[m]).is(ServiceState::Down, "no answer")
    };
    for _ in 0..10 {
        bench.see_for(5, &[llama(1)]);
        bench.see_for(5, &[unknown()]);
    }
    assert!(bench.events.is_empty());
}

#[test]
fn services_contend_for_vram_when_one_takes_what_the_other_lacks() {
    let vllm = || engine("vllm").holds(13.0);
    let at = |gib| ollama(&[]).holds(gib);
    // Two that hold it and stay as they are are no contention, however full the card is.
    let mut bench = only("vram-contention");
    (0..900).for_each(|_| bench.see_on(&[vllm(), at(9.0)], Some(0.5)));
    assert!(bench.events.is_empty());
    (0..11).for_each(|_| bench.see_on(&[vllm(), at(10.5)], Some(0.4)));
    assert_eq!(bench.active(), [format!("vram-contention {GPU}")]);
    assert_eq!(
        bench.title(),
        "The ollama (10.5 GiB) and The vllm (13.0 GiB) contend for VRAM: \
         The ollama grew by 1.50 GiB; 410 MiB of 24.0 GiB is free."
    );
    // Ten minutes without another move: this is how things are.
    (0..610).for_each(|_| bench.see_on(&[vllm(), at(10.5)], Some(0.4)));
    assert!(bench.active().is_empty());
}

#[test]
fn one_alone_or_room_for_both_is_no_contention() {
    for (others, free) in [(vec![], 0.4), (vec![engine("vllm").holds(13.0)], 2.0)] {
        let mut bench = only("vram-contention");
        for gib in [4.0, 6.0, 8.0, 10.0] {
            let services = [others.clone(), vec![ollama(&[]).holds(gib)]].concat();
            (0..30).for_each(|_| bench.see_on(&services, Some(free)));
        }
        assert!(bench.events.is_empty(), "{free} GiB free");
    }
}

#[test]
fn a_model_that_found_no_room_beside_another_server_names_both() {
    let vllm = || engine("vllm").holds(16.0);
    let mut bench = only("vram-contention");
    bench.see_on(&[vllm(), ollama(&[on_disk("qwen2.5:14b")]).holds(0.0)], Some(7.0));
    let fallen = ollama(&[model("qwen2.5:14b", 9.0, 4.9)]).holds(4.9);
    // Two gigabytes are free, and that was not enough.
    (0..11).for_each(|_| bench.see_on(&[vllm(), fallen.clone()], Some(2.0)));
    assert_eq!(
        bench.title(),
        "The ollama (4.90 GiB) and The vllm (16.0 GiB) contend for VRAM: \
         The ollama had room for all but 4.10 GiB of qwen2.5:14b; 2.00 GiB of 24.0 GiB is free."
    );
    bench.see_on(&[vllm(), ollama(&[])], Some(8.0));
    assert!(bench.active().is_empty());
}

#[test]
fn a_router_that_could_not_load_contends_with_who_holds_the_rest() {
    let vllm = || engine("vllm").holds(22.0);
    let router = || service("router", ServiceKind::LlamaCpp);
    let failed = || router().hints("failed-to-load", "The process of big ended with exit code 1.");
    let mut bench = only("vram-contention");
    // What had failed before the first look is no news.
    (0..60).for_each(|_| bench.see_on(&[vllm(), failed()], Some(1.5)));
    assert!(bench.events.is_empty());
    bench.see_on(&[vllm(), router()], Some(1.5));
    (0..11).for_each(|_| bench.see_on(&[vllm(), failed()], Some(1.5)));
    assert!(bench.title().contains("The router could not load a model"), "{}", bench.title());
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
        since_ms: 0,
        pid: None,
        restarts: 0,
        next_ms: None,
        planned_vram_bytes: None,
        command: Vec::new(),
    };
    let managed = |state| down().with(|service| service.run = Some(run(state)));
    for (what, seen, alerts) in [
        ("nobody runs it", down(), true),
        ("stopped", managed(RunState::Stopped), false),
        ("its turn has not come", managed(RunState::Waiting), false),
        ("it is being started", managed(RunState::Starting), false),
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
