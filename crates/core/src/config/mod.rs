//! Configuration: one TOML file is the truth, environment variables override
//! it, every applied change is a revision.

pub mod wire;
