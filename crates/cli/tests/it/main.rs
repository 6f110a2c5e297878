//! The program as it is typed: the built binary, in folders of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]

mod certificates;
mod config;
mod found;
mod history;
mod hold;
mod keys;
mod limits;
mod ollama;
mod owner;
mod page;
mod plain;
mod program;
mod requests;
mod runs;
mod sample;
mod services;
mod shortfalls;
