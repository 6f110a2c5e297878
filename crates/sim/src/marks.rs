//! What a scenario marks on the time axis, in its past and while it runs.

use std::sync::Arc;

use plimsoll_core::{clock::Instant3, mark::Mark};

use crate::{plan::Plan, simulation::Timeline};

/// The marks of a scenario that runs, each given once.
#[derive(Clone, Debug)]
pub struct LiveMarks {
    plan: Arc<Plan>,
    timeline: Timeline,
    /// The first second that was not looked at yet.
    next: i64,
}

// === impl LiveMarks ===

impl LiveMarks {
    pub(crate) fn new(plan: Arc<Plan>, timeline: Timeline) -> Self {
        let next = timeline.second_at(timeline.start);
        Self { plan, timeline, next }
    }

    /// What was marked since the last call, oldest first, up to and with the second of
    /// `now`. Its moments are those of the wall clock as it stands now.
    pub fn until(&mut self, now: Instant3) -> Vec<Mark> {
        let end = self.timeline.second_at(now) + 1;
        if end <= self.next {
            return Vec::new();
        }
        let mut marks = between(&self.plan, self.timeline, self.next, end);
        self.next = end;
        // A wall clock that was set moved the readings beside which they stand, too.
        let start = self.timeline.start;
        let moved = (now.wall_ms - start.wall_ms) - (now.monotonic_ms - start.monotonic_ms);
        marks.iter_mut().for_each(|mark| mark.at_ms += moved);
        marks
    }
}

/// What is marked from one simulated second up to, not including, another.
pub fn between(plan: &Plan, timeline: Timeline, from: i64, to: i64) -> Vec<Mark> {
    let length = plan.scenario.length.0;
    let mut marks = Vec::new();
    for planned in &plan.scenario.marks {
        let mut second = from + (planned.at.0 - plan.scene(from)).rem_euclid(length);
        while second < to {
            let mut mark = Mark::new(timeline.shown_ms(second), planned.kind, &*planned.title);
            mark.detail = "Simulated.".into();
            marks.push(mark);
            second += length;
        }
    }
    marks.sort_by_key(|mark| mark.at_ms);
    marks
}
