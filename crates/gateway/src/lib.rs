//! The gateway: any OpenAI client is pointed at it, and the GPU is never overrun.
//!
//! A request goes down one readable column ([`serve`]): host and origin, key and
//! client, size, what it asks for ([`request`]), which backends could answer
//! ([`route`]), cache and coalescing, [`admission`], the [`upstream`], the stream
//! back ([`sse`]). What it took is told to [`record`] when its body ends.
//!
//! Admission is a pure machine: no I/O and no clock of its own, so that recorded
//! traffic can be replayed through it.

pub mod admission;
pub mod cache;
pub mod clients;
pub mod coalesce;
#[cfg(test)]
mod corpus;
mod gateway;
mod lane;
pub mod record;
pub mod replay;
pub mod request;
pub mod route;
mod scan;
pub mod serve;
pub mod settings;
pub mod sse;
mod turn;
pub mod upstream;

pub use self::{
    gateway::{Drained, Gateway, Listening, Parts},
    lane::Lane,
};
