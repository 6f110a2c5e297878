//! The whole gateway before doubles of model servers: one binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod away;
mod bodies;
mod bounds;
mod canned;
mod churn;
mod consult;
#[path = "../../src/corpus.rs"]
mod corpus;
mod door;
mod fallback;
mod faults;
mod flood;
mod heads;
mod house;
mod raw;
mod rest;
mod shared;
mod stop;
mod streams;
mod thread;
mod tls;
mod told;
