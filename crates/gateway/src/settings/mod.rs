//! The configuration, projected onto the plain values that the gateway's parts go
//! by: how it listens ([`options`]), what may run at once ([`limits`]), and which answers
//! may serve more than one request ([`sharing`]).

mod limits;
mod options;
mod sharing;

pub use self::{
    limits::limits,
    options::options,
    sharing::{Sharing, question_of},
};
