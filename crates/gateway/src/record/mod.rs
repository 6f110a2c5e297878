//! What every request took: the live list, figures by client and backend, and the
//! rows for the request log. Recording never delays a request.
//!
//! A request carries a [`Trace`]. When that is dropped, its row goes into a bounded queue, and
//! everything else is done by one task, a few times a second: the energy of the cards is
//! shared out, figures are counted, and rows go on into the log in batches.

mod bodies;
mod ended;
mod energy;
mod figures;
mod live;
mod pump;
mod recent;
mod ring;
mod source;
mod trace;

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use plimsoll_core::{
    clock::Clock,
    record::Record,
    request::{Endpoint, RequestRow},
    traffic::StoryMinute,
};
use tokio::{sync::watch, time::Instant};

use crate::admission::Desk;

use self::{
    bodies::Bodies,
    ended::EndedQueue,
    energy::Energy,
    figures::Figures,
    live::{LiveList, lock},
    recent::Recent,
};
pub use self::{
    bodies::{MAX_BODIES, MAX_TEXT, Passed},
    ended::MAX_ENDED,
    figures::{ClientHour, MAX_BACKENDS, MAX_CLIENT_SERIES, MAX_CLIENTS, OTHER, Totals},
    live::{ActiveRequest, Counted, MAX_LIVE, Phase},
    pump::Pump,
    recent::{MAX_RECENT, RECENT_FOR},
    source::{PastRecords, RecordsSource},
    trace::Trace,
};

/// The gateway's records: cheap to clone.
#[derive(Clone)]
pub struct Records {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    clock: Arc<dyn Clock>,
    started: Instant,
    live: LiveList,
    ended: EndedQueue,
    energy: Energy,
    figures: Mutex<Figures>,
    recent: Mutex<Recent>,
    bodies: Bodies,
    replayed: AtomicU64,
    /// What is under way is cut off by Plimsoll itself.
    cut: AtomicBool,
    /// Knows who waits for which backend.
    desk: OnceLock<Desk>,
}

// === impl Records ===

impl Records {
    /// Within a runtime. What ends is written to `record` until the pump is closed.
    pub fn start(clock: Arc<dyn Clock>, record: Arc<dyn Record>) -> (Self, Pump) {
        let records = Self::new(clock);
        let pump = Pump::start(records.inner.clone(), record);
        (records, pump)
    }

    /// For those who record nothing: what ends is dropped beyond a bound.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let inner = Inner {
            clock,
            started: Instant::now(),
            live: LiveList::default(),
            ended: EndedQueue::default(),
            energy: Energy::default(),
            figures: Mutex::default(),
            recent: Mutex::default(),
            bodies: Bodies::default(),
            replayed: AtomicU64::new(0),
            cut: AtomicBool::new(false),
            desk: OnceLock::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A request came.
    pub fn begin(&self, endpoint: Endpoint) -> Trace {
        let entry = self.inner.live.begin(self.wall_ms(), endpoint);
        Trace::begin(self.inner.clone(), entry)
    }

    /// Milliseconds since 1970, by the clock that requests are dated with.
    pub fn wall_ms(&self) -> i64 {
        self.inner.clock.wall_ms()
    }

    /// Ends a request that is under way. `false`: there is none of that number.
    pub fn cancel(&self, id: i64) -> bool {
        self.inner.live.cancel(id)
    }

    /// The oldest first, at most `most`.
    pub fn live(&self, most: usize) -> Vec<ActiveRequest> {
        self.inner.live.oldest(most)
    }

    /// Numbers of further requests are higher than this one, that of an earlier start.
    pub fn continue_after(&self, id: i64) {
        self.inner.live.continue_after(id);
    }

    /// Where requests wait: a reading tells it of each backend from now on.
    pub fn waits_at(&self, desk: Desk) {
        // The first one is the gateway's.
        let _ = self.inner.desk.set(desk);
    }

    /// What the sampler reads. There is to be one.
    pub fn source(&self, interval: watch::Receiver<Duration>) -> RecordsSource {
        RecordsSource::new(self.clone(), interval)
    }

    /// A connection that had rested died under a request without a byte of an answer, and it
    /// was sent once more on a new one. The backend may have begun with it: so it is counted,
    /// and apart from the retries that a person allowed.
    pub fn replayed(&self) {
        self.inner.replayed.fetch_add(1, Relaxed);
    }

    /// How many were sent once more so, since the start.
    pub fn replays(&self) -> u64 {
        self.inner.replayed.load(Relaxed)
    }

    /// What ends without a word from here on did not leave: Plimsoll stops, and cuts it off.
    pub fn cuts_off(&self) {
        self.inner.cut.store(true, Relaxed);
    }

    /// Whether anything is under way.
    pub fn is_busy(&self) -> bool {
        self.inner.live.len() > 0
    }

    /// How many are under way in all, by client and by backend.
    pub fn counted(&self) -> Counts {
        let mut counts = Counts::default();
        self.inner.live.each(|entry| {
            let words = entry.words();
            let client = counts.clients.entry(words.client.clone()).or_default();
            let backend =
                words.backend.as_ref().map(|id| counts.backends.entry(id.clone()).or_default());
            drop(words);
            for counted in [Some(&mut counts.all), Some(client), backend].into_iter().flatten() {
                match entry.phase() {
                    Phase::Own | Phase::Upload | Phase::Joined => {}
                    Phase::Queued => counted.queued += 1,
                    Phase::Prefill | Phase::Answer => counted.in_flight += 1,
                }
            }
        });
        counts
    }

    pub fn totals(&self) -> Totals {
        lock(&self.inner.figures).totals(self.inner.second(Instant::now()))
    }

    /// Those of the last hour, the most time of backends first; at most [`MAX_CLIENTS`].
    pub fn clients(&self) -> Vec<ClientHour> {
        lock(&self.inner.figures).clients(self.inner.second(Instant::now()))
    }

    /// The last 30 minutes of a backend, the oldest first.
    pub fn story(&self, backend: &str) -> Vec<StoryMinute> {
        lock(&self.inner.figures).story(backend, self.inner.second(Instant::now()))
    }

    /// The newest that ended, the newest last.
    pub fn recent(&self) -> Vec<Arc<RequestRow>> {
        lock(&self.inner.recent).rows(Instant::now())
    }

    /// Which cards (by UUID) the backends hold memory on.
    pub fn place(&self, places: &[(Arc<str>, Vec<Arc<str>>)]) {
        self.inner.energy.place(places);
    }

    /// What a card took since this was last told; `None`: it does not tell for now.
    pub fn energy(&self, card: &str, joules: Option<f64>) {
        match joules {
            Some(joules) => self.inner.energy.read(card, joules, Instant::now()),
            None => self.inner.energy.lose(card),
        }
    }

    /// Keeps what a client sends and gets from now on, for [`MAX_BODIES`] at most; with no time
    /// no longer, and forgets what there is. `false`: too many clients' are kept already.
    pub fn keep_bodies(&self, client: &str, time: Duration) -> bool {
        self.inner.bodies.keep(client, time, Instant::now())
    }

    /// Clients whose bodies are kept now, and for how long yet.
    pub fn bodies_kept(&self) -> Vec<(Arc<str>, Duration)> {
        self.inner.bodies.clients(Instant::now())
    }

    /// What passed of a request, where it was kept.
    pub fn body(&self, id: i64) -> Option<Passed> {
        self.inner.bodies.of(id, Instant::now())
    }

    /// Requests that could not be recorded because a bound was reached.
    pub fn dropped(&self) -> u64 {
        self.inner.ended.dropped()
    }
}

/// How many are under way.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub all: Counted,
    pub clients: std::collections::BTreeMap<Arc<str>, Counted>,
    pub backends: std::collections::BTreeMap<Arc<str>, Counted>,
}

// === impl Inner ===

impl Inner {
    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_secs()
    }
}

#[cfg(test)]
mod tests;
