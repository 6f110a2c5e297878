//! The rules one by one: what each looks at, and the words for it.
//!
//! Defaults of thresholds and durations stand in `plimsoll_core::config`, where
//! they are settings. Here is why each rule is as it is.

use plimsoll_core::{config::Rule, metric::Metric, unit::Unit};

use super::{
    facts::Facts,
    measure::{
        GIB, Measured, compare, disk_space, flag, for_at_least, gpu_hot, gpu_lost, held, limit,
        memory, quoted, recording_paused, series_limit, source_silent, vram_free,
    },
    words::{bytes, number, percent, span},
};

/// One line of the table.
pub struct Watch {
    pub id: &'static str,
    pub unit: Option<Unit>,
    /// Being below is what alerts, in the rule's unit.
    pub below: bool,
    pub metrics: &'static [Metric],
    /// Metric whose chart carries the load line at the same height for every subject.
    pub chart: Option<Metric>,
    pub measure: fn(&Rule, &Facts, &mut Vec<Measured>),
    /// What it watches, with the thresholds in force.
    pub sentence: fn(&Rule) -> String,
    /// What to do about it, given the subject.
    pub advice: fn(&str) -> String,
}

macro_rules! advice {
    ($text:literal) => {
        |_| $text.into()
    };
}

/// A rule about one metric: its value is over the threshold, for each subject on its own.
macro_rules! over {
    ($id:literal, $unit:expr, $metric:ident, |$value:ident| $title:expr, $sentence:expr, $advice:literal $(,)?) => {
        Watch {
            id: $id,
            unit: Some($unit),
            below: false,
            metrics: &[Metric::$metric],
            chart: Some(Metric::$metric),
            measure: |r, f, out| compare(r, f, Metric::$metric, out, |_, $value| $title),
            sentence: $sentence,
            advice: advice!($advice),
        }
    };
}

/// A rule about a state rather than a value: it has no unit, and no line on a chart.
const STATE: Watch = Watch {
    id: "",
    unit: None,
    below: false,
    metrics: &[],
    chart: None,
    measure: |_, _, _| {},
    sentence: |_| String::new(),
    advice: |_| String::new(),
};

const MEMORY: &[Metric] =
    &[Metric::MemoryUsed, Metric::MemoryTotal, Metric::CgroupMemoryUsed, Metric::CgroupMemoryLimit];

/// Every built-in rule.
pub static WATCHES: &[Watch] = &[
    // Preallocation is no alarm: a server may hold the whole card by design.
    // What alarms is the way there: little is left and it is getting less.
    Watch {
        id: "vram-free",
        unit: Some(Unit::Bytes),
        below: true,
        metrics: &[Metric::VramFree, Metric::VramTotal],
        chart: Some(Metric::VramFree),
        measure: vram_free,
        sentence: |r| {
            format!("VRAM free is below {}, and falling, for {}.", bytes(limit(r)), held(r))
        },
        advice: advice!(
            "End or unload a model before the next one is refused; Processes shows what holds VRAM."
        ),
    },
    // Relative to the card's own slowdown point: 84 °C is hot for one and usual for another.
    Watch {
        id: "gpu-hot",
        unit: Some(Unit::Celsius),
        below: false,
        metrics: &[Metric::GpuTemperature],
        chart: Some(Metric::GpuTemperature),
        measure: gpu_hot,
        sentence: |r| {
            format!(
                "The GPU is within {} °C of the temperature at which it slows itself down, for {}.",
                number(limit(r)),
                held(r)
            )
        },
        advice: advice!(
            "Look at fans, dust and the room; a lower power limit helps at once: `sudo nvidia-smi -pl WATTS`."
        ),
    },
    // Short slowdowns are how a card regulates itself: it has to last.
    Watch {
        id: "gpu-throttle-thermal",
        unit: Some(Unit::Flag),
        below: false,
        metrics: &[Metric::GpuThrottleThermal],
        chart: Some(Metric::GpuThrottleThermal),
        measure: |r, f, out| {
            flag(
                r,
                f,
                Metric::GpuThrottleThermal,
                "The GPU holds its clocks down because of heat.",
                out,
            );
        },
        sentence: |r| format!("The GPU holds its clocks down because of heat, for {}.", held(r)),
        advice: advice!(
            "Look at fans, dust and the room; a lower power limit helps at once: `sudo nvidia-smi -pl WATTS`."
        ),
    },
    // Running at the power limit is normal under full load: minutes of it are worth a line, not a warning.
    Watch {
        id: "gpu-throttle-power",
        unit: Some(Unit::Flag),
        below: false,
        metrics: &[Metric::GpuThrottlePower],
        chart: Some(Metric::GpuThrottlePower),
        measure: |r, f, out| {
            flag(
                r,
                f,
                Metric::GpuThrottlePower,
                "The GPU holds its clocks down because of its power limit.",
                out,
            );
        },
        sentence: |r| {
            format!("The GPU holds its clocks down because of its power limit, for {}.", held(r))
        },
        advice: advice!(
            "Usual under full load. A higher limit, where the supply allows it, makes it faster: `nvidia-smi -q -d POWER` shows the range."
        ),
    },
    // At once: whatever ran on it has failed already.
    Watch {
        id: "gpu-lost",
        measure: gpu_lost,
        sentence: |r| format!("A GPU that was there does not answer{}.", for_at_least(r)),
        advice: advice!(
            "`sudo dmesg | grep -i -e nvrm -e xid` shows why; after an update of the driver, restart the machine. Plimsoll goes on trying."
        ),
        ..STATE
    },
    // MA6: by what is available, for caches are no use of memory that anybody misses.
    Watch {
        id: "memory-warn",
        unit: Some(Unit::Percent),
        below: false,
        metrics: MEMORY,
        chart: None,
        measure: memory,
        sentence: |r| {
            format!("More than {} of RAM is not available, for {}.", percent(limit(r)), held(r))
        },
        advice: advice!(
            "Processes, sorted by RSS, shows what takes it; there is still time to end something by choice."
        ),
    },
    Watch {
        id: "memory-act",
        unit: Some(Unit::Percent),
        below: false,
        metrics: MEMORY,
        chart: None,
        measure: memory,
        sentence: |r| {
            format!(
                "More than {} of RAM is not available, for {}: act now.",
                percent(limit(r)),
                held(r)
            )
        },
        advice: advice!(
            "End what is not needed now: when memory runs out, the kernel chooses what to kill."
        ),
    },
    // Pressure is the truth behind the share: everything waits, whatever the figures say.
    over! {
        "memory-pressure", Unit::Percent, PressureMemoryFull,
        |v| format!("All tasks wait for memory {} of the time.", percent(v)),
        |r| {
            format!(
                "All tasks together wait for memory more than {} of the time, for {}.",
                percent(limit(r)),
                held(r)
            )
        },
        "End what takes most memory: the machine spends its time on moving pages, and the kernel may soon kill something.",
    },
    // A share for large disks and a floor for what a model download takes.
    Watch {
        id: "disk-space",
        unit: Some(Unit::Percent),
        below: true,
        metrics: &[Metric::MountAvailable, Metric::MountTotal, Metric::MountUsed],
        chart: None,
        measure: disk_space,
        sentence: |r| match r.floor_gib.filter(|&gib| gib > 0.0) {
            Some(gib) => format!(
                "A disk has less than {} of its size or less than {} left, for {}.",
                percent(limit(r)),
                bytes(gib * GIB),
                held(r)
            ),
            None => format!(
                "A disk has less than {} of its size left, for {}.",
                percent(limit(r)),
                held(r)
            ),
        },
        advice: |mount| {
            format!(
                "Delete or move files; `du -xh --max-depth=1 {}` shows where they are.",
                quoted(mount)
            )
        },
    },
    Watch {
        id: "recording-paused",
        measure: recording_paused,
        sentence: |r| format!("The history cannot be written{}.", for_at_least(r)),
        advice: advice!(
            "Free some space or make the data folder writable; recording then goes on by itself, and the newest ten minutes are kept until then."
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

/// The line of a built-in rule.
pub fn watch(id: &str) -> Option<&'static Watch> {
    WATCHES.iter().find(|watch| watch.id == id)
}
