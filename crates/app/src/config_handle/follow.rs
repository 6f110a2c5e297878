//! Following the file. Editors write in many ways (in place, by renaming a new
//! file over the old one, through a link), so the folder is watched and not the
//! file; and where watching is not possible, the file is looked at now and then.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use plimsoll_core::config::file;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{ConfigHandle, Inner};

/// Follows the file until it is dropped.
#[must_use = "dropping it stops following the file"]
pub struct FileWatch {
    task: JoinHandle<()>,
}

/// How fast a change is noticed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Quiet time after a change: editors write in several steps.
    pub settle: Duration,
    /// How long a file may be missing before it counts as deleted.
    pub missing: Duration,
    /// Between two looks at the file where no change is told.
    pub poll: Duration,
}

// === impl Pace ===

impl Default for Pace {
    fn default() -> Self {
        Self {
            settle: Duration::from_millis(200),
            missing: Duration::from_secs(1),
            poll: Duration::from_secs(5),
        }
    }
}

// === impl FileWatch ===

impl Drop for FileWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) fn follow(handle: &ConfigHandle, pace: Pace) -> FileWatch {
    // A task that held the handle would keep it alive for ever.
    let inner = Arc::downgrade(&handle.inner);
    let path = handle.inner.path.clone();
    let task = tokio::spawn(async move {
        let (tell, mut told) = mpsc::channel(1);
        let mut watching = Watching { watcher: None, folders: Vec::new(), tell };
        let mut looks = interval(pace.poll);
        looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            watching = watching.renewed(&path).await;
            tokio::select! {
                _ = looks.tick() => {}
                _ = told.recv() => {
                    sleep(pace.settle).await;
                    while told.try_recv().is_ok() {}
                }
            }
            let Some(inner) = inner.upgrade() else { return };
            look(ConfigHandle { inner }, pace).await;
        }
    });
    FileWatch { task }
}

async fn look(handle: ConfigHandle, pace: Pace) {
    // Between an editor's two renames the file is missing; that is no empty file.
    if is_missing(&handle.inner).await && !handle.view().text.is_empty() {
        sleep(pace.missing).await;
    }
    handle.reload().await;
}

async fn is_missing(inner: &Inner) -> bool {
    matches!(tokio::fs::try_exists(&inner.path).await, Ok(false))
}

struct Watching {
    watcher: Option<RecommendedWatcher>,
    folders: Vec<PathBuf>,
    tell: mpsc::Sender<()>,
}

// === impl Watching ===

impl Watching {
    /// Watches the folders of the file and of what it links to, if they changed.
    async fn renewed(self, path: &Path) -> Self {
        let path = path.to_path_buf();
        let tell = self.tell.clone();
        let renewed = tokio::task::spawn_blocking(move || {
            let folders = folders_of(&path);
            if self.watcher.is_some() && folders == self.folders {
                return self;
            }
            let watcher = watch(&folders, &self.tell);
            Self { folders: if watcher.is_some() { folders } else { Vec::new() }, watcher, ..self }
        });
        renewed.await.unwrap_or(Self { watcher: None, folders: Vec::new(), tell })
    }
}

fn folders_of(path: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = [Some(path.to_path_buf()), file::followed(path).ok()]
        .into_iter()
        .flatten()
        .filter_map(|p| p.parent().map(Path::to_path_buf))
        .filter(|folder| folder.is_dir())
        .collect();
    folders.sort();
    folders.dedup();
    folders
}

fn watch(folders: &[PathBuf], tell: &mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    if folders.is_empty() {
        return None;
    }
    let tell = tell.clone();
    let told = move |event: notify::Result<notify::Event>| {
        // Reading the file is no news of it; anything else, errors too, is a reason to look.
        if !event.is_ok_and(|e| e.kind.is_access()) {
            // One waiting message is enough.
            let _ = tell.try_send(());
        }
    };
    let mut watcher = notify::recommended_watcher(told).ok()?;
    for folder in folders {
        if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
            tracing::debug!(folder = %folder.display(), %error, "the folder cannot be watched");
            return None;
        }
    }
    Some(watcher)
}
