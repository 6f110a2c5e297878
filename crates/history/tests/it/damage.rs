//! A damaged database: set aside, recovered, and never a wrong value.

use std::{os::unix::fs::FileExt as _, path::Path, sync::Arc};

use plimsoll_core::{
    clock::ManualClock,
    mark::MarkKind,
    metric::Metric,
    series::{Level, SeriesKey},
};
use plimsoll_history::{Options, Reader, Recording, recover};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

use crate::world::{DAY, HOUR, MINUTE, SECOND, START, World, counter, gauge};

pub async fn record(folder: &Path, n: i64) {
    let world = World::open(folder).await;
    world
        .seconds(n, |i| {
            vec![
                gauge(Metric::CpuBusy, "", (i % 900) as f64 / 10.0),
                gauge(Metric::MemoryUsed, "", ((i * 7919) % 100_000) as f64 * 65536.0),
                counter(Metric::NetSent, "eth0", i as u64 * 77),
            ]
        })
        .await;
    world.settle().await;
    world.history.stop().await;
}

#[tokio::test]
async fn a_file_whose_head_is_destroyed_is_set_aside_and_recovered() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), 8000).await;
    let path = folder.path().join("history.db");
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[0xa5; 4096], 0).unwrap();
    std::fs::write(folder.path().join("history.db-wal"), b"left over").unwrap();
    drop(file);

    let clock = Arc::new(ManualClock::at(START + DAY));
    let world = World::with(folder.path(), clock, Options::default()).await;
    world.seconds(10, |_| vec![gauge(Metric::CpuBusy, "", 5.0)]).await;
    world.settle().await;
    let heard = world.history.marks().try_recv().unwrap();
    assert!(heard.title.contains("damaged"), "{heard:?}");
    let status = world.history.watch().borrow().clone();
    assert_eq!(status.state, Recording::Recording);
    let [aside] = &status.set_aside[..] else { panic!("{status:?}") };
    assert_eq!(aside.file_name().unwrap(), "history-damaged-20260106-000000.db");
    assert!(aside.with_file_name("history-damaged-20260106-000000.db-wal").exists());
    let marks = world.reader.marks(START, START + 2 * DAY).await.unwrap();
    assert!(marks.iter().any(|m| m.kind == MarkKind::History && m.title.contains("damaged")));
    assert_eq!(world.reader.stats().await.unwrap().samples, 10);
    world.history.stop().await;

    let report = recover(aside, folder.path()).await.unwrap();
    assert!(report.chunks >= 3 * 13 && report.ticks > 0, "{report:?}");
    let reader = Reader::open_readonly(folder.path()).await.unwrap();
    let key = SeriesKey::new("net.sent", "eth0");
    let grown = reader.counter_increase(&key, START, START + 8000 * SECOND).await.unwrap().unwrap();
    assert_eq!(grown.increase, 7999.0 * 77.0, "{report:?}");
    assert_eq!(reader.stats().await.unwrap().samples, 24_010);
}

#[tokio::test]
async fn damage_met_while_recording_is_set_aside_and_recording_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), 20_000).await;
    let path = folder.path().join("history.db");
    // A third of all pages, and the root of the chunks: no walk finds them then.
    let mut connection = connect(&path).await;
    let root: i64 = sqlx::query_scalar("SELECT rootpage FROM sqlite_schema WHERE name = 'chunk'")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let pages = std::fs::metadata(&path).unwrap().len() / 4096;
    let mut random = SmallRng::seed_from_u64(1);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    for page in 26..pages {
        if random.random_bool(0.3) || page == 26 {
            let page = if page == 26 { root as u64 - 1 } else { page };
            let noise: Vec<u8> = (0..4096).map(|_| random.random()).collect();
            file.write_all_at(&noise, page * 4096).unwrap();
        }
    }
    let clock = Arc::new(ManualClock::at(START + DAY));
    let world = World::with(folder.path(), clock, Options::default()).await;
    world.seconds(1500, |i| vec![gauge(Metric::GpuBusy, "GPU-1", (i % 100) as f64)]).await;
    // Whoever meets it first, writer or reader: in the end there is a clean file.
    let ask = crate::world::query(Metric::CpuBusy, "", START, START + 6 * HOUR, 1000);
    let _ = world.reader.query(&ask).await;
    let _ = world.reader.stats().await;
    world.seconds(1500, |i| vec![gauge(Metric::GpuBusy, "GPU-1", (i % 100) as f64)]).await;
    world.settle().await;
    let status = world.history.watch().borrow().clone();
    assert_eq!(status.state, Recording::Recording);
    assert_eq!(status.set_aside.len(), 1, "{status:?}");
    let aside = status.set_aside[0].clone();
    world.seconds(100, |_| vec![gauge(Metric::GpuBusy, "GPU-1", 1.0)]).await;
    world.settle().await;
    let newest = world.reader.stats().await.unwrap();
    assert!(newest.samples >= 100);
    world.history.stop().await;

    let report = recover(&aside, folder.path()).await.unwrap();
    assert!(report.lost > 0, "{report:?}");
    // A good part of what was not hit comes back, and what comes back is right.
    assert!(report.chunks > 20, "{report:?}");
    let reader = Reader::open_readonly(folder.path()).await.unwrap();
    let key = SeriesKey::new("cpu.busy", "");
    let page = reader.raw_page(&key, START, START + 6 * HOUR, None, 10_000).await.unwrap();
    for value in &page.values {
        let i = (value.at_ms - START) / SECOND;
        assert!((value.value - (i % 900) as f64 / 10.0).abs() < 1e-9, "{value:?}");
    }
}

#[tokio::test]
async fn a_flipped_bit_in_a_chunk_is_a_gap_and_never_a_wrong_value() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), 8000).await;
    let path = folder.path().join("history.db");
    let mut connection = connect(&path).await;
    // One bit in the middle of every second raw chunk of the series.
    sqlx::query(
        "UPDATE chunk SET data = CAST(substr(data, 1, 20) || x'00' || substr(data, 22) AS BLOB)
         WHERE series > 0 AND slot IN (SELECT id FROM slot WHERE level = 0 AND from_ms % 1200000 = 0)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let reader = Reader::open_readonly(folder.path()).await.unwrap();
    let ask = crate::world::query(Metric::MemoryUsed, "", START, START + 100 * MINUTE, 4096);
    let mut ask = ask;
    ask.to_ms = START + 70 * MINUTE;
    ask.from_ms = START + 2 * MINUTE;
    let answer = reader.query(&ask).await.unwrap();
    let points = &answer.series[0].points;
    assert_eq!(answer.series[0].level, Level::Raw);
    assert!(points.mean.iter().any(Option::is_none), "the damage does not show");
    let key = SeriesKey::new("memory.used", "");
    let page = reader.raw_page(&key, START, START + 2 * HOUR, None, 10_000).await.unwrap();
    assert!(!page.values.is_empty() && page.values.len() < 7200);
    for value in page.values {
        let i = (value.at_ms - START) / SECOND;
        assert_eq!(value.value, ((i * 7919) % 100_000) as f64 * 65536.0);
    }
}

pub async fn connect(path: &Path) -> sqlx::SqliteConnection {
    use sqlx::ConnectOptions as _;
    sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}
