//! Reckons up what ended: energy, figures, and the rows for the log, in batches.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use plimsoll_core::record::Record;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    Inner,
    ended::{Ended, MAX_ENDED},
    energy::Joules,
    live::lock,
};

/// Rows of so long a time travel together.
const BATCH: Duration = Duration::from_millis(200);
/// So long a row waits for the card's next reading.
const PATIENCE: Duration = Duration::from_millis(2500);

/// Reckons until it is closed.
pub struct Pump {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

pub(super) struct Reckoner {
    inner: Arc<Inner>,
    record: Arc<dyn Record>,
    /// Wait for the energy of their last second, in the order of their ends.
    held: VecDeque<Ended>,
    /// Empty, and with room for as many as ended at once before.
    taken: Vec<Ended>,
}

// === impl Pump ===

impl Pump {
    pub(super) fn start(inner: Arc<Inner>, record: Arc<dyn Record>) -> Self {
        let stop = CancellationToken::new();
        let reckoner = Reckoner::new(inner, record);
        let task = tokio::spawn(reckoner.run(stop.clone()));
        Self { stop, task }
    }

    /// Everything that ended until now is on its way into the log.
    pub async fn close(self) {
        self.stop.cancel();
        // It can only have panicked, which is told where it happens.
        let _ = self.task.await;
    }
}

// === impl Reckoner ===

impl Reckoner {
    pub(super) fn new(inner: Arc<Inner>, record: Arc<dyn Record>) -> Self {
        Self { inner, record, held: VecDeque::new(), taken: Vec::new() }
    }

    async fn run(mut self, stop: CancellationToken) {
        loop {
            let ended = &self.inner.ended;
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = ended.some.notified() => {}
                () = sleep(BATCH), if !self.held.is_empty() => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = ended.many.notified() => {}
                () = sleep(BATCH) => {}
            }
            self.round(Instant::now(), false);
        }
        self.round(Instant::now(), true);
    }

    /// One batch. The last one waits for nothing.
    pub(super) fn round(&mut self, now: Instant, last: bool) {
        self.inner.ended.take(&mut self.taken);
        self.held.extend(self.taken.drain(..));
        let mut rows = Vec::with_capacity(self.held.len());
        let now_s = self.inner.second(now);
        let mut figures = lock(&self.inner.figures);
        // The bound counts those that wait here too.
        while let Some(mut ended) = self.held.pop_front() {
            let patient = !last
                && self.held.len() < MAX_ENDED
                && now.saturating_duration_since(ended.at) < PATIENCE;
            match self.inner.energy.joules(&ended.ran) {
                // Nobody else has it yet, so that nothing is copied.
                Joules::Known(joules) => Arc::make_mut(&mut ended.row).joules = Some(joules),
                Joules::Later if patient => {
                    self.held.push_front(ended);
                    break;
                }
                Joules::Later | Joules::Unknown => {}
            }
            figures.take(&ended.row, ended.basis, ended.backend_us, now_s);
            rows.push(ended.row);
        }
        drop(figures);
        if rows.is_empty() {
            return;
        }
        lock(&self.inner.recent).put(&rows, now);
        self.record.requests(rows);
    }
}
