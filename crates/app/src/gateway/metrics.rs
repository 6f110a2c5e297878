//! `GET /metrics`: what was measured last, in the text that Prometheus reads. All series of
//! the last tick, ours and those of the services alike, under the names of the catalogue.

use std::{collections::BTreeMap, fmt::Write as _};

use plimsoll_core::{
    metric::{Kind, Metric, SubjectKind},
    reading::{Reading, Tick, Value},
    unit::Unit,
};
use plimsoll_gateway::{
    admission::{GateKind, GateView},
    record::Records,
    serve::OwnFigures,
};

/// Series that are told; a page is never longer than some megabytes.
const MAX_SERIES: usize = 20_000;

pub(super) fn text(tick: &Tick, records: &Records, gates: &[GateView], own: &OwnFigures) -> String {
    let mut by_metric: BTreeMap<Metric, Vec<&Reading>> = BTreeMap::new();
    for reading in tick.readings.iter().take(MAX_SERIES) {
        by_metric.entry(reading.metric).or_default().push(reading);
    }
    let mut out = String::with_capacity(tick.readings.len() * 64);
    for (metric, readings) in by_metric {
        let spec = metric.spec();
        // What a distribution held within one second is no total.
        if spec.kind == Kind::Histogram {
            continue;
        }
        let name = name_of(metric);
        let kind = if spec.kind == Kind::Counter { "counter" } else { "gauge" };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "# HELP {name} {} ({})", spec.label, spec.name);
        let _ = writeln!(out, "# TYPE {name} {kind}");
        for reading in readings {
            out.push_str(&name);
            label(&mut out, spec.subject, &reading.subject);
            let _ = match reading.value {
                Value::Gauge(value) => writeln!(out, " {value}"),
                _ => writeln!(out, " {}", reading.number()),
            };
        }
    }
    let totals = records.totals();
    summary(
        &mut out,
        "plimsoll_gateway_overhead_seconds",
        &[("0.5", totals.overhead_p50_us), ("0.99", totals.overhead_p99_us)],
    );
    of_itself(&mut out, own, records.dropped());
    of_gates(&mut out, gates);
    out
}

/// What the gateway holds and counted, besides requests: the names stand in `docs/gateway.md`.
fn of_itself(out: &mut String, own: &OwnFigures, dropped: u64) {
    let size = |size: usize| size as u64;
    let cache = &own.cache;
    for (name, value, help) in [
        ("records_dropped_total", dropped, "Requests that no room was left to record"),
        ("connections", size(own.connections), "Connections of clients, idle ones included"),
        ("connections_resting", size(own.resting), "Of these, laid down until something comes"),
        ("body_bytes", size(own.body_bytes), "Of requests that have no answer yet"),
        ("cache_entries", size(cache.entries), "Answers that are kept"),
        ("cache_bytes", size(cache.bytes), "What they take"),
        ("cache_hits_total", cache.hits, "Requests that were answered with a kept answer"),
        ("cache_misses_total", cache.misses, "Requests that could have been, and were not"),
        ("cache_evicted_total", cache.evicted, "Kept answers that made room for others"),
        ("shared_open", size(own.shared_open), "Answers under way that others can join"),
        ("shared_bytes", size(own.shared_bytes), "What is held of them for late comers"),
        ("shared_joined_total", own.shared_joined, "Requests that joined another's answer"),
    ] {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        let _ = writeln!(out, "# HELP plimsoll_gateway_{name} {help}");
        let _ = writeln!(out, "# TYPE plimsoll_gateway_{name} {kind}");
        let _ = writeln!(out, "plimsoll_gateway_{name} {value}");
    }
}

/// Also of gates that only observe: here is told what they would have held.
fn of_gates(out: &mut String, gates: &[GateView]) {
    let name = |gate: &GateView| match gate.kind {
        GateKind::Memory => "memory",
        GateKind::MemoryStall => "memory_stall",
        GateKind::Cpu => "cpu",
        GateKind::Heat => "temperature",
    };
    let _ = writeln!(out, "# HELP plimsoll_gateway_gate_closed 1 while the gate is closed");
    let _ = writeln!(out, "# TYPE plimsoll_gateway_gate_closed gauge");
    for gate in gates {
        let closed = u8::from(gate.closed);
        let _ = writeln!(out, "plimsoll_gateway_gate_closed{{gate=\"{}\"}} {closed}", name(gate));
    }
    let _ = writeln!(out, "# HELP plimsoll_gateway_gate_met_total Requests that came meanwhile");
    let _ = writeln!(out, "# TYPE plimsoll_gateway_gate_met_total counter");
    for gate in gates {
        let met = gate.met;
        let _ = writeln!(out, "plimsoll_gateway_gate_met_total{{gate=\"{}\"}} {met}", name(gate));
    }
}

/// `gpu.vram.used` in bytes is `plimsoll_gpu_vram_used_bytes`.
fn name_of(metric: Metric) -> String {
    let spec = metric.spec();
    let mut name = format!("plimsoll_{}", spec.name.replace('.', "_"));
    let unit = match spec.unit {
        Unit::Bytes => "bytes",
        Unit::BytesPerSecond => "bytes_per_second",
        Unit::Percent => "percent",
        Unit::Celsius => "celsius",
        Unit::Watts => "watts",
        Unit::Joules => "joules",
        Unit::Megahertz => "megahertz",
        Unit::Milliseconds => "milliseconds",
        Unit::Count | Unit::Flag => "",
    };
    if !unit.is_empty() && !name.ends_with(unit) {
        name.push('_');
        name.push_str(unit);
    }
    // The word is kept for what only grows.
    match name.strip_suffix("_total") {
        _ if spec.kind == Kind::Counter => name + "_total",
        Some(level) => level.to_owned(),
        None => name,
    }
}

fn label(out: &mut String, kind: SubjectKind, subject: &str) {
    let key = match kind {
        SubjectKind::Machine | SubjectKind::Plimsoll => return,
        SubjectKind::Core => "core",
        SubjectKind::Disk => "disk",
        SubjectKind::Mount => "mount",
        SubjectKind::Interface => "interface",
        SubjectKind::Sensor => "sensor",
        SubjectKind::Gpu => "gpu",
        SubjectKind::Process => "process",
        SubjectKind::Service => "service",
        SubjectKind::Client => "client",
        SubjectKind::Model => match subject.split_once('/') {
            Some((service, model)) => {
                let _ = write!(
                    out,
                    "{{service=\"{}\",model=\"{}\"}}",
                    Escaped(service),
                    Escaped(model)
                );
                return;
            }
            None => "model",
        },
    };
    let _ = write!(out, "{{{key}=\"{}\"}}", Escaped(subject));
}

/// Plimsoll's own time over the last five minutes.
fn summary(out: &mut String, name: &str, quantiles: &[(&str, Option<u64>)]) {
    let _ = writeln!(out, "# HELP {name} Plimsoll's own time for a request");
    let _ = writeln!(out, "# TYPE {name} summary");
    for (quantile, us) in quantiles {
        if let Some(us) = us {
            #[expect(clippy::cast_precision_loss, reason = "a time")]
            let seconds = *us as f64 / 1e6;
            let _ = writeln!(out, "{name}{{quantile=\"{quantile}\"}} {seconds}");
        }
    }
}

/// As a label's value is written.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use plimsoll_core::{
        clock::{Instant3, SystemClock},
        config::gateway::GateMode,
        request::Endpoint,
    };
    use plimsoll_gateway::{cache::Figures, record::MAX_ENDED};

    use super::*;

    #[test]
    fn names_are_those_of_the_catalogue_and_each_is_one_metric() {
        assert_eq!(name_of(Metric::VramUsed), "plimsoll_gpu_vram_used_bytes");
        assert_eq!(name_of(Metric::GatewayRequests), "plimsoll_gateway_requests_total");
        assert_eq!(name_of(Metric::GpuEnergy), "plimsoll_gpu_energy_joules_total");
        let names: BTreeSet<_> = Metric::ALL.iter().map(|&metric| name_of(metric)).collect();
        assert_eq!(names.len(), Metric::ALL.len());
        for &metric in Metric::ALL {
            let counts = metric.spec().kind == Kind::Counter;
            assert_eq!(name_of(metric).ends_with("_total"), counts, "{}", name_of(metric));
        }
    }

    #[tokio::test]
    async fn each_family_says_once_what_it_is() {
        let at = Instant3 { wall_ms: 0, monotonic_ms: 0, boottime_ms: 0 };
        let readings = vec![
            Reading::gauge(Metric::CpuBusy, &"".into(), 12.5),
            Reading::gauge(Metric::SlotsTotal, &"a".into(), 4.0),
            Reading::gauge(Metric::SlotsTotal, &"b".into(), 2.0),
        ];
        let records = Records::new(Arc::new(SystemClock));
        let text = text(&Tick { at, readings }, &records, &[], &OwnFigures::default());
        let told = |word: &str| -> Vec<String> {
            let lines = text.lines().filter_map(|line| line.strip_prefix(word));
            lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
        };
        let (helps, types) = (told("# HELP "), told("# TYPE "));
        assert_eq!(helps, types);
        assert_eq!(types.iter().collect::<BTreeSet<_>>().len(), types.len());
        assert!(types.contains(&"plimsoll_service_slots".into()), "{types:?}");
    }

    #[tokio::test]
    async fn readings_are_told_with_their_subjects_escaped() {
        let at = Instant3 { wall_ms: 0, monotonic_ms: 0, boottime_ms: 0 };
        let readings = vec![
            Reading::gauge(Metric::CpuBusy, &"".into(), 12.5),
            Reading::counter(Metric::GatewayClientRequests, &"a \"b\"\\".into(), 7),
            Reading::gauge(Metric::ModelVram, &"ollama/qwen3:8b".into(), 1024.0),
        ];
        let records = Records::new(Arc::new(SystemClock));
        let text = text(&Tick { at, readings }, &records, &[], &OwnFigures::default());
        for line in [
            "# TYPE plimsoll_cpu_busy_percent gauge",
            "plimsoll_cpu_busy_percent 12.5",
            "plimsoll_gateway_client_requests_total{client=\"a \\\"b\\\"\\\\\"} 7",
            "plimsoll_model_vram_bytes{service=\"ollama\",model=\"qwen3:8b\"} 1024",
        ] {
            assert!(text.lines().any(|l| l == line), "{line:?} in\n{text}");
        }
    }

    #[test]
    fn what_the_gateway_holds_and_shares_is_told_and_each_under_a_name_of_its_own() {
        let cache = Figures { entries: 3, bytes: 4096, hits: 7, misses: 5, evicted: 2 };
        let own = OwnFigures { cache, shared_joined: 9, connections: 4, ..OwnFigures::default() };
        let mut text = String::new();
        of_itself(&mut text, &own, 11);
        for line in [
            "plimsoll_gateway_records_dropped_total 11",
            "plimsoll_gateway_connections 4",
            "plimsoll_gateway_cache_entries 3",
            "plimsoll_gateway_cache_bytes 4096",
            "plimsoll_gateway_cache_hits_total 7",
            "plimsoll_gateway_cache_misses_total 5",
            "plimsoll_gateway_cache_evicted_total 2",
            "plimsoll_gateway_shared_joined_total 9",
            "# TYPE plimsoll_gateway_shared_joined_total counter",
            "# TYPE plimsoll_gateway_shared_open gauge",
        ] {
            assert!(text.lines().any(|l| l == line), "{line:?} in\n{text}");
        }
        let docs = include_str!("../../../../docs/gateway.md");
        let catalogue: BTreeSet<_> = Metric::ALL.iter().map(|&metric| name_of(metric)).collect();
        for name in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let name = name.split_whitespace().next().unwrap();
            assert!(docs.contains(&format!("`{name}`")), "{name} is not in docs/gateway.md");
            assert!(!catalogue.contains(name), "{name} twice");
        }
    }

    // MV13
    #[tokio::test]
    async fn requests_for_which_the_queue_has_no_room_are_counted_and_told() {
        // Nobody takes them out.
        let records = Records::new(Arc::new(SystemClock));
        for _ in 0..MAX_ENDED + 100 {
            drop(records.begin(Endpoint::Chat));
        }
        assert_eq!(records.dropped(), 100);
        let at = Instant3 { wall_ms: 0, monotonic_ms: 0, boottime_ms: 0 };
        let tick = Tick { at, readings: Vec::new() };
        let text = text(&tick, &records, &[], &OwnFigures::default());
        let line = "plimsoll_gateway_records_dropped_total 100";
        assert!(text.lines().any(|l| l == line), "{text}");
    }

    #[test]
    fn a_gate_that_only_observes_tells_what_it_would_have_held() {
        let open = GateView {
            kind: GateKind::Memory,
            mode: GateMode::Observe,
            closed: false,
            value: None,
            close: 10.0,
            met: 0,
        };
        let closed = GateView { kind: GateKind::Heat, closed: true, met: 7, ..open };
        let mut text = String::new();
        of_gates(&mut text, &[open, closed]);
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                "plimsoll_gateway_gate_closed{gate=\"memory\"} 0",
                "plimsoll_gateway_gate_closed{gate=\"temperature\"} 1",
                "plimsoll_gateway_gate_met_total{gate=\"memory\"} 0",
                "plimsoll_gateway_gate_met_total{gate=\"temperature\"} 7",
            ]
        );
    }
}
