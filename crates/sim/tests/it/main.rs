//! The model-server double, asked over the network: by the adapters that look at real
//! servers, and byte by byte.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod adapters;
mod faults;
mod stores;
mod streams;
mod wire;
