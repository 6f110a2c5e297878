//! The way of a request, from its connection to the end of its answer.
//!
//! [`column`] is to be read from top to bottom; every other file is one step of it.

mod answer;
mod aside;
mod column;
mod connection;
mod consult;
mod course;
mod dialect;
mod door;
mod ending;
mod give_back;
mod hang_up;
mod heard;
mod large;
mod listen;
mod look;
mod ollama;
mod options;
mod own;
mod pace;
mod passing;
mod patient;
mod progress;
mod read;
mod refuse;
mod retry;
mod send;
mod shared;
mod slot;
mod state;
mod wishes;
mod world;

pub use self::{
    listen::{Door, ListenError},
    options::{Bounds, Budgets, Consult, Idle, Options, PORT, Patience, Retry},
    own::OwnFigures,
    state::State,
    world::{Alone, Orphan, Sought, World},
};
