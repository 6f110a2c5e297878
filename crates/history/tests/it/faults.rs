//! Damage, a full disk, a disk that takes nothing, clocks, versions.

use std::{os::unix::fs::FileExt as _, path::Path, process::Command, sync::Arc};

use plimsoll_core::{
    clock::ManualClock,
    mark::MarkKind,
    metric::Metric,
    record::Record as _,
    series::{Level, SeriesKey},
};
use plimsoll_history::{Keep, OpenError, Options, Reader, Recording, recover};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

use crate::world::{DAY, HOUR, MINUTE, SECOND, START, World, counter, gauge};

async fn record(folder: &Path, n: i64) {
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

// --- damage ---

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

async fn connect(path: &Path) -> sqlx::SqliteConnection {
    use sqlx::ConnectOptions as _;
    sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

// --- a disk that takes nothing ---

/// Runs one of the children below under a shell that prepares the fault.
fn run_child(name: &str, folder: &Path, shell: &str) {
    let exe = std::env::current_exe().unwrap();
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("{shell}; exec \"$0\" \"$@\""))
        .arg(exe)
        .args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"])
        .env("PLIMSOLL_TEST_FOLDER", folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

fn size_limit(bytes: Option<u64>) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
}

#[test]
fn a_full_disk_pauses_recording_and_a_disk_with_room_resumes_it() {
    let folder = tempfile::tempdir().unwrap();
    // Without the trap the kernel would end the process instead of failing the write.
    run_child("faults::full_disk_child", folder.path(), "trap '' XFSZ");
}

#[tokio::test]
#[ignore = "the child of the test before it"]
async fn full_disk_child() {
    let folder = std::env::var_os("PLIMSOLL_TEST_FOLDER").unwrap();
    let folder = Path::new(&folder);
    let world = World::open(folder).await;
    let reading = |i: i64| vec![gauge(Metric::CpuBusy, "", (i % 900) as f64 / 10.0)];
    world.seconds(100, reading).await;
    world.settle().await;
    world.query(Metric::CpuBusy, "", START, START + MINUTE, 100).await;
    // No file may reach beyond its first page: whatever is written fails.
    size_limit(Some(4096));
    // Far longer than the ten minutes that are kept.
    for i in 0..1500 {
        world.seconds(1, |_| reading(i)).await;
        tokio::task::yield_now().await;
        if i % 50 == 0 {
            world.history.settle().await;
        }
    }
    assert!(!world.history.settle().await);
    let status = world.history.watch().borrow().clone();
    let Recording::Paused { reason, since_ms } = status.state else { panic!("{status:?}") };
    assert!(reason.contains("disk"), "{reason}");
    assert!(since_ms > START);
    assert!((595..=605).contains(&world.recorder_len()), "{} wait", world.recorder_len());
    // The newest ten minutes are on the charts all the same.
    let now = START + 1600 * SECOND;
    let answer = world.query(Metric::CpuBusy, "", now - 5 * MINUTE, now, 1000).await;
    assert_eq!(answer.series[0].points.at_ms.len(), 300);

    size_limit(None);
    world.seconds(5, reading).await;
    assert!(world.history.settle().await);
    let status = world.history.watch().borrow().clone();
    assert_eq!(status.state, Recording::Recording);
    assert!(status.dropped_ticks > 800, "{status:?}");
    let key = SeriesKey::new("cpu.busy", "");
    let page = world.reader.raw_page(&key, now - 10 * MINUTE, now + DAY, None, 5000).await.unwrap();
    assert!(page.values.len() >= 600, "{} values", page.values.len());
    let marks = world.reader.marks(START, START + DAY).await.unwrap();
    let paused = marks.iter().find(|m| m.title == "Recording was paused").unwrap();
    assert!(paused.end_ms.unwrap() > paused.at_ms);
    world.history.stop().await;
}

#[test]
fn a_read_only_history_pauses_recording_and_resumes_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), permissions(0o777)).unwrap();
    run_child("faults::read_only_child", folder.path(), "true");
}

fn permissions(mode: u32) -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(mode)
}

#[tokio::test]
#[ignore = "the child of the test before it"]
async fn read_only_child() {
    let folder = std::env::var_os("PLIMSOLL_TEST_FOLDER").unwrap();
    let folder = Path::new(&folder);
    // Root writes whatever the permissions say: step down where we are root.
    let nobody = rustix::process::Uid::from_raw(65534);
    if rustix::process::geteuid().is_root() {
        let exe = std::env::current_exe().unwrap();
        std::os::unix::fs::chown(folder, Some(nobody.as_raw()), None).unwrap();
        use std::os::unix::process::CommandExt as _;
        let status = Command::new(exe)
            .args(["--exact", "faults::read_only_child", "--ignored", "--nocapture"])
            .uid(nobody.as_raw())
            .gid(65534)
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let clock = Arc::new(ManualClock::at(START));
    let world = World::with(folder, clock.clone(), Options::default()).await;
    world.seconds(10, |_| vec![gauge(Metric::CpuBusy, "", 1.0)]).await;
    world.settle().await;
    world.history.stop().await;

    let path = folder.join("history.db");
    std::fs::set_permissions(&path, permissions(0o444)).unwrap();
    std::fs::set_permissions(folder, permissions(0o555)).unwrap();
    let world = World::with(folder, clock.clone(), Options::default()).await;
    world.seconds(20, |_| vec![gauge(Metric::CpuBusy, "", 2.0)]).await;
    assert!(!world.history.settle().await);
    let status = world.history.watch().borrow().clone();
    assert!(matches!(status.state, Recording::Paused { .. }), "{status:?}");
    assert_eq!(world.recorder_len(), 20);

    std::fs::set_permissions(folder, permissions(0o777)).unwrap();
    std::fs::set_permissions(&path, permissions(0o644)).unwrap();
    world.seconds(5, |_| vec![gauge(Metric::CpuBusy, "", 3.0)]).await;
    assert!(world.history.settle().await);
    assert_eq!(world.reader.stats().await.unwrap().samples, 35);
    world.history.stop().await;
}

// --- clocks ---

#[tokio::test]
async fn each_jump_of_the_clock_is_an_epoch_with_a_mark_and_the_later_time_wins() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    let mut heard = world.history.marks();
    let value = |v: f64| move |_| vec![gauge(Metric::CpuBusy, "", v)];
    world.seconds(5400, value(10.0)).await; // 0:00 to 1:30
    world.clock.step_wall_ms(HOUR); // to 2:30
    world.seconds(600, value(20.0)).await; // to 2:40
    world.clock.step_wall_ms(-HOUR); // back to 1:40
    world.seconds(3000, value(30.0)).await; // to 2:30
    world.clock.suspend_ms(3 * HOUR); // to 5:30
    world.seconds(600, value(40.0)).await;
    // Back across chunks that are sealed long since, to 1:10.
    world.clock.step_wall_ms(-(4 * HOUR + 30 * MINUTE));
    world.seconds(600, value(50.0)).await;
    world.settle().await;
    let marks = world.reader.marks(START, START + DAY).await.unwrap();
    let mut live: Vec<_> = std::iter::from_fn(|| heard.try_recv().ok()).collect();
    live.sort_by_key(|m| (m.at_ms, m.id));
    assert_eq!(live, marks, "who listens hears other marks than are stored");
    let titles: Vec<&str> = marks.iter().map(|m| m.title.as_str()).collect();
    assert_eq!(titles.len(), 4, "{titles:?}");
    assert!(titles.contains(&"The clock was set forward by 60 min"), "{titles:?}");
    assert!(titles.contains(&"The clock was set back by 60 min"), "{titles:?}");
    assert!(titles.contains(&"The machine slept for 3 h 0 min"), "{titles:?}");
    let at = |minute: i64| START + minute * MINUTE;
    for (px, what) in [(4096u32, "raw"), (120, "10 s"), (10, "1 min")] {
        let mean = async |from: i64, to: i64| {
            let answer = world.query(Metric::CpuBusy, "", at(from), at(to), px).await;
            let mut seen: Vec<f64> =
                answer.series[0].points.mean.iter().flatten().copied().collect();
            seen.dedup();
            seen
        };
        assert_eq!(mean(30, 50).await, [10.0], "{what}");
        // Overwritten by the second jump back.
        assert_eq!(mean(71, 79).await, [50.0], "{what}");
        assert_eq!(mean(82, 88).await, [10.0], "{what}");
        // The later of two that overlap.
        assert_eq!(mean(102, 148).await, [30.0], "{what}");
        assert_eq!(mean(332, 338).await, [40.0], "{what}");
    }
    assert_eq!(world.reader.stats().await.unwrap().epochs, 5);
    world.history.stop().await;
}

#[tokio::test]
async fn a_clock_that_leaps_into_the_future_makes_nothing_old() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    world.seconds(8000, |_| vec![gauge(Metric::CpuBusy, "", 1.0)]).await;
    world.clock.step_wall_ms(20 * 365 * DAY);
    world.seconds(1000, |_| vec![gauge(Metric::CpuBusy, "", 2.0)]).await;
    world.settle().await;
    assert_eq!(world.reader.stats().await.unwrap().samples, 9000);
    world.history.stop().await;
}

// --- versions ---

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_untouched() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), 100).await;
    let path = folder.path().join("history.db");
    let mut connection = connect(&path).await;
    sqlx::query("PRAGMA user_version = 99").execute(&mut connection).await.unwrap();
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let before = std::fs::read(&path).unwrap();
    let clock = Arc::new(ManualClock::at(START + DAY));
    let error = World::try_with(folder.path(), clock, Options::default()).await.err().unwrap();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("newer Plimsoll"), "{error}");
    let error = Reader::open_readonly(folder.path()).await.err().unwrap();
    assert!(matches!(error, OpenError::Newer { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let names = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 1, "something was left beside it");
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_untouched() {
    for head in ["PRAGMA application_id = 77;", ""] {
        foreign(head).await;
    }
}

async fn foreign(head: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    {
        use sqlx::ConnectOptions as _;
        let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .connect()
            .await
            .unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("{head} CREATE TABLE theirs (a)")))
            .execute(&mut connection)
            .await
            .unwrap();
    }
    let before = std::fs::read(&path).unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let error = World::try_with(folder.path(), clock, Options::default()).await.err().unwrap();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert!(Reader::open_readonly(&folder.path().join("none")).await.is_err());
}

// --- retention ---

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
