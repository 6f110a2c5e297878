//! The alert rules that come with Plimsoll, with their defaults. What each
//! measures is code of the alerts; how far, how long and how bad is set here.

use crate::alert::Severity;

use super::typed::Rule;

/// A rule that comes with Plimsoll.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    pub id: &'static str,
    /// What it watches and in which unit its threshold is, in one sentence.
    pub meaning: &'static str,
    /// Metric whose value is compared as it is; empty where something is worked out first.
    pub metric: &'static str,
    /// Threshold and the value at which it ends; `None`: it holds or it does not.
    pub limits: Option<(f64, f64)>,
    /// Unit of the threshold, as people write it; empty for a number of things.
    pub unit: &'static str,
    /// Being below the threshold is what alerts.
    pub below: bool,
    /// Only for disk space: alerts also below this many GiB.
    pub floor_gib: Option<f64>,
    pub for_s: u32,
    pub severity: Severity,
}

const MIB: f64 = 1024.0 * 1024.0;
const GIB: f64 = 1024.0 * MIB;

const fn holds(
    id: &'static str,
    metric: &'static str,
    for_s: u32,
    severity: Severity,
    meaning: &'static str,
) -> BuiltIn {
    BuiltIn {
        id,
        meaning,
        metric,
        limits: None,
        unit: "",
        below: false,
        floor_gib: None,
        for_s,
        severity,
    }
}

const fn past(
    id: &'static str,
    metric: &'static str,
    limits: (f64, f64),
    unit: &'static str,
    for_s: u32,
    severity: Severity,
    meaning: &'static str,
) -> BuiltIn {
    BuiltIn {
        below: limits.1 > limits.0,
        limits: Some(limits),
        unit,
        ..holds(id, metric, for_s, severity, meaning)
    }
}

use Severity::{Critical, Info, Warning};

/// All of them, in the order in which people read them.
pub static BUILT_IN: &[BuiltIn] = &[
    past(
        "vram-free",
        "gpu.vram.free",
        (GIB, 1.5 * GIB),
        "bytes",
        30,
        Warning,
        "VRAM free on a GPU is below the threshold, in bytes, and falling.",
    ),
    past(
        "gpu-hot",
        "",
        (5.0, 8.0),
        "°C",
        10,
        Critical,
        "A GPU is within the threshold, in °C, of the temperature at which it slows itself down.",
    ),
    holds(
        "gpu-throttle-thermal",
        "gpu.throttle.thermal",
        10,
        Warning,
        "A GPU holds its clocks down because of heat.",
    ),
    holds(
        "gpu-throttle-power",
        "gpu.throttle.power",
        300,
        Info,
        "A GPU holds its clocks down because of its power limit.",
    ),
    holds("gpu-lost", "", 0, Critical, "A GPU that was there no longer answers."),
    past(
        "memory-warn",
        "",
        (70.0, 65.0),
        "%",
        30,
        Warning,
        "The share of RAM that is not available is above the threshold, in percent.",
    ),
    past(
        "memory-act",
        "",
        (80.0, 75.0),
        "%",
        10,
        Critical,
        "The share of RAM that is not available is above the threshold, in percent: act now.",
    ),
    past(
        "memory-pressure",
        "pressure.memory.full",
        (10.0, 5.0),
        "%",
        10,
        Critical,
        "All tasks together wait for memory for more than the threshold, in percent of the time.",
    ),
    BuiltIn {
        floor_gib: Some(10.0),
        ..past(
            "disk-space",
            "",
            (10.0, 12.0),
            "%",
            30,
            Warning,
            "Less than the threshold, in percent of its size, is left on a mounted disk; or less \
             than floor_gib.",
        )
    },
    past(
        "model-on-cpu",
        "",
        (95.0, 97.0),
        "%",
        30,
        Warning,
        "Less of a loaded model than the threshold, in percent of its size, lies on the GPU: the \
         rest runs on the CPU.",
    ),
    past(
        "model-slow",
        "",
        (40.0, 60.0),
        "%",
        120,
        Warning,
        "A service with running requests makes tokens more slowly than the threshold, in percent \
         of its own median of the last 7 days.",
    ),
    past(
        "model-reloads",
        "",
        (4.0, 1.0),
        "",
        0,
        Warning,
        "A service has loaded models as often as the threshold within 10 minutes, one of them \
         again.",
    ),
    past(
        "vram-contention",
        "",
        (GIB, 1.5 * GIB),
        "bytes",
        10,
        Warning,
        "Services contend for VRAM: two of them hold some, one of them grows, loads again or \
         falls to the CPU, and less than the threshold, in bytes, is free.",
    ),
    holds("service-down", "", 15, Warning, "A service that is watched does not answer."),
    holds("service-degraded", "", 60, Info, "A service answers, and is not well."),
    past(
        "service-queue",
        "",
        (8.0, 4.0),
        "",
        60,
        Warning,
        "More requests than the threshold wait inside a service that works at its limit.",
    ),
    past(
        "redis-memory",
        "",
        (90.0, 85.0),
        "%",
        60,
        Warning,
        "A Redis that evicts nothing uses more of its memory limit than the threshold, in percent.",
    ),
    holds(
        "redis-persistence",
        "",
        10,
        Critical,
        "A Redis cannot write its snapshot or its append-only file.",
    ),
    past(
        "redis-evictions",
        "",
        (10.0, 1.0),
        "/s",
        60,
        Info,
        "A Redis evicts more keys a second than the threshold to stay below its memory limit.",
    ),
    holds(
        "recording-paused",
        "",
        0,
        Critical,
        "The history cannot be written: disk full, read-only or failing.",
    ),
    holds(
        "gateway-address",
        "",
        0,
        Warning,
        "The gateway cannot listen at one of its addresses: another program has it, most often.",
    ),
    holds(
        "config-file",
        "",
        0,
        Warning,
        "The configuration file is not in force, or a variable is not: something in it is wrong.",
    ),
    past(
        "source-silent",
        "",
        (30.0, 30.0),
        "s",
        0,
        Warning,
        "A source of readings has been silent for the threshold, in seconds.",
    ),
    holds(
        "series-limit",
        "",
        0,
        Warning,
        "There are more series than sampling.max_series: further ones are added up in `other`.",
    ),
    past(
        "self-memory",
        "self.rss",
        (512.0 * MIB, 448.0 * MIB),
        "bytes",
        60,
        Warning,
        "Plimsoll's own resident memory is above the threshold, in bytes.",
    ),
    past(
        "self-cpu",
        "self.cpu",
        (90.0, 70.0),
        "%",
        60,
        Warning,
        "Plimsoll's own CPU use is above the threshold, in percent of one core.",
    ),
    past(
        "self-lag",
        "self.lag",
        (100.0, 50.0),
        "ms",
        10,
        Warning,
        "Timers inside Plimsoll fire later than the threshold, in milliseconds.",
    ),
    past(
        "self-tasks",
        "self.tasks",
        (1000.0, 800.0),
        "",
        30,
        Warning,
        "Plimsoll runs more tasks at once than the threshold.",
    ),
];

/// The built-in rule of that id.
pub fn built_in(id: &str) -> Option<&'static BuiltIn> {
    BUILT_IN.iter().find(|b| b.id == id)
}

// === impl BuiltIn ===

impl BuiltIn {
    pub fn rule(&self) -> Rule {
        Rule {
            enabled: true,
            severity: self.severity,
            metric: self.metric.into(),
            subject: String::new(),
            below: self.below,
            threshold: self.limits.map(|l| l.0),
            clear: self.limits.map(|l| l.1),
            floor_gib: self.floor_gib,
            for_s: self.for_s,
            title: String::new(),
        }
    }

    /// Fields of `alerts.rules.<id>.` that have a meaning for this rule.
    pub fn has(&self, field: &str) -> bool {
        match field {
            "enabled" | "severity" | "for_s" => true,
            "threshold" | "clear" => self.limits.is_some(),
            "floor_gib" => self.floor_gib.is_some(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::ids, metric::Metric};

    #[test]
    fn built_in_rules_have_good_ids_and_known_metrics() {
        let mut seen = std::collections::HashSet::new();
        for rule in BUILT_IN {
            assert!(ids::is_id(rule.id) && seen.insert(rule.id), "{}", rule.id);
            assert!(
                rule.metric.is_empty() || Metric::named(rule.metric).is_some(),
                "{} watches {}",
                rule.id,
                rule.metric
            );
        }
    }

    // AR7 (Plimsoll itself), MA6 (the machine's memory)
    #[test]
    fn the_asked_for_limits_are_the_defaults() {
        let limit = |id| built_in(id).unwrap().limits.unwrap().0;
        assert_eq!(limit("self-cpu"), 90.0);
        assert_eq!(limit("self-lag"), 100.0);
        assert_eq!(limit("self-tasks"), 1000.0);
        assert_eq!(limit("self-memory"), 536_870_912.0);
        assert_eq!(limit("memory-warn"), 70.0);
        assert_eq!(limit("memory-act"), 80.0);
    }
}
