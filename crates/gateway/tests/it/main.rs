//! The whole gateway before doubles of model servers: one binary.

mod bounds;
mod consult;
mod door;
mod faults;
mod flood;
mod house;
mod streams;
mod thread;
