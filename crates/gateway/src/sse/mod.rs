//! A stream of events as it passes: counted, timed, and where Plimsoll asked for
//! `usage` itself, freed of the one chunk that the client does not expect.
//!
//! What passes is passed on as the very bytes that came ([`Watch::feed`]): they are looked
//! at, not copied. Only a line that comes in pieces is gathered, up to a bound; what is
//! longer goes by with a glance at its two ends.

pub use self::{
    counts::Counts,
    passed::Passed,
    seen::Seen,
    watch::{Form, Watch},
};

mod counts;
mod frame;
mod gaps;
mod glance;
mod line;
mod passed;
mod seen;
mod watch;

#[cfg(test)]
mod tests;
