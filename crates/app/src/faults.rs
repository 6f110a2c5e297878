//! The errors of the other crates as a person sees them: one place that says
//! for each which code and which next step.

use plimsoll_history::{OpenError, ReadError};
use plimsoll_sense::InspectError;

use crate::api::{Fault, FaultCode};

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
