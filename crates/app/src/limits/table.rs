//! Which settings are limits, what each limits, and which chart it moves. All else that is
//! said of them stands in the table of settings.

use plimsoll_core::{config::table::setting_of, metric::Metric};

use crate::api::LimitGroup;

/// Where a limit belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// A key of the table of settings.
    pub key: &'static str,
    pub group: LimitGroup,
    pub chart: Option<Drawn>,
}

/// The chart that a limit moves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drawn {
    /// The first carries the line.
    pub metrics: &'static [Metric],
    pub line: Line,
    pub filled: bool,
}

/// How a limit is drawn on its chart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Line {
    /// The chart moves, and has no height that is the limit.
    None,
    /// The limit times this.
    Times(f64),
    /// A share of all memory, in percent, that must stay free.
    FloorOfMemory,
}

/// All groups with their titles, in the order in which they are shown.
pub(super) const GROUPS: [(LimitGroup, &str); 10] = [
    (LimitGroup::Vram, "GPU and VRAM"),
    (LimitGroup::Concurrency, "Concurrency"),
    (LimitGroup::Queue, "Queue and waiting"),
    (LimitGroup::Clients, "Clients and keys"),
    (LimitGroup::Time, "Time-outs"),
    (LimitGroup::Retries, "Retries, breaker"),
    (LimitGroup::Cache, "Cache"),
    (LimitGroup::Memory, "Memory, CPU, connections"),
    (LimitGroup::Disk, "Disk and history"),
    (LimitGroup::Measuring, "Measuring"),
];

const MIB: f64 = 1_048_576.0;
const MS_PER_S: f64 = 1000.0;
/// A chart of a counter is drawn per second.
const PER_MINUTE: f64 = 1.0 / 60.0;

const fn place(group: LimitGroup, key: &'static str) -> Place {
    Place { key, group, chart: None }
}

// === impl Place ===

impl Place {
    const fn moves(mut self, metrics: &'static [Metric]) -> Self {
        self.chart = Some(Drawn { metrics, line: Line::None, filled: false });
        self
    }

    const fn draws(mut self, metrics: &'static [Metric], times: f64) -> Self {
        self.chart = Some(Drawn { metrics, line: Line::Times(times), filled: false });
        self
    }

    /// A line that is meant to be reached.
    const fn fills(mut self, metrics: &'static [Metric]) -> Self {
        self.chart = Some(Drawn { metrics, line: Line::Times(1.0), filled: true });
        self
    }

    const fn floor(mut self, metrics: &'static [Metric]) -> Self {
        self.chart = Some(Drawn { metrics, line: Line::FloorOfMemory, filled: false });
        self
    }
}

use LimitGroup as G;
use Metric as M;

/// Every limit, in the order in which people read them within a group.
pub(super) const PLACES: &[Place] = &[
    place(G::Vram, "services.*.vram_mib").draws(&[M::ServiceVram], MIB),
    place(G::Vram, "services.*.context_tokens").moves(&[M::ServiceVram]),
    place(G::Vram, "services.*.kv_type").moves(&[M::ServiceVram]),
    place(G::Vram, "services.*.gpu_layers").moves(&[M::ServiceVram]),
    place(G::Vram, "services.*.gpu_memory_utilization").moves(&[M::ServiceVram]),
    place(G::Vram, "gateway.gates.temperature.mode").moves(&[M::GpuTemperature]),
    place(G::Vram, "gateway.gates.temperature.margin_c").moves(&[M::GpuTemperature]),
    place(G::Concurrency, "services.*.max_in_flight")
        .fills(&[M::GatewayServiceInFlight, M::GatewayServiceQueued]),
    place(G::Concurrency, "services.*.parallel").fills(&[M::SlotsBusy, M::RequestsWaiting]),
    place(G::Concurrency, "services.*.max_tokens").moves(&[M::KvUsed]),
    place(G::Concurrency, "gateway.max_in_flight").fills(&[M::GatewayInFlight, M::GatewayQueued]),
    place(G::Concurrency, "gateway.routes.*.max_in_flight").moves(&[M::GatewayInFlight]),
    place(G::Concurrency, "gateway.adaptive.min").moves(&[M::GatewayInFlight]),
    place(G::Concurrency, "gateway.adaptive.tolerance_percent").moves(&[M::GatewayInFlight]),
    place(G::Concurrency, "gateway.consult.max_models").moves(&[M::GatewayInFlight]),
    place(G::Queue, "gateway.queue.max").draws(&[M::GatewayQueued], 1.0),
    place(G::Queue, "gateway.queue.wait_s").draws(&[M::GatewayWait], MS_PER_S),
    place(G::Queue, "gateway.queue.batch_wait_s").draws(&[M::GatewayWait], MS_PER_S),
    place(G::Queue, "gateway.queue.age_s").moves(&[M::GatewayWait]),
    place(G::Clients, "gateway.clients.max_in_flight").moves(&[M::GatewayInFlight]),
    place(G::Clients, "gateway.clients.requests_per_min").moves(&[M::GatewayRequests]),
    place(G::Clients, "gateway.clients.tokens_per_min").moves(&[M::GatewayRequests]),
    place(G::Clients, "gateway.clients.*.max_in_flight").fills(&[M::GatewayClientInFlight]),
    place(G::Clients, "gateway.clients.*.requests_per_min")
        .draws(&[M::GatewayClientRequests], PER_MINUTE),
    place(G::Clients, "gateway.clients.*.tokens_per_min").moves(&[M::GatewayClientTokensOut]),
    place(G::Time, "gateway.timeout.first_byte_s").moves(&[M::GatewayFailed]),
    place(G::Time, "gateway.timeout.between_s").moves(&[M::GatewayFailed]),
    place(G::Time, "gateway.timeout.total_s").moves(&[M::GatewayFailed]),
    place(G::Time, "gateway.timeout.connect_ms").moves(&[M::GatewayFailed]),
    place(G::Time, "gateway.timeout.client_s").moves(&[M::GatewayInFlight]),
    place(G::Time, "gateway.timeout.head_s").moves(&[M::SelfConnections]),
    place(G::Time, "gateway.timeout.idle_s").moves(&[M::SelfConnections]),
    place(G::Time, "gateway.drain_s").moves(&[M::GatewayInFlight]),
    place(G::Time, "services.*.stop_s"),
    place(G::Retries, "gateway.retry.tries").moves(&[M::GatewayFailed]),
    place(G::Retries, "gateway.retry.pause_ms").moves(&[M::GatewayFailed]),
    place(G::Retries, "gateway.retry.held_mib").moves(&[M::SelfRss]),
    place(G::Retries, "gateway.retry.payload_mib").moves(&[M::SelfRss]),
    place(G::Retries, "gateway.breaker.failures").moves(&[M::GatewayFailed]),
    place(G::Retries, "gateway.breaker.rate_percent").moves(&[M::GatewayFailed]),
    place(G::Retries, "gateway.breaker.rate_min").moves(&[M::GatewayFailed]),
    place(G::Retries, "gateway.breaker.rejecting_s").moves(&[M::GatewayFailed]),
    place(G::Cache, "gateway.cache.max_mib").moves(&[M::SelfRss]),
    place(G::Cache, "gateway.cache.max_entries").moves(&[M::SelfRss]),
    place(G::Cache, "gateway.cache.ttl_s").moves(&[M::GatewayRequests]),
    place(G::Cache, "gateway.cache.entry_kib").moves(&[M::SelfRss]),
    place(G::Memory, "gateway.gates.memory.mode").moves(&[M::MemoryAvailable]),
    place(G::Memory, "gateway.gates.memory.available_percent").floor(&[M::MemoryAvailable]),
    place(G::Memory, "gateway.gates.memory.stalled_percent").draws(&[M::PressureMemoryFull], 1.0),
    place(G::Memory, "gateway.gates.cpu.mode").moves(&[M::CpuBusy]),
    place(G::Memory, "gateway.gates.cpu.busy_percent").draws(&[M::CpuBusy], 1.0),
    place(G::Memory, "gateway.held_mib").moves(&[M::SelfRss]),
    place(G::Memory, "gateway.max_body_mib").moves(&[M::SelfRss]),
    place(G::Memory, "gateway.consult.held_mib").moves(&[M::SelfRss]),
    place(G::Memory, "gateway.max_connections").draws(&[M::SelfConnections], 1.0),
    place(G::Memory, "gateway.pool.idle").moves(&[M::SelfConnections]),
    place(G::Memory, "gateway.pool.idle_s").moves(&[M::SelfConnections]),
    place(G::Memory, "services.*.max_connections").moves(&[M::SelfConnections]),
    place(G::Disk, "history.max_mib"),
    place(G::Disk, "history.keep.raw_hours"),
    place(G::Disk, "history.keep.s10_days"),
    place(G::Disk, "history.keep.m1_days"),
    place(G::Disk, "history.keep.m15_days"),
    place(G::Disk, "history.keep.h1_days"),
    place(G::Disk, "history.keep.marks_days"),
    place(G::Disk, "history.keep.log_days"),
    place(G::Disk, "history.keep.requests_days"),
    place(G::Disk, "history.keep.requests_mib"),
    place(G::Disk, "history.checkpoint_s"),
    place(G::Disk, "log.file_mib"),
    place(G::Disk, "log.files"),
    place(G::Measuring, "sampling.interval_ms").moves(&[M::SelfCpu]),
    place(G::Measuring, "sampling.processes_ms").moves(&[M::SelfCpu]),
    place(G::Measuring, "sampling.disk_space_ms").moves(&[M::SelfCpu]),
    place(G::Measuring, "sampling.max_series").moves(&[M::SelfRss]),
    place(G::Measuring, "services.scrape_ms").moves(&[M::SelfCpu]),
    place(G::Measuring, "services.*.scrape_ms").moves(&[M::ServiceScrapeTime]),
    place(G::Measuring, "services.timeout_ms").moves(&[M::SelfLag]),
    place(G::Measuring, "services.max_body_kib").moves(&[M::SelfRss]),
];

/// Whether that concrete key is one of a limit.
pub(super) fn is_limit(key: &str) -> bool {
    setting_of(key).is_some_and(|setting| PLACES.iter().any(|place| place.key == setting.key))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use plimsoll_core::config::{SETTINGS, setting::Accepts};

    use super::*;

    /// Numbers that limit nothing: an order, a price, and what alerts watch (they tell, and
    /// hold nobody back).
    const NO_LIMITS: [&str; 4] =
        ["services.*.order", "power.price_per_kwh", "alerts.notify_gap_min", "alerts.rules."];

    // AR9
    #[test]
    fn every_setting_that_is_a_number_is_a_limit_or_said_to_be_none() {
        let mut seen = BTreeSet::new();
        for place in PLACES {
            assert!(SETTINGS.iter().any(|s| s.key == place.key), "{} is no setting", place.key);
            assert!(seen.insert(place.key), "{} twice", place.key);
        }
        for setting in SETTINGS {
            let number = matches!(
                setting.accepts,
                Accepts::Whole { .. } | Accepts::WholeOr { .. } | Accepts::Number { .. }
            );
            let none = NO_LIMITS.iter().any(|key| setting.key.starts_with(key));
            assert!(!number || none || seen.contains(setting.key), "{}", setting.key);
        }
    }

    #[test]
    fn every_group_has_a_title_and_something_in_it() {
        for (group, title) in GROUPS {
            assert!(!title.is_empty() && PLACES.iter().any(|place| place.group == group));
        }
        let titled = |group| GROUPS.iter().any(|(of, _)| *of == group);
        assert!(PLACES.iter().all(|place| titled(place.group)));
    }
}
