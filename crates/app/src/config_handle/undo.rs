//! Taking back one revision: what it changed, and nothing that came after it.

use plimsoll_core::config::{
    table::setting_of,
    wire::{Change, Changed, Revision, SettingState, SettingValue},
};

use super::{
    ConfigHandle, KeptRevision,
    hidden::said,
    words::{refused, who},
};
use crate::api::{ConfigEdit, Fault, FaultCode, RollbackRequest};

// === impl ConfigHandle ===

impl ConfigHandle {
    /// Takes back what a revision changed, as a new revision. The newest one gives way to the text
    /// before it, comments and all; of an older one the settings get their old values, and later
    /// changes of other settings stay.
    ///
    /// # Errors
    /// `NotFound` where there is no such revision or nothing is kept from before it, `Conflict`
    /// where one of its settings was changed again since, else as for [`Self::apply`].
    pub async fn undo(&self, request: &RollbackRequest) -> Result<Revision, Fault> {
        let by = who(&request.by)?;
        let KeptRevision { revision, .. } = self.kept(request.revision).await?;
        let mut standing = self.inner.standing.lock().await;
        // What the file says by now belongs to what came after.
        self.catch_up(&mut standing).await;
        if standing.revision == revision.number {
            let before = revision.number - 1;
            let kept = self.inner.revisions.get(before).await?.ok_or_else(|| {
                Fault::new(
                    FaultCode::NotFound,
                    format!("Nothing is kept from before revision {}.", revision.number),
                )
                .hint("Change the settings by hand: Settings lists them with their defaults.")
            })?;
            return self.put_back(&mut standing, kept.text, by, before).await;
        }
        let changes = taken_back(&revision, &standing.good.settings)?;
        let edit = ConfigEdit { changes, ..ConfigEdit::default() };
        let (good, disk) = (standing.good.clone(), standing.disk.clone());
        let preview = self.preview_on(good, disk, &edit).await?;
        if !preview.problems.is_empty() {
            return Err(refused(&preview.problems));
        }
        self.replace(&mut standing, preview.text, by, None).await
    }
}

/// The changes that lead back, as long as nobody changed the same settings again.
fn taken_back(revision: &Revision, now: &[SettingState]) -> Result<Vec<Change>, Fault> {
    if revision.changed.is_empty() {
        return Err(Fault::new(
            FaultCode::Conflict,
            format!(
                "Revision {} changed no setting, and later ones stand on its text.",
                revision.number
            ),
        )
        .hint("Settings, Revisions goes back to a whole revision."));
    }
    let state = |key: &str| now.iter().find(|state| state.key == key);
    let default = |key: &str| -> Option<SettingValue> {
        let declared = || setting_of(key).map(|setting| setting.default.value());
        state(key).map(|state| state.default.clone()).or_else(declared)
    };
    let value = |key: &str| state(key).map(|state| state.value.clone()).or_else(|| default(key));
    let other: Vec<&Changed> =
        revision.changed.iter().filter(|c| value(&c.key).as_ref() != Some(&c.new)).collect();
    if !other.is_empty() {
        let say = |c: &&Changed| {
            let now = value(&c.key).map_or_else(|| "unset".into(), |now| said(&c.key, &now));
            match said(&c.key, &c.new) {
                new if new == now => format!("{} was changed again", c.key),
                new => format!("{} is {now} by now, no longer {new}", c.key),
            }
        };
        return Err(Fault::new(
            FaultCode::Conflict,
            format!(
                "Revision {} cannot be taken back alone: {}.",
                revision.number,
                other.iter().take(3).map(say).collect::<Vec<_>>().join("; ")
            ),
        )
        .hint("Nothing was changed. Set the values by hand, or go back to a whole revision."));
    }
    let back = |c: &Changed| Change {
        key: c.key.clone(),
        // What was the default is no line of the file.
        value: (default(&c.key).as_ref() != Some(&c.old)).then(|| c.old.clone()),
    };
    let mut changes: Vec<Change> = revision.changed.iter().map(back).collect();
    for table in came_with(revision, now) {
        // No empty header is left of it.
        changes.retain(|change| !is_within(&change.key, &table));
        changes.push(Change { key: table, value: None });
    }
    Ok(changes)
}

/// Tables of services that the revision brought, and that nobody gave more settings since.
fn came_with(revision: &Revision, now: &[SettingState]) -> Vec<String> {
    let nothing = SettingValue::Text(String::new());
    let brought = revision.changed.iter().filter(|c| c.old == nothing && c.new != nothing);
    let tables = brought.filter_map(|c| c.key.strip_suffix(".url")).filter(|table| {
        table.starts_with("services.")
            && now
                .iter()
                .filter(|state| is_within(&state.key, table) && state.value != state.default)
                .all(|state| revision.changed.iter().any(|c| c.key == state.key))
    });
    tables.map(str::to_owned).collect()
}

fn is_within(key: &str, table: &str) -> bool {
    key.strip_prefix(table).is_some_and(|rest| rest.starts_with('.'))
}
