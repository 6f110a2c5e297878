//! How many requests a service works on at once, and how many of them did not
//! come through Plimsoll.
//!
//! A number in `services.ID.max_in_flight` is the room. With `auto` it is, first
//! found first taken,
//! 1. what the server tells (llama.cpp's slots, SGLang's running requests),
//! 2. what it was started with (`--max-num-seqs`, `OLLAMA_NUM_PARALLEL`, …),
//! 3. felt out, where it tells how many requests wait inside: one more each time that the
//!    room was full and none waited, twice as many until the first one did, and no more
//!    than it ran when one did,
//! 4. what servers of its kind do.
//!
//! What others run there is what the server says it runs and holds back, without what we
//! have there. Both are counted at different moments: only what is too much in three looks
//! in a row counts, and of our own the most since the look before.

use std::{collections::BTreeMap, sync::Arc};

use plimsoll_core::{
    config::{Config, ServiceEntry},
    process::ProcessTable,
    traffic::RoomBasis,
};
use plimsoll_services::{
    fleet::FleetView,
    kind::ServiceKind,
    service::{Basis, Service},
};

use super::Backend;
use crate::admission::BackendId;

/// Where the feeling out begins.
const FIRST: u32 = 8;
/// Most that is felt out.
const MOST: u32 = 256;
/// Looks in which others must be seen.
const LOOKS: usize = 3;

/// The room of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub requests: u32,
    pub basis: RoomBasis,
    /// Tokens that its KV cache takes at once; `None`: any number.
    pub tokens: Option<u64>,
    /// Requests that it runs or holds back and that did not come through Plimsoll; `None`
    /// where it does not tell.
    pub outside: Option<u32>,
}

/// The rooms of all services, from look to look.
#[derive(Debug, Default)]
pub struct Rooms {
    known: BTreeMap<BackendId, Known>,
}

/// What is kept of one service.
#[derive(Debug)]
struct Known {
    room: Room,
    checked_ms: Option<i64>,
    /// Our most since the last look, and the most before it.
    ours: [u32; 2],
    over: [u32; LOOKS],
    felt: u32,
    /// None was ever seen to wait.
    rising: bool,
}

// === impl Rooms ===

impl Rooms {
    /// Looks at all services anew. `ours` says how many requests we have at one.
    pub fn look(
        &mut self,
        config: &Config,
        view: &FleetView,
        processes: &ProcessTable,
        ours: impl Fn(&str) -> u32,
    ) -> BTreeMap<BackendId, Room> {
        let mut known = std::mem::take(&mut self.known);
        for service in view.services.iter().filter(|service| Backend::is_one(service)) {
            let id: BackendId = service.id.as_str().into();
            let entry = config.services.entries.get(&service.id);
            let limits = config.services.limits(&service.id);
            let mut of = known.remove(&id).unwrap_or_default();
            let now = ours(&service.id);
            of.ours[0] = of.ours[0].max(now);
            if service.checked_ms != of.checked_ms {
                of.checked_ms = service.checked_ms;
                of.looked(service, now);
                of.ours = [now, of.ours[0]];
            }
            let said = limits.and_then(|limits| limits.max_in_flight.number());
            let (requests, basis) = match said {
                Some(number) => (number, RoomBasis::Configured),
                None => of.requests(entry, service, processes),
            };
            of.room = Room {
                requests,
                basis,
                tokens: limits
                    .map(|limits| limits.max_tokens)
                    .filter(|tokens| *tokens > 0)
                    .map(u64::from),
                outside: running(service).map(|_| of.over.iter().copied().min().unwrap_or(0)),
            };
            self.known.insert(id, of);
        }
        self.known.iter().map(|(id, of)| (Arc::clone(id), of.room)).collect()
    }
}

// === impl Known ===

impl Default for Known {
    fn default() -> Self {
        let room = Room { requests: 1, basis: RoomBasis::Assumed, tokens: None, outside: None };
        Self { room, checked_ms: None, ours: [0; 2], over: [0; LOOKS], felt: FIRST, rising: true }
    }
}

impl Known {
    /// The service was looked at since.
    fn looked(&mut self, service: &Service, now: u32) {
        let ours = self.ours[0].max(self.ours[1]);
        self.over.rotate_right(1);
        self.over[0] = running(service).unwrap_or(0).saturating_sub(ours);
        let Some(waiting) = waiting(service) else { return };
        if waiting > 0 {
            self.rising = false;
            // What it ran is what it had room for, now.
            let ran = whole(service.figures.running).unwrap_or(self.felt / 2);
            self.felt = ran.clamp(1, self.felt.max(1));
        } else if now >= self.felt {
            let more = if self.rising { self.felt } else { 1 };
            self.felt = self.felt.saturating_add(more).min(MOST);
        }
    }

    fn requests(
        &self,
        entry: Option<&ServiceEntry>,
        service: &Service,
        processes: &ProcessTable,
    ) -> (u32, RoomBasis) {
        let slots = service.slots.and_then(|slots| Some((slots.total?, slots.basis)));
        if let Some((total, Basis::Told)) = slots {
            return (total.max(1), RoomBasis::Told);
        }
        if let Some(number) = started_with(entry, service, processes) {
            return (number.max(1), RoomBasis::Told);
        }
        if let Some((total, Basis::Assumed)) = slots {
            return (total.max(1), RoomBasis::Assumed);
        }
        if waiting(service).is_some() {
            return (self.felt, RoomBasis::Adaptive);
        }
        let usual = match service.kind {
            Some(ServiceKind::Vllm | ServiceKind::SgLang) => FIRST,
            // Behind it may be anything, a provider's many cards included.
            Some(ServiceKind::OpenAi) | None => 4,
            Some(_) => 1,
        };
        (usual, RoomBasis::Assumed)
    }
}

/// Requests that the server says it has, those that wait inside included.
fn running(service: &Service) -> Option<u32> {
    let slots = service.slots;
    let running = whole(service.figures.running).or_else(|| slots.and_then(|slots| slots.busy))?;
    Some(running.saturating_add(waiting(service).unwrap_or(0)))
}

fn waiting(service: &Service) -> Option<u32> {
    whole(service.figures.waiting).or_else(|| service.slots.and_then(|slots| slots.waiting))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, and what is no number is left out"
)]
fn whole(figure: Option<f64>) -> Option<u32> {
    figure.filter(|n| n.is_finite() && *n >= 0.0).map(|n| n.round() as u32)
}

/// What a server was told at its start: by the configuration, or by the command line of its
/// process.
fn started_with(
    entry: Option<&ServiceEntry>,
    service: &Service,
    processes: &ProcessTable,
) -> Option<u32> {
    if let Some(entry) = entry {
        if entry.parallel > 0 {
            return Some(entry.parallel);
        }
        let variable = entry.env.iter().find_map(|text| text.strip_prefix("OLLAMA_NUM_PARALLEL="));
        // 0 lets Ollama choose.
        if let Some(number) = variable.and_then(|text| text.trim().parse().ok()).filter(|n| *n > 0)
        {
            return Some(number);
        }
        let words = entry.command.iter().map(String::as_str);
        if let Some(number) = flagged(service.kind, words) {
            return Some(number);
        }
    }
    let holder = service.holder.as_ref()?;
    let process =
        processes.processes.iter().find(|process| holder.pids.first() == Some(&process.pid))?;
    flagged(service.kind, process.command.split_whitespace())
}

fn flagged<'w>(kind: Option<ServiceKind>, words: impl Iterator<Item = &'w str>) -> Option<u32> {
    let flags: &[&str] = match kind {
        Some(ServiceKind::Vllm) => &["--max-num-seqs", "--max_num_seqs"],
        Some(ServiceKind::SgLang) => &["--max-running-requests"],
        Some(ServiceKind::LlamaCpp) => &["-np", "--parallel"],
        _ => return None,
    };
    let mut words = words.peekable();
    let mut found = None;
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, words.peek().copied()),
        };
        if flags.contains(&name) {
            // The last one holds.
            found = value.and_then(|value| value.parse().ok()).filter(|n| *n > 0).or(found);
        }
    }
    found
}
