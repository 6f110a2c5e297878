//! The history from outside: what is recorded is what is answered, whatever
//! happens in between.

mod basics;
mod faults;
mod kill;
mod model;
mod world;
