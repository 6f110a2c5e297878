//! A host that answers a few commands and nothing else.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use plimsoll_app::{
    api::{Command, Fault, FaultCode, Subscription},
    door::{Health, Host},
    hub::{Hub, Listener},
};
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::Semaphore;

#[derive(Clone)]
pub struct FakeHost {
    pub hub: Hub,
    /// `doctor` waits for a permit.
    pub gate: Arc<Semaphore>,
    /// Calls of `doctor` that are waiting or have waited.
    pub entered: Arc<AtomicUsize>,
}

// === impl FakeHost ===

impl FakeHost {
    pub fn new() -> Self {
        Self { hub: Hub::default(), gate: Arc::new(Semaphore::new(0)), entered: Arc::default() }
    }
}

impl Host for FakeHost {
    async fn call(&self, command: Command) -> Result<Box<RawValue>, Fault> {
        match command {
            Command::Recall(key) => Ok(to_raw_value(&key.key).unwrap()),
            Command::Remember(remembered) => Ok(to_raw_value(&remembered.value.len()).unwrap()),
            Command::Doctor(_) => {
                self.entered.fetch_add(1, Ordering::SeqCst);
                self.gate.acquire().await.unwrap().forget();
                Ok(to_raw_value("well").unwrap())
            }
            other => Err(Fault::new(FaultCode::NotFound, other.name()).hint("try recall")),
        }
    }

    fn listen(&self, subscription: &Subscription) -> Listener {
        self.hub.listen(subscription)
    }

    fn health(&self) -> Health {
        Health { healthy: true, ready: false, reason: String::new() }
    }
}
