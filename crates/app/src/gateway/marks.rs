//! What admission does by itself stands on every chart's time axis: a breaker that trips
//! or lets through again, a limit that moves, a gate that closes.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use plimsoll_core::{
    clock::Clock,
    mark::{Mark, MarkKind},
    record::Record,
    traffic::BreakerState,
};
use plimsoll_gateway::admission::{BackendId, Desk, GateKind, Move, Moved};
use tokio::time::sleep;

/// How often its moves are fetched.
const EVERY: Duration = Duration::from_secs(1);
/// Moves of one limit within this time are one mark.
const LIMIT_PAUSE_MS: i64 = 60_000;

pub(super) async fn follow(desk: Desk, clock: Arc<dyn Clock>, record: Arc<dyn Record>) {
    let mut limits = BTreeMap::new();
    loop {
        sleep(EVERY).await;
        let (now_ms, desk_now) = (clock.now().wall_ms, desk.now());
        for moved in desk.moves() {
            let ago = i64::try_from(desk_now.saturating_sub(moved.at)).unwrap_or(0);
            if let Some(mark) = mark_of(&moved, now_ms - ago, &mut limits) {
                record.mark(mark);
            }
        }
    }
}

fn mark_of(moved: &Move, at_ms: i64, limits: &mut BTreeMap<BackendId, i64>) -> Option<Mark> {
    match &moved.what {
        Moved::Breaker { backend, to, tripped } => {
            let title = match to {
                BreakerState::Rejecting => format!("Requests to {backend} are rejected for now"),
                BreakerState::Probing => return None,
                BreakerState::Passing => format!("Requests to {backend} pass again"),
            };
            let mut mark = Mark::of_service(at_ms, backend, title);
            mark.detail = tripped.as_ref().map(ToString::to_string).unwrap_or_default();
            Some(mark)
        }
        Moved::Adaptive { backend, from, to } => {
            let last = limits.get(backend).copied();
            if last.is_some_and(|last| at_ms - last < LIMIT_PAUSE_MS) {
                return None;
            }
            limits.insert(backend.clone(), at_ms);
            let title = format!("The limit found for {backend} went from {from} to {to}");
            let mut mark = Mark::of_service(at_ms, backend, title);
            mark.kind = MarkKind::Change;
            Some(mark)
        }
        // One that only observes is told by its count.
        Moved::Gate { enforced: false, .. } => None,
        Moved::Gate { kind, closed, value, .. } => {
            let what = match kind {
                GateKind::Memory => "too little memory is available",
                GateKind::MemoryStall => "tasks stall for memory",
                GateKind::Cpu => "the CPU is busy",
                GateKind::Heat => "the GPU is near its slowdown point",
            };
            let title = match closed {
                true => format!("Requests wait: {what}"),
                false => format!("Requests are admitted again ({what} no more)"),
            };
            let mut mark = Mark::new(at_ms, MarkKind::Change, title);
            mark.detail = value.map(|value| format!("{value:.1}")).unwrap_or_default();
            Some(mark)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breaker_that_trips_is_told_of_its_service_and_a_limit_not_more_than_once_a_minute() {
        let mut limits = BTreeMap::new();
        let trip = Move {
            at: 0,
            what: Moved::Breaker {
                backend: "chat".into(),
                to: BreakerState::Rejecting,
                tripped: None,
            },
        };
        let mark = mark_of(&trip, 7, &mut limits).unwrap();
        assert_eq!((mark.at_ms, mark.subject.as_deref()), (7, Some("chat")));
        let step = Move { at: 0, what: Moved::Adaptive { backend: "chat".into(), from: 4, to: 3 } };
        assert!(mark_of(&step, 0, &mut limits).is_some());
        assert!(mark_of(&step, 59_999, &mut limits).is_none());
        assert!(mark_of(&step, 60_000, &mut limits).is_some());
    }
}
