//! The history from outside: what is recorded is what is answered, whatever
//! happens in between.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod basics;
mod clocks;
mod damage;
mod disk;
mod hours;
mod kill;
mod model;
mod requests;
mod retention;
mod versions;
mod world;
