//! Puts the parts together: start and stop order, alerts, and the commands a
//! person can give. The window, the socket, the loopback page and the terminal
//! are four doors to the same dispatch.

pub mod api;
pub mod door;
pub mod folder;
pub mod hub;
pub mod places;
