//! What is staged: it is kept beside the revisions, so that neither a closed window nor a
//! restart loses it, and knows from which values it began.

use plimsoll_core::config::{
    table::setting_of,
    wire::{Change, ConfigView, SettingValue},
};
use plimsoll_history::State;
use serde::{Deserialize, Serialize};

use super::table::is_limit;
use crate::api::{DraftChange, Fault, FaultCode, LimitsDraft, LimitsStage};

/// Where it is kept.
pub const KEPT_AS: &str = "limits-draft";
/// Most settings of one draft: beyond all there are of a large workstation.
const MOST: usize = 2000;

/// As it is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Kept {
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

/// What is staged, beside what is in force now.
///
/// # Errors
/// When the database cannot be read.
pub async fn read(state: &State, view: &ConfigView) -> Result<LimitsDraft, Fault> {
    Ok(of(state.kept(KEPT_AS).await?, view))
}

/// As it was kept, beside what is in force now.
pub fn of(kept: Option<String>, view: &ConfigView) -> LimitsDraft {
    shown(&parsed(kept), view)
}

/// A draft of a later Plimsoll that this one cannot read is none.
fn parsed(kept: Option<String>) -> Kept {
    kept.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// Takes the place of what was staged before.
///
/// # Errors
/// `NotFound` for a key that is no limit, `Invalid` for too many; else when it cannot be kept.
pub async fn stage(
    state: &State,
    view: &ConfigView,
    LimitsStage { changes, rebase }: LimitsStage,
    now_ms: i64,
) -> Result<LimitsDraft, Fault> {
    if changes.len() > MOST {
        let most = format!("At most {MOST} changes are staged at once.");
        return Err(Fault::new(FaultCode::Invalid, most));
    }
    let before = parsed(state.kept(KEPT_AS).await?);
    let mut kept = Kept { base: view.digest.clone(), at_ms: now_ms, changes: Vec::new() };
    for Change { key, value: to } in changes {
        let Some(now) = in_force(view, &key).filter(|_| is_limit(&key)) else {
            return Err(Fault::new(FaultCode::NotFound, format!("There is no limit {key}.")));
        };
        // What was staged already began from where it began then, and so did its draft; what
        // was applied meanwhile begins anew.
        let earlier = before.changes.iter().find(|change| change.key == key);
        let earlier = earlier.filter(|change| !rebase && change.to.as_ref() != Some(&now));
        if earlier.is_some() {
            kept.base.clone_from(&before.base);
        }
        let from = earlier.map_or(now, |change| change.from.clone());
        kept.changes.retain(|change| change.key != key);
        kept.changes.push(KeptChange { key, from, to });
    }
    let text = serde_json::to_string(&kept)
        .map_err(|error| Fault::new(FaultCode::Internal, error.to_string()))?;
    state.keep(KEPT_AS, &text).await?;
    Ok(shown(&kept, view))
}

fn shown(kept: &Kept, view: &ConfigView) -> LimitsDraft {
    let changes: Vec<DraftChange> = kept
        .changes
        .iter()
        .filter_map(|change| {
            let now = in_force(view, &change.key)?;
            let to = change.to.clone();
            let becomes = to.clone().or_else(|| default_of(view, &change.key))?;
            // What holds already is staged no more.
            (becomes != now).then(|| DraftChange {
                key: change.key.clone(),
                conflict: now != change.from,
                from: change.from.clone(),
                now,
                to,
            })
        })
        .collect();
    if changes.is_empty() {
        return LimitsDraft::default();
    }
    LimitsDraft { changes, at_ms: Some(kept.at_ms), file_changed: kept.base != view.digest }
}

/// `None` for what is no setting. One of a service that was found has its default until
/// something is written of it.
fn in_force(view: &ConfigView, key: &str) -> Option<SettingValue> {
    let state = view.settings.iter().find(|state| state.key == key);
    state.map(|state| state.value.clone()).or_else(|| default_of(view, key))
}

fn default_of(view: &ConfigView, key: &str) -> Option<SettingValue> {
    let state = view.settings.iter().find(|state| state.key == key);
    let declared = || setting_of(key).map(|setting| setting.default.value());
    state.map(|state| state.default.clone()).or_else(declared)
}
