//! Rules about the machine: GPU, memory, disks.

use plimsoll_core::{metric::Metric, unit::Unit};

use super::{STATE, Watch};
use crate::{
    alerts::measure::{
        GIB, compare, disk_space, flag, for_at_least, gpu_hot, gpu_lost, held, limit, memory,
        vram_free,
    },
    words::{bytes, number, percent, quoted},
};

const MEMORY: &[Metric] =
    &[Metric::MemoryUsed, Metric::MemoryTotal, Metric::CgroupMemoryUsed, Metric::CgroupMemoryLimit];

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
];
