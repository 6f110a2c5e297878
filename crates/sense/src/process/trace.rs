//! The last ten minutes of one value of one process, in memory only.

use std::collections::VecDeque;

use plimsoll_core::process::TRACE_POINTS;

/// Whole steps of four bytes each; the highest one says that nothing is known.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    points: VecDeque<u32>,
}

const GAP: u32 = u32::MAX;

// === impl Trace ===

impl Trace {
    pub fn push(&mut self, value: Option<u64>) {
        if self.points.len() == TRACE_POINTS {
            self.points.pop_front();
        }
        // Too large for a step is the largest step, not a gap.
        let point = value.map_or(GAP, |v| u32::try_from(v).unwrap_or(GAP).min(GAP - 1));
        self.points.push_back(point);
    }

    /// Oldest first.
    pub fn points(&self) -> impl Iterator<Item = Option<u32>> {
        self.points.iter().map(|&point| (point != GAP).then_some(point))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // MV13
    #[test]
    fn a_trace_forgets_what_is_older_than_its_points() {
        let mut trace = Trace::default();
        (0..TRACE_POINTS as u64 + 5).for_each(|v| trace.push(Some(v)));
        trace.push(None);
        trace.push(Some(u64::MAX));
        let points: Vec<_> = trace.points().collect();
        assert_eq!(points.len(), TRACE_POINTS);
        assert_eq!(points[0], Some(7));
        assert_eq!(points[TRACE_POINTS - 2..], [None, Some(u32::MAX - 1)]);
    }
}
