//! A configuration in a folder of its own.

mod changing;
mod following;
mod going_back;
mod starting;
mod telling;

use std::{collections::BTreeMap, fs, time::Duration};

use futures::future::BoxFuture;
use plimsoll_core::{
    clock::ManualClock,
    config::{
        digest,
        wire::{Change, SettingValue},
    },
    record::{Layer, Nowhere},
};

use super::*;
use crate::api::{ConfigEdit, RollbackRequest};

/// Revisions in memory; they fail when told to.
#[derive(Default)]
struct Kept {
    rows: StdMutex<BTreeMap<i64, KeptRevision>>,
    broken: std::sync::atomic::AtomicBool,
}

impl Kept {
    fn rows(&self) -> Result<std::sync::MutexGuard<'_, BTreeMap<i64, KeptRevision>>, Fault> {
        if self.broken.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(Fault::new(FaultCode::Unavailable, "state.db: disk full"));
        }
        Ok(self.rows.lock().unwrap())
    }
}

impl Revisions for Kept {
    fn add(&self, mut kept: KeptRevision) -> BoxFuture<'_, Result<i64, Fault>> {
        Box::pin(async move {
            let mut rows = self.rows()?;
            let number = rows.len() as i64 + 1;
            kept.revision.number = number;
            rows.insert(number, kept);
            Ok(number)
        })
    }
    fn get(&self, number: i64) -> BoxFuture<'_, Result<Option<KeptRevision>, Fault>> {
        Box::pin(async move { Ok(self.rows()?.get(&number).cloned()) })
    }
    fn newest(&self) -> BoxFuture<'_, Result<Option<KeptRevision>, Fault>> {
        Box::pin(async move { Ok(self.rows()?.values().next_back().cloned()) })
    }
    fn list(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Revision>, Fault>> {
        Box::pin(async move {
            let rows = self.rows()?;
            Ok(rows.values().rev().take(limit as usize).map(|k| k.revision.clone()).collect())
        })
    }
}

#[derive(Default)]
struct Noted(StdMutex<Vec<Mark>>);

impl Layer for Noted {
    fn below(&self) -> &dyn Record {
        &Nowhere
    }
    fn on_mark(&self, mark: Mark) {
        self.0.lock().unwrap().push(mark);
    }
}

struct World {
    dir: tempfile::TempDir,
    kept: Arc<Kept>,
}

impl World {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), kept: Arc::default() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("plimsoll.toml")
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    async fn start(&self) -> ConfigHandle {
        let clock = Arc::new(ManualClock::at(1_763_650_000_000));
        ConfigHandle::load(self.path(), Environment::default(), self.kept.clone(), clock).await
    }
}

fn change(key: &str, value: i64) -> Vec<Change> {
    vec![Change { key: key.into(), value: Some(SettingValue::Integer(value)) }]
}

fn edit(handle: &ConfigHandle, key: &str, value: i64) -> ConfigEdit {
    ConfigEdit {
        base: Some(handle.view().digest.clone()),
        changes: change(key, value),
        by: "window".into(),
        ..ConfigEdit::default()
    }
}

const RAW: &str = "history.keep.raw_hours";
