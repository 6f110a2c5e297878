//! What can go wrong with a database, and what it means for recording.

use std::path::PathBuf;

/// The history or the state cannot be used. The text is for a person.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "{} was written by a newer Plimsoll (version {found} of the database, this program knows {known}). \
         It was left untouched. Start the newer program, or choose another data folder with --data-dir.",
        path.display()
    )]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error("{} is not a database of Plimsoll. It was left untouched. Move it away, or choose another data folder with --data-dir.", path.display())]
    Foreign { path: PathBuf },
    #[error("There is no history in {} yet. It begins when Plimsoll runs with this data folder.", path.display())]
    Missing { path: PathBuf },
    #[error("{} cannot be opened: {reason}. Check that the folder exists, belongs to you and has room.", path.display())]
    Unusable { path: PathBuf, reason: String },
    #[error("{} could not be brought up to date: {reason}. A copy from before is kept beside it.", path.display())]
    Migration { path: PathBuf, reason: String },
    #[error("{} is damaged ({reason}).", path.display())]
    Damaged { path: PathBuf, reason: String },
}

/// A question the history could not answer. The text is for a person.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("{0}")]
    Invalid(String),
    #[error("The history cannot be read: {0}.")]
    Database(#[from] sqlx::Error),
    #[error("The history cannot be opened: {0}")]
    Open(#[from] OpenError),
    #[error("The history is closed.")]
    Closed,
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// What an error of the database asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The file is damaged: set it aside and begin a new one.
    Damaged,
    /// The disk is full, read-only or failing: pause, try again.
    Pause,
}

pub(crate) fn fault_of(error: &sqlx::Error) -> Fault {
    // Primary result codes of SQLite: 11 SQLITE_CORRUPT, 26 SQLITE_NOTADB.
    match primary_code(error) {
        Some(11 | 26) => Fault::Damaged,
        _ => Fault::Pause,
    }
}

/// Why recording pauses, in words without a full stop.
pub(crate) fn reason_of(error: &sqlx::Error) -> String {
    match (primary_code(error), full_code(error)) {
        (Some(13), _) => "the disk is full".into(),
        (Some(8), _) => "the history is read-only".into(),
        (Some(14), _) => "the file cannot be opened".into(),
        // SQLITE_IOERR_WRITE, _TRUNCATE and _SHMSIZE: what a limit on the size of files gives.
        (Some(10), Some(778 | 1546 | 4874)) => "the disk takes no more (writing failed)".into(),
        (Some(10), _) => "the disk fails (input/output error)".into(),
        (Some(5 | 6), _) => "another program holds it locked".into(),
        _ => format!("the history cannot be written: {error}"),
    }
}

/// The disk has no room: SQLite has rolled back, and the connection is as good as before.
pub(crate) fn is_full(error: &sqlx::Error) -> bool {
    matches!(full_code(error), Some(13 | 778 | 1546 | 4874))
}

fn full_code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}

fn primary_code(error: &sqlx::Error) -> Option<i32> {
    full_code(error).map(|code| code & 0xff)
}
