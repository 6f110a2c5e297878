//! The real window, driven from outside: each group of tests opens it with a
//! display, a session bus, a driver and a data folder of its own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attach;
mod browser;
mod closing;
mod explore;
mod frame;
mod limits;
mod overview;
mod pictures;
mod processes;
mod services;
mod settings;
mod steps;
mod storage;
mod traffic;
