//! Long work: exports, backups, moves. Each has progress and can be cancelled.

use std::{
    collections::VecDeque,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    api::{Done, Fault, FaultCode, JobProgress, JobStarted, JobState, Live},
    hub::Hub,
};

/// Jobs that run at once; they all read the same disk.
const RUNNING: usize = 4;
/// Jobs that are remembered; the oldest finished ones go first.
const REMEMBERED: usize = 32;
/// Progress is told in steps of a hundredth: nobody sees finer ones.
const STEP: f64 = 0.01;

/// All jobs of this start. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Jobs {
    hub: Hub,
    list: Arc<Mutex<VecDeque<Entry>>>,
    next: Arc<AtomicU64>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Entry {
    progress: JobProgress,
    cancel: CancellationToken,
    /// It takes one of the places of [`RUNNING`].
    counted: bool,
}

/// What a job knows of itself.
#[derive(Clone, Debug)]
pub struct Job {
    id: u64,
    jobs: Jobs,
    cancel: CancellationToken,
}

/// How a job ended early.
#[derive(Debug)]
pub enum Stopped {
    Cancelled,
    /// Cancelled, in a sentence: what was begun may go on elsewhere.
    Left(String),
    Failed(Fault),
}

// === impl Jobs ===

impl Jobs {
    pub fn new(hub: Hub) -> Self {
        Self {
            hub,
            list: Arc::default(),
            next: Arc::new(AtomicU64::new(1)),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Starts `work`, which answers with a sentence that says what was done. It looks at its
    /// [`Job`] now and then to see whether it was cancelled.
    pub fn start<F, W>(&self, title: impl Into<String>, work: F) -> Result<JobStarted, Fault>
    where
        F: FnOnce(Job) -> W,
        W: Future<Output = Result<String, Stopped>> + Send + 'static,
    {
        let is_counted = |e: &&Entry| e.counted && e.progress.state == JobState::Running;
        // Held until this one stands there: two that come at once are counted one after the other.
        let list = self.list();
        if list.iter().filter(is_counted).count() >= RUNNING {
            return Err(Fault::new(
                FaultCode::Unavailable,
                format!("{RUNNING} jobs run already, which is as many as may."),
            )
            .hint("Wait for one, or cancel it."));
        }
        Ok(self.begin(list, title.into(), true, work))
    }

    /// Starts what must not wait for others and reads no disk. The caller bounds how many.
    pub fn start_beside<F, W>(&self, title: impl Into<String>, work: F) -> JobStarted
    where
        F: FnOnce(Job) -> W,
        W: Future<Output = Result<String, Stopped>> + Send + 'static,
    {
        self.begin(self.list(), title.into(), false, work)
    }

    fn begin<F, W>(
        &self,
        mut list: MutexGuard<'_, VecDeque<Entry>>,
        title: String,
        counted: bool,
        work: F,
    ) -> JobStarted
    where
        F: FnOnce(Job) -> W,
        W: Future<Output = Result<String, Stopped>> + Send + 'static,
    {
        let cancel = self.stop.child_token();
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let progress = JobProgress {
            job: id,
            title,
            state: JobState::Running,
            share: None,
            message: String::new(),
        };
        list.push_back(Entry { progress, cancel: cancel.clone(), counted });
        if list.len() > REMEMBERED
            && let Some(oldest) = list.iter().position(|e| e.progress.state != JobState::Running)
        {
            list.remove(oldest);
        }
        drop(list);
        self.tell(id, |_| {});
        let job = Job { id, jobs: self.clone(), cancel };
        let work = work(job);
        let jobs = self.clone();
        self.tasks.spawn(async move {
            let outcome = work.await;
            jobs.tell(id, |progress| match outcome {
                Ok(message) => {
                    progress.state = JobState::Done;
                    progress.share = Some(1.0);
                    progress.message = message;
                }
                Err(Stopped::Cancelled) => {
                    progress.state = JobState::Cancelled;
                    progress.message = "Cancelled.".into();
                }
                Err(Stopped::Left(words)) => {
                    progress.state = JobState::Cancelled;
                    progress.message = words;
                }
                Err(Stopped::Failed(fault)) => {
                    tracing::warn!(job = id, %fault, "a job failed");
                    progress.state = JobState::Failed;
                    progress.message = match fault.hint {
                        Some(hint) => format!("{} {hint}", fault.message),
                        None => fault.message,
                    };
                }
            });
        });
        JobStarted { job: id }
    }

    /// The newest first.
    pub fn all(&self) -> Vec<JobProgress> {
        self.list().iter().rev().map(|entry| entry.progress.clone()).collect()
    }

    pub fn cancel(&self, id: u64) -> Result<Done, Fault> {
        let list = self.list();
        let Some(entry) = list.iter().find(|entry| entry.progress.job == id) else {
            return Err(Fault::new(FaultCode::NotFound, format!("There is no job {id}.")));
        };
        entry.cancel.cancel();
        let message = match entry.progress.state {
            JobState::Running => "It ends as soon as it can.",
            _ => "It had ended already.",
        };
        Ok(Done { message: message.into() })
    }

    /// Cancels what runs and waits until it has ended.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn tell(&self, id: u64, change: impl FnOnce(&mut JobProgress)) {
        let progress = {
            let mut list = self.list();
            let Some(entry) = list.iter_mut().find(|entry| entry.progress.job == id) else {
                return;
            };
            change(&mut entry.progress);
            entry.progress.clone()
        };
        self.hub.tell(Live::Job { job: progress });
    }

    fn list(&self) -> std::sync::MutexGuard<'_, VecDeque<Entry>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Job ===

impl Job {
    /// So much is done, 0 to 1. Listeners hear of it in steps.
    pub fn progress(&self, share: f64) -> Result<(), Stopped> {
        self.check()?;
        let share = share.clamp(0.0, 1.0);
        let step = {
            let list = self.jobs.list();
            let before = list.iter().find(|e| e.progress.job == self.id);
            before.is_some_and(|e| e.progress.share.is_none_or(|s| (share - s).abs() >= STEP))
        };
        if step {
            self.jobs.tell(self.id, |progress| progress.share = Some(share));
        }
        Ok(())
    }

    /// What it does now, or how far it is, where a share says nothing.
    pub fn say(&self, words: String) {
        self.jobs.tell(self.id, |progress| progress.message = words);
    }

    /// `Err` once somebody wants it to end.
    pub fn check(&self) -> Result<(), Stopped> {
        if self.cancel.is_cancelled() { Err(Stopped::Cancelled) } else { Ok(()) }
    }

    /// True where all of Plimsoll ends, and not this job alone.
    pub fn stopping(&self) -> bool {
        self.jobs.stop.is_cancelled()
    }

    /// Resolves when somebody wants it to end.
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// Resolves when all of Plimsoll ends.
    pub async fn ending(&self) {
        self.jobs.stop.cancelled().await;
    }
}

// === impl Stopped ===

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Subscription;

    #[tokio::test]
    async fn progress_is_told_in_steps_and_ends_with_a_sentence() {
        let hub = Hub::default();
        let mut heard = hub.listen(&Subscription::default());
        let jobs = Jobs::new(hub);
        jobs.start("Export", |job| async move {
            for n in 0..=1000 {
                job.progress(f64::from(n) / 1000.0)?;
            }
            Ok("1000 rows.".into())
        })
        .unwrap();
        let mut messages = 0;
        loop {
            let Some(Live::Job { job }) = heard.next().await else { panic!() };
            messages += 1;
            if job.state != JobState::Running {
                assert_eq!((job.state, job.message.as_str()), (JobState::Done, "1000 rows."));
                break;
            }
        }
        assert!((90..=110).contains(&messages), "{messages}");
    }

    #[tokio::test]
    async fn a_cancelled_job_ends_and_says_so() {
        let jobs = Jobs::new(Hub::default());
        let started = jobs
            .start("Backup", |job| async move {
                job.cancelled().await;
                job.check()?;
                Ok(String::new())
            })
            .unwrap();
        jobs.cancel(started.job).unwrap();
        jobs.stop().await;
        assert_eq!(jobs.all()[0].state, JobState::Cancelled);
        assert_eq!(jobs.cancel(99).unwrap_err().code, FaultCode::NotFound);
    }

    // MV13
    #[tokio::test]
    async fn few_jobs_run_at_once_and_few_are_remembered() {
        let jobs = Jobs::new(Hub::default());
        for _ in 0..100 {
            jobs.start("Export", |_| async { Ok(String::new()) }).unwrap();
            while jobs.all()[0].state == JobState::Running {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(jobs.all().len(), REMEMBERED);
        let forever = |job: Job| async move {
            job.cancelled().await;
            Err(Stopped::Cancelled)
        };
        for _ in 0..RUNNING {
            jobs.start("Export", forever).unwrap();
        }
        assert_eq!(jobs.start("Export", forever).unwrap_err().code, FaultCode::Unavailable);
        // What must not wait for them is none of these, and takes no place from them.
        jobs.start_beside("Stop a", forever);
        jobs.cancel(jobs.all()[1].job).unwrap();
        while jobs.all()[1].state == JobState::Running {
            tokio::task::yield_now().await;
        }
        jobs.start("Export", forever).unwrap();
        jobs.stop().await;
    }
}
