//! Hints that several kinds of servers have in common.

use crate::{client::CallError, service::Hint};

/// Longest name that is quoted.
const LONGEST_NAME: usize = 120;

/// It wants a key to tell `what`, e.g. `its models`.
pub(super) fn wants_a_key(what: &str) -> Hint {
    Hint::advice(
        "wants-a-key",
        format!("This server tells {what} only to those who have its key."),
        "Put the key that it was started with into a file and name it as key_file.",
    )
}

/// Its figures are there and could not be read.
pub(super) fn unread(error: &CallError) -> Hint {
    Hint::warning(
        "no-metrics",
        format!("Its figures could not be read: {error}."),
        "Look at /metrics of this server with a browser or with curl.",
    )
}

/// A model's name within a sentence, whatever the server calls it.
pub(super) fn name_of(model: &str) -> String {
    model.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect()
}
