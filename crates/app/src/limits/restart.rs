//! A managed service with another launch setting: it is stopped and started, and the job
//! says how long that took.

use crate::{
    api::{Fault, FaultCode, JobStarted},
    app::App,
    jobs::Stopped,
    words::span,
};

impl App {
    /// Starts a job that stops a service and starts it again. It runs to its end: a service
    /// that was stopped is not left so.
    pub(crate) fn service_restart(&self, id: &str) -> Result<JobStarted, Fault> {
        let config = self.config.config();
        let managed =
            config.services.entries.get(id).is_some_and(|entry| !entry.command.is_empty());
        if !managed || self.home.simulated {
            let message = format!("Plimsoll does not run {id}: it cannot start it anew.");
            return Err(Fault::new(FaultCode::Invalid, message)
                .hint("Where somebody else starts it, it is theirs to start again."));
        }
        let (app, id) = (self.clone(), id.to_owned());
        self.jobs.start(format!("Restart {id}"), move |_| async move {
            let since = app.clock.now().monotonic_ms;
            // What is stopped already is started all the same.
            app.services.stop_and_wait(&id).await.map_err(failed)?;
            app.services.start_and_wait(&id).await.map_err(failed)?;
            #[expect(clippy::cast_precision_loss, reason = "shown in seconds")]
            let took = (app.clock.now().monotonic_ms - since) as f64 / 1000.0;
            Ok(format!("{id} serves again after {}.", span(took)))
        })
    }
}

fn failed(why: String) -> Stopped {
    Stopped::Failed(Fault::new(FaultCode::Unavailable, why))
}
