use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Mutex, PoisonError},
};

use plimsoll_core::{clock::Instant3, metric::Metric, request::Priority};

use super::*;
use crate::{Cast, Past, Simulation};

/// Tuesday 17 November 2026, 14:32 UTC; the day's own clock then says 14:31.
const NOW_MS: i64 = 1_794_925_920_000;
const HOUR_MS: i64 = 3_600_000;

/// A gateway of a few lines: so much room at each service, first come first served, and whoever
/// may not wait is refused at once.
#[derive(Clone, Default)]
struct Simple(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    held: BTreeMap<Arc<str>, u32>,
    service: BTreeMap<u64, Arc<str>>,
    line: VecDeque<u64>,
    most: u32,
    counted: u64,
    under_way: usize,
    up: BTreeSet<Arc<str>>,
    outside: u32,
}

// === impl Simple ===

impl Simple {
    fn inside(&self) -> std::sync::MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, id: u64) {
        let mut inside = self.inside();
        let waited = inside.line.len();
        inside.line.retain(|waits| *waits != id);
        let Some(service) = inside.service.remove(&id) else { return };
        if inside.line.len() == waited {
            *inside.held.get_mut(&service).unwrap() -= 1;
        }
    }
}

fn room(service: &str) -> u32 {
    match service {
        "chat" => 4,
        "embed" => 8,
        _ => 1,
    }
}

impl Gate for Simple {
    fn offer(&mut self, caller: &Caller, _: u64) -> Entrance {
        let mut inside = self.inside();
        let held = inside.held.entry(caller.service.clone()).or_default();
        let full = *held >= room(&caller.service);
        if full && caller.patience_ms.is_some() {
            return Entrance::Refused(Refused { status: 503, reason: "No room.".into() });
        }
        if !full {
            *held += 1;
            let held = *held;
            inside.most = inside.most.max(held);
        }
        inside.service.insert(caller.id, caller.service.clone());
        if full {
            inside.line.push_back(caller.id);
            return Entrance::Waits;
        }
        Entrance::Granted
    }
    fn release(&mut self, id: u64, _: Ended, _: Option<u32>, _: u64) {
        self.give_back(id);
    }
    fn pause_ms(&self, tries: u8) -> Option<u64> {
        (tries < 3).then_some(200)
    }
    fn retry(&mut self, id: u64, _: u64, _: u64) {
        let mut inside = self.inside();
        let service = inside.service[&id].clone();
        *inside.held.get_mut(&service).unwrap() -= 1;
        inside.line.push_front(id);
    }
    fn leave(&mut self, id: u64, _: u64) {
        self.give_back(id);
    }
    fn seen(&mut self, service: &Arc<str>, up: bool, outside: u32, _: u64) {
        let mut inside = self.inside();
        inside.outside = inside.outside.max(outside);
        if up {
            inside.up.insert(service.clone());
        } else {
            inside.up.remove(service);
        }
    }
    fn tick(&mut self, _: u64) {}
    fn due_ms(&self) -> Option<u64> {
        None
    }
    fn decided(&mut self) -> Vec<(u64, Result<(), Refused>)> {
        let mut inside = self.inside();
        let mut decided = Vec::new();
        for id in std::mem::take(&mut inside.line) {
            let service = inside.service[&id].clone();
            if inside.held[&service] < room(&service) && inside.up.contains(&service) {
                *inside.held.get_mut(&service).unwrap() += 1;
                decided.push((id, Ok(())));
            } else {
                inside.line.push_back(id);
            }
        }
        decided
    }
    fn marks(&mut self) -> Vec<Mark> {
        Vec::new()
    }
    fn count(&mut self, _: &RequestRow, _: i64) {
        self.inside().counted += 1;
    }
    fn tell(&mut self, under_way: &[Standing], out: &mut Vec<Reading>) {
        let mut inside = self.inside();
        inside.under_way = under_way.len();
        let running = under_way.iter().filter(|one| !one.waits).count();
        out.push(Reading::gauge(Metric::GatewayInFlight, &"".into(), running as f64));
    }
}

fn past(cast: &Cast, hours: i64, step_ms: i64, gate: &Simple) -> Past {
    let start = Instant3 { wall_ms: NOW_MS, monotonic_ms: 5_000_000, boottime_ms: 5_000_000 };
    let from_ms = NOW_MS - hours * HOUR_MS;
    let simulation = cast.on(Simulation::new("day", 1876, 1.0, start).unwrap().since(from_ms));
    let past = simulation.past(from_ms, NOW_MS, step_ms).with_services(cast);
    past.with_gateway(Box::new(gate.clone())).unwrap()
}

fn rows(hours: i64, step_ms: i64) -> (Vec<RequestRow>, Simple) {
    let cast = Cast::unheard().unwrap().with_clients();
    let gate = Simple::default();
    let mut past = past(&cast, hours, step_ms, &gate);
    let mut rows = Vec::new();
    while past.next().is_some() {
        rows.extend(past.requests());
    }
    (rows, gate)
}

#[test]
fn the_same_hour_has_the_same_requests_at_every_step() {
    let (fine, gate) = rows(1, 1000);
    assert!(fine.len() > 200, "{}", fine.len());
    let last_s = NOW_MS / 1000 - 60;
    let until = |rows: &[RequestRow]| -> Vec<RequestRow> {
        let ended = |row: &&RequestRow| row.at_ms + (row.total_us / 1000) as i64 <= last_s * 1000;
        rows.iter().filter(ended).cloned().collect()
    };
    assert_eq!(until(&fine), until(&rows(1, 60_000).0));
    assert_eq!(fine, rows(1, 1000).0);
    assert_eq!(gate.inside().counted, fine.len() as u64);
}

#[test]
fn a_days_requests_are_told_apart_wait_leave_fail_and_stay_within_bounds() {
    let cast = Cast::unheard().unwrap().with_clients();
    let gate = Simple::default();
    let mut past = past(&cast, 24, 10_000, &gate);
    let mut rows = Vec::new();
    let mut finished = Vec::new();
    let mut generated = 0.0f64;
    while let Some(tick) = past.next() {
        rows.extend(past.requests());
        finished.extend(tick.get(Metric::RequestsFinished, "embed"));
        generated = generated.max(tick.get(Metric::TokensGenerated, "chat").unwrap_or(0.0));
        let at_work = tick.get(Metric::RequestsRunning, "chat").unwrap_or(4.0);
        assert!(at_work <= 4.0, "{at_work}");
    }
    // Some tens of thousands at most.
    assert!((5_000..40_000).contains(&rows.len()), "{}", rows.len());
    let ids: BTreeSet<i64> = rows.iter().map(|row| row.id).collect();
    assert_eq!(ids.len(), rows.len());
    assert!(rows.iter().all(|row| row.id >> 12 == row.at_ms || row.id > row.at_ms << 12));
    assert!(rows.iter().all(|row| (NOW_MS - 24 * HOUR_MS..NOW_MS).contains(&row.at_ms)));
    let clients: BTreeSet<&str> = rows.iter().map(|row| &*row.client).collect();
    let named = ["open-webui", "research-agent", "continue", "voice-assistant", "rag-indexer"];
    assert_eq!(clients, named.into_iter().chain(["mail-sorter"]).collect());

    let those = |is: &dyn Fn(&RequestRow) -> bool| rows.iter().filter(|row| is(row)).count();
    let answered = |row: &RequestRow| row.finish == Finish::Answered && row.status == 200;
    assert!(those(&answered) * 10 > rows.len() * 7, "most are answered");
    assert!(those(&|row| row.wait_us > 1_000_000) > 100, "there is a line at busy times");
    assert!(those(&|row| row.finish == Finish::Refused && row.status == 503) > 50);
    assert!(those(&|row| row.finish == Finish::Left) > 20);
    assert!(those(&|row| row.backend.as_deref() == Some("embed") && row.status == 500) > 3);
    assert_eq!(those(&|row| row.priority == Priority::Batch && row.client == "continue"), 0);
    for row in &rows {
        assert!(row.wait_us + row.overhead_us <= row.total_us, "{row:?}");
        assert!(row.ttft_us.is_none_or(|ttft| ttft <= row.total_us), "{row:?}");
        assert_eq!(row.reason.is_empty(), !matches!(row.finish, Finish::Refused | Finish::Failed));
        if answered(row) {
            assert!(row.tokens_in.unwrap() > 0 && row.ttft_us.is_some(), "{row:?}");
            assert_eq!(row.tokens_out.is_some(), row.backend.as_deref() != Some("embed"));
        }
    }
    assert!(gate.inside().most <= 8);

    // What vLLM says it finished is what passed and what it was asked past the gateway: more.
    let at_embed = those(&|row| answered(row) && row.backend.as_deref() == Some("embed"));
    let told = finished.last().unwrap() - finished[0];
    assert!(told > at_embed as f64 && at_embed > 1000, "{told} {at_embed}");
    let passed: u32 =
        rows.iter().filter(|r| r.client != "mail-sorter").filter_map(|r| r.tokens_out).sum();
    assert!(generated > 0.0 && passed > 100_000, "{generated} {passed}");
}
