//! What the data takes, and what keeping less of it would free.

use std::{fs, path::Path};

use plimsoll_core::config::{Config, table::setting_of, wire::SettingType};
use plimsoll_history::{ReadError, Reader, StoredKind};

use crate::api::StorageKind;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// Less than this is not worth a suggestion.
const WORTH_BYTES: u64 = 1 << 20;

/// One kind of data with the setting that says how long it is kept.
struct Row {
    kind: StoredKind,
    name: &'static str,
    label: &'static str,
    setting: &'static str,
    unit: &'static str,
    unit_ms: i64,
    keep: fn(&Config) -> u32,
}

const ROWS: [Row; 8] = [
    row(StoredKind::Raw, "raw", "Every second", "history.keep.raw_hours", |c| {
        c.history.keep.raw_hours
    }),
    row(StoredKind::S10, "s10", "Every 10 s", "history.keep.s10_days", |c| c.history.keep.s10_days),
    row(StoredKind::M1, "m1", "Every minute", "history.keep.m1_days", |c| c.history.keep.m1_days),
    row(StoredKind::M15, "m15", "Every 15 min", "history.keep.m15_days", |c| {
        c.history.keep.m15_days
    }),
    row(StoredKind::H1, "h1", "Every hour", "history.keep.h1_days", |c| c.history.keep.h1_days),
    row(StoredKind::Marks, "marks", "Marks and alerts", "history.keep.marks_days", |c| {
        c.history.keep.marks_days
    }),
    row(StoredKind::Log, "log", "Log", "history.keep.log_days", |c| c.history.keep.log_days),
    row(StoredKind::Requests, "requests", "Requests", "history.keep.requests_days", |c| {
        c.history.keep.requests_days
    }),
];

const fn row(
    kind: StoredKind,
    name: &'static str,
    label: &'static str,
    setting: &'static str,
    keep: fn(&Config) -> u32,
) -> Row {
    let (unit, unit_ms) = match kind {
        StoredKind::Raw => ("h", HOUR),
        _ => ("days", DAY),
    };
    Row { kind, name, label, setting, unit, unit_ms, keep }
}

/// Every kind of data, in the order from fine to coarse.
pub async fn kinds(
    reader: &Reader,
    config: &Config,
    now_ms: i64,
) -> Result<Vec<StorageKind>, ReadError> {
    let stored = reader.storage().await?;
    let mut kinds = Vec::with_capacity(ROWS.len());
    for row in &ROWS {
        let held = stored.iter().find(|stored| stored.kind == row.kind);
        let (bytes, oldest_ms) = held.map_or((0, None), |held| (held.bytes, held.oldest_ms));
        let keep = i64::from((row.keep)(config));
        let mut less = None;
        if let Some(shorter) = shorter(keep, oldest_ms, now_ms, row) {
            let frees = reader.effect_of_keeping(row.kind, shorter * row.unit_ms).await?;
            if frees >= WORTH_BYTES {
                less = Some((shorter, frees));
            }
        }
        kinds.push(StorageKind {
            kind: row.name.into(),
            label: row.label.into(),
            bytes,
            oldest_ms,
            setting: row.setting.into(),
            keep,
            keep_unit: row.unit.into(),
            less: less.map(|(shorter, _)| shorter),
            less_frees_bytes: less.map(|(_, frees)| frees),
        });
    }
    Ok(kinds)
}

/// Half of what is kept, or of what there is where that is less; `None` where the setting allows
/// no less.
fn shorter(keep: i64, oldest_ms: Option<i64>, now_ms: i64, row: &Row) -> Option<i64> {
    let age = ((now_ms - oldest_ms?).max(0) + row.unit_ms - 1) / row.unit_ms;
    let half = keep.min(age) / 2;
    let min = match setting_of(row.setting).map(|setting| setting.spec().accepts) {
        Some(SettingType::Integer { min, .. }) => min,
        _ => 1,
    };
    (half >= min && half < keep).then_some(half)
}

/// Bytes of all files in the folder.
pub fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => folder_bytes(&entry.path()),
            Ok(meta) if meta.is_file() => meta.len(),
            _ => 0,
        })
        .fold(0, u64::saturating_add)
}

/// What the file system of that path still takes.
pub fn available_bytes(path: &Path) -> Option<u64> {
    let space = rustix::fs::statvfs(crate::doctor::existing(path)).ok()?;
    Some(space.f_bavail.saturating_mul(space.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_is_suggested_and_never_less_than_the_setting_allows() {
        let raw = &ROWS[0];
        let now = 100 * DAY;
        assert_eq!(shorter(48, Some(now - 100 * HOUR), now, raw), Some(24));
        assert_eq!(shorter(48, Some(now - 10 * HOUR), now, raw), Some(5), "half of what there is");
        assert_eq!(shorter(48, Some(now - HOUR), now, raw), None);
        assert_eq!(shorter(1, Some(now - HOUR), now, raw), None);
        assert_eq!(shorter(48, None, now, raw), None, "there is nothing");
        let h1 = &ROWS[4];
        assert_eq!(shorter(400, Some(0), now * 100, h1), None, "365 days is the least");
        assert_eq!(shorter(3650, Some(0), now * 100, h1), Some(1825));
    }

    #[test]
    fn every_kind_names_a_setting_that_exists() {
        for row in &ROWS {
            assert!(setting_of(row.setting).is_some(), "{}", row.setting);
        }
    }
}
