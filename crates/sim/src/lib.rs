//! The simulated workstation: a machine with a 24 GB card that never was, for
//! the demo and for tests. It has the words of the metric catalogue and nothing
//! of a real machine; it never stands in for a real source that failed.
//!
//! Its model servers are real ones, as far as the network can tell: [`server`] holds
//! doubles that speak as llama.cpp, vLLM and Ollama do. Each stands for itself, too,
//! for tests of whatever stands before a model server.
//!
//! A scenario is a data file below `scenarios/`. The same scenario, seed and
//! simulated moment give the same readings, at any speed.

mod cast;
mod clients;
mod live;
mod machine;
mod marks;
mod noise;
mod past;
mod plan;
mod readings;
mod scenario;
pub mod server;
mod simulation;
mod table;
mod traffic;
mod world;

pub use cast::{Cast, Company, Played};
pub use clients::{CLIENTS_FROM, Clients};
pub use marks::LiveMarks;
pub use past::Past;
pub use scenario::{ScenarioError, names};
pub use simulation::{MAX_SPEED, Simulation};
pub use traffic::{Caller, Ended, Entrance, Gate, Refused, Standing};

/// The scenario of `--demo`.
pub const DEMO: &str = "day";
/// The seed of `--demo`: everybody sees the same day.
pub const DEMO_SEED: u64 = 1876;

#[cfg(test)]
mod tests;
