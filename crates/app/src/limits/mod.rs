//! Limits, tuned by sight. A limit is a setting: it is changed, kept as a revision and taken
//! back where all settings are ([`crate::config_handle`]). Here stands what a person needs
//! beside that: what each limits and which chart it moves ([`list`]), what is staged
//! ([`draft`]), what moving it would have done, and what moving it did.

mod draft;
mod list;
mod restart;
mod starts;
mod table;

use std::{collections::BTreeMap, path::Path};

use plimsoll_core::config::file;
use rustix::fs::{Access, access};

pub use self::list::{Facts, view};
use crate::{
    api::{
        Fault, LimitEffect, LimitsAsk, LimitsCompared, LimitsDraft, LimitsEffect, LimitsStage,
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
        let draft = draft::read(&self.state, &current).await?;
        Ok(LimitsView { draft, ..view(&facts) })
    }

    pub(crate) async fn limits_stage(&self, stage: LimitsStage) -> Result<LimitsDraft, Fault> {
        draft::stage(&self.state, &self.config.view(), stage, self.now_ms()).await
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

impl App {
    pub(crate) async fn limits_effect(&self, ask: &LimitsAsk) -> Result<LimitsEffect, Fault> {
        let effect = |change: &plimsoll_core::config::wire::Change| LimitEffect {
            keys: vec![change.key.clone()],
            known: false,
            text: "Cannot tell: nothing that is recorded says it.".into(),
            why: String::new(),
            replay: None,
            vram: None,
        };
        Ok(LimitsEffect { effects: ask.changes.iter().map(effect).collect(), together: None })
    }

    pub(crate) async fn limits_compare(&self, revision: i64) -> Result<LimitsCompared, Fault> {
        let kept = self.config.revision(revision).await?;
        Ok(LimitsCompared {
            revision,
            at_ms: kept.at_ms,
            changed: kept.changed,
            services: Vec::new(),
            before: None,
            after: None,
            window_why: String::new(),
            figures: Vec::new(),
            caution: String::new(),
        })
    }
}
