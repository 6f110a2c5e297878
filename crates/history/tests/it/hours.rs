//! Hours, which lie by series, and their blocks: what a chart of years reads, and
//! that nothing that is done to a history forgets one of the two.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use plimsoll_core::{
    clock::ManualClock,
    metric::Metric,
    series::{Level, SeriesAnswer},
};
use plimsoll_history::{Keep, Options, Reader, recover};

use crate::{
    damage::connect,
    world::{DAY, HOUR, MINUTE, START, World, gauge, query},
};

const NOW: i64 = START + 13 * DAY;
/// Of the hours, so that a range may begin and end with one.
const SLOT: i64 = 30 * DAY;
const KEEP: Keep = Keep {
    raw_ms: HOUR,
    s10_ms: DAY,
    m1_ms: 8 * DAY,
    m15_ms: 400 * DAY,
    h1_ms: 3650 * DAY,
    marks_ms: 3650 * DAY,
    log_ms: 30 * DAY,
    requests_ms: 30 * DAY,
    requests_bytes: 512 << 20,
};

/// A year and more of ten series; what is left to seal is sealed.
async fn filled(folder: &Path) -> World {
    let from = plimsoll_history::fill(folder, NOW, 10, KEEP).await.unwrap();
    let options = Options { keep: KEEP, ..Options::default() };
    let world = World::with(folder, Arc::new(ManualClock::at(from)), options).await;
    world.seconds(10, |_| vec![gauge(Metric::CoreBusy, "3", 42.0)]).await;
    world.settle().await;
    world
}

/// Whole slots of hours: what lies before and behind them is finer, or cut.
fn slots() -> (i64, i64) {
    let start = NOW - 360 * DAY;
    let start = start - start.rem_euclid(SLOT);
    (start, start + 10 * SLOT)
}

/// A chart that is drawn from blocks, and one for which hours are needed.
async fn asked(reader: &Reader, from: i64, to: i64) -> Vec<SeriesAnswer> {
    let mut answers = Vec::new();
    for (metric, subject) in [(Metric::CoreBusy, "3"), (Metric::NetReceived, "9")] {
        for width_px in [400, 4096] {
            let answer = reader.query(&query(metric, subject, from, to, width_px)).await.unwrap();
            let answer = answer.series.into_iter().next().unwrap();
            assert_eq!(answer.level, Level::H1);
            assert_eq!(answer.step_ms % (4 * HOUR) == 0, width_px == 400);
            answers.push(answer);
        }
    }
    answers
}

async fn run(path: &Path, sql: &'static str) -> u64 {
    let mut connection = connect(path).await;
    let done = sqlx::query(sql).execute(&mut connection).await.unwrap();
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    done.rows_affected()
}

async fn count(path: &Path, sql: &'static str) -> i64 {
    let mut connection = connect(path).await;
    let n = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    n
}

#[tokio::test]
async fn a_chart_of_years_reads_the_blocks_of_its_hours_and_nothing_else_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let world = filled(folder.path()).await;
    world.history.stop().await;
    let (from, to) = slots();
    let path = folder.path().join("history.db");
    let reader = Reader::open_readonly(folder.path()).await.unwrap();
    let whole = asked(&reader, from, to).await;
    assert!(whole.iter().all(|answer| answer.points.at_ms.len() > 300));
    drop(reader);

    assert!(run(&path, "DELETE FROM hours").await >= 10 * 10);
    let reader = Reader::open_readonly(folder.path()).await.unwrap();
    let blocks = asked(&reader, from, to).await;
    for i in [0, 2] {
        assert_eq!(blocks[i], whole[i], "more than blocks was read");
        assert!(blocks[i + 1].points.at_ms.is_empty(), "hours were not read");
    }
    // A slot that the range cuts is read by the hour.
    let cut = asked(&reader, from + HOUR, to).await;
    assert!(cut[0].points.at_ms[0] >= from + SLOT, "{:?}", cut[0].points.at_ms[0]);
    drop(reader);

    assert!(run(&path, "DELETE FROM blocks").await >= 10 * 10);
    let reader = Reader::open_readonly(folder.path()).await.unwrap();
    assert!(asked(&reader, from, to).await.iter().all(|answer| answer.points.at_ms.is_empty()));
}

#[tokio::test]
async fn a_copy_has_hours_and_blocks_and_a_recovery_makes_both() {
    let folder = tempfile::tempdir().unwrap();
    let world = filled(folder.path()).await;
    let (from, to) = slots();
    let whole = asked(&world.reader, from, to).await;
    let copy = tempfile::tempdir().unwrap();
    let copied = world.reader.backup(copy.path(), |_| {}, &AtomicBool::new(false)).await.unwrap();
    world.history.stop().await;
    let reader = Reader::open_readonly(copy.path()).await.unwrap();
    assert_eq!(asked(&reader, from, to).await, whole);
    drop(reader);
    for sql in [
        "SELECT count(*) FROM hours",
        "SELECT count(*) FROM blocks",
        "SELECT sum(length(data)) FROM blocks",
    ] {
        assert_eq!(count(&copied, sql).await, count(&world_path(&folder), sql).await, "{sql}");
    }

    // The root of a table is lost: no walk finds its rows.
    let root = count(&copied, "SELECT rootpage FROM sqlite_schema WHERE name = 'hours'").await;
    let file = std::fs::OpenOptions::new().write(true).open(&copied).unwrap();
    let at = (root.unsigned_abs() - 1) * 4096;
    std::os::unix::fs::FileExt::write_all_at(&file, &[0xa5; 4096], at).unwrap();
    let new = tempfile::tempdir().unwrap();
    let report = recover(&copied, new.path()).await.unwrap();
    assert!(report.lost > 0, "{report:?}");
    let reader = Reader::open_readonly(new.path()).await.unwrap();
    assert_eq!(asked(&reader, from, to).await, whole);
}

fn world_path(folder: &tempfile::TempDir) -> std::path::PathBuf {
    folder.path().join("history.db")
}

#[tokio::test]
async fn what_is_deleted_or_too_old_is_neither_in_hours_nor_in_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let world = filled(folder.path()).await;
    let (from, to) = slots();
    let whole = asked(&world.reader, from, to).await;
    // In the middle of a block of the second slot.
    let before = from + SLOT + 9 * DAY + 2 * HOUR + MINUTE;
    world.history.delete_before(Some(before)).await.unwrap();
    let left = asked(&world.reader, from, to).await;
    for (left, whole) in left.iter().zip(&whole) {
        let of = |answer: &SeriesAnswer, from: i64| -> Vec<_> {
            let points = &answer.points;
            let all = points.at_ms.iter().zip(&points.max).filter(|(at, _)| **at >= from);
            all.map(|(at, max)| (*at, *max)).collect()
        };
        let step = left.step_ms;
        assert!(left.points.at_ms[0] > before - step, "something is left");
        let from = before + step;
        assert_eq!(of(left, from), of(whole, from));
    }
    let stored = world.reader.storage().await.unwrap();
    assert_eq!(stored[4].oldest_ms, Some(before));

    // All hours but the newest grow too old.
    let keep = Keep { h1_ms: 100 * DAY, m15_ms: 50 * DAY, ..KEEP };
    world.options.send_modify(|options| options.keep = keep);
    world.seconds(10, |_| vec![gauge(Metric::CoreBusy, "3", 42.0)]).await;
    world.settle().await;
    let path = world_path(&folder);
    world.history.stop().await;
    let slots = count(&path, "SELECT count(*) FROM slot WHERE level = 4").await;
    assert!((2..5).contains(&slots), "{slots}");
    for sql in ["SELECT count(*) FROM hours", "SELECT count(*) FROM blocks"] {
        assert_eq!(count(&path, sql).await, slots * 10, "{sql}");
    }
    let bytes = count(&path, "SELECT sum(bytes) FROM slot WHERE level = 4").await;
    let sql =
        "SELECT (SELECT sum(length(data)) FROM hours) + (SELECT sum(length(data)) FROM blocks)";
    assert_eq!(bytes, count(&path, sql).await);
}
