//! The doors: ways in from outside this process. Each forwards to one dispatch.

pub mod client;
pub mod page;
pub mod socket;
pub mod wire;

use std::future::Future;

use serde_json::value::RawValue;

use crate::{
    api::{Command, Fault, Subscription},
    hub::Listener,
};

/// What a door needs to know of the program behind it, so that a door can be
/// tested without one.
pub trait Host: Clone + Send + Sync + 'static {
    /// Does the command; the answer is JSON text already, for it only travels on.
    fn call(&self, command: Command) -> impl Future<Output = Result<Box<RawValue>, Fault>> + Send;

    fn listen(&self, subscription: &Subscription) -> Listener;

    /// Is it well? For probes.
    fn health(&self) -> Health;
}

/// The answer to a probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Health {
    /// It works; false while recording is paused.
    pub healthy: bool,
    /// It has measured at least once.
    pub ready: bool,
    /// In words, what is not well; empty where all is.
    pub reason: String,
}
