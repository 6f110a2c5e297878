//! Following the file. Editors write in many ways (in place, by renaming a new
//! file over the old one, through a link), so the folder is watched and not the
//! file; and where watching is not possible, the file is looked at now and then.

use std::{
    ffi::{OsStr, OsString},
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
        let mut watching = Watching { watcher: None, places: Places::default(), tell };
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
    // Between an editor's two renames the file is missing, and between emptying and
    // writing it is empty; neither is what the person means.
    if is_missing_or_empty(&handle.inner).await && !handle.view().text.is_empty() {
        sleep(pace.missing).await;
    }
    handle.reload().await;
}

async fn is_missing_or_empty(inner: &Inner) -> bool {
    match tokio::fs::metadata(&inner.path).await {
        Ok(metadata) => metadata.len() == 0,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

struct Watching {
    watcher: Option<RecommendedWatcher>,
    places: Places,
    tell: mpsc::Sender<()>,
}

/// Where the file may be found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Places {
    folders: Vec<PathBuf>,
    /// Its own name, and that of what it links to.
    names: Vec<OsString>,
}

// === impl Watching ===

impl Watching {
    /// Watches the folders of the file and of what it links to, if they changed.
    async fn renewed(self, path: &Path) -> Self {
        let path = path.to_path_buf();
        let tell = self.tell.clone();
        let renewed = tokio::task::spawn_blocking(move || {
            let places = Places::of(&path);
            if self.watcher.is_some() && places == self.places {
                return self;
            }
            let watcher = watch(&places, &self.tell);
            Self {
                places: if watcher.is_some() { places } else { Places::default() },
                watcher,
                ..self
            }
        });
        renewed.await.unwrap_or(Self { watcher: None, places: Places::default(), tell })
    }
}

// === impl Places ===

impl Places {
    fn of(path: &Path) -> Self {
        let paths: Vec<PathBuf> =
            [Some(path.to_path_buf()), file::followed(path).ok()].into_iter().flatten().collect();
        let mut folders: Vec<PathBuf> = paths
            .iter()
            .filter_map(|p| p.parent().map(Path::to_path_buf))
            .filter(|folder| folder.is_dir())
            .collect();
        folders.sort();
        folders.dedup();
        let mut names: Vec<OsString> =
            paths.iter().filter_map(|p| p.file_name().map(OsStr::to_os_string)).collect();
        names.dedup();
        Self { folders, names }
    }

    /// Whether what happened may concern the file. Databases and logs may lie in
    /// the same folder, and are written every second.
    fn concerns(&self, event: &notify::Result<notify::Event>) -> bool {
        // Errors, lost events among them, are a reason to look; reading the file is not.
        let Ok(event) = event else { return true };
        let named = |path: &PathBuf| {
            path.file_name().is_some_and(|name| self.names.iter().any(|known| known == name))
        };
        !event.kind.is_access() && (event.paths.is_empty() || event.paths.iter().any(named))
    }
}

fn watch(places: &Places, tell: &mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    if places.folders.is_empty() {
        return None;
    }
    let (tell, of) = (tell.clone(), places.clone());
    let told = move |event: notify::Result<notify::Event>| {
        if of.concerns(&event) {
            // One waiting message is enough.
            let _ = tell.try_send(());
        }
    };
    let mut watcher = notify::recommended_watcher(told).ok()?;
    for folder in &places.folders {
        if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
            tracing::debug!(folder = %folder.display(), %error, "the folder cannot be watched");
            return None;
        }
    }
    Some(watcher)
}

#[cfg(test)]
mod tests {
    use notify::{Event, EventKind, event::ModifyKind};

    use super::*;

    #[test]
    fn only_what_happens_to_the_file_or_its_target_is_a_reason_to_look() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("real.toml");
        std::fs::write(&target, "").unwrap();
        let link = dir.path().join("plimsoll.toml");
        std::os::unix::fs::symlink("real.toml", &link).unwrap();
        let places = Places::of(&link);
        assert_eq!(places.folders, [dir.path()]);
        let modified = |name: &str| {
            Ok(Event::new(EventKind::Modify(ModifyKind::Any)).add_path(dir.path().join(name)))
        };
        assert!(places.concerns(&modified("plimsoll.toml")));
        assert!(places.concerns(&modified("real.toml")));
        assert!(!places.concerns(&modified("history.db-wal")), "written every second");
        // Events were lost: nobody knows which.
        assert!(places.concerns(&Ok(Event::new(EventKind::Other))));
        assert!(places.concerns(&Err(notify::Error::generic("overflow"))));
    }
}
