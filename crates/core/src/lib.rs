//! The words every other crate speaks: units, time, metrics, readings, marks,
//! series, processes, alerts and configuration. No I/O happens here except
//! reading and writing the one configuration file.

pub mod alert;
pub mod clock;
pub mod config;
pub mod device;
pub mod histogram;
pub mod log;
pub mod mark;
pub mod metric;
pub mod process;
pub mod reading;
pub mod record;
pub mod request;
pub mod series;
pub mod source;
pub mod traffic;
pub mod unit;

/// Version of the protocol between a process that owns a data folder and those
/// that attach to it. Raised when a command changes its shape.
pub const PROTOCOL: u32 = 1;

/// Version of the program, as Cargo knows it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
