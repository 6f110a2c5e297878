//! Pressure on the machine. A gate that is closed admits nobody more; what runs goes
//! on. Gates begin by observing: they say when they would have held.

use plimsoll_core::config::gateway::GateMode;

use super::{
    Moved,
    limits::{Gate, Gates},
};

/// How the machine is. What is not known closes no gate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// Percent of all memory that is available.
    pub memory_available: Option<f64>,
    /// Percent of time in which every task stalled for memory (PSI full).
    pub memory_stall: Option<f64>,
    /// Percent of all cores that is busy.
    pub cpu: Option<f64>,
    /// °C that the hottest card has left to the point where it slows down.
    pub heat_margin: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GateKind {
    Memory,
    MemoryStall,
    Cpu,
    Heat,
}

/// One gate as it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GateView {
    pub kind: GateKind,
    pub mode: GateMode,
    pub closed: bool,
    pub value: Option<f64>,
    /// Value at which it closes.
    pub close: f64,
    /// Requests that came while it was closed: held if it is enforced, else only counted.
    pub met: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct GateSet {
    /// By their kinds; `None` where none is set up.
    gates: [Option<GateView>; 4],
    /// An enforced one is closed.
    pub(super) holds: bool,
}

// === impl GateKind ===

impl GateKind {
    const ALL: [Self; 4] = [Self::Memory, Self::MemoryStall, Self::Cpu, Self::Heat];

    fn value(self, of: &Pressure) -> Option<f64> {
        match self {
            Self::Memory => of.memory_available,
            Self::MemoryStall => of.memory_stall,
            Self::Cpu => of.cpu,
            Self::Heat => of.heat_margin,
        }
    }

    fn limit(self, of: &Gates) -> Option<Gate> {
        match self {
            Self::Memory => of.memory,
            Self::MemoryStall => of.memory_stall,
            Self::Cpu => of.cpu,
            Self::Heat => of.heat,
        }
    }

    /// Little of it is bad, where of the others much is.
    fn low_is_bad(self) -> bool {
        matches!(self, Self::Memory | Self::Heat)
    }

    /// Whether a gate that `was` closed, or not, is to be closed at this value.
    fn closes(self, value: f64, was: bool, limit: Gate) -> bool {
        // One direction for both kinds: more is worse.
        let sign = if self.low_is_bad() { -1.0 } else { 1.0 };
        let (value, close, open) = (value * sign, limit.close * sign, limit.open * sign);
        // An opening value on the wrong side of the closing one would flap.
        value > if was { open.min(close) } else { close }
    }
}

// === impl GateView ===

impl GateView {
    fn open(kind: GateKind, limit: Gate) -> Self {
        Self { kind, mode: limit.mode, closed: false, value: None, close: limit.close, met: 0 }
    }

    pub(super) fn moved(&self) -> Moved {
        let Self { kind, closed, value, .. } = *self;
        Moved::Gate { kind, closed, enforced: self.mode == GateMode::Enforce, value }
    }

    /// Part of a sentence that says what holds.
    pub fn reason(&self) -> String {
        let value = self.value.unwrap_or(f64::NAN);
        let limit = self.close;
        match self.kind {
            GateKind::Memory => {
                format!("only {value:.0} % of memory is available, {limit:.0} % is the least")
            }
            GateKind::MemoryStall => {
                format!("tasks stall for memory {value:.0} % of the time, {limit:.0} % is the most")
            }
            GateKind::Cpu => {
                format!("the processor is {value:.0} % busy, {limit:.0} % is the most")
            }
            GateKind::Heat => {
                format!("the card is {value:.0} °C from slowing down, {limit:.0} °C is the least")
            }
        }
    }
}

// === impl GateSet ===

impl GateSet {
    /// Gates whose state changed are told to `changed`.
    pub(super) fn update(
        &mut self,
        limits: &Gates,
        pressure: &Pressure,
        mut changed: impl FnMut(&GateView),
    ) {
        for (kind, place) in GateKind::ALL.into_iter().zip(&mut self.gates) {
            let Some(limit) = kind.limit(limits) else {
                if let Some(gate) = place.take()
                    && gate.closed
                {
                    changed(&GateView { closed: false, ..gate });
                }
                continue;
            };
            let gate = place.get_or_insert_with(|| GateView::open(kind, limit));
            let was = gate.closed;
            // What holds a gate shut between its two values is the limit it closed at: at another
            // limit it is judged anew.
            let held = was && gate.close.to_bits() == limit.close.to_bits();
            let value = kind.value(pressure).filter(|value| value.is_finite());
            *gate = GateView {
                mode: limit.mode,
                close: limit.close,
                closed: value.is_some_and(|value| kind.closes(value, held, limit)),
                value,
                ..*gate
            };
            if gate.closed != was {
                changed(gate);
            }
        }
        self.holds = self.held_by().is_some();
    }

    /// A request came.
    pub(super) fn met(&mut self) {
        for gate in self.gates.iter_mut().flatten() {
            gate.met += u64::from(gate.closed);
        }
    }

    pub(super) fn closed(&self) -> bool {
        self.views().any(|gate| gate.closed)
    }

    /// What holds, the first of them.
    pub(super) fn held_by(&self) -> Option<&GateView> {
        self.views().find(|gate| gate.closed && gate.mode == GateMode::Enforce)
    }

    pub(super) fn views(&self) -> impl Iterator<Item = &GateView> {
        self.gates.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gates(mode: GateMode) -> Gates {
        Gates {
            memory: Some(Gate { mode, close: 10.0, open: 15.0 }),
            heat: Some(Gate { mode, close: 5.0, open: 10.0 }),
            ..Gates::default()
        }
    }

    fn set(set: &mut GateSet, mode: GateMode, pressure: Pressure) -> Vec<(GateKind, bool)> {
        let mut changes = Vec::new();
        set.update(&gates(mode), &pressure, |gate| changes.push((gate.kind, gate.closed)));
        changes
    }

    #[test]
    fn a_gate_closes_at_one_value_and_opens_at_another() {
        let mut all = GateSet::default();
        let at = |left| Pressure { heat_margin: Some(left), ..Pressure::default() };
        assert_eq!(set(&mut all, GateMode::Enforce, at(5.0)), []);
        assert_eq!(set(&mut all, GateMode::Enforce, at(4.5)), [(GateKind::Heat, true)]);
        assert!(all.holds);
        assert_eq!(set(&mut all, GateMode::Enforce, at(8.0)), []);
        assert!(all.holds);
        assert_eq!(set(&mut all, GateMode::Enforce, at(10.0)), [(GateKind::Heat, false)]);
        assert!(!all.holds);
    }

    #[test]
    fn a_gate_whose_limit_moved_is_judged_by_the_new_one_alone() {
        let bad = Pressure {
            memory_available: Some(12.0),
            memory_stall: Some(96.0),
            cpu: Some(96.0),
            heat_margin: Some(12.0),
        };
        let all_of = |low: f64, high: f64| {
            let gate = |close, open| Some(Gate { mode: GateMode::Enforce, close, open });
            Gates {
                memory: gate(low, low + 5.0),
                memory_stall: gate(high, high - 5.0),
                cpu: gate(high, high - 5.0),
                heat: gate(low, low + 5.0),
            }
        };
        let closed = |all: &GateSet| all.views().filter(|gate| gate.closed).count();
        let mut all = GateSet::default();
        all.update(&all_of(20.0, 50.0), &bad, |_| {});
        assert_eq!((closed(&all), all.holds), (4, true));
        // Each value lies where the gate would stay closed, had it closed at this limit.
        let mut opened = 0;
        all.update(&all_of(10.0, 100.0), &bad, |_| opened += 1);
        assert_eq!((closed(&all), all.holds, opened), (0, false, 4));
        all.update(&all_of(20.0, 50.0), &bad, |_| {});
        assert_eq!((closed(&all), all.holds), (4, true), "and closed again by the next");
    }

    #[test]
    fn little_memory_closes_and_much_opens() {
        let mut all = GateSet::default();
        let at = |free| Pressure { memory_available: Some(free), ..Pressure::default() };
        set(&mut all, GateMode::Enforce, at(9.0));
        assert!(all.holds);
        assert_eq!(
            all.held_by().map(GateView::reason).as_deref(),
            Some("only 9 % of memory is available, 10 % is the least")
        );
        set(&mut all, GateMode::Enforce, at(14.0));
        assert!(all.holds);
        set(&mut all, GateMode::Enforce, at(15.0));
        assert!(!all.holds);
    }

    #[test]
    fn a_gate_that_observes_holds_nobody_and_counts_whom_it_would_have_held() {
        let mut all = GateSet::default();
        let hot = Pressure { heat_margin: Some(1.0), ..Pressure::default() };
        assert_eq!(set(&mut all, GateMode::Observe, hot), [(GateKind::Heat, true)]);
        all.met();
        assert!(!all.holds);
        assert!(all.closed());
        assert_eq!(all.views().map(|gate| gate.met).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn an_opening_value_on_the_wrong_side_does_not_make_it_flap() {
        let mut all = GateSet::default();
        let wrong = Gate { mode: GateMode::Enforce, close: 90.0, open: 95.0 };
        let limits = Gates { cpu: Some(wrong), ..Gates::default() };
        for cpu in [92.0, 92.0, 91.0] {
            let busy = Pressure { cpu: Some(cpu), ..Pressure::default() };
            all.update(&limits, &busy, |_| {});
            assert!(all.holds, "at {cpu}");
        }
    }

    #[test]
    fn what_is_not_known_closes_no_gate() {
        let mut all = GateSet::default();
        set(
            &mut all,
            GateMode::Enforce,
            Pressure { heat_margin: Some(1.0), ..Pressure::default() },
        );
        assert!(all.holds);
        let unknown = Pressure { heat_margin: Some(f64::NAN), ..Pressure::default() };
        set(&mut all, GateMode::Enforce, unknown);
        assert!(!all.holds);
    }
}
