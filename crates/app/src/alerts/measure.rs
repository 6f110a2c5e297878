//! How each rule measures: from the newest facts to where each subject stands.

use std::sync::Arc;

use plimsoll_core::{
    config::Rule,
    metric::{Kind, Metric},
    source::SourceState,
    unit::Unit,
};

use super::facts::Facts;
use crate::words::{bytes, number, of_unit, percent, sentence, span};

/// Free VRAM that has not fallen for this long is how things are, not where
/// they lead: servers that take their memory beforehand are meant to.
const STEADY_MS: i64 = 600_000;
pub const GIB: f64 = 1_073_741_824.0;

/// Where a value stands between the threshold and the value that ends the alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Past the threshold.
    Past,
    /// Past it, but this alone begins no alert; an active one goes on.
    Sustains,
    /// On the good side, but not far enough to end an alert.
    Between,
    /// On the good side: an alert ends.
    Clear,
}

/// One subject as a rule sees it. A subject that is not measured is left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub subject: Arc<str>,
    pub standing: Standing,
    /// In the rule's unit; `None` for what only holds or does not.
    pub value: Option<f64>,
    /// In force for this subject, in the rule's unit.
    pub threshold: Option<f64>,
    /// One sentence; empty while all is well.
    pub title: String,
    pub lines: Lines,
}

/// Load lines for charts: metric, value, and whether being below it alerts.
pub type Lines = [Option<(Metric, f64, bool)>; 3];

/// The metric of a person's own rule, where it is one that can be compared.
pub fn own_metric(rule: &Rule) -> Option<Metric> {
    Metric::named(&rule.metric).filter(|m| m.spec().kind != Kind::Histogram)
}

/// A person's own rule: one metric, each subject or one of them.
pub fn own(rule: &Rule, facts: &Facts, out: &mut Vec<Measured>) {
    let Some(metric) = own_metric(rule) else { return };
    let spec = metric.spec();
    let unit = own_unit(metric);
    compare(rule, facts, metric, out, |subject, value| {
        let what = if rule.title.is_empty() { spec.label } else { &rule.title };
        let whose = if subject.is_empty() { String::new() } else { format!(" of {subject}") };
        let side = if rule.below { "below" } else { "above" };
        let [value, limit] = [value, limit(rule)].map(|v| of_unit(v, unit));
        format!("{what}{whose}: {value}, {side} {limit}.")
    });
}

/// The sentence of a person's own rule.
pub fn own_sentence(rule: &Rule) -> String {
    let Some(metric) = own_metric(rule) else {
        return format!("There is no metric {:?}: this rule watches nothing.", rule.metric);
    };
    let whose =
        if rule.subject.is_empty() { String::new() } else { format!(" of {}", rule.subject) };
    let side = if rule.below { "below" } else { "above" };
    let limit = of_unit(limit(rule), own_unit(metric));
    format!("{}{whose} is {side} {limit}, for {}.", metric.spec().label, held(rule))
}

/// A counter is compared by its rate.
pub fn own_unit(metric: Metric) -> Unit {
    let spec = metric.spec();
    if spec.kind == Kind::Counter { spec.unit.per_second() } else { spec.unit }
}

/// Compares a value with the rule's threshold and the value that ends it.
pub fn standing(value: f64, threshold: f64, clear: f64, below: bool) -> Standing {
    let past = if below { value < threshold } else { value > threshold };
    let good = if below { value >= clear } else { value <= clear };
    match (past, good) {
        // A `clear` on the wrong side of the threshold would end what it begins.
        (true, _) => Standing::Past,
        (false, true) => Standing::Clear,
        (false, false) => Standing::Between,
    }
}

// --- the rules that come with Plimsoll ---

pub fn compare(
    rule: &Rule,
    facts: &Facts,
    metric: Metric,
    out: &mut Vec<Measured>,
    title: impl Fn(&str, f64) -> String,
) {
    let (threshold, clear) = limits(rule);
    for (subject, value) in facts.values(metric) {
        if !rule.subject.is_empty() && rule.subject != **subject {
            continue;
        }
        let standing = standing(value, threshold, clear, rule.below);
        out.push(Measured {
            subject: subject.clone(),
            standing,
            value: Some(value),
            threshold: Some(threshold),
            // A rule may look at a thousand processes, of which none is past it.
            title: if standing == Standing::Clear { String::new() } else { title(subject, value) },
            lines: [Some((metric, threshold, rule.below)), None, None],
        });
    }
}

pub fn flag(_: &Rule, facts: &Facts, metric: Metric, title: &str, out: &mut Vec<Measured>) {
    for (subject, value) in facts.values(metric) {
        out.push(state(subject.clone(), value >= 0.5, title.into()));
    }
}

pub fn state(subject: impl Into<Arc<str>>, holds: bool, title: String) -> Measured {
    Measured {
        subject: subject.into(),
        standing: if holds { Standing::Past } else { Standing::Clear },
        value: None,
        threshold: None,
        title,
        lines: Lines::default(),
    }
}

pub fn vram_free(rule: &Rule, facts: &Facts, out: &mut Vec<Measured>) {
    let (threshold, clear) = limits(rule);
    for (gpu, free) in facts.values(Metric::VramFree) {
        let total = facts.value(Metric::VramTotal, gpu);
        let steady = facts.steady_ms(gpu);
        let standing = match standing(free, threshold, clear, true) {
            Standing::Past if facts.is_falling(gpu) => Standing::Past,
            Standing::Past if steady.is_none_or(|ms| ms >= STEADY_MS) => Standing::Clear,
            Standing::Past => Standing::Sustains,
            other => other,
        };
        let used = total.map(|total| (Metric::VramUsed, total - threshold, false));
        let of = total.map_or(String::new(), |total| format!(" of {}", bytes(total)));
        out.push(Measured {
            subject: gpu.clone(),
            standing,
            value: Some(free),
            threshold: Some(threshold),
            title: match standing {
                Standing::Past => {
                    format!("VRAM: {}{of} is free, and it is getting less.", bytes(free))
                }
                _ => format!("VRAM: {}{of} is free.", bytes(free)),
            },
            lines: [Some((Metric::VramFree, threshold, true)), used, None],
        });
    }
}

pub fn gpu_hot(rule: &Rule, facts: &Facts, out: &mut Vec<Measured>) {
    let (distance, clear) = limits(rule);
    // Without a slowdown point of its own there is nothing to compare with.
    let Some((gpu, slowdown)) =
        facts.gpu.as_ref().and_then(|gpu| Some((gpu, f64::from(gpu.slowdown_celsius?))))
    else {
        return;
    };
    let Some(celsius) = facts.value(Metric::GpuTemperature, &gpu.uuid) else { return };
    let left = slowdown - celsius;
    out.push(Measured {
        subject: gpu.uuid.as_str().into(),
        // `within 5 °C` includes the fifth.
        standing: standing(-left, -(distance + 0.5), -clear, false),
        value: Some(celsius),
        threshold: Some(slowdown - distance),
        title: if left > 0.0 {
            format!(
                "The GPU is at {} °C, {} °C below its slowdown point.",
                number(celsius),
                number(left)
            )
        } else {
            format!(
                "The GPU is at {} °C and slows itself down from {} °C on.",
                number(celsius),
                number(slowdown)
            )
        },
        lines: [Some((Metric::GpuTemperature, slowdown - distance, false)), None, None],
    });
}

pub fn gpu_lost(_: &Rule, facts: &Facts, out: &mut Vec<Measured>) {
    let Some(source) = facts.sources.iter().find(|s| s.name == "gpu") else { return };
    let holds = match source.state {
        SourceState::Lost => true,
        SourceState::Healthy | SourceState::Absent => false,
        // Nobody knows: one reading failed, or one is still under way.
        SourceState::Starting | SourceState::Failed | SourceState::Late => return,
    };
    let uuid = facts.gpu.as_ref().map_or("", |gpu| gpu.uuid.as_str());
    let mut title = String::from("The GPU does not answer");
    if source.reason.is_empty() {
        title.push('.');
    } else {
        title = format!("{title}: {}", sentence(&source.reason));
    }
    if !uuid.is_empty() {
        // It may have been lost before it had told its name; that alert ends now.
        out.push(state("", false, String::new()));
    }
    out.push(state(uuid, holds, title));
}

pub fn memory(rule: &Rule, facts: &Facts, out: &mut Vec<Measured>) {
    let (threshold, clear) = limits(rule);
    let pair = |used, total| {
        let (used, total) = (facts.value(used, "")?, facts.value(total, "")?);
        (total > 0.0).then_some((used, total))
    };
    let machine = pair(Metric::MemoryUsed, Metric::MemoryTotal);
    let cgroup = pair(Metric::CgroupMemoryUsed, Metric::CgroupMemoryLimit);
    // Inside a container its own limit may be nearer than the machine's end.
    let worst =
        machine.into_iter().chain(cgroup).max_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let Some((used, total)) = worst else { return };
    let share = used / total * 100.0;
    let whose = if worst == machine { "RAM" } else { "the container's memory" };
    let machine_line = |metric, share: f64, below| {
        machine.map(|(_, total)| (metric, total * share / 100.0, below))
    };
    let lines = [
        machine_line(Metric::MemoryUsed, threshold, false),
        machine_line(Metric::MemoryAvailable, 100.0 - threshold, true),
        cgroup.map(|(_, total)| (Metric::CgroupMemoryUsed, total * threshold / 100.0, false)),
    ];
    out.push(Measured {
        subject: "".into(),
        standing: standing(share, threshold, clear, false),
        value: Some(share),
        threshold: Some(threshold),
        title: format!(
            "{} of {whose} is in use: {} of {} is left.",
            percent(share),
            bytes(total - used),
            bytes(total)
        ),
        lines,
    });
}

pub fn disk_space(rule: &Rule, facts: &Facts, out: &mut Vec<Measured>) {
    let (threshold, clear) = limits(rule);
    for (mount, left) in facts.values(Metric::MountAvailable) {
        let Some(total) = facts.value(Metric::MountTotal, mount).filter(|&t| t > 0.0) else {
            continue;
        };
        let share = left / total * 100.0;
        // A disk hardly larger than the floor would alarm from its first day.
        let floor =
            rule.floor_gib.map(|gib| gib * GIB).filter(|&floor| floor > 0.0 && total > 2.0 * floor);
        let by_share = standing(share, threshold, clear, true);
        // The floor ends as much above itself as the share does.
        let room = if threshold > 0.0 { (clear / threshold).max(1.0) } else { 1.0 };
        let by_floor =
            floor.map_or(Standing::Clear, |floor| standing(left, floor, floor * room, true));
        let standing = match (by_share, by_floor) {
            (Standing::Past, _) | (_, Standing::Past) => Standing::Past,
            (Standing::Clear, Standing::Clear) => Standing::Clear,
            _ => Standing::Between,
        };
        // Where the floor is the nearer limit, it is the one that is drawn.
        let line = floor.unwrap_or(0.0).max(total * threshold / 100.0);
        // Some of the size is reserved for root: neither used nor available.
        let used = facts.value(Metric::MountUsed, mount).unwrap_or(total - left);
        out.push(Measured {
            subject: mount.clone(),
            standing,
            value: Some(share),
            threshold: Some(line / total * 100.0),
            title: format!(
                "{mount} has {} left of {} ({}).",
                bytes(left),
                bytes(total),
                percent(share)
            ),
            lines: [
                Some((Metric::MountAvailable, line, true)),
                Some((Metric::MountUsed, used + left - line, false)),
                None,
            ],
        });
    }
}

pub fn recording_paused(_: &Rule, facts: &Facts, out: &mut Vec<Measured>) {
    let reason = facts.recording.paused.as_deref();
    let title = format!("The history is not recorded: {}", sentence(reason.unwrap_or("unknown")));
    out.push(state("", reason.is_some(), title));
}

pub fn gateway_address(_: &Rule, facts: &Facts, out: &mut Vec<Measured>) {
    let reason = facts.shortfalls.gateway.as_deref();
    out.push(state("", reason.is_some(), shortfall(reason)));
}

pub fn config_file(_: &Rule, facts: &Facts, out: &mut Vec<Measured>) {
    let reason = facts.shortfalls.config.as_deref();
    out.push(state("", reason.is_some(), shortfall(reason)));
}

fn shortfall(reason: Option<&str>) -> String {
    sentence(reason.unwrap_or("It is as it was told to be."))
}

pub fn source_silent(rule: &Rule, facts: &Facts, out: &mut Vec<Measured>) {
    for source in &facts.sources {
        let Some((silent_ms, usual_ms)) = facts.silence_ms(&source.name) else { continue };
        // What is not there is no fault, and a lost GPU has an alert of its own.
        let excused =
            source.state == SourceState::Absent || (source.name == "gpu" && facts.was_lost("gpu"));
        #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
        let (silent, usual) = (silent_ms as f64 / 1000.0, usual_ms as f64 / 1000.0);
        let holds = !excused && silent >= limit(rule).max(usual);
        let mut title =
            format!("Nothing has been read from `{}` for {}", source.name, span(silent));
        title = if source.reason.is_empty() {
            title + "."
        } else {
            format!("{title}: {}", sentence(&source.reason))
        };
        out.push(state(source.name.as_str(), holds, title));
    }
}

pub fn series_limit(_: &Rule, facts: &Facts, out: &mut Vec<Measured>) {
    let away = facts.recording.series_turned_away;
    let title = format!("{away} series found no room below sampling.max_series.");
    out.push(state("", away > 0, title));
}

// --- small words ---

pub fn limit(rule: &Rule) -> f64 {
    rule.threshold.unwrap_or(0.0)
}

pub fn limits(rule: &Rule) -> (f64, f64) {
    (limit(rule), rule.clear.unwrap_or(limit(rule)))
}

pub fn held(rule: &Rule) -> String {
    span(f64::from(rule.for_s))
}

pub fn for_at_least(rule: &Rule) -> String {
    if rule.for_s == 0 { String::new() } else { format!(", for {}", held(rule)) }
}
