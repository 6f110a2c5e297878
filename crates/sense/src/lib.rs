//! This machine, read once a second: system, GPU, processes and Plimsoll itself.
//!
//! [`real_sources`] says what there is to read, [`Sampler`] reads it: each
//! source on a thread of its own, one [`Pulse`] an interval. What could not be
//! read is left out and shows as a gap; nothing stands in for it.

mod gpu;
mod kept;
mod machine;
mod own;
mod process;
mod roots;
mod sampler;
mod sources;
mod system;
mod text;

pub use machine::machine_info;
pub use own::{OwnMeasures, raise_open_files_limit};
pub use process::{Ends, Holder, Peers, listening_here};
pub use roots::Roots;
pub use sampler::{Pulse, Rate, Sampler};
pub use sources::{Inspect, InspectError, Options, Sources, real_sources, sources_at};
