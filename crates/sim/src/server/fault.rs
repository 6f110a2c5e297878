//! What can go wrong with a server, told to it or planned.

use serde::{Deserialize, Serialize};

use super::engine::Us;

/// One way to fail. Those that speak of tokens break an answer while it is streamed;
/// an answer in one piece breaks in its middle, or is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Fault {
    /// The connection breaks after so many tokens.
    Dies { after_tokens: u32 },
    /// Nothing more comes after so many tokens, for so long; for ever where nothing is said.
    Stalls {
        after_tokens: u32,
        #[serde(default)]
        for_ms: Option<u64>,
    },
    /// The connection breaks in the middle of an event.
    HalfFrame { after_tokens: u32 },
    /// Answers with this status, and with `Retry-After` where seconds are given.
    Answers {
        status: u16,
        #[serde(default)]
        retry_after_s: Option<u32>,
    },
    /// Begins its answer only after so long.
    SlowHeaders { ms: u64 },
    /// Answers with 200 and with something that is no JSON.
    WrongJson,
    /// Its answer never ends.
    Endless,
    /// Closes the connection without an answer.
    HangsUp,
    /// Answers as it does while it loads.
    Loads,
}

/// Which questions a fault is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum On {
    /// Those that an engine works on.
    #[default]
    Work,
    /// Health, models, figures and the like.
    Control,
    All,
}

/// A fault with its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    #[serde(flatten)]
    pub fault: Fault,
    #[serde(default)]
    pub on: On,
    /// From this moment after the start on …
    #[serde(default)]
    pub from_ms: u64,
    /// … for so long; for ever where nothing is said.
    #[serde(default)]
    pub for_ms_in_all: Option<u64>,
    /// Hits so many questions, then no more.
    #[serde(default)]
    pub times: Option<u32>,
}

// === impl Fault ===

impl Fault {
    /// Whether who asks hears nothing at all.
    pub fn is_silent(self) -> bool {
        matches!(self, Self::HangsUp | Self::Stalls { .. } | Self::SlowHeaders { .. })
    }
}

// === impl On ===

impl On {
    pub(super) fn is_about(self, work: bool) -> bool {
        match self {
            On::Work => work,
            On::Control => !work,
            On::All => true,
        }
    }
}

// === impl Planned ===

impl Planned {
    /// Hits every request for work from the start on.
    pub fn new(fault: Fault) -> Self {
        Self { fault, on: On::Work, from_ms: 0, for_ms_in_all: None, times: None }
    }

    #[must_use]
    pub fn on(self, on: On) -> Self {
        Self { on, ..self }
    }

    /// Hits so many questions, then no more.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    fn hits(&self, work: bool, now: Us) -> bool {
        let now_ms = now / 1000;
        self.on.is_about(work)
            && self.times != Some(0)
            && now_ms >= self.from_ms
            && self.for_ms_in_all.is_none_or(|ms| now_ms < self.from_ms.saturating_add(ms))
    }
}

/// The fault that hits a question now, and one time less of it.
pub fn strike(planned: &mut [Planned], work: bool, now: Us) -> Option<Fault> {
    let hit = planned.iter_mut().find(|planned| planned.hits(work, now))?;
    if let Some(times) = &mut hit.times {
        *times -= 1;
    }
    Some(hit.fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_what_it_is_about_at_its_time_and_so_often() {
        let hard = Fault::Answers { status: 500, retry_after_s: None };
        let mut planned = [
            Planned { from_ms: 10, for_ms_in_all: Some(5), ..Planned::new(hard).on(On::All) },
            Planned::new(Fault::HangsUp).times(2).on(On::Control),
        ];
        let mut at = |ms: u64, work| strike(&mut planned, work, ms * 1000);
        assert_eq!(at(0, true), None);
        assert_eq!(
            [at(0, false), at(1, false), at(2, false)].map(|f| f.is_some()),
            [true, true, false]
        );
        assert_eq!([at(10, true), at(14, false), at(15, true)], [Some(hard), Some(hard), None]);
    }
}
