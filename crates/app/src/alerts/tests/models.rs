//! The rules about models and VRAM, each at its own defaults.

use plimsoll_core::metric::Metric;
use plimsoll_services::{
    kind::ServiceKind,
    service::{Loaded, Model, Service, ServiceState},
};

use super::{
    bench::{GIB, GPU},
    service_bench::{Tuned, engine, model, on_disk, only, service},
};

fn ollama(models: &[Model]) -> Service {
    service("ollama", ServiceKind::Ollama).models(models)
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
