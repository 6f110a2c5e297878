//! The configuration in force: read from the file, kept as numbered revisions,
//! changed on the revision it started from, and followed when the file changes.
//!
//! A file that is broken never stops the program. The last good text stays in
//! force, also over a restart (it is the newest revision), and the problems are
//! shown beside it until the file is mended.

mod browser;
mod change;
mod files;
mod follow;
mod hidden;
mod revisions;
mod undo;
mod words;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex as StdMutex, PoisonError},
};

use plimsoll_core::{
    clock::Clock,
    config::{
        Config, Environment, Loaded, changed_between,
        diff::{as_text, diff},
        load,
        wire::{ConfigView, DiffLine, Problem, Revision},
    },
    mark::{Mark, MarkKind},
    record::Record,
};
use tokio::sync::{Mutex, watch};

pub use browser::BROWSER;
pub use follow::FileWatch;
pub use revisions::{KeptRevision, Revisions};

use self::words::{title, trouble_of};
use crate::api::{Fault, FaultCode};

/// Revisions that are listed at once.
const LISTED: u32 = 200;
/// Marks that wait for the history to open; it opens within a second of the start.
const WAITING_MARKS: usize = 16;

/// The one holder of the configuration. Clones are the same handle.
#[derive(Clone)]
pub struct ConfigHandle {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    environment: Environment,
    revisions: Arc<dyn Revisions>,
    clock: Arc<dyn Clock>,
    config: watch::Sender<Arc<Config>>,
    view: watch::Sender<Arc<ConfigView>>,
    trouble: watch::Sender<Option<String>>,
    marks: StdMutex<Marks>,
    /// Held while something is applied or read again: one change at a time.
    standing: Mutex<Standing>,
}

enum Marks {
    Waiting(Vec<Mark>),
    Into(Arc<dyn Record>),
}

struct Standing {
    /// In force.
    good: Loaded,
    /// As the file was when it was last read; the same as `good` unless it is broken.
    disk: Loaded,
    /// Revision in force; 0 where revisions cannot be kept.
    revision: i64,
}

// === impl ConfigHandle ===

impl ConfigHandle {
    /// Reads the file. Whatever is wrong with it, there is a configuration in
    /// force afterwards: the file's, the newest revision's, or the defaults.
    pub async fn load(
        path: PathBuf,
        environment: Environment,
        revisions: Arc<dyn Revisions>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let disk = read(&path, &environment).await;
        let newest = match revisions.newest().await {
            Ok(newest) => newest,
            Err(fault) => {
                tracing::warn!(error = %fault, "the configuration's revisions cannot be read");
                None
            }
        };
        let defaults = Loaded::of(String::new(), &environment);
        let (good, number) = match newest {
            Some(kept) => {
                let last = Loaded::of(kept.text, &environment);
                // A newer Plimsoll may have kept a text that this one does not know.
                if last.sound { (last, kept.revision.number) } else { (defaults, 0) }
            }
            None => (defaults, 0),
        };
        let (config, view) = (
            watch::Sender::new(good.config.clone()),
            watch::Sender::new(Arc::new(view_of(&path, &good, &disk, number))),
        );
        let trouble = watch::Sender::new(trouble_of(&path, &disk, number));
        let sound = disk.sound;
        let known = number != 0 && disk.text == good.text;
        let standing = Standing { good, disk: disk.clone(), revision: number };
        let handle = Self {
            inner: Arc::new(Inner {
                path,
                environment,
                revisions,
                clock,
                config,
                view,
                trouble,
                marks: StdMutex::new(Marks::Waiting(Vec::new())),
                standing: Mutex::new(standing),
            }),
        };
        if !sound {
            handle.tell_problems(&disk.problems);
        } else if !known {
            // The first start, or the file was changed while nobody looked.
            let mut standing = handle.inner.standing.lock().await;
            let by = if number == 0 { "start" } else { "file" };
            if let Err(fault) = handle.adopt(&mut standing, disk, by, None).await {
                tracing::warn!(error = %fault, "the configuration's revision could not be kept");
            }
        }
        handle
    }

    /// Marks go there from now on, those that wait first.
    pub fn mark_into(&self, record: Arc<dyn Record>) {
        let mut marks = self.inner.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Marks::Waiting(waiting) = &mut *marks {
            for mark in waiting.drain(..) {
                record.mark(mark);
            }
        }
        *marks = Marks::Into(record);
    }

    pub fn config(&self) -> Arc<Config> {
        self.inner.config.borrow().clone()
    }

    /// The configuration in force, now and whenever it changes.
    pub fn watch(&self) -> watch::Receiver<Arc<Config>> {
        self.inner.config.subscribe()
    }

    pub fn view(&self) -> Arc<ConfigView> {
        self.inner.view.borrow().clone()
    }

    /// The view, now and whenever the file or what is in force changes.
    pub fn watch_view(&self) -> watch::Receiver<Arc<ConfigView>> {
        self.inner.view.subscribe()
    }

    /// Why the file, or a variable, is not in force, and what is instead; `None` where all is.
    pub fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.inner.trouble.subscribe()
    }

    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Follows the file until the guard is dropped.
    pub fn follow(&self) -> FileWatch {
        follow::follow(self, follow::Pace::default())
    }

    /// The newest revisions, newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn revisions(&self) -> Result<Vec<Revision>, Fault> {
        self.inner.revisions.list(LISTED).await
    }

    /// What is in force, to see what a change would make of it.
    pub async fn in_force(&self) -> (Loaded, Environment) {
        (self.inner.standing.lock().await.good.clone(), self.inner.environment.clone())
    }

    /// One revision.
    ///
    /// # Errors
    /// `NotFound` where there is none of that number.
    pub async fn revision(&self, number: i64) -> Result<Revision, Fault> {
        Ok(self.kept(number).await?.revision)
    }

    /// Reads the file again, and puts it in force if it is sound and differs.
    pub async fn reload(&self) {
        let mut standing = self.inner.standing.lock().await;
        self.catch_up(&mut standing).await;
    }

    async fn catch_up(&self, standing: &mut Standing) {
        let disk = read(&self.inner.path, &self.inner.environment).await;
        if disk.digest == standing.disk.digest && disk.problems == standing.disk.problems {
            return;
        }
        if disk.sound {
            let mended = !standing.disk.sound;
            if disk.text == standing.good.text {
                // Mended back to what is in force, or a comment less: nothing to keep.
                standing.disk = disk;
                self.publish(standing);
            } else if let Err(fault) = self.adopt(standing, disk, "file", None).await {
                tracing::warn!(error = %fault, "the configuration's revision could not be kept");
            }
            if mended {
                tracing::info!("the configuration file is sound again");
            }
        } else {
            self.tell_problems(&disk.problems);
            standing.disk = disk;
            self.publish(standing);
        }
    }

    /// Puts a sound text in force. It is in force even where its revision
    /// cannot be kept: the file says so, and the program follows the file.
    async fn adopt(
        &self,
        standing: &mut Standing,
        next: Loaded,
        by: &str,
        rolled_back_to: Option<i64>,
    ) -> Result<Revision, Fault> {
        let changed = changed_between(&standing.good.settings, &next.settings);
        let mut revision = Revision {
            number: 0,
            at_ms: self.inner.clock.now().wall_ms,
            by: by.into(),
            rolled_back_to,
            diff: diff(&standing.good.text, &next.text),
            changed,
        };
        let kept = KeptRevision { revision: revision.clone(), text: next.text.clone() };
        let number = self.inner.revisions.add(kept).await;
        if let Ok(number) = number {
            revision.number = number;
            standing.revision = number;
        }
        // What the first start found is no change of anything.
        let told = !revision.changed.is_empty() && by != "start";
        let told = told.then(|| hidden::without_secrets(&revision.diff, &standing.good, &next));
        standing.good = next.clone();
        standing.disk = next;
        self.publish(standing);
        if let Some(lines) = told {
            self.mark(&revision, &lines);
        }
        match number {
            Ok(_) => Ok(revision),
            Err(fault) => Err(Fault::new(
                FaultCode::Unavailable,
                format!("The change is in force, but was not kept as a revision: {fault}"),
            )),
        }
    }

    fn publish(&self, standing: &Standing) {
        let config = &standing.good.config;
        self.inner.config.send_if_modified(|now| {
            let differs = *now != *config;
            if differs {
                *now = config.clone();
            }
            differs
        });
        let trouble = trouble_of(&self.inner.path, &standing.disk, standing.revision);
        self.inner.trouble.send_if_modified(|now| {
            let differs = *now != trouble;
            *now = trouble;
            differs
        });
        let view = view_of(&self.inner.path, &standing.good, &standing.disk, standing.revision);
        self.inner.view.send_replace(Arc::new(view));
    }

    fn mark(&self, revision: &Revision, lines: &[DiffLine]) {
        let mut mark = Mark::new(revision.at_ms, MarkKind::Change, title(revision));
        mark.detail = as_text(lines);
        mark.reference = (revision.number > 0).then(|| format!("revision:{}", revision.number));
        tracing::info!(revision = revision.number, by = %revision.by, "{}", mark.title);
        match &mut *self.inner.marks.lock().unwrap_or_else(PoisonError::into_inner) {
            Marks::Into(record) => record.mark(mark),
            Marks::Waiting(waiting) if waiting.len() < WAITING_MARKS => waiting.push(mark),
            Marks::Waiting(_) => {}
        }
    }

    fn tell_problems(&self, problems: &[Problem]) {
        for problem in problems.iter().take(10) {
            tracing::warn!(
                file = %self.inner.path.display(),
                line = problem.line,
                "the configuration file is not in force: {}", problem.message
            );
        }
    }
}

async fn read(path: &Path, environment: &Environment) -> Loaded {
    let (path, environment) = (path.to_path_buf(), environment.clone());
    let fallback = environment.clone();
    let read = tokio::task::spawn_blocking(move || load(&path, &environment)).await;
    // Only a runtime that is being shut down gives no answer.
    read.unwrap_or_else(|_| Loaded { sound: false, ..Loaded::of(String::new(), &fallback) })
}

fn view_of(path: &Path, good: &Loaded, disk: &Loaded, revision: i64) -> ConfigView {
    ConfigView {
        path: path.display().to_string(),
        text: disk.text.clone(),
        revision,
        digest: disk.digest.clone(),
        settings: good.settings.clone(),
        problems: disk.problems.clone(),
    }
}

#[cfg(test)]
mod tests;
