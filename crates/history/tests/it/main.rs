//! The history from outside: what is recorded is what is answered, whatever
//! happens in between.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod basics;
mod faults;
mod kill;
mod model;
mod world;
