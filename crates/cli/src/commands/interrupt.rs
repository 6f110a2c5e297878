//! Ctrl-C, taken before the work begins: it must never end the terminal's command
//! and leave what it began without a word.

use plimsoll_app::api::{Fault, FaultCode};
use tokio::signal::unix::{Signal, SignalKind, signal};

pub struct Interrupt(Signal);

// === impl Interrupt ===

impl Interrupt {
    /// From now on Ctrl-C ends nothing by itself.
    pub fn take() -> Result<Self, Fault> {
        signal(SignalKind::interrupt()).map(Self).map_err(|error| {
            Fault::new(FaultCode::Internal, format!("Ctrl-C cannot be taken: {error}."))
        })
    }

    /// When a person has pressed it, be it before this was asked.
    pub async fn pressed(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
