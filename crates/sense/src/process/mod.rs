//! The processes of this machine: a table in memory, and series for the names
//! that matter. A pid is never a series.

mod facts;
mod inspect;
mod known;
mod listening;
mod names;
mod ours;
mod peer;
mod stat;
mod table;
mod trace;
mod users;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use plimsoll_core::{
    clock::Instant3,
    metric::Metric,
    process::ProcessTable,
    reading::Reading,
    source::{Source, SourceError},
};
use rustc_hash::FxHashMap;
use tokio::sync::watch;

pub use self::{
    inspect::Inspector,
    listening::listening_here,
    peer::{Ends, Holder, Peers},
};
use self::{names::Names, table::Table};
use crate::{roots::Roots, sources::Options};

/// What each process holds of the GPU's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vram {
    /// By pid, in bytes; `None` where the driver does not say how much.
    Known(FxHashMap<i32, Option<u64>>),
    /// Why it is not known, in words.
    Unknown(String),
}

/// Asks the driver; may block for some milliseconds.
pub type AskVram = Box<dyn FnMut() -> Vram + Send>;

pub struct Processes {
    options: watch::Receiver<Options>,
    table: Arc<Mutex<Table>>,
    publish: watch::Sender<Arc<ProcessTable>>,
    ask_vram: AskVram,
    names: Names,
    machine: Arc<str>,
}

// === impl Processes ===

impl Processes {
    pub fn new(
        roots: &Roots,
        options: watch::Receiver<Options>,
        ask_vram: AskVram,
        now: Instant3,
    ) -> (Self, watch::Receiver<Arc<ProcessTable>>, Inspector) {
        let (publish, published) = watch::channel(Arc::default());
        let table = Arc::new(Mutex::new(Table::new(roots, now)));
        let inspector = Inspector::new(roots, table.clone());
        let machine = "".into();
        let source = Self { options, table, publish, ask_vram, names: Names::default(), machine };
        (source, published, inspector)
    }
}

impl Source for Processes {
    fn name(&self) -> &'static str {
        "processes"
    }

    fn cadence(&self) -> Duration {
        Duration::from_millis(u64::from(self.options.borrow().processes_ms))
    }

    fn read(&mut self, now: Instant3, out: &mut Vec<Reading>) -> Result<(), SourceError> {
        let vram = (self.ask_vram)();
        let interval_ms = self.options.borrow().processes_ms;
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.scan(now, &vram).map_err(|e| {
            SourceError::Failed(format!("the list of processes cannot be read: {e}"))
        })?;
        #[expect(clippy::cast_precision_loss, reason = "a number of processes")]
        let count = table.len() as f64;
        out.push(Reading::gauge(Metric::ProcessCount, &self.machine, count));
        if let Some(bytes) = table.own_vram() {
            #[expect(clippy::cast_precision_loss, reason = "bytes of memory stay below 2^53")]
            out.push(Reading::gauge(Metric::SelfVram, &self.machine, bytes as f64));
        }
        self.names.read(&table.totals(), out);
        let published = table.published(interval_ms);
        drop(table);
        self.publish.send_replace(Arc::new(published));
        Ok(())
    }
}
