//! Stopping a service that Plimsoll runs, and starting it anew. Both are jobs: the service is let
//! run empty first ([`crate::gateway::Traffic::empty`]), says how many requests that waits for,
//! and until it is stopped a word is enough for it to go on.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use plimsoll_services::service::RunState;

use crate::{
    api::{Fault, FaultCode, JobStarted},
    app::App,
    gateway::{Emptied, Return},
    jobs::{Job, Stopped},
    words::span,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Stop,
    Restart,
}

/// The jobs that end a service now: at most one of each kind for each.
#[derive(Clone, Debug, Default)]
pub struct Ending(Arc<Mutex<BTreeMap<(String, Way), u64>>>);

/// Over when it is dropped.
struct Turn {
    ending: Ending,
    key: (String, Way),
}

// === impl Ending ===

impl Ending {
    fn locked(&self) -> MutexGuard<'_, BTreeMap<(String, Way), u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn job(&self, id: &str, way: Way) -> Option<u64> {
        self.locked().get(&(id.to_owned(), way)).copied()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.ending.locked().remove(&self.key);
    }
}

// === impl App ===

impl App {
    /// Starts a job that stops a service; the same one where it is being stopped already.
    pub(crate) fn service_stop(&self, id: &str) -> Result<JobStarted, Fault> {
        self.services.run_of(id)?;
        // It would start what is to be stopped.
        if let Some(restart) = self.ending.job(id, Way::Restart) {
            self.jobs.cancel(restart)?;
        }
        Ok(self.end(id, Way::Stop))
    }

    /// Starts a job that stops a service and starts it again. From its stop on the job runs to
    /// its end: a service that was stopped is not left so.
    pub(crate) fn service_restart(&self, id: &str) -> Result<JobStarted, Fault> {
        self.services.run_of(id)?;
        if self.ending.job(id, Way::Stop).is_some() {
            return Err(Fault::new(FaultCode::Conflict, format!("{id} is being stopped."))
                .hint("Cancel that, or start it once it is."));
        }
        Ok(self.end(id, Way::Restart))
    }

    fn end(&self, id: &str, way: Way) -> JobStarted {
        let key = (id.to_owned(), way);
        // Held until its number stands there: its end takes it off again.
        let mut ending = self.ending.locked();
        if let Some(&job) = ending.get(&key) {
            return JobStarted { job };
        }
        let (app, turn) = (self.clone(), (self.ending.clone(), key.clone()));
        let work = async move |job: Job| {
            let turn = Turn { ending: turn.0, key: turn.1 };
            let (id, way) = &turn.key;
            match way {
                Way::Stop => stop(&app, &job, id).await,
                Way::Restart => restart(&app, &job, id).await,
            }
        };
        let verb = if way == Way::Stop { "Stop" } else { "Restart" };
        let started = self.jobs.start_beside(format!("{verb} {id}"), work);
        ending.insert(key, started.job);
        started
    }
}

async fn stop(app: &App, job: &Job, id: &str) -> Result<String, Stopped> {
    if app.services.run_of(id)? == RunState::Stopped {
        return Ok(format!("{id} does not run."));
    }
    let emptied = emptied(app, job, id, Return::Never).await?;
    job.say(format!("Stops {id}."));
    app.services.stop_run(id).await?;
    tokio::select! {
        biased;
        ended = app.services.ended(id) => ended.map_err(failed)?,
        () = job.cancelled() => {
            let words = format!("Nobody waits for it any more: {id} ends all the same.");
            return Err(Stopped::Left(words));
        }
    }
    app.services.seen_gone(id).await;
    Ok(format!("{id} is stopped{}.", emptied.overdue()))
}

async fn restart(app: &App, job: &Job, id: &str) -> Result<String, Stopped> {
    let since = app.clock.now().monotonic_ms;
    let Emptied { rest, .. } = emptied(app, job, id, Return::Soon).await?;
    job.say(format!("Starts {id} anew."));
    let anew = async {
        // What is stopped already is started all the same.
        app.services.stop_and_wait(id).await.map_err(failed)?;
        if app.ending.job(id, Way::Stop).is_some() {
            return Err(Stopped::Left(format!("{id} is stopped instead.")));
        }
        app.services.start_and_wait(id).await.map_err(failed)
    };
    tokio::select! {
        done = anew => done?,
        // Whoever ends Plimsoll does not wait for a model to be loaded.
        () = job.ending() => return Err(Stopped::Left(format!("Plimsoll stops, and {id} with it."))),
    }
    rest.serves();
    #[expect(clippy::cast_precision_loss, reason = "shown in seconds")]
    let took = (app.clock.now().monotonic_ms - since) as f64 / 1000.0;
    Ok(format!("{id} serves again after {}.", span(took)))
}

/// # Errors
/// When the job is cancelled: nothing has happened to the service then.
async fn emptied(app: &App, job: &Job, id: &str, back: Return) -> Result<Emptied, Stopped> {
    job.check()?;
    tokio::select! {
        biased;
        () = job.cancelled() => Err(Stopped::Cancelled),
        emptied = app.traffic.empty(id, back, |waits| job.say(waits.sentence())) => Ok(emptied),
    }
}

fn failed(why: String) -> Stopped {
    Stopped::Failed(Fault::new(FaultCode::Unavailable, why))
}
