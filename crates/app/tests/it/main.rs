//! The doors, from outside: a socket and a page over a host that is no engine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]

mod actions;
mod alerts;
mod browser;
mod host;
mod limits;
mod ollama;
mod page;
mod restart;
mod services;
mod session;
mod socket;
mod traffic;
