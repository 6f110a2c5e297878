//! Whole-program tests: the built programs, driven from outside as a person
//! drives them. `./test.sh` builds them and passes their paths; a path that is
//! missing fails a test, it never skips it.

pub mod bus;
pub mod child;
pub mod desk;
pub mod gateway;
pub mod keyboard;
pub mod page;
pub mod program;
pub mod wait;
pub mod windows;
