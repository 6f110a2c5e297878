//! Settings of what is read, how often, and what power costs.

use super::named;
use crate::config::setting::Setting;

const SAMPLING: &str = "Sampling";
const GPU: &str = "GPU and power";

pub(super) const ENTRIES: &[Setting] = &[
    named(
        SAMPLING,
        "sampling.interval_ms",
        "Interval",
        "Time between two readings of everything that is cheap to read. A second shows what a \
         model server does to the GPU without costing a percent of a core.",
    )
    .whole(1000, 500, 10_000)
    .unit("ms")
    .between(2000, 500),
    named(
        SAMPLING,
        "sampling.processes_ms",
        "Process list",
        "Time between two readings of the process list and of who holds VRAM. The driver's list \
         costs milliseconds under a lock that games and decoders feel, so it is read less often.",
    )
    .whole(5000, 2000, 60_000)
    .unit("ms")
    .between(10_000, 2000),
    named(
        SAMPLING,
        "sampling.disk_space_ms",
        "Disk space",
        "Time between two readings of the space on mounted disks. Space changes slowly, and a \
         network mount may answer slowly.",
    )
    .whole(10_000, 2000, 600_000)
    .unit("ms")
    .between(60_000, 5000),
    named(
        SAMPLING,
        "sampling.max_series",
        "Most series",
        "Most series that are recorded. Further ones are added up in `other`, counted, and \
         alerted, so that a program that starts thousands of names cannot fill the disk.",
    )
    .whole(2000, 200, 20_000)
    .unit("series")
    .between(1000, 5000),
    named(GPU, "gpu.enabled", "Read the GPU", "Whether the NVIDIA card is read at all.")
        .switch(true),
    named(
        GPU,
        "gpu.nvml_path",
        "NVML library",
        "Path of libnvidia-ml.so where it is in none of the usual places; empty: look for it.",
    )
    .path()
    .at_restart(),
    named(
        GPU,
        "power.price_per_kwh",
        "Price of electricity",
        "What a kilowatt hour costs, for the cost beside the energy.",
    )
    .number(0.30, 0.0, 10.0)
    .unit("per kWh"),
    named(
        GPU,
        "power.currency",
        "Currency",
        "The price's currency, as shown beside the cost, e.g. EUR, USD or kr.",
    )
    .text("EUR", 8),
];
