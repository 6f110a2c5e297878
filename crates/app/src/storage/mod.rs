//! The data folder as a thing to keep, copy, move and clear.

pub mod backup;
pub mod pending;
pub mod report;

/// The databases of a data folder. Everything else in it can be made anew.
pub(crate) const DATABASES: [&str; 2] = ["history.db", "state.db"];
