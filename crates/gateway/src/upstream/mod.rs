//! Connections to backends: kept, reused, and never trusted to be alive.
