//! What admission does by itself stands on every chart's time axis: a breaker that trips
//! or lets through again, a limit that moves, a gate that closes. And so does what could not
//! be recorded.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use plimsoll_core::{
    clock::Clock,
    mark::{Mark, MarkKind},
    record::Record,
    traffic::BreakerState,
};
use plimsoll_gateway::{
    admission::{BackendId, Desk, GateKind, Move, Moved},
    record::Records,
};
use tokio::time::sleep;

/// How often its moves are fetched.
const EVERY: Duration = Duration::from_secs(1);
/// Moves of one limit within this time are one mark.
const LIMIT_PAUSE_MS: i64 = 60_000;
/// So often it is told that requests are not recorded.
const MISSING_PAUSE_MS: i64 = 60_000;

/// Requests that are missing in the log, as far as they were told.
#[derive(Default)]
struct Missing {
    told: u64,
    last_ms: Option<i64>,
}

pub(super) async fn follow(
    desk: Desk,
    records: Records,
    clock: Arc<dyn Clock>,
    record: Arc<dyn Record>,
) {
    let mut limits = BTreeMap::new();
    let mut missing = Missing::default();
    loop {
        sleep(EVERY).await;
        let (now_ms, desk_now) = (clock.now().wall_ms, desk.now());
        if let Some(mark) = missing.mark(records.dropped(), now_ms) {
            tracing::warn!("{}", mark.title);
            record.mark(mark);
        }
        for moved in desk.moves() {
            let ago = i64::try_from(desk_now.saturating_sub(moved.at)).unwrap_or(0);
            if let Some(mark) = mark_of(&moved, now_ms - ago, &mut limits) {
                record.mark(mark);
            }
        }
    }
}

// === impl Missing ===

impl Missing {
    /// What is missing since it was told last; at most once a minute.
    fn mark(&mut self, dropped: u64, now_ms: i64) -> Option<Mark> {
        // A clock that jumped back is no reason to be silent for long.
        let lately =
            self.last_ms.is_some_and(|last| (last..last + MISSING_PAUSE_MS).contains(&now_ms));
        if dropped <= self.told || lately {
            return None;
        }
        let count = dropped - std::mem::replace(&mut self.told, dropped);
        self.last_ms = Some(now_ms);
        let (requests, are) = if count == 1 { ("request", "is") } else { ("requests", "are") };
        let title = format!("{count} {requests} through the gateway {are} not in the log");
        let mut mark = Mark::new(now_ms, MarkKind::History, title);
        mark.detail =
            "They were served, but ended faster than they could be recorded: figures and \
                       log do not have them."
                .into();
        Some(mark)
    }
}

/// The mark of a move, where one is set; `limits`: when one of each limit was set last.
pub(crate) fn mark_of(
    moved: &Move,
    at_ms: i64,
    limits: &mut BTreeMap<BackendId, i64>,
) -> Option<Mark> {
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

    #[test]
    fn requests_that_could_not_be_recorded_are_told_once_a_minute_with_their_number() {
        let mut missing = Missing::default();
        assert_eq!(missing.mark(0, 0), None);
        let first = missing.mark(100, 1000).unwrap();
        assert_eq!(first.title, "100 requests through the gateway are not in the log");
        assert_eq!((first.kind, first.at_ms), (MarkKind::History, 1000));
        assert_eq!(missing.mark(100, 2000), None, "nothing new");
        assert_eq!(missing.mark(150, 2000), None, "not again within the minute");
        let next = missing.mark(151, 61_000).unwrap();
        assert_eq!(next.title, "51 requests through the gateway are not in the log");
        assert!(missing.mark(152, 500).is_some(), "the clock went back");
    }
}
