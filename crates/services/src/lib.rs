//! Services: what runs on this machine, found by itself, looked at gently, and
//! brought to one set of figures.
//!
//! The way of a look: a [`client::Target`] is asked by the [`adapter::Adapter`] of
//! its kind, which gives a [`adapter::Scrape`]; [`state`] judges how the service
//! is, [`normalise`] makes readings of its figures, and [`fleet`] does both for
//! every service at its own pace. What others see is [`service::Service`].
//!
//! [`managed`] starts and stops those that have a command.
//!
//! Deliberately absent: a watch writes nothing to disk and reads no process table
//! itself (it is given), and nothing here knows of the window.

pub mod adapter;
pub mod adapters;
pub mod client;
pub mod discovery;
pub mod fleet;
pub mod health;
pub mod kind;
pub mod managed;
pub mod normalise;
pub mod prometheus;
pub mod service;
pub mod state;
