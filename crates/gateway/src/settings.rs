//! The gateway's options, as the configuration says them.
