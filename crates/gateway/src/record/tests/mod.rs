mod figures;
mod live;
mod row;

use std::time::Duration;

use plimsoll_core::{
    alert::AlertRow,
    clock::ManualClock,
    log::LogEntry,
    mark::Mark,
    reading::Tick,
    request::{Finish, Priority, Shared},
    traffic::{ClientBasis, StoryMinute},
};
use tokio::time::advance;

use super::*;

const MS: Duration = Duration::from_millis(1);

#[derive(Default)]
struct Kept {
    rows: Mutex<Vec<Arc<RequestRow>>>,
    batches: Mutex<usize>,
}

impl Record for Kept {
    fn tick(&self, _: Arc<Tick>) {}
    fn mark(&self, _: Mark) {}
    fn alert(&self, _: AlertRow) {}
    fn log(&self, _: Vec<LogEntry>) {}
    fn requests(&self, rows: Vec<Arc<RequestRow>>) {
        *lock(&self.batches) += 1;
        lock(&self.rows).extend(rows);
    }
    fn queue_len(&self) -> usize {
        0
    }
    fn dropped(&self) -> u64 {
        0
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(1_000_000))
}

/// The reckoning done by hand.
fn bench() -> (Records, pump::Reckoner, Arc<Kept>) {
    let (records, kept) = (Records::new(clock()), Arc::new(Kept::default()));
    let reckoner = pump::Reckoner::new(records.inner.clone(), kept.clone());
    (records, reckoner, kept)
}

fn one(records: &Records, client: &str) -> Trace {
    let mut trace = records.begin(Endpoint::Chat);
    trace.client(&client.into(), ClientBasis::Program);
    trace.asked("qwen3-8b", true, Priority::Interactive);
    trace
}

fn answered(mut trace: Trace) {
    trace.granted(&"chat".into(), "qwen3-8b");
    trace.sent();
    trace.first();
    trace.status(200);
    trace.finish(Finish::Answered, "");
}
