//! Pressure on the machine. A gate that is closed admits nobody more; what runs goes
//! on. Gates begin by observing: they say when they would have held.

use super::{
    Moved,
    limits::{Gate, GateMode, Gates},
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

#[derive(Clone, Debug)]
pub(super) struct GateSet {
    gates: [GateView; 4],
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

    fn limit(self, of: &Gates) -> Gate {
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
}

// === impl GateView ===

impl GateView {
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
    pub(super) fn new() -> Self {
        let gates = GateKind::ALL.map(|kind| GateView {
            kind,
            mode: GateMode::Off,
            closed: false,
            value: None,
            close: 0.0,
            met: 0,
        });
        Self { gates, holds: false }
    }

    /// Gates whose state changed are told to `changed`.
    pub(super) fn update(
        &mut self,
        limits: &Gates,
        pressure: &Pressure,
        mut changed: impl FnMut(&GateView),
    ) {
        for gate in &mut self.gates {
            let limit = gate.kind.limit(limits);
            // One direction for both kinds: more is worse.
            let sign = if gate.kind.low_is_bad() { -1.0 } else { 1.0 };
            let value = gate.kind.value(pressure).filter(|value| value.is_finite());
            let was = gate.closed;
            gate.mode = limit.mode;
            gate.value = value;
            gate.close = limit.close;
            gate.closed = match (limit.mode, value) {
                (GateMode::Off, _) | (_, None) => false,
                (_, Some(value)) if was => {
                    // An opening value on the wrong side of the closing one would flap.
                    let open = (limit.open * sign).min(limit.close * sign);
                    value * sign > open
                }
                (_, Some(value)) => value * sign > limit.close * sign,
            };
            if gate.closed != was {
                changed(gate);
            }
        }
        self.holds = self.gates.iter().any(|gate| gate.closed && gate.mode == GateMode::Enforce);
    }

    /// A request came.
    pub(super) fn met(&mut self) {
        for gate in &mut self.gates {
            gate.met += u64::from(gate.closed);
        }
    }

    pub(super) fn closed(&self) -> bool {
        self.gates.iter().any(|gate| gate.closed)
    }

    /// What holds, the first of them.
    pub(super) fn held_by(&self) -> Option<&GateView> {
        self.gates.iter().find(|gate| gate.closed && gate.mode == GateMode::Enforce)
    }

    pub(super) fn views(&self) -> &[GateView; 4] {
        &self.gates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gates(mode: GateMode) -> Gates {
        Gates {
            memory: Gate { mode, close: 10.0, open: 15.0 },
            heat: Gate { mode, close: 5.0, open: 10.0 },
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
        let mut all = GateSet::new();
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
    fn little_memory_closes_and_much_opens() {
        let mut all = GateSet::new();
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
        let mut all = GateSet::new();
        let hot = Pressure { heat_margin: Some(1.0), ..Pressure::default() };
        assert_eq!(set(&mut all, GateMode::Observe, hot), [(GateKind::Heat, true)]);
        all.met();
        assert!(!all.holds);
        assert!(all.closed());
        assert_eq!(all.views()[3].met, 1);
    }

    #[test]
    fn an_opening_value_on_the_wrong_side_does_not_make_it_flap() {
        let mut all = GateSet::new();
        let wrong = Gate { mode: GateMode::Enforce, close: 90.0, open: 95.0 };
        let limits = Gates { cpu: wrong, ..Gates::default() };
        for cpu in [92.0, 92.0, 91.0] {
            let busy = Pressure { cpu: Some(cpu), ..Pressure::default() };
            all.update(&limits, &busy, |_| {});
            assert!(all.holds, "at {cpu}");
        }
    }

    #[test]
    fn what_is_not_known_closes_no_gate() {
        let mut all = GateSet::new();
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
