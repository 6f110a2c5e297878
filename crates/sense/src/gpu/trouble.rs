//! What NVML's errors mean to a person.

use nvml_wrapper::error::NvmlError;
use plimsoll_core::source::SourceError;

/// Why there are no readings at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    Absent(String),
    Lost(String),
    Failed(String),
}

/// What an error of one reading means for the rest.
pub enum Meaning {
    /// This card or driver does not have it: the reading is left out.
    LeftOut,
    /// Nothing can be read until the library is opened anew.
    Over(Trouble),
}

// === impl Trouble ===

impl Trouble {
    pub fn of(error: &NvmlError, kernel_module: Option<&str>) -> Self {
        let module = || kernel_module.map(|version| format!(" ({version})")).unwrap_or_default();
        match error {
            NvmlError::DriverNotLoaded => Self::Absent(
                "The NVIDIA library is here, but the driver is not loaded in the kernel. \
                 `sudo modprobe nvidia` loads it."
                    .into(),
            ),
            NvmlError::LibRmVersionMismatch => Self::Lost(format!(
                "The NVIDIA driver was updated under way: its library and its kernel module{} \
                 do not match. Restart the machine to use the new one.",
                module()
            )),
            NvmlError::NoPermission => Self::Absent(
                "Plimsoll may not talk to the NVIDIA driver: check who may use /dev/nvidiactl."
                    .into(),
            ),
            NvmlError::GpuLost => Self::Lost(
                "The GPU does not answer any more: it fell off the bus or its driver crashed. \
                 `sudo dmesg` says more."
                    .into(),
            ),
            NvmlError::ResetRequired => {
                Self::Lost("The GPU must be reset before it can be used again.".into())
            }
            NvmlError::IrqIssue => {
                Self::Lost("The NVIDIA driver gets no interrupts from the GPU.".into())
            }
            NvmlError::Uninitialized | NvmlError::InsufficientPower => {
                Self::Lost(format!("The NVIDIA driver gave up: {error}."))
            }
            NvmlError::NotFound | NvmlError::LibraryNotFound => {
                Self::Absent("The NVIDIA driver finds no GPU.".into())
            }
            NvmlError::FailedToLoadSymbol(_) => Self::Absent(format!(
                "The NVIDIA library is too old or is a stub without functions: {error}."
            )),
            other => Self::Failed(format!("The NVIDIA driver answers with an error: {other}.")),
        }
    }

    pub fn into_error(self) -> SourceError {
        match self {
            Self::Absent(text) => SourceError::Absent(text),
            Self::Lost(text) => SourceError::Lost(text),
            Self::Failed(text) => SourceError::Failed(text),
        }
    }
}

// === impl Meaning ===

impl Meaning {
    pub fn of(error: &NvmlError) -> Self {
        match error {
            NvmlError::GpuLost
            | NvmlError::ResetRequired
            | NvmlError::LibRmVersionMismatch
            | NvmlError::Uninitialized
            | NvmlError::DriverNotLoaded
            | NvmlError::IrqIssue => Self::Over(Trouble::of(error, None)),
            _ => Self::LeftOut,
        }
    }
}
