//! Rules about services: their models, their VRAM, their queues, whether they are
//! there at all.

use plimsoll_core::{metric::Metric, unit::Unit};

use super::{STATE, Watch};
use crate::{
    alerts::{
        engines::{model_on_cpu, model_reloads, model_slow, vram_contention},
        measure::{for_at_least, held, limit},
        services::{degraded, down, queue, redis_evictions, redis_memory, redis_persistence},
    },
    words::{bytes, number, percent},
};

pub static WATCHES: &[Watch] = &[
    // No server says so loudly: it answers as before, ten times more slowly.
    Watch {
        id: "model-on-cpu",
        unit: Some(Unit::Percent),
        below: true,
        metrics: &[],
        chart: None,
        measure: model_on_cpu,
        sentence: |r| {
            format!(
                "Less than {} of a loaded model lies on the GPU, for {}.",
                percent(limit(r)),
                held(r)
            )
        },
        advice: advice!(
            "Unload what else holds VRAM and load it again, or give it a shorter context, fewer parallel requests or a smaller quantization."
        ),
    },
    // Compared with itself and the same models: 8 tokens/s are slow for one and fast for another.
    Watch {
        id: "model-slow",
        unit: Some(Unit::Percent),
        below: true,
        metrics: &[],
        chart: None,
        measure: model_slow,
        sentence: |r| {
            format!(
                "A service makes its tokens at less than {} of its usual speed while requests run, for {}. Usual is the median of its busy minutes of the last 7 days, from half an hour of them on.",
                percent(limit(r)),
                held(r)
            )
        },
        advice: advice!(
            "Look whether a model lies on the CPU now, what else works on the GPU, and whether heat or the power limit holds its clocks down."
        ),
    },
    // Each load takes seconds to minutes in which nobody is answered.
    Watch {
        id: "model-reloads",
        unit: Some(Unit::Count),
        below: false,
        metrics: &[],
        chart: None,
        measure: model_reloads,
        sentence: |r| {
            format!(
                "A service loads models {} times or more within 10 min, one of them again{}.",
                number(limit(r)),
                for_at_least(r)
            )
        },
        advice: advice!(
            "Models that do not fit side by side displace each other: use fewer, give them room, or keep them loaded longer (Ollama: OLLAMA_MAX_LOADED_MODELS, OLLAMA_KEEP_ALIVE)."
        ),
    },
    // A full card is no alarm, and two servers are none: that one takes from the other is.
    Watch {
        id: "vram-contention",
        unit: Some(Unit::Bytes),
        below: true,
        metrics: &[Metric::VramFree, Metric::VramTotal],
        chart: Some(Metric::VramFree),
        measure: vram_contention,
        sentence: |r| {
            format!(
                "Two services hold VRAM, one of them grows, loads again or finds no room, and less than {} is free, for {}.",
                bytes(limit(r)),
                held(r)
            )
        },
        advice: advice!(
            "Unload a model of one of them, or give each its part: vLLM by --gpu-memory-utilization, llama.cpp by context and GPU layers, Ollama by OLLAMA_MAX_LOADED_MODELS."
        ),
    },
    Watch {
        id: "service-down",
        measure: down,
        sentence: |r| format!("A service that is watched does not answer{}.", for_at_least(r)),
        advice: |service| {
            format!(
                "Its own log says why. Where it is off on purpose, let it go: `plimsoll services remove {service}`, or `services.{service}.enabled = false` in the configuration."
            )
        },
        ..STATE
    },
    // Its page shows it at once; here it stands once it lasts.
    Watch {
        id: "service-degraded",
        measure: degraded,
        sentence: |r| format!("A service answers and is not well{}.", for_at_least(r)),
        advice: |service| format!("`plimsoll services show {service}` says what is known of it."),
        ..STATE
    },
    Watch {
        id: "service-queue",
        unit: Some(Unit::Count),
        below: false,
        metrics: &[],
        chart: Some(Metric::RequestsWaiting),
        measure: queue,
        sentence: |r| {
            format!(
                "More than {} requests wait inside a service that works at its limit, for {}.",
                number(limit(r)),
                held(r)
            )
        },
        advice: advice!(
            "Send it fewer requests at once, or give it more room for them: llama.cpp by --parallel, vLLM by --max-num-seqs, as far as its VRAM goes."
        ),
    },
    // A cache is full by design; a store that evicts nothing refuses writes when it is.
    Watch {
        id: "redis-memory",
        unit: Some(Unit::Percent),
        below: false,
        metrics: &[],
        chart: None,
        measure: redis_memory,
        sentence: |r| {
            format!(
                "A Redis that evicts nothing uses more than {} of its memory limit, for {}.",
                percent(limit(r)),
                held(r)
            )
        },
        advice: advice!(
            "Raise maxmemory, or choose a maxmemory-policy that evicts: when it is full it refuses writes."
        ),
    },
    Watch {
        id: "redis-persistence",
        measure: redis_persistence,
        sentence: |r| {
            format!("A Redis cannot write its snapshot or its append-only file{}.", for_at_least(r))
        },
        advice: advice!(
            "Look into its log and at its disk: until it can write, a restart loses data, and it may refuse writes."
        ),
        ..STATE
    },
    Watch {
        id: "redis-evictions",
        unit: Some(Unit::Count),
        below: false,
        metrics: &[],
        chart: Some(Metric::RedisEvicted),
        measure: redis_evictions,
        sentence: |r| {
            format!("A Redis evicts more than {} keys a second, for {}.", number(limit(r)), held(r))
        },
        advice: advice!("Look at its hit rate: where it falls, raise maxmemory."),
    },
];
