//! All that passes the gateway now, as the window shows it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use plimsoll_core::{
    config::gateway::GateMode,
    traffic::{BreakerState, RoomBasis},
};
use plimsoll_gateway::{
    Listening,
    admission::{self, Desk, GateKind, GateView, Snapshot},
    record::{self, ActiveRequest, Records},
    route::Table,
};
use plimsoll_services::service::Service;
use tokio::{sync::watch, time::sleep};

use super::Traffic;
use crate::{
    api::{
        self, Live, LiveRequest, Phase, Pressed, TrafficBackend, TrafficBreaker, TrafficClient,
        TrafficGate, TrafficTotals,
    },
    hub::Hub,
};

/// Most requests that are listed.
const MAX_LISTED: usize = 256;
/// Shortest time between two words about traffic.
const PAUSE: Duration = Duration::from_secs(1);

// === impl Traffic ===

impl Traffic {
    pub fn now(&self, services: &[Service], now_ms: i64) -> api::Traffic {
        let (state, reason) = self.state();
        let snapshot = self.desk.snapshot();
        let at = |moment: admission::Ms| wall(moment, self.desk.now(), now_ms);
        let totals = self.records.totals();
        // Read once, so that the lists agree with each other.
        let live = self.records.live(MAX_LISTED);
        api::Traffic {
            at_ms: now_ms,
            state,
            reason,
            addresses: self.listening.borrow().addresses.iter().map(ToString::to_string).collect(),
            totals: TrafficTotals {
                in_flight: snapshot.in_flight,
                queued: snapshot.queued,
                queue_max: snapshot.queue_room,
                requests_per_min: f64::from(totals.requests_per_min),
                refused_per_min: f64::from(totals.refused_per_min),
                overhead_p50_us: totals.overhead_p50_us.map(float),
                overhead_p99_us: totals.overhead_p99_us.map(float),
                ended: totals.ended,
            },
            backends: self.backends(&snapshot, &live, services, at),
            clients: self.clients(&snapshot, &live),
            live: live.into_iter().map(|under| self.live(under)).collect(),
            bodies: self.bodies_kept(now_ms),
            gates: snapshot.gates.iter().map(gate).collect(),
        }
    }

    fn backends(
        &self,
        snapshot: &Snapshot,
        live: &[ActiveRequest],
        services: &[Service],
        at: impl Fn(admission::Ms) -> i64,
    ) -> Vec<TrafficBackend> {
        let table = self.table.borrow().clone();
        let followed = self.followed.borrow().clone();
        let views: BTreeMap<&str, _> =
            snapshot.backends.iter().map(|view| (&*view.id, view)).collect();
        let waits = longest_waits(live, &table);
        // In the order of the services; one that is gone and still answers comes last.
        let order = |id: &str| services.iter().position(|service| service.id == id);
        let mut backends: Vec<_> = table.backends().collect();
        backends.sort_by_key(|backend| order(&backend.id).unwrap_or(usize::MAX));
        backends
            .into_iter()
            .map(|backend| {
                let service = services.iter().find(|service| service.id == *backend.id);
                let view = views.get(&*backend.id);
                let room = followed.rooms.get(&backend.id);
                let adaptive = view.and_then(|view| view.adaptive);
                TrafficBackend {
                    id: backend.id.to_string(),
                    name: service
                        .map_or_else(|| backend.id.to_string(), |service| service.name.clone()),
                    kind: backend.kind,
                    up: backend.up,
                    resting: view.is_some_and(|view| view.resting),
                    room: adaptive
                        .or(view.and_then(|view| view.room))
                        .or(room.map(|room| room.requests)),
                    room_basis: match (adaptive, room) {
                        (Some(_), _) => RoomBasis::Adaptive,
                        (None, Some(room)) => room.basis,
                        (None, None) => RoomBasis::Assumed,
                    },
                    in_flight: view.map_or(0, |view| view.in_flight),
                    outside: room.and_then(|room| room.outside),
                    queued: view.map_or(0, |view| view.queued),
                    longest_wait_ms: waits.get(&*backend.id).copied(),
                    breaker: view.map_or_else(
                        || TrafficBreaker {
                            state: BreakerState::Passing,
                            since_ms: at(0),
                            reason: String::new(),
                            probe_ms: None,
                        },
                        |view| breaker(&view.breaker, &at),
                    ),
                    story: self.records.story(&backend.id),
                }
            })
            .collect()
    }

    fn clients(&self, snapshot: &Snapshot, live: &[ActiveRequest]) -> Vec<TrafficClient> {
        let now: BTreeMap<&str, _> =
            snapshot.clients.iter().map(|client| (&*client.name, client)).collect();
        let mut clients: Vec<TrafficClient> = self
            .records
            .clients()
            .into_iter()
            .map(|hour| {
                let now = now.get(&*hour.name);
                TrafficClient {
                    name: hour.name.to_string(),
                    basis: hour.basis,
                    priority: hour.priority,
                    in_flight: now.map_or(0, |now| now.in_flight),
                    queued: now.map_or(0, |now| now.queued),
                    requests: hour.requests,
                    refused: hour.refused,
                    failed: hour.failed,
                    tokens_in: hour.tokens_in,
                    tokens_out: hour.tokens_out,
                    backend_s: hour.backend_s,
                    joules: hour.joules,
                    ttft_p95_ms: hour.ttft_p95_us.map(|us| float(us) / 1000.0),
                    last_ms: hour.last_ms,
                }
            })
            .collect();
        // Those whose first request has not ended yet.
        for under in live {
            if clients.len() >= record::MAX_CLIENTS
                || clients.iter().any(|client| client.name == *under.client)
            {
                continue;
            }
            let now = now.get(&*under.client);
            clients.push(TrafficClient {
                name: under.client.to_string(),
                basis: under.basis,
                priority: under.priority,
                in_flight: now.map_or(0, |now| now.in_flight),
                queued: now.map_or(0, |now| now.queued),
                requests: 0,
                refused: 0,
                failed: 0,
                tokens_in: 0,
                tokens_out: 0,
                backend_s: 0.0,
                joules: None,
                ttft_p95_ms: None,
                last_ms: under.at_ms,
            });
        }
        clients
    }

    fn live(&self, under: ActiveRequest) -> LiveRequest {
        let place = match under.phase {
            record::Phase::Queued => {
                u64::try_from(under.id).ok().and_then(|id| self.desk.position(id))
            }
            _ => None,
        };
        LiveRequest {
            id: under.id,
            at_ms: under.at_ms,
            client: under.client.to_string(),
            endpoint: under.endpoint,
            phase: match under.phase {
                // They stand before every backend, in line or not.
                record::Phase::Queued | record::Phase::Upload | record::Phase::Joined => {
                    Phase::Queued
                }
                record::Phase::Own if under.backend.is_none() => Phase::Queued,
                record::Phase::Own | record::Phase::Prefill => Phase::Prefill,
                record::Phase::Answer => Phase::Decode,
            },
            model: under.model,
            backend: under.backend.as_deref().map(str::to_owned),
            priority: under.priority,
            stream: under.stream,
            position: place.map(|place| place.position),
            expected_wait_ms: place.and_then(|place| place.expected_wait),
            wait_us: under.wait_us,
            overhead_us: under.overhead_us,
            ttft_us: under.ttft_us,
            tokens_in: under.tokens_in,
            tokens_out: under.tokens_out,
            max_tokens: under.max_tokens,
            retries: under.retries,
        }
    }
}

/// Tells those who listen, while anything passes or has just ended.
pub(super) async fn tell(
    records: Records,
    desk: Desk,
    mut listening: watch::Receiver<Listening>,
    hub: Hub,
) {
    let mut before = None;
    loop {
        let moved = listening.has_changed().unwrap_or(false);
        if moved {
            listening.borrow_and_update();
        }
        let now = (records.totals(), desk.in_flight(), records.is_busy());
        if moved || now.2 || before.as_ref() != Some(&now) {
            hub.tell(Live::Traffic { at_ms: records.wall_ms() });
            before = Some(now);
        }
        sleep(PAUSE).await;
    }
}

/// How long those wait that could go to a backend, the longest. Those that are listed are the
/// oldest, and so the ones that wait longest.
fn longest_waits(under: &[ActiveRequest], table: &Table) -> BTreeMap<Arc<str>, u64> {
    let mut waits = BTreeMap::new();
    for under in under.iter().filter(|under| under.phase == record::Phase::Queued) {
        let Ok(way) = table.way(under.endpoint, &under.model) else { continue };
        for candidate in way.candidates.iter() {
            let longest: &mut u64 = waits.entry(candidate.backend.clone()).or_default();
            *longest = under.wait_us.div_ceil(1000).max(*longest);
        }
    }
    waits
}

fn breaker(view: &admission::BreakerView, at: impl Fn(admission::Ms) -> i64) -> TrafficBreaker {
    TrafficBreaker {
        state: view.state,
        since_ms: at(view.since),
        reason: view.tripped.as_ref().map(ToString::to_string).unwrap_or_default(),
        probe_ms: view.next_probe.map(at),
    }
}

fn gate(view: &GateView) -> TrafficGate {
    TrafficGate {
        gate: match view.kind {
            GateKind::Memory => Pressed::Memory,
            GateKind::MemoryStall => Pressed::MemoryStall,
            GateKind::Cpu => Pressed::Cpu,
            GateKind::Heat => Pressed::Temperature,
        },
        enforced: view.mode == GateMode::Enforce,
        closed: view.closed,
        value: view.value,
        close: view.close,
        met: view.met,
        reason: if view.closed { view.reason() } else { String::new() },
    }
}

/// A moment of the desk's clock, on that of the wall.
fn wall(moment: admission::Ms, now: admission::Ms, now_ms: i64) -> i64 {
    let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    now_ms.saturating_add(signed(moment)).saturating_sub(signed(now))
}

#[expect(clippy::cast_precision_loss, reason = "shown, not stored")]
pub(super) fn float(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_of_the_desk_is_one_of_the_wall() {
        assert_eq!(wall(4000, 10_000, 1_000_000), 994_000);
        assert_eq!(wall(15_000, 10_000, 1_000_000), 1_005_000, "a probe is still to come");
    }
}
