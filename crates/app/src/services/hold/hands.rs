//! What a hold needs of the rest of Plimsoll.

use std::sync::{Mutex, PoisonError};

use plimsoll_core::{alert::Severity, clock::Instant3, mark::Mark};
use plimsoll_services::{
    adapter::{ActionError, Stay},
    fleet::FleetError,
    service::Service,
};

use super::KEY;
use crate::{
    api::Live,
    app::App,
    gateway::{Emptied, Return, WaitsFor},
    services::actions::{self, Action, PATIENCE},
    words::sentence,
};

/// The servers, the disk and those who listen, as a hold sees them. Errors are sentences.
pub trait Hands: Send + Sync + 'static {
    /// While it is there, a service takes nothing new.
    type Rest: Send;

    fn now(&self) -> Instant3;
    fn services(&self) -> Vec<Service>;
    /// Looks now; `None` where nobody watches such a service.
    fn look(&self, id: &str) -> impl Future<Output = Option<Service>> + Send;
    /// Lets what runs on a service end before it is touched, or after a bound; `say` hears what
    /// is waited for. Dropped before it answers, nothing has happened.
    fn empty(
        &self,
        id: &str,
        back: Return,
        say: impl FnMut(WaitsFor) + Send,
    ) -> impl Future<Output = Self::Rest> + Send;
    fn unload(&self, id: &str, model: &str) -> impl Future<Output = Result<(), String>> + Send;
    fn load(
        &self,
        id: &str,
        model: &str,
        stay: Stay,
    ) -> impl Future<Output = Result<(), String>> + Send;
    /// Stops a service that Plimsoll runs, and returns when it has ended, or after a bound.
    fn stop(&self, id: &str) -> impl Future<Output = Result<(), String>> + Send;
    /// Starts it again, and returns when it answers, or after a bound.
    fn start(&self, id: &str) -> impl Future<Output = Result<(), String>> + Send;
    /// VRAM in use now, in bytes.
    fn vram(&self) -> Option<u64>;
    /// The same, once what was done shows in it.
    fn settled(&self) -> impl Future<Output = Option<u64>> + Send;
    /// Keeps the text over a restart; on the disk when it returns.
    fn keep(&self, text: String) -> impl Future<Output = Result<(), String>> + Send;
    fn mark(&self, mark: Mark);
    /// Says that the hold has changed.
    fn tell(&self);
    /// Says something that a person should see.
    fn warn(&self, title: String, advice: String);
}

/// The real ones.
pub struct Real {
    app: App,
    /// What was kept last: the same is not written twice.
    kept: Mutex<String>,
}

// === impl Real ===

impl Real {
    pub fn new(app: App) -> Self {
        Self { app, kept: Mutex::default() }
    }

    fn service(&self, id: &str) -> Result<Service, String> {
        let services = self.app.services.list();
        let service = services.into_iter().find(|service| service.id == id);
        service.ok_or_else(|| format!("There is no service {id} any more."))
    }
}

impl Hands for Real {
    type Rest = Emptied;

    fn now(&self) -> Instant3 {
        self.app.clock.now()
    }

    fn services(&self) -> Vec<Service> {
        self.app.services.list()
    }

    async fn look(&self, id: &str) -> Option<Service> {
        let service = self.app.services.fleet.look_now(id).await?;
        // With what is known beside the watch.
        Some(self.app.services.told(&service))
    }

    async fn empty(&self, id: &str, back: Return, say: impl FnMut(WaitsFor) + Send) -> Emptied {
        self.app.traffic.empty(id, back, say).await
    }

    async fn unload(&self, id: &str, model: &str) -> Result<(), String> {
        let service = self.service(id)?;
        let done = self.app.services.fleet.unload(id, model, super::UNLOAD_WITHIN).await;
        done.map_err(|error| match &error {
            // In its own words: it holds its one model, or it still works on a request.
            FleetError::Action(ActionError::Refused(said)) => sentence(said),
            _ => actions::not_done(&service, Action::Unload, model, error).message,
        })
    }

    async fn load(&self, id: &str, model: &str, stay: Stay) -> Result<(), String> {
        let service = self.service(id)?;
        let done = self.app.services.fleet.load_to_stay(id, model, stay, PATIENCE).await;
        done.map_err(|error| actions::not_done(&service, Action::Load, model, error).message)
    }

    async fn stop(&self, id: &str) -> Result<(), String> {
        self.app.services.stop_and_wait(id).await?;
        self.app.services.seen_gone(id).await;
        Ok(())
    }

    async fn start(&self, id: &str) -> Result<(), String> {
        self.app.services.start_and_wait(id).await
    }

    fn vram(&self) -> Option<u64> {
        self.app.vram().now()
    }

    async fn settled(&self) -> Option<u64> {
        self.app.vram().settled().await
    }

    async fn keep(&self, text: String) -> Result<(), String> {
        if *self.kept.lock().unwrap_or_else(PoisonError::into_inner) == text {
            return Ok(());
        }
        self.app.state.keep(KEY, &text).await.map_err(|error| error.to_string())?;
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = text;
        Ok(())
    }

    fn mark(&self, mark: Mark) {
        self.app.record.mark(mark);
    }

    fn tell(&self) {
        self.app.hub.tell(Live::Hold);
    }

    fn warn(&self, title: String, advice: String) {
        tracing::warn!("{title}. {advice}");
        self.app.hub.tell(Live::Notice {
            rule: "hold".into(),
            subject: String::new(),
            severity: Severity::Warning,
            title,
            advice,
        });
    }
}
