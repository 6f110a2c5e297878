//! Damaged databases are not deleted: they are set aside under a dated name.

use std::path::{Path, PathBuf};

use super::sidecar;

/// Moves a damaged database away, with its `-wal` and `-shm`, under a dated name.
pub(crate) fn set_aside(path: &Path, now_ms: i64) -> std::io::Result<PathBuf> {
    let stem =
        path.file_stem().map_or_else(|| "history".into(), |s| s.to_string_lossy().into_owned());
    let stamp = stamp(now_ms);
    let mut aside = path.with_file_name(format!("{stem}-damaged-{stamp}.db"));
    let mut n = 2;
    while aside.exists() {
        aside = path.with_file_name(format!("{stem}-damaged-{stamp}-{n}.db"));
        n += 1;
    }
    // The log first: a crash between the steps must not leave it beside a new file.
    for suffix in ["-wal", "-shm"] {
        match std::fs::rename(sidecar(path, suffix), sidecar(&aside, suffix)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    std::fs::rename(path, &aside)?;
    Ok(aside)
}

/// Databases that were set aside in that folder, newest last.
pub(crate) fn set_aside_in(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("history-damaged-") && name.ends_with(".db")
        })
        .collect();
    found.sort();
    found
}

/// `20261121-143005`, in UTC. Days to a date after Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms".
fn stamp(now_ms: i64) -> String {
    let seconds = now_ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}{month:02}{day:02}-{:02}{:02}{:02}",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_the_date_in_utc() {
        assert_eq!(stamp(0), "19700101-000000");
        assert_eq!(stamp(1_795_271_405_123), "20261121-143005");
        assert_eq!(stamp(951_782_400_000), "20000229-000000");
    }
}
