//! What is staged: it is kept beside the revisions, so that neither a closed window nor a
//! restart loses it, and knows from which values it began.
//!
//! There is one draft, whoever looks at it. Single changes of it are staged and put together
//! here, so that no window takes away what another one staged at the same moment; and what
//! is applied is what was looked at, or nothing is.

use std::sync::Arc;

use plimsoll_core::config::{
    environment::plain,
    table::setting_of,
    wire::{Change, ConfigView, Origin, Revision, SettingState, SettingValue},
};
use plimsoll_history::State;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::table::is_limit;
use crate::{
    api::{ConfigEdit, DraftChange, Fault, FaultCode, LimitsDraft, LimitsStage, Live},
    config_handle::ConfigHandle,
    hub::Hub,
};

/// Where it is kept.
pub const KEPT_AS: &str = "limits-draft";
/// Most settings of one draft: beyond all there are of a large workstation.
const MOST: usize = 2000;
/// Differences that are named; of more it is said how many.
const NAMED: usize = 3;

/// Where the draft lies: one changes it at a time.
pub struct DraftDesk {
    state: Arc<State>,
    /// Hears of every change of it.
    hub: Hub,
    turn: Mutex<()>,
}

/// As it is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Kept {
    #[serde(default)]
    serial: i64,
    /// Digest of the file that it began from.
    base: String,
    at_ms: i64,
    changes: Vec<KeptChange>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct KeptChange {
    key: String,
    from: SettingValue,
    to: Option<SettingValue>,
}

/// As it was kept, beside what is in force now.
pub fn of(kept: Option<String>, view: &ConfigView) -> LimitsDraft {
    parsed(kept).shown(view)
}

/// A draft of a later Plimsoll that this one cannot read is none.
fn parsed(kept: Option<String>) -> Kept {
    kept.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

// === impl DraftDesk ===

impl DraftDesk {
    pub fn new(state: Arc<State>, hub: Hub) -> Self {
        Self { state, hub, turn: Mutex::default() }
    }

    /// What is staged, beside what is in force now.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn read(&self, view: &ConfigView) -> Result<LimitsDraft, Fault> {
        Ok(self.kept().await?.shown(view))
    }

    /// Puts the changes into what is staged, and answers what that is now.
    ///
    /// # Errors
    /// `NotFound` for a key that is no limit, `Invalid` for too many; else when it cannot be kept.
    pub async fn stage(
        &self,
        view: &ConfigView,
        stage: LimitsStage,
        now_ms: i64,
    ) -> Result<LimitsDraft, Fault> {
        let _turn = self.turn.lock().await;
        let before = self.kept().await?;
        let kept = before.clone().staged(view, stage, now_ms)?;
        if kept != before {
            self.keep(&kept).await?;
        }
        Ok(kept.shown(view))
    }

    /// Puts in force what is staged, if `seen` is all of it, and takes it off the draft. Nobody
    /// stages while that is decided and done.
    ///
    /// # Errors
    /// `Conflict` where another draft is staged by now; else whatever `apply` says.
    pub async fn apply(
        &self,
        view: &ConfigView,
        seen: &[Change],
        now_ms: i64,
        apply: impl Future<Output = Result<Revision, Fault>>,
    ) -> Result<Revision, Fault> {
        let _turn = self.turn.lock().await;
        let kept = self.kept().await?;
        kept.is_seen(view, seen)?;
        let revision = apply.await?;
        // What is in force is shown as staged no more, also where this cannot be written.
        if let Err(fault) = self.keep(&kept.applied(seen, now_ms)).await {
            tracing::warn!(error = %fault, "what was applied stays in the draft");
        }
        Ok(revision)
    }

    /// Puts an edit in force; what of it is staged only as it was looked at.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub async fn apply_edit(
        &self,
        config: &ConfigHandle,
        edit: &ConfigEdit,
        now_ms: i64,
    ) -> Result<Revision, Fault> {
        let apply = config.apply(edit);
        let Some(keys) = &edit.staged else { return apply.await };
        let seen = edit.changes.iter().filter(|change| keys.contains(&change.key));
        let seen: Vec<Change> = seen.cloned().collect();
        self.apply(&config.view(), &seen, now_ms, apply).await
    }

    async fn kept(&self) -> Result<Kept, Fault> {
        Ok(parsed(self.state.kept(KEPT_AS).await?))
    }

    async fn keep(&self, kept: &Kept) -> Result<(), Fault> {
        let text = serde_json::to_string(kept)
            .map_err(|error| Fault::new(FaultCode::Internal, error.to_string()))?;
        self.state.keep(KEPT_AS, &text).await?;
        self.hub.tell(Live::Staged { serial: kept.serial });
        Ok(())
    }
}

// === impl Kept ===

impl Kept {
    fn staged(
        mut self,
        view: &ConfigView,
        LimitsStage { set, clear, rebase }: LimitsStage,
        now_ms: i64,
    ) -> Result<Self, Fault> {
        let before = self.clone();
        // What is in force is staged no more: what is staged of it now begins anew.
        self.changes.retain(|change| !change.is_done(view) && !clear.contains(&change.key));
        let began = !self.changes.is_empty();
        for Change { key, value: to } in set {
            let Some(from) = in_force(view, &key).filter(|_| is_limit(&key)) else {
                return Err(Fault::new(FaultCode::NotFound, format!("There is no limit {key}.")));
            };
            match self.changes.iter_mut().find(|change| change.key == key) {
                Some(change) => change.to = to,
                None => self.changes.push(KeptChange { key, from, to }),
            }
        }
        self.changes.retain(|change| !change.is_done(view));
        if self.changes.len() > MOST {
            let most = format!("At most {MOST} changes are staged at once.");
            return Err(Fault::new(FaultCode::Invalid, most));
        }
        if rebase {
            for change in &mut self.changes {
                change.from = in_force(view, &change.key).unwrap_or_else(|| change.from.clone());
            }
        }
        if rebase || !began {
            self.base.clone_from(&view.digest);
        }
        // Whoever says what is so already has changed nothing: nobody has to look again.
        if self.changes == before.changes && (self.base == before.base || self.changes.is_empty()) {
            return Ok(before);
        }
        Ok(Self { serial: before.serial + 1, at_ms: now_ms, ..self })
    }

    fn applied(mut self, seen: &[Change], now_ms: i64) -> Self {
        self.changes.retain(|change| !seen.iter().any(|one| one.key == change.key));
        Self { serial: self.serial + 1, at_ms: now_ms, ..self }
    }

    /// Whether these are all that is staged, with these values.
    fn is_seen(&self, view: &ConfigView, seen: &[Change]) -> Result<(), Fault> {
        let staged = || self.changes.iter().filter(|change| !change.is_done(view));
        let other = staged().filter_map(|change| {
            let (key, to) = (&change.key, said(change.to.as_ref()));
            match seen.iter().find(|one| one.key == *key) {
                Some(one) if alike_or_none(one.value.as_ref(), change.to.as_ref()) => None,
                Some(one) => {
                    Some(format!("{key} is staged as {to}, not {}", said(one.value.as_ref())))
                }
                None => Some(format!("{key} is staged as {to}, too")),
            }
        });
        let gone = seen.iter().filter_map(|one| {
            let Change { key, value: to } = one.clone();
            let from = in_force(view, &key)?;
            let is_there = staged().any(|change| change.key == key)
                || KeptChange { key, from, to }.is_done(view);
            (!is_there).then(|| format!("{} is staged no more", one.key))
        });
        let all: Vec<String> = other.chain(gone).collect();
        if all.is_empty() {
            return Ok(());
        }
        let mut differs = all.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
        if all.len() > NAMED {
            differs.push_str(&format!("; and {} more", all.len() - NAMED));
        }
        let words = format!(
            "What is staged was changed elsewhere since it was looked at: {differs}. Nothing was \
             applied."
        );
        Err(Fault::new(FaultCode::Conflict, words)
            .hint("Look at what is staged now, and apply that."))
    }

    fn shown(&self, view: &ConfigView) -> LimitsDraft {
        let staged = self.changes.iter().filter(|change| !change.is_done(view));
        let changes: Vec<DraftChange> = staged
            .filter_map(|change| {
                let now = in_force(view, &change.key)?;
                Some(DraftChange {
                    key: change.key.clone(),
                    conflict: now != change.from,
                    from: change.from.clone(),
                    now,
                    to: change.to.clone(),
                })
            })
            .collect();
        let serial = self.serial;
        if changes.is_empty() {
            return LimitsDraft { serial, ..LimitsDraft::default() };
        }
        let file_changed = self.base != view.digest;
        LimitsDraft { serial, changes, at_ms: Some(self.at_ms), file_changed }
    }
}

// === impl KeptChange ===

impl KeptChange {
    /// It holds already, whoever saw to it.
    fn is_done(&self, view: &ConfigView) -> bool {
        let Some(now) = in_force(view, &self.key) else { return false };
        match &self.to {
            Some(to) => alike(to, &now),
            // A line that says the default is meant to go.
            None => {
                let state = state_of(view, &self.key);
                let in_file = state.is_some_and(|s| matches!(s.origin, Origin::File { .. }));
                !in_file && default_of(view, &self.key).is_some_and(|default| alike(&default, &now))
            }
        }
    }
}

/// `None` for what is no setting. One of a service that was found has its default until
/// something is written of it.
fn in_force(view: &ConfigView, key: &str) -> Option<SettingValue> {
    state_of(view, key).map(|state| state.value.clone()).or_else(|| default_of(view, key))
}

fn default_of(view: &ConfigView, key: &str) -> Option<SettingValue> {
    let declared = || setting_of(key).map(|setting| setting.default.value());
    state_of(view, key).map(|state| state.default.clone()).or_else(declared)
}

fn state_of<'v>(view: &'v ConfigView, key: &str) -> Option<&'v SettingState> {
    view.settings.iter().find(|state| state.key == key)
}

/// One value: a window writes 1.0 as 1.
fn alike(a: &SettingValue, b: &SettingValue) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "what a person typed")]
    match (a, b) {
        (SettingValue::Integer(whole), SettingValue::Number(number))
        | (SettingValue::Number(number), SettingValue::Integer(whole)) => *whole as f64 == *number,
        (a, b) => a == b,
    }
}

fn alike_or_none(a: Option<&SettingValue>, b: Option<&SettingValue>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => alike(a, b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

fn said(to: Option<&SettingValue>) -> String {
    to.map_or_else(|| "its default".into(), plain)
}
