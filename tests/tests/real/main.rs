//! Real servers on this machine: a llama.cpp server with a tiny model, and a Redis.
//! `./test.sh real` builds them, says where they are, and runs these; nothing else does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clients;
mod docker;
mod found;
mod llama;
mod managed;
mod page;
mod redis;
mod router;
mod servers;
mod sleeping;
