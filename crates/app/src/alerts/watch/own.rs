//! Rules about Plimsoll itself: its sources, its history, what it costs.

use plimsoll_core::{metric::Metric, unit::Unit};

use super::{STATE, Watch};
use crate::{
    alerts::measure::{
        compare, config_file, for_at_least, gateway_address, held, limit, recording_paused,
        series_limit, source_silent,
    },
    words::{bytes, number, percent, span},
};

pub static WATCHES: &[Watch] = &[
    Watch {
        id: "recording-paused",
        measure: recording_paused,
        sentence: |r| format!("The history cannot be written{}.", for_at_least(r)),
        advice: advice!(
            "Free some space or make the data folder writable; recording then goes on by itself, and the newest ten minutes are kept until then."
        ),
        ..STATE
    },
    Watch {
        id: "gateway-address",
        measure: gateway_address,
        sentence: |r| format!("The gateway cannot listen where it should{}.", for_at_least(r)),
        advice: advice!(
            "Programs that are pointed there do not reach Plimsoll. Stop what has the address, or set another gateway.address or gateway.also; it is tried again every few seconds."
        ),
        ..STATE
    },
    Watch {
        id: "config-file",
        measure: config_file,
        sentence: |r| {
            format!("The configuration, or a part of it, is not in force{}.", for_at_least(r))
        },
        advice: advice!(
            "Mend it under Settings, File, or with an editor: it is put in force at once. `plimsoll config validate` says what is wrong with it."
        ),
        ..STATE
    },
    // A source may skip a reading; half a minute of nothing is a fault of its own.
    Watch {
        id: "source-silent",
        measure: source_silent,
        sentence: |r| format!("A source of readings has been silent for {}.", span(limit(r))),
        advice: |source| {
            format!(
                "Its charts show a gap. The log says more about `{source}`; so does `plimsoll doctor`."
            )
        },
        ..STATE
    },
    Watch {
        id: "series-limit",
        measure: series_limit,
        sentence: |_| "There are more series than sampling.max_series.".into(),
        advice: advice!(
            "Raise sampling.max_series; until then new series are added up under `other`."
        ),
        ..STATE
    },
    // AR7: Plimsoll stays an instrument: what it costs has limits like everything else.
    over! {
        "self-memory", Unit::Bytes, SelfRss,
        |v| format!("Plimsoll itself takes {} of RAM.", bytes(v)),
        |r| {
            format!("Plimsoll itself takes more than {} of RAM, for {}.", bytes(limit(r)), held(r))
        },
        "Restart Plimsoll; the bundle of `plimsoll doctor --bundle` helps to find out why.",
    },
    over! {
        "self-cpu", Unit::Percent, SelfCpu,
        |v| format!("Plimsoll itself takes {} of a core.", percent(v)),
        |r| {
            format!(
                "Plimsoll itself takes more than {} of a core, for {}.",
                percent(limit(r)),
                held(r)
            )
        },
        "A slower sampling.interval_ms costs less; the log says what it is busy with.",
    },
    over! {
        "self-lag", Unit::Milliseconds, SelfLag,
        |v| format!("Timers inside Plimsoll fire {} ms late.", number(v)),
        |r| {
            format!(
                "Timers inside Plimsoll fire more than {} ms late, for {}.",
                number(limit(r)),
                held(r)
            )
        },
        "The machine is too busy, or Plimsoll is: compare CPU pressure with Plimsoll's own CPU.",
    },
    over! {
        "self-tasks", Unit::Count, SelfTasks,
        |v| format!("Plimsoll runs {} tasks at once.", number(v)),
        |r| {
            format!("Plimsoll runs more than {} tasks at once, for {}.", number(limit(r)), held(r))
        },
        "Something is not coming to its end; the log says what.",
    },
];
