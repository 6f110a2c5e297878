//! What is done with a service, beside looking at it.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::{Fleet, FleetError, asking::scrape_once};
use crate::{
    adapter::{ActionError, Adapter, Memory, Stay},
    client::{Bounds, Target},
    service::Model,
};

/// What others need to act on a service: where it is and who speaks to it.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub target: Option<Target>,
    pub adapter: Option<Arc<dyn Adapter>>,
}

// === impl Fleet ===

impl Fleet {
    /// Loads a model. `patience` is what the server may take for it.
    pub async fn load(&self, id: &str, model: &str, patience: Duration) -> Result<(), FleetError> {
        self.load_to_stay(id, model, Stay::Usual, patience).await
    }

    /// Loads a model that is to stay as it did before.
    pub async fn load_to_stay(
        &self,
        id: &str,
        model: &str,
        stay: Stay,
        patience: Duration,
    ) -> Result<(), FleetError> {
        let (adapter, target) = self.open(id, Some(patience))?;
        let done = adapter.load_to_stay(&target, model, stay).await;
        self.look_now(id).await;
        Ok(done?)
    }

    /// Unloads a model. `patience` is what the server may take for it.
    pub async fn unload(
        &self,
        id: &str,
        model: &str,
        patience: Duration,
    ) -> Result<(), FleetError> {
        let (adapter, target) = self.open(id, Some(patience))?;
        let done = adapter.unload(&target, model).await;
        self.look_now(id).await;
        Ok(done?)
    }

    /// Its models, asked with nothing remembered: what the watch asks for now and then only,
    /// such as what is on disk, is asked for now.
    pub async fn models_anew(&self, id: &str) -> Result<Vec<Model>, FleetError> {
        let (adapter, target) = self.open(id, None)?;
        let scrape = scrape_once(&*adapter, &target, &mut Memory::default()).await;
        Ok(scrape.map_err(ActionError::from)?.models.unwrap_or_default())
    }

    /// The way to a service; with that patience instead of a look's.
    fn open(
        &self,
        id: &str,
        patience: Option<Duration>,
    ) -> Result<(Arc<dyn Adapter>, Target), FleetError> {
        let handle =
            self.shared.handle(id).ok_or_else(|| FleetError::NoSuchService(id.to_string()))?;
        let endpoint = handle.endpoint.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (Some(adapter), Some(target)) = (endpoint.adapter, endpoint.target) else {
            return Err(FleetError::NotKnownYet(id.to_string()));
        };
        let Some(budget) = patience else { return Ok((adapter, target)) };
        // Apart from the watch's own: it must not starve, and call the service down, while a
        // model is loaded for minutes.
        let most = target.bounds().connections.unwrap_or(self.shared.client.limits().connections);
        let bounds = Bounds { budget, connections: Some(most + 1), ..target.bounds() };
        Ok((adapter, target.within(bounds)))
    }
}
