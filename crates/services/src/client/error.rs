//! What went wrong with a call, in words that a person understands.

use std::{error::Error, io};

use super::trust::distrusted;

/// Why a call gave no answer, or none that can be used. `place` is host and
/// port, e.g. `127.0.0.1:8080`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Not an address that can be asked.
    #[error("{0}")]
    BadUrl(String),
    /// Nothing listens there.
    #[error("refused on {place}")]
    Refused { place: String },
    /// The way there fails: no such name, no route, no trust in its certificate.
    #[error("{place} cannot be reached: {detail}")]
    Unreachable { place: String, detail: String },
    /// Took longer than the budget; `began` where a part of the answer came.
    #[error("{}", too_slow(place, *budget_ms, *began))]
    TooSlow { place: String, budget_ms: u64, began: bool },
    /// Closed the connection without an answer, or in the middle of one.
    #[error("{place} broke the connection off{}", if *began { " in the middle of its answer" } else { "" })]
    Closed { place: String, began: bool },
    #[error("{place} does not speak HTTP")]
    NotHttp { place: String },
    #[error("{place} sent more than {}", size(*limit_bytes))]
    TooLarge { place: String, limit_bytes: usize },
    /// Redirects to another place, which is not asked.
    #[error("{place} sends on to {to}")]
    Redirected { place: String, to: String },
    /// 401 or 403.
    #[error("{place} answers {status}: it wants a key")]
    WantsKey { place: String, status: u16 },
    /// Any other status but success.
    #[error("{place} answers {path} with {status}")]
    Status { place: String, path: String, status: u16 },
    #[error("{place} answers {path} with something that is not text")]
    NotText { place: String, path: String },
    /// Text, and not in the form that was expected.
    #[error("{place} answers {path} in a form that is not understood: {detail}")]
    NotUnderstood { place: String, path: String, detail: String },
}

fn too_slow(place: &str, budget_ms: u64, began: bool) -> String {
    if began {
        format!("{place} did not finish its answer within {budget_ms} ms")
    } else {
        format!("{place} gave no answer within {budget_ms} ms")
    }
}

/// `4 MiB`, `64 KiB`, `100 bytes`.
fn size(bytes: usize) -> String {
    const KIB: usize = 1024;
    match bytes {
        b if b >= KIB * KIB && b.is_multiple_of(KIB * KIB) => format!("{} MiB", b / KIB / KIB),
        b if b >= KIB => format!("{} KiB", b / KIB),
        b => format!("{b} bytes"),
    }
}

/// Longest detail that is quoted from another library.
const LONGEST_DETAIL: usize = 160;

// === impl CallError ===

impl CallError {
    /// Whether nothing answered at all: the service is not there, rather than
    /// there and not well.
    pub fn is_absent(&self) -> bool {
        matches!(
            self,
            CallError::BadUrl(_)
                | CallError::Refused { .. }
                | CallError::Unreachable { .. }
                | CallError::TooSlow { began: false, .. }
                | CallError::Closed { began: false, .. }
        )
    }

    /// Whether another call may fare better at once: the kept connection had died.
    pub(super) fn is_stale(&self) -> bool {
        matches!(self, CallError::Closed { began: false, .. })
    }

    /// What the HTTP library met, while the answer's head was awaited
    /// (`began == false`) or its body was read.
    pub(super) fn of(error: &reqwest::Error, place: &str, began: bool) -> Self {
        let place = place.to_string();
        if let Some(io) = cause::<io::Error>(error)
            && io.kind() == io::ErrorKind::ConnectionRefused
        {
            return CallError::Refused { place };
        }
        if let Some(why) = cause::<io::Error>(error).and_then(distrusted) {
            return CallError::Unreachable { place, detail: unbelieved(&why) };
        }
        if error.is_connect() {
            return CallError::Unreachable { place, detail: deepest(error) };
        }
        if error.is_builder() {
            return CallError::BadUrl(format!("{place} cannot be asked: {}", deepest(error)));
        }
        match cause::<hyper::Error>(error) {
            Some(hyper) if hyper.is_parse() => CallError::NotHttp { place },
            _ => CallError::Closed { place, began },
        }
    }

    pub(super) fn of_io(error: &io::Error, place: &str, began: bool) -> Self {
        let place = place.to_string();
        match error.kind() {
            io::ErrorKind::ConnectionRefused => CallError::Refused { place },
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => CallError::Closed { place, began },
            _ => {
                let why = distrusted(error).map(|why| unbelieved(&why));
                let detail = why.unwrap_or_else(|| shortened(&error.to_string()));
                CallError::Unreachable { place, detail }
            }
        }
    }
}

fn unbelieved(why: &str) -> String {
    format!("its certificate is not believed: {why}")
}

/// The first cause of that type, the error itself included.
fn cause<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        at = error.source();
    }
    None
}

/// The innermost cause: the outer ones only say that something failed.
fn deepest(error: &(dyn Error + 'static)) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    shortened(&at.to_string())
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_DETAIL) {
        None => text.to_string(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sentences_with_the_place_in_them() {
        let place = || "127.0.0.1:8080".to_string();
        let said = |error: CallError| error.to_string();
        assert_eq!(said(CallError::Refused { place: place() }), "refused on 127.0.0.1:8080");
        assert_eq!(
            said(CallError::WantsKey { place: place(), status: 401 }),
            "127.0.0.1:8080 answers 401: it wants a key"
        );
        assert_eq!(
            said(CallError::TooLarge { place: place(), limit_bytes: 4 << 20 }),
            "127.0.0.1:8080 sent more than 4 MiB"
        );
        assert_eq!(
            said(CallError::TooSlow { place: place(), budget_ms: 900, began: true }),
            "127.0.0.1:8080 did not finish its answer within 900 ms"
        );
        assert_eq!(
            said(CallError::Closed { place: place(), began: false }),
            "127.0.0.1:8080 broke the connection off"
        );
    }

    #[test]
    fn a_size_is_told_in_the_unit_that_fits() {
        assert_eq!([size(100), size(64 << 10), size(4 << 20)], ["100 bytes", "64 KiB", "4 MiB"]);
        assert_eq!(size(1536 << 10), "1536 KiB");
    }

    #[test]
    fn what_another_library_says_is_cut() {
        assert!(shortened(&"é".repeat(10_000)).chars().count() <= LONGEST_DETAIL + 1);
    }
}
