//! What stands between the past's clients and its services: whoever joins the simulation with
//! a gateway says who may go on, who waits and who is refused.

use std::sync::Arc;

use plimsoll_core::{
    mark::Mark,
    reading::Reading,
    request::{Priority, RequestRow},
};

/// A request at the door.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Unique; no other meaning.
    pub id: u64,
    pub client: Arc<str>,
    pub model: Arc<str>,
    pub service: Arc<str>,
    pub priority: Priority,
    /// Of its prompt, and the most that it may be answered with.
    pub tokens: u32,
    /// How long it would wait, in ms; as long as others where nothing is said.
    pub patience_ms: Option<u32>,
}

/// What is said to a request that comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entrance {
    Granted,
    /// What becomes of it is told by [`Gate::decided`].
    Waits,
    Refused(Refused),
}

/// An answer of the gateway's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub status: u16,
    /// One sentence.
    pub reason: String,
}

/// How what was granted ended, as it is known of its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Served,
    Failed,
    /// Its client left.
    Unknown,
}

/// A request under way.
#[derive(Clone, Debug)]
pub struct Standing {
    pub client: Arc<str>,
    pub service: Arc<str>,
    /// In line, and not at its service.
    pub waits: bool,
}

/// A gateway without a clock: it is told what time it is, in milliseconds since 1970, which
/// never goes back.
pub trait Gate: Send {
    fn offer(&mut self, caller: &Caller, now_ms: u64) -> Entrance;
    /// What was granted ended; `tokens` of prompt and answer, where they are known.
    fn release(&mut self, id: u64, ended: Ended, tokens: Option<u32>, now_ms: u64);
    /// The pause before what failed `tries` times is tried again; `None`: no more.
    fn pause_ms(&self, tries: u8) -> Option<u64>;
    /// It comes back into line after a pause. What becomes of it is told by [`Gate::decided`].
    fn retry(&mut self, id: u64, pause_ms: u64, now_ms: u64);
    /// Its client left, wherever it stood.
    fn leave(&mut self, id: u64, now_ms: u64);
    /// Whether a service serves, and how many requests it has that did not come through here.
    fn seen(&mut self, service: &Arc<str>, up: bool, outside: u32, now_ms: u64);
    fn tick(&mut self, now_ms: u64);
    /// When it wants a [`Gate::tick`] next.
    fn due_ms(&self) -> Option<u64>;
    /// What became of those that waited, since this was asked last.
    fn decided(&mut self) -> Vec<(u64, Result<(), Refused>)>;
    /// What changed by itself, since this was asked last.
    fn marks(&mut self) -> Vec<Mark>;
    /// A request ended, in this second.
    fn count(&mut self, row: &RequestRow, second: i64);
    /// Its series.
    fn tell(&mut self, under_way: &[Standing], out: &mut Vec<Reading>);
}
