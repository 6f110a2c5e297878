//! The history from outside: what is recorded is what is answered, whatever
//! happens in between.

mod basics;
mod model;
mod world;
