//! Puts the parts together: start and stop order, alerts, and the commands a
//! person can give. The window, the socket, the loopback page and the terminal
//! are four doors to the same dispatch.

pub mod alerts;
mod announce;
pub mod api;
mod app;
pub mod config_handle;
pub mod demo;
mod dispatch;
pub mod doctor;
pub mod door;
mod energy;
mod engine;
pub mod export;
mod faults;
pub mod folder;
pub mod gateway;
pub mod hub;
pub mod jobs;
pub mod keys;
pub mod limits;
pub mod logging;
mod news;
pub mod offline;
pub mod places;
mod project;
pub mod sample;
pub mod services;
pub mod session;
mod sources;
mod stage;
pub mod storage;
pub mod words;

pub use app::App;
pub use engine::Engine;
