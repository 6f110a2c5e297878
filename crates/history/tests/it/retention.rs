//! What goes, what stays, and what is copied away.

use std::sync::Arc;

use plimsoll_core::{clock::ManualClock, metric::Metric, record::Record as _, series::SeriesKey};
use plimsoll_history::{Keep, Options, Reader, Recording};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

use crate::world::{HOUR, MINUTE, SECOND, START, World, counter, gauge};

#[tokio::test]
async fn what_is_older_than_its_retention_goes_once_the_coarser_level_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let options = Options {
        keep: Keep { raw_ms: HOUR, s10_ms: 5 * HOUR, ..Keep::default() },
        ..Options::default()
    };
    let world = World::with(folder.path(), clock, options).await;
    let n = 15 * 3600;
    world.seconds(n, |i| vec![counter(Metric::NetSent, "eth0", i as u64)]).await;
    world.settle().await;
    let end = START + n * SECOND;
    let stored = world.reader.storage().await.unwrap();
    let oldest = |i: usize| stored[i].oldest_ms.unwrap();
    // Raw is needed until the 10 s of its two hours are sealed, and a little longer.
    assert!(oldest(0) > end - 4 * HOUR, "raw from {}", (end - oldest(0)) / MINUTE);
    assert!(oldest(1) >= START + 8 * HOUR && oldest(1) <= end - 5 * HOUR);
    assert_eq!(oldest(2), START);
    // Nothing is missing over the whole range, whoever holds it.
    let key = SeriesKey::new("net.sent", "eth0");
    let grown = world.reader.counter_increase(&key, START, end).await.unwrap().unwrap();
    assert_eq!(grown.increase, (n - 1) as f64);
    world.history.stop().await;
}

#[tokio::test]
async fn what_waits_for_its_coarser_level_goes_as_soon_as_that_is_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(START));
    // No further round of its own comes while this runs.
    let options = Options { purge_ms: 100 * HOUR, ..Options::default() };
    let world = World::with(folder.path(), clock, options).await;
    let net = |i: i64| vec![counter(Metric::NetSent, "eth0", i as u64)];
    let written = || async {
        while world.recorder_len() > 0 {
            tokio::task::yield_now().await;
        }
        world.reader.storage().await.unwrap()[0].oldest_ms.unwrap()
    };
    // Two hours are one slot of 10 s: before they are over nothing can go.
    world.seconds(100 * 60, net).await;
    written().await;
    world.options.send_modify(|o| o.keep.raw_ms = HOUR);
    world.seconds(10, net).await;
    assert_eq!(written().await, START);
    world.seconds(2 * 3600, net).await;
    let oldest = written().await;
    assert!(oldest >= START + HOUR, "from {} min on", (oldest - START) / MINUTE);
    world.history.stop().await;
}

#[tokio::test]
async fn a_database_over_its_size_shrinks_and_the_finest_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let world = World::with(folder.path(), clock, Options::default()).await;
    let mut random = SmallRng::seed_from_u64(3);
    let mut noise = |_: i64| -> Vec<_> {
        (0..12)
            .map(|core| gauge(Metric::DiskBusy, &core.to_string(), random.random::<f64>() * 1e9))
            .collect()
    };
    world.seconds(6 * 3600, &mut noise).await;
    world.settle().await;
    let stored = world.reader.storage().await.unwrap();
    let limit = stored.iter().map(|s| s.bytes).sum::<u64>() / 2;
    let effect =
        world.reader.effect_of_keeping(plimsoll_history::StoredKind::Raw, HOUR).await.unwrap();
    let raw = stored[0].bytes;
    assert!(effect > raw / 2 && effect < raw, "{effect} of {raw}");
    world.options.send_modify(|o| o.max_bytes = limit);
    world.seconds(1, &mut noise).await;
    world.settle().await;
    let path = folder.path().join("history.db");
    world.history.stop().await;
    let bytes = std::fs::metadata(&path).unwrap().len();
    assert!(bytes <= limit, "{bytes} bytes, {limit} allowed");
    let reader = Reader::open_readonly(folder.path()).await.unwrap();
    let stored = reader.storage().await.unwrap();
    assert!(stored[0].oldest_ms.unwrap() > START, "raw was spared");
    assert_eq!(stored[4].oldest_ms.or(stored[2].oldest_ms).or(stored[1].oldest_ms), Some(START));
}

#[tokio::test]
async fn deleting_up_to_a_moment_leaves_nothing_from_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    world.seconds(20_000, |i| vec![counter(Metric::NetSent, "eth0", i as u64)]).await;
    world.settle().await;
    let before = START + 9_999 * SECOND + 500;
    world.history.delete_before(Some(before)).await.unwrap();
    let stats = world.reader.stats().await.unwrap();
    assert_eq!(stats.samples, 10_000);
    assert!(stats.oldest_ms.unwrap() >= before, "{stats:?}");
    for px in [4096, 1000, 100, 4] {
        let answer = world.query(Metric::NetSent, "eth0", START, START + 20_000 * SECOND, px).await;
        let points = &answer.series[0].points;
        let first = points.at_ms.iter().zip(&points.mean).find(|(_, v)| v.is_some()).unwrap().0;
        assert!(first + answer.series[0].step_ms > before, "{px} px");
    }
    world.history.delete_before(None).await.unwrap();
    assert_eq!(world.reader.stats().await.unwrap().samples, 0);
    world.seconds(10, |_| vec![gauge(Metric::CpuBusy, "", 1.0)]).await;
    world.settle().await;
    assert_eq!(world.reader.stats().await.unwrap().samples, 10);
    world.history.stop().await;
}

#[tokio::test]
async fn a_backup_made_while_recording_is_a_whole_history() {
    let folder = tempfile::tempdir().unwrap();
    let backup = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    world.seconds(9000, |i| vec![counter(Metric::NetSent, "eth0", i as u64)]).await;
    world.settle().await;
    let shares = std::sync::Mutex::new(Vec::new());
    let cancel = std::sync::atomic::AtomicBool::new(false);
    let hear = |share: f64| shares.lock().unwrap().push(share);
    let path = world.history.backup(backup.path(), hear, &cancel).await.unwrap();
    assert_eq!(path, backup.path().join("history.db"));
    assert_eq!(shares.lock().unwrap().last(), Some(&1.0));
    assert!(
        world.history.backup(backup.path(), |_| {}, &cancel).await.is_err(),
        "it was overwritten"
    );
    let (from, to) = (START, START + 3 * HOUR);
    let whole = world.query(Metric::NetSent, "eth0", from, to, 500).await;
    let ask = crate::world::query(Metric::NetSent, "eth0", from, to, 500);
    let copy = Reader::open_readonly(backup.path()).await.unwrap();
    assert_eq!(copy.query(&ask).await.unwrap(), whole);
    let other = tempfile::tempdir().unwrap();
    let cancel = std::sync::atomic::AtomicBool::new(true);
    let error = world.history.backup(other.path(), |_| {}, &cancel).await.unwrap_err();
    assert_eq!(error.to_string(), "The backup was cancelled.");
    assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 0);
    world.history.stop().await;
}

#[tokio::test]
async fn switched_off_nothing_is_recorded_and_what_was_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    world.seconds(10, |_| vec![gauge(Metric::CpuBusy, "", 1.0)]).await;
    world.settle().await;
    world.options.send_modify(|o| o.enabled = false);
    let mut status = world.history.watch();
    status.wait_for(|s| s.state == Recording::Off).await.unwrap();
    world.seconds(10, |_| vec![gauge(Metric::CpuBusy, "", 1.0)]).await;
    assert_eq!(world.recorder.queue_len(), 0);
    assert_eq!(world.reader.stats().await.unwrap().samples, 10);
    world.history.stop().await;
}
