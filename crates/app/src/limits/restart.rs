//! A managed service with another launch setting: it is drained, stopped and started, and the
//! job says how long that took.

use std::time::Duration;

use plimsoll_gateway::admission::Rest;
use tokio::time::sleep;

use crate::{
    api::{Fault, FaultCode, JobStarted},
    app::App,
    jobs::{Job, Stopped},
    words::span,
};

impl App {
    /// Starts a job that stops a service and starts it again. What runs there ends first, and
    /// who asks meanwhile waits until it serves again. From its stop on the job runs to its end:
    /// a service that was stopped is not left so.
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
        self.jobs.start(format!("Restart {id}"), move |job| async move {
            let since = app.clock.now().monotonic_ms;
            let rest = app.traffic.rest(&id);
            drained(&job, &rest, &id, app.traffic.drain()).await?;
            // What is stopped already is started all the same.
            app.services.stop_and_wait(&id).await.map_err(failed)?;
            app.services.start_and_wait(&id).await.map_err(failed)?;
            rest.serves();
            #[expect(clippy::cast_precision_loss, reason = "shown in seconds")]
            let took = (app.clock.now().monotonic_ms - since) as f64 / 1000.0;
            Ok(format!("{id} serves again after {}.", span(took)))
        })
    }
}

/// Waits until what runs there has ended, but no longer than `within`.
///
/// # Errors
/// When the job is cancelled: nothing has happened to the service then.
async fn drained(job: &Job, rest: &Rest, id: &str, within: Duration) -> Result<(), Stopped> {
    let many = match rest.in_flight() {
        0 => return job.check(),
        1 => "1 request".to_owned(),
        many => format!("{many} requests"),
    };
    job.say(format!("Waits for {many} to end, at most {}.", span(within.as_secs_f64())));
    tokio::select! {
        biased;
        () = rest.emptied() => {}
        () = job.cancelled() => return Err(Stopped::Cancelled),
        () = sleep(within) => {
            let left = rest.in_flight();
            tracing::warn!(service = id, requests = left, "what still runs there is cut off");
        }
    }
    job.say(format!("Starts {id} anew."));
    Ok(())
}

fn failed(why: String) -> Stopped {
    Stopped::Failed(Fault::new(FaultCode::Unavailable, why))
}
