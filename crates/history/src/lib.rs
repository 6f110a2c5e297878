//! The history: one writer, sealed levels, retention, and questions about it.
//!
//! Producers hand ticks, marks, alerts and log entries to a [`Recorder`], which
//! never blocks. One task writes: a tick is one row and one commit. Complete
//! spans are sealed into compressed chunks, level by level; a [`Reader`] answers
//! from the chunks and takes what is not sealed yet from the finer levels, so
//! that no seam shows.

mod catalog;
mod checkpoint;
mod codec;
mod db;
mod error;
mod events;
mod faults;
mod history;
mod lane;
mod options;
mod reader;
mod recorder;
mod state;
mod status;
mod timeline;
mod writer;

pub use catalog::OTHER;
pub use error::{OpenError, ReadError};
pub use history::History;
pub use options::{Keep, Options};
pub use reader::{ExportRow, Increase, RawPage, RawValue, Reader, Stats, Stored, StoredKind};
pub use recorder::Recorder;
pub use state::{AcceptedService, AlertState, State, StoredRevision};
pub use status::{Recording, RecordingStatus};
