//! The history: one writer, sealed levels, retention, and questions about it.
//!
//! Producers hand ticks, marks, alerts and log entries to a [`Recorder`], which
//! never blocks. One task writes: a tick is one row and one commit. Complete
//! spans are sealed into compressed chunks, level by level; a [`Reader`] answers
//! from the chunks and takes what is not sealed yet from the finer levels, so
//! that no seam shows.

mod answers;
mod backup;
mod catalog;
mod chart;
mod checkpoint;
mod chunks;
mod codec;
mod db;
mod delete;
mod desk;
mod distribution;
mod error;
mod events;
mod export;
mod faults;
mod figures;
mod filled;
mod history;
mod hours;
mod lane;
mod moment;
mod offload;
mod options;
mod pieces;
mod query;
mod reader;
mod recorder;
mod recover;
mod requests;
mod retention;
mod rollup;
mod seal;
mod shown;
mod spans;
mod state;
mod status;
mod tail;
mod timeline;
mod values;
mod writer;

pub use answers::{ExportRow, Increase, RawPage, RawValue, Stats, Stored, StoredKind};
pub use catalog::OTHER;
pub use error::{OpenError, ReadError};
#[doc(hidden)]
pub use filled::{fill, metric_of};
pub use history::History;
pub use options::{Keep, Options};
pub use reader::Reader;
pub use recorder::Recorder;
pub use recover::{RecoverReport, recover};
pub use requests::{MAX_REQUESTS, RequestFilter, RequestsFound};
pub use state::{AlertState, State, StoredRevision};
pub use status::{Recording, RecordingStatus};
