//! Limits, tuned by sight. A limit is a setting: it is changed, kept as a revision and taken
//! back where all settings are ([`crate::config_handle`]). Here stands what a person needs
//! beside that: what each limits and which chart it moves ([`list`]), what is staged
//! ([`draft`]), what moving it would have done, and what moving it did.

mod alone;
mod compare;
mod draft;
mod effect;
mod list;
mod log;
mod other;
mod slider;
mod starts;
mod stats;
mod table;
#[cfg(test)]
mod tests;
mod trace;
mod vram;
mod words;

use std::{collections::BTreeMap, path::Path};

use plimsoll_core::config::{file, wire::Revision};
use plimsoll_history::StoredKind;
use rustix::fs::{Access, access};

pub use self::{
    alone::{effects_alone, view_alone},
    draft::DraftDesk,
    effect::{Ground, effects},
    list::{Facts, view},
    log::Source,
};
use crate::{
    api::{
        ConfigEdit, Fault, LimitsAsk, LimitsCompared, LimitsDraft, LimitsEffect, LimitsStage,
        LimitsView,
    },
    app::App,
    dispatch::blocking,
};

/// How far back the starts of services are looked for.
const STARTS_WITHIN_MS: i64 = 30 * 86_400_000;

impl App {
    pub(crate) async fn limits(&self) -> Result<LimitsView, Fault> {
        let current = self.config.view();
        let services = self.services.list();
        let path = self.config.path().to_path_buf();
        let unwritable = blocking(move || unwritable(&path)).await?;
        let facts = Facts {
            view: &current,
            config: &self.config.config(),
            services: &services,
            rooms: &self.traffic.rooms(),
            starts: &self.starts().await,
            unwritable: unwritable.as_deref(),
            memory_bytes: self.machine.memory_bytes,
        };
        let draft = self.draft.read(&current).await?;
        Ok(LimitsView { draft, ..view(&facts) })
    }

    pub(crate) async fn limits_stage(&self, stage: LimitsStage) -> Result<LimitsDraft, Fault> {
        self.draft.stage(&self.config.view(), stage, self.now_ms()).await
    }

    /// Puts an edit in force; what is staged only as it was looked at.
    pub(crate) async fn apply(&self, edit: &ConfigEdit) -> Result<Revision, Fault> {
        self.draft.apply_edit(&self.config, edit, self.now_ms()).await
    }

    pub(crate) async fn limits_effect(&self, ask: &LimitsAsk) -> Result<LimitsEffect, Fault> {
        let (loaded, environment) = self.config.in_force().await;
        let gpu = self.gpu.borrow().clone();
        let services = self.services.list();
        let launch_changed = starts::launch_changed(&self.config.revisions().await?);
        let ground = Ground {
            source: Source::Running(&self.traffic, &self.reader),
            reader: &self.reader,
            loaded,
            environment,
            keys: self.keys.watch().borrow().clone(),
            rooms: self.traffic.rooms(),
            services: &services,
            table: Some(&self.traffic.table()),
            vram_used: self.vram().now(),
            vram_total: gpu.and_then(|gpu| gpu.vram_total_bytes),
            memory_bytes: self.machine.memory_bytes,
            now_ms: self.now_ms(),
            launch_changed,
        };
        effects(&ground, &ask.changes).await
    }

    pub(crate) async fn limits_compare(&self, revision: i64) -> Result<LimitsCompared, Fault> {
        let revision = self.config.revision(revision).await?;
        let all = self.config.revisions().await?;
        // What is under way is read before the log: what ends meanwhile is in both.
        let under_way = self.traffic.records.live(usize::MAX);
        let under_way: Vec<_> =
            under_way.iter().map(|one| (one.at_ms, one.backend.as_deref())).collect();
        let source = Source::Running(&self.traffic, &self.reader);
        let stored = self.reader.storage().await?;
        let log = stored.iter().find(|stored| stored.kind == StoredKind::Requests);
        let oldest_ms = log.and_then(|stored| stored.oldest_ms);
        let table = self.traffic.table();
        let known = compare::Known {
            table: Some(&table),
            all: &all,
            under_way: &under_way,
            oldest_ms,
            now_ms: self.now_ms(),
        };
        compare::compare(source, &known, revision).await
    }

    /// What is not known where the history cannot be read is how long: no more than that.
    async fn starts(&self) -> BTreeMap<String, i64> {
        let now = self.now_ms();
        let marks = self.reader.marks(now - STARTS_WITHIN_MS, now).await;
        marks.map(|marks| starts::starts(&marks)).unwrap_or_default()
    }
}

/// Why the file cannot be written; `None` where it can, or does not exist and can be made.
pub fn unwritable(path: &Path) -> Option<String> {
    let target = file::followed(path).unwrap_or_else(|_| path.to_path_buf());
    let read_only = |path: &Path, what: &str| {
        access(path, Access::WRITE_OK).err().map(|error| {
            format!("{what}{} cannot be written: {}.", path.display(), std::io::Error::from(error))
        })
    };
    if target.exists()
        && let Some(why) = read_only(&target, "")
    {
        return Some(why);
    }
    // A file is replaced, not written over.
    let folder = target.ancestors().skip(1).find(|folder| folder.exists())?;
    read_only(folder, "The folder ")
}
