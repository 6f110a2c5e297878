//! The errors of the other crates as a person sees them: one place that says
//! for each which code and which next step.

use plimsoll_history::{OpenError, ReadError};
use plimsoll_sense::InspectError;
use plimsoll_services::client::CallError;

use crate::{
    api::{Fault, FaultCode},
    words::{capital, sentence},
};

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Invalid(message) => Self::new(FaultCode::Invalid, message),
            ReadError::Open(error) => error.into(),
            ReadError::Closed => Self::new(FaultCode::Unavailable, "Plimsoll is stopping."),
            error @ (ReadError::Database(_) | ReadError::Io(_)) => {
                Self::new(FaultCode::Unavailable, error.to_string())
                    .hint("The log has more: plimsoll doctor --bundle FILE collects it.")
            }
        }
    }
}

impl From<OpenError> for Fault {
    fn from(error: OpenError) -> Self {
        let code = match error {
            OpenError::Missing { .. } => FaultCode::NotFound,
            OpenError::Newer { .. } => FaultCode::Protocol,
            OpenError::Foreign { .. } => FaultCode::Denied,
            OpenError::Unusable { .. }
            | OpenError::Migration { .. }
            | OpenError::Damaged { .. } => FaultCode::Unavailable,
        };
        Self::new(code, error.to_string())
    }
}

impl From<InspectError> for Fault {
    fn from(error: InspectError) -> Self {
        let code = match error {
            InspectError::Gone(_) => FaultCode::NotFound,
            InspectError::Refused(_) | InspectError::Denied(_) => FaultCode::Denied,
            InspectError::Failed(_) => FaultCode::Unavailable,
        };
        Self::new(code, error.to_string())
    }
}

impl From<CallError> for Fault {
    fn from(error: CallError) -> Self {
        let (code, hint) = match &error {
            CallError::BadUrl(_) => {
                (FaultCode::Invalid, "An address is like http://127.0.0.1:8080.")
            }
            CallError::WantsKey { .. } => (
                FaultCode::Denied,
                "Put the key into a file of its own and name that: services.ID.key_file.",
            ),
            CallError::Refused { .. } => {
                (FaultCode::Unavailable, "Nothing listens there: does it run, and on that port?")
            }
            CallError::Unreachable { .. } => {
                (FaultCode::Unavailable, "Look at the name, the port and the way there.")
            }
            CallError::TooSlow { .. } => {
                (FaultCode::Unavailable, "services.timeout_ms says how long is waited.")
            }
            CallError::TooLarge { .. } => {
                (FaultCode::Unavailable, "services.max_body_kib says how much is read.")
            }
            CallError::Redirected { .. } => {
                (FaultCode::Unavailable, "Ask that place, if it is the one that is meant.")
            }
            CallError::Closed { .. }
            | CallError::NotHttp { .. }
            | CallError::Status { .. }
            | CallError::NotText { .. }
            | CallError::NotUnderstood { .. } => {
                (FaultCode::Unavailable, "Another program may be listening there.")
            }
        };
        Self::new(code, whole_sentence(&error.to_string())).hint(hint)
    }
}

/// An address keeps its letters.
fn whole_sentence(words: &str) -> String {
    if words.contains("://") { sentence(words) } else { sentence(&capital(words)) }
}
