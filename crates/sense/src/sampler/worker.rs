//! The thread that one source is read on.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc as blocking,
    thread,
    time::Duration,
};

use plimsoll_core::{
    clock::Instant3,
    reading::Reading,
    source::{Source, SourceError},
};
use tokio::sync::mpsc;

/// What a thread answers to one request.
pub struct Reply {
    /// Which source, in the order in which they were given.
    pub source: usize,
    /// The moment it was asked for.
    pub at: Instant3,
    pub readings: Vec<Reading>,
    pub result: Result<(), SourceError>,
    /// When it wants to be asked again, counted from this request.
    pub cadence: Duration,
}

pub struct Worker {
    requests: blocking::Sender<Instant3>,
}

// === impl Worker ===

impl Worker {
    pub fn start(
        index: usize,
        mut source: Box<dyn Source>,
        replies: mpsc::UnboundedSender<Reply>,
    ) -> Self {
        let (requests, asked) = blocking::channel::<Instant3>();
        let name = format!("sense-{}", source.name());
        let thread = thread::Builder::new().name(name).spawn(move || {
            while let Ok(at) = asked.recv() {
                let mut readings = Vec::new();
                let result = read(&mut *source, at, &mut readings);
                let cadence = source.cadence();
                if replies.send(Reply { source: index, at, readings, result, cadence }).is_err() {
                    break;
                }
            }
        });
        if let Err(error) = thread {
            // The source stays silent, and the window says since when.
            tracing::error!(%error, "no thread could be started for a source");
        }
        Self { requests }
    }

    /// The caller asks again only after the answer: at most one request waits.
    pub fn ask(&self, at: Instant3) {
        let _ = self.requests.send(at);
    }
}

/// A source that panics has failed this once; the others do not notice.
fn read(
    source: &mut dyn Source,
    at: Instant3,
    readings: &mut Vec<Reading>,
) -> Result<(), SourceError> {
    catch_unwind(AssertUnwindSafe(|| source.read(at, readings))).unwrap_or_else(|_| {
        readings.clear();
        Err(SourceError::Failed("an error of our own; the log has the rest".into()))
    })
}
