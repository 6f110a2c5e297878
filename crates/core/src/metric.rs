//! The metric catalogue: every series that Plimsoll can record, declared once.
//!
//! A metric fixes unit, kind, resolution, subject and cadence; a *series* is a
//! metric of one subject. Values are rounded to the resolution before they are
//! stored: an unrounded ratio costs four times the space and says nothing more.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::unit::Unit;

/// How a metric's values behave over time, and so how they are rolled up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A level: rolls up as count, sum, minimum, maximum, last.
    Gauge,
    /// A total since some start: rolls up as reset-aware increase, lowest and
    /// highest rate, last. Queries answer with rates per second.
    Counter,
    /// A distribution: buckets of equal layout are added, percentiles never averaged.
    Histogram,
}

/// What a series is about: a closed set. A pid is never a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// The machine as a whole; its name is the empty string.
    Machine,
    /// A logical CPU, named by its number.
    Core,
    /// A block device, e.g. `nvme0n1`.
    Disk,
    /// A mount point, e.g. `/home`.
    Mount,
    /// A network interface, e.g. `eth0`.
    Interface,
    /// A temperature sensor, e.g. `k10temp Tctl`.
    Sensor,
    /// A GPU, named by its UUID.
    Gpu,
    /// A process *name*, all its processes together.
    Process,
    /// Plimsoll itself; its name is the empty string.
    Plimsoll,
    /// A service, named by its id, e.g. `llama`.
    Service,
    /// A model of a service, e.g. `ollama/qwen3:8b`: the id of the service, a slash,
    /// and the model by the name that its server uses.
    Model,
    /// A client of the gateway, named by its key or its program.
    Client,
}

/// How often a metric is sampled; the interval of each class is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Cadence {
    /// With every tick (`sampling.interval_ms`, 1 s).
    Tick,
    /// With the process list (`sampling.processes_ms`, 5 s).
    Processes,
    /// With the space on disks (`sampling.disk_space_ms`, 10 s).
    Space,
}

/// One line of the catalogue.
#[derive(Clone, Copy, Debug, Serialize, TS)]
pub struct MetricSpec {
    /// Dotted name, stable for ever: it stands in databases and exports.
    pub name: &'static str,
    /// Short name for people, unique within its subject.
    pub label: &'static str,
    pub subject: SubjectKind,
    pub kind: Kind,
    pub unit: Unit,
    /// Step that values are rounded to, in `unit`.
    pub resolution: f64,
    pub cadence: Cadence,
}

macro_rules! catalogue {
    ($($(#[$doc:meta])* $id:ident = $name:literal, $label:literal, $subject:ident, $kind:ident, $unit:ident, $res:literal, $cadence:ident;)*) => {
        /// A metric of the catalogue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Metric { $($(#[$doc])* $id),* }

        /// The whole catalogue, in the order in which people read it.
        pub static CATALOGUE: &[MetricSpec] = &[$(MetricSpec {
            name: $name, label: $label, subject: SubjectKind::$subject, kind: Kind::$kind,
            unit: Unit::$unit, resolution: $res, cadence: Cadence::$cadence,
        }),*];

        impl Metric {
            pub const ALL: &'static [Metric] = &[$(Metric::$id),*];

            /// The metric of that name, or `None` where the catalogue has none.
            pub fn named(name: &str) -> Option<Metric> {
                match name { $($name => Some(Metric::$id),)* _ => None }
            }
        }
    };
}

catalogue! {
    // GPU, from NVML
    VramUsed = "gpu.vram.used", "VRAM used", Gpu, Gauge, Bytes, 65536.0, Tick;
    VramFree = "gpu.vram.free", "VRAM free", Gpu, Gauge, Bytes, 65536.0, Tick;
    VramTotal = "gpu.vram.total", "VRAM total", Gpu, Gauge, Bytes, 65536.0, Tick;
    GpuBusy = "gpu.busy", "Busy", Gpu, Gauge, Percent, 1.0, Tick;
    GpuMemoryBusy = "gpu.memory.busy", "Memory busy", Gpu, Gauge, Percent, 1.0, Tick;
    GpuPower = "gpu.power", "Power", Gpu, Gauge, Watts, 0.1, Tick;
    GpuPowerLimit = "gpu.power.limit", "Power limit", Gpu, Gauge, Watts, 0.1, Tick;
    GpuEnergy = "gpu.energy", "Energy", Gpu, Counter, Joules, 0.001, Tick;
    GpuTemperature = "gpu.temperature", "Temperature", Gpu, Gauge, Celsius, 1.0, Tick;
    GpuFan = "gpu.fan", "Fan", Gpu, Gauge, Percent, 1.0, Tick;
    GpuClockGraphics = "gpu.clock.graphics", "Graphics clock", Gpu, Gauge, Megahertz, 1.0, Tick;
    GpuClockSm = "gpu.clock.sm", "SM clock", Gpu, Gauge, Megahertz, 1.0, Tick;
    GpuClockMemory = "gpu.clock.memory", "Memory clock", Gpu, Gauge, Megahertz, 1.0, Tick;
    /// Hardware or software slowdown because of heat.
    GpuThrottleThermal = "gpu.throttle.thermal", "Thermal throttling", Gpu, Gauge, Flag, 1.0, Tick;
    /// The power cap or the power brake holds the clocks down.
    GpuThrottlePower = "gpu.throttle.power", "Power throttling", Gpu, Gauge, Flag, 1.0, Tick;
    GpuPcieGeneration = "gpu.pcie.generation", "PCIe generation", Gpu, Gauge, Count, 1.0, Tick;
    GpuPcieWidth = "gpu.pcie.width", "PCIe lanes", Gpu, Gauge, Count, 1.0, Tick;
    // Measuring them blocks the driver for 20 ms each.
    GpuPcieReceived = "gpu.pcie.received", "PCIe received", Gpu, Gauge, BytesPerSecond, 1024.0, Processes;
    GpuPcieSent = "gpu.pcie.sent", "PCIe sent", Gpu, Gauge, BytesPerSecond, 1024.0, Processes;
    GpuEncoder = "gpu.encoder.busy", "Encoder busy", Gpu, Gauge, Percent, 1.0, Tick;
    GpuDecoder = "gpu.decoder.busy", "Decoder busy", Gpu, Gauge, Percent, 1.0, Tick;

    // CPU and load
    CpuBusy = "cpu.busy", "CPU busy", Machine, Gauge, Percent, 0.1, Tick;
    CoreBusy = "cpu.core.busy", "Busy", Core, Gauge, Percent, 1.0, Tick;
    CoreFrequency = "cpu.core.frequency", "Frequency", Core, Gauge, Megahertz, 1.0, Tick;
    Load1 = "load.1m", "Load, 1 min", Machine, Gauge, Count, 0.01, Tick;
    Load5 = "load.5m", "Load, 5 min", Machine, Gauge, Count, 0.01, Tick;
    Load15 = "load.15m", "Load, 15 min", Machine, Gauge, Count, 0.01, Tick;
    /// CPU time the cgroup may use, in cores; absent where nothing limits it.
    CgroupCpuLimit = "cgroup.cpu.limit", "CPU limit, cores", Machine, Gauge, Count, 0.01, Tick;

    // Pressure stall information: share of the last 10 s in which tasks waited
    PressureCpu = "pressure.cpu", "CPU pressure", Machine, Gauge, Percent, 0.01, Tick;
    PressureMemorySome = "pressure.memory.some", "Memory pressure, some", Machine, Gauge, Percent, 0.01, Tick;
    PressureMemoryFull = "pressure.memory.full", "Memory pressure, full", Machine, Gauge, Percent, 0.01, Tick;
    PressureIoSome = "pressure.io.some", "I/O pressure, some", Machine, Gauge, Percent, 0.01, Tick;
    PressureIoFull = "pressure.io.full", "I/O pressure, full", Machine, Gauge, Percent, 0.01, Tick;

    // Memory. Used is total less available: what a new program could not have.
    MemoryUsed = "memory.used", "RAM used", Machine, Gauge, Bytes, 65536.0, Tick;
    MemoryAvailable = "memory.available", "RAM available", Machine, Gauge, Bytes, 65536.0, Tick;
    MemoryTotal = "memory.total", "RAM total", Machine, Gauge, Bytes, 65536.0, Tick;
    MemoryCached = "memory.cached", "Page cache", Machine, Gauge, Bytes, 65536.0, Tick;
    SwapUsed = "swap.used", "Swap used", Machine, Gauge, Bytes, 65536.0, Tick;
    SwapTotal = "swap.total", "Swap total", Machine, Gauge, Bytes, 65536.0, Tick;
    CgroupMemoryUsed = "cgroup.memory.used", "Container memory", Machine, Gauge, Bytes, 65536.0, Tick;
    CgroupMemoryLimit = "cgroup.memory.limit", "Container memory limit", Machine, Gauge, Bytes, 65536.0, Tick;

    // Disks
    DiskRead = "disk.read", "Read", Disk, Counter, Bytes, 1.0, Tick;
    DiskWritten = "disk.written", "Written", Disk, Counter, Bytes, 1.0, Tick;
    /// Share of the time in which at least one request was under way.
    DiskBusy = "disk.busy", "Busy", Disk, Gauge, Percent, 0.1, Tick;
    MountUsed = "mount.used", "Used", Mount, Gauge, Bytes, 65536.0, Space;
    /// What an ordinary user may still write; root's reserve is not in it.
    MountAvailable = "mount.available", "Available", Mount, Gauge, Bytes, 65536.0, Space;
    MountTotal = "mount.total", "Size", Mount, Gauge, Bytes, 65536.0, Space;

    // Network
    NetReceived = "net.received", "Received", Interface, Counter, Bytes, 1.0, Tick;
    NetSent = "net.sent", "Sent", Interface, Counter, Bytes, 1.0, Tick;

    Temperature = "temperature", "Temperature", Sensor, Gauge, Celsius, 1.0, Tick;

    // Processes by name: all processes of one name together
    ProcessCount = "processes.count", "Processes", Machine, Gauge, Count, 1.0, Processes;
    ProcessCpu = "process.cpu", "CPU", Process, Gauge, Percent, 0.1, Processes;
    ProcessRss = "process.rss", "RSS", Process, Gauge, Bytes, 65536.0, Processes;
    ProcessVram = "process.vram", "VRAM", Process, Gauge, Bytes, 65536.0, Processes;

    // Plimsoll itself
    SelfCpu = "self.cpu", "CPU, of one core", Plimsoll, Gauge, Percent, 0.1, Tick;
    SelfRss = "self.rss", "RSS", Plimsoll, Gauge, Bytes, 65536.0, Tick;
    SelfMemoryShare = "self.memory.share", "Share of RAM", Plimsoll, Gauge, Percent, 0.1, Tick;
    SelfVram = "self.vram", "VRAM", Plimsoll, Gauge, Bytes, 65536.0, Processes;
    SelfFiles = "self.files", "Open files", Plimsoll, Gauge, Count, 1.0, Tick;
    SelfConnections = "self.connections", "Open connections", Plimsoll, Gauge, Count, 1.0, Tick;
    /// How late a timer fires on the runtime that serves requests.
    SelfLag = "self.lag", "Runtime lag", Plimsoll, Gauge, Milliseconds, 0.1, Tick;
    SelfTasks = "self.tasks", "Active tasks", Plimsoll, Gauge, Count, 1.0, Tick;
    /// Entries waiting to be written to the history.
    SelfQueue = "self.queue", "Waiting to be written", Plimsoll, Gauge, Count, 1.0, Tick;
    /// Records dropped because a bound was reached; never ticks or marks.
    SelfDropped = "self.dropped", "Dropped records", Plimsoll, Counter, Count, 1.0, Tick;

    // Services: one set of figures, whatever a server calls them. A server that does not
    // tell one has no such series.
    /// 1 while it serves, degraded included, 0 while it does not.
    ServiceUp = "service.up", "Up", Service, Gauge, Flag, 1.0, Tick;
    /// How long the last look at it took.
    ServiceScrapeTime = "service.scrape.time", "Scrape time", Service, Gauge, Milliseconds, 0.1, Tick;
    RequestsRunning = "service.requests.running", "Requests running", Service, Gauge, Count, 1.0, Tick;
    /// Those that wait inside the server, not in Plimsoll's queue.
    RequestsWaiting = "service.requests.waiting", "Requests waiting", Service, Gauge, Count, 1.0, Tick;
    RequestsFinished = "service.requests.finished", "Requests finished", Service, Counter, Count, 1.0, Tick;
    SlotsTotal = "service.slots.total", "Slots", Service, Gauge, Count, 1.0, Tick;
    SlotsBusy = "service.slots.busy", "Slots busy", Service, Gauge, Count, 1.0, Tick;
    TokensPrompt = "service.tokens.prompt", "Prompt tokens", Service, Counter, Count, 1.0, Tick;
    TokensGenerated = "service.tokens.generated", "Generated tokens", Service, Counter, Count, 1.0, Tick;
    KvUsed = "service.kv.used", "KV cache used", Service, Gauge, Percent, 0.1, Tick;
    /// Requests that were set aside because the KV cache was full.
    Preemptions = "service.preemptions", "Preemptions", Service, Counter, Count, 1.0, Tick;
    PrefixQueries = "service.prefix.queries", "Prefix tokens looked up", Service, Counter, Count, 1.0, Tick;
    PrefixHits = "service.prefix.hits", "Prefix tokens found", Service, Counter, Count, 1.0, Tick;
    LatencyTtft = "service.latency.ttft", "Time to first token", Service, Histogram, Milliseconds, 0.001, Tick;
    LatencyItl = "service.latency.itl", "Time between tokens", Service, Histogram, Milliseconds, 0.001, Tick;
    LatencyQueue = "service.latency.queue", "Time in its queue", Service, Histogram, Milliseconds, 0.001, Tick;
    LatencyE2e = "service.latency.e2e", "Time of a request", Service, Histogram, Milliseconds, 0.001, Tick;
    /// Of the process behind it and of all that it started.
    ServiceCpu = "service.cpu", "CPU", Service, Gauge, Percent, 0.1, Processes;
    ServiceRss = "service.rss", "RSS", Service, Gauge, Bytes, 65536.0, Processes;
    ServiceVram = "service.vram", "VRAM", Service, Gauge, Bytes, 65536.0, Processes;

    // Models that are loaded
    /// All of it, wherever it lies.
    ModelSize = "model.size", "Size", Model, Gauge, Bytes, 65536.0, Processes;
    /// The part of it that lies on the GPU: less than its size is a fall to the CPU.
    ModelVram = "model.vram", "VRAM", Model, Gauge, Bytes, 65536.0, Processes;

    // Redis
    RedisMemoryUsed = "redis.memory.used", "Redis memory used", Service, Gauge, Bytes, 4096.0, Processes;
    /// Absent where Redis has no limit.
    RedisMemoryLimit = "redis.memory.limit", "Redis memory limit", Service, Gauge, Bytes, 4096.0, Processes;
    RedisMemoryRss = "redis.memory.rss", "Redis memory held", Service, Gauge, Bytes, 4096.0, Processes;
    /// Held and not used; below zero where a part of it was swapped out.
    RedisFragmentation = "redis.fragmentation.bytes", "Redis fragmentation", Service, Gauge, Bytes, 4096.0, Processes;
    RedisHits = "redis.hits", "Redis hits", Service, Counter, Count, 1.0, Processes;
    RedisMisses = "redis.misses", "Redis misses", Service, Counter, Count, 1.0, Processes;
    RedisEvicted = "redis.evicted", "Redis evictions", Service, Counter, Count, 1.0, Processes;
    RedisOps = "redis.ops", "Redis commands", Service, Counter, Count, 1.0, Processes;
    RedisClients = "redis.clients", "Redis clients", Service, Gauge, Count, 1.0, Processes;
    RedisBlocked = "redis.blocked", "Redis clients blocked", Service, Gauge, Count, 1.0, Processes;

    // Vector stores
    StoreCollections = "store.collections", "Collections", Service, Gauge, Count, 1.0, Processes;
    StorePoints = "store.points", "Points stored", Service, Gauge, Count, 1.0, Processes;
    StoreRequests = "store.requests", "Store requests", Service, Counter, Count, 1.0, Processes;

    // The gateway: what passes it, in all, by the service that answers and by client
    GatewayInFlight = "gateway.in_flight", "Requests in flight", Plimsoll, Gauge, Count, 1.0, Tick;
    GatewayQueued = "gateway.queued", "Requests queued", Plimsoll, Gauge, Count, 1.0, Tick;
    GatewayRequests = "gateway.requests", "Requests", Plimsoll, Counter, Count, 1.0, Tick;
    GatewayRefused = "gateway.refused", "Requests refused", Plimsoll, Counter, Count, 1.0, Tick;
    /// The backend failed, broke off, or took too long.
    GatewayFailed = "gateway.failed", "Requests failed", Plimsoll, Counter, Count, 1.0, Tick;
    /// Sent once more because a connection that had rested turned out to be dead.
    GatewayReplayed = "gateway.replayed", "Requests sent once more", Plimsoll, Counter, Count, 1.0, Tick;
    /// Plimsoll's own time per request, apart from waiting, the backend's and the client's.
    GatewayOverhead = "gateway.overhead", "Overhead", Plimsoll, Histogram, Milliseconds, 0.001, Tick;
    GatewayWait = "gateway.wait", "Wait in the queue", Plimsoll, Histogram, Milliseconds, 0.001, Tick;
    GatewayServiceInFlight = "gateway.service.in_flight", "Gateway in flight", Service, Gauge, Count, 1.0, Tick;
    /// Those that wait and could go to it: one that may go to two counts for both.
    GatewayServiceQueued = "gateway.service.queued", "Gateway queued", Service, Gauge, Count, 1.0, Tick;
    GatewayServiceRequests = "gateway.service.requests", "Gateway requests", Service, Counter, Count, 1.0, Tick;
    GatewayServiceFailed = "gateway.service.failed", "Gateway failures", Service, Counter, Count, 1.0, Tick;
    GatewayServiceTokensIn = "gateway.service.tokens.in", "Gateway tokens in", Service, Counter, Count, 1.0, Tick;
    GatewayServiceTokensOut = "gateway.service.tokens.out", "Gateway tokens out", Service, Counter, Count, 1.0, Tick;
    /// From a request's arrival at Plimsoll to its first token, waiting included.
    GatewayServiceTtft = "gateway.service.ttft", "Gateway time to first token", Service, Histogram, Milliseconds, 0.001, Tick;
    GatewayClientInFlight = "gateway.client.in_flight", "In flight", Client, Gauge, Count, 1.0, Tick;
    GatewayClientRequests = "gateway.client.requests", "Requests", Client, Counter, Count, 1.0, Tick;
    GatewayClientRefused = "gateway.client.refused", "Refused", Client, Counter, Count, 1.0, Tick;
    GatewayClientTokensIn = "gateway.client.tokens.in", "Tokens in", Client, Counter, Count, 1.0, Tick;
    GatewayClientTokensOut = "gateway.client.tokens.out", "Tokens out", Client, Counter, Count, 1.0, Tick;
    /// Its share of the cards' energy.
    GatewayClientEnergy = "gateway.client.energy", "Energy", Client, Counter, Joules, 0.001, Tick;
}

// === impl Metric ===

impl Metric {
    pub fn spec(self) -> &'static MetricSpec {
        // One variant per line of the catalogue, in the same order, by the macro above.
        &CATALOGUE[self as usize]
    }

    pub fn name(self) -> &'static str {
        self.spec().name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_found_by_its_name() {
        for &metric in Metric::ALL {
            assert_eq!(Metric::named(metric.name()), Some(metric));
        }
        assert_eq!(Metric::ALL.len(), CATALOGUE.len());
        assert_eq!(Metric::named("gpu.vram"), None);
    }

    #[test]
    fn labels_are_unique_within_a_subject() {
        let mut seen = std::collections::HashSet::new();
        for spec in CATALOGUE {
            assert!(seen.insert((spec.subject, spec.label)), "{} twice", spec.label);
            assert!(spec.resolution > 0.0, "{} has no resolution", spec.name);
        }
    }
}
