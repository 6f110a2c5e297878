//! `kill -9` at chosen moments: the test starts itself as a child that records
//! and is killed by a failpoint, and looks at what is left.
//!
//! The child seals every 5 s and purges every 3 s of its clock, and says which
//! tick it handed over last once that is committed.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use futures::StreamExt as _;
use plimsoll_core::{
    clock::{Clock as _, ManualClock},
    metric::Metric,
    series::SeriesKey,
};
use plimsoll_history::{Keep, Options, Reader};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use sqlx::{ConnectOptions as _, Row as _, sqlite::SqliteConnectOptions};

use crate::world::{HOUR, SECOND, START, World, counter, gauge};

const KILLS: usize = 20;
/// Ten seconds apart: a raw slot is full after sixty ticks.
const APART: i64 = 10 * SECOND;
const MOST_TICKS: i64 = 2500;

fn options() -> Options {
    Options {
        tick_ms: 10_000,
        seal_ms: 5000,
        purge_ms: 3000,
        checkpoint_ms: 2,
        keep: Keep { raw_ms: HOUR, ..Keep::default() },
        ..Options::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of the tests beside it"]
async fn child() {
    let Some(folder) = std::env::var_os("PLIMSOLL_TEST_FOLDER") else { return };
    let first: i64 = std::env::var("PLIMSOLL_TEST_FIRST").unwrap().parse().unwrap();
    let scenario = fail::FailScenario::setup();
    let clock = Arc::new(ManualClock::at(START + first * APART));
    let world = World::with(Path::new(&folder), clock.clone(), options()).await;
    let mut out = std::io::stdout();
    for i in first..first + MOST_TICKS {
        world.tick(vec![
            gauge(Metric::CpuBusy, "", (i % 1000) as f64 / 10.0),
            counter(Metric::NetSent, "eth0", i as u64),
        ]);
        while world.recorder_len() > 0 {
            tokio::task::yield_now().await;
        }
        writeln!(out, "tick {i}").unwrap();
        out.flush().unwrap();
        clock.advance_ms(APART);
    }
    scenario.teardown();
    std::process::exit(7);
}

/// Runs a child until it is killed; the last tick it knew to be committed.
fn run_child(folder: &Path, first: i64, failpoint: &str) -> (i64, bool) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--ignored", "--nocapture", "--test-threads=1"])
        .env("PLIMSOLL_TEST_FOLDER", folder)
        .env("PLIMSOLL_TEST_FIRST", first.to_string())
        .env("FAILPOINTS", failpoint)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut last = first - 1;
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        if let Some(n) = line.rsplit("tick ").next().filter(|_| line.contains("tick ")) {
            last = n.parse().unwrap_or(last);
        }
    }
    let status = child.wait().unwrap();
    let killed = std::os::unix::process::ExitStatusExt::signal(&status) == Some(9);
    assert!(killed || status.code() == Some(7), "the child ended with {status}");
    (last, killed)
}

async fn check(folder: &Path, committed: i64) -> i64 {
    let path = folder.join("history.db");
    let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let row = sqlx::query("PRAGMA integrity_check").fetch_one(&mut connection).await.unwrap();
    assert_eq!(row.get::<String, _>(0), "ok");
    sqlx::Connection::close(connection).await.unwrap();

    let reader = Reader::open_readonly(folder).await.unwrap();
    let end = START + (committed + 10) * APART;
    // Raw: from where it is still held, every tick once and with its value.
    let key = SeriesKey::new("cpu.busy", "");
    let recent = START + (committed - 300).max(0) * APART;
    let rows: Vec<_> = reader.export(vec![key], recent, end).collect().await;
    let mut next = (committed - 300).max(0);
    for row in rows {
        let row = row.unwrap();
        assert_eq!(row.at_ms, START + next * APART, "a tick is lost or doubled");
        assert!((row.value - (next % 1000) as f64 / 10.0).abs() < 1e-9);
        next += 1;
    }
    assert!(next > committed, "tick {committed} was committed and is lost; {next} is the next");
    assert!(next <= committed + 2, "more ticks than were made");
    // Everything since the start, over all levels: the increase is exact.
    let key = SeriesKey::new("net.sent", "eth0");
    let grown = reader.counter_increase(&key, START, end).await.unwrap().unwrap();
    assert_eq!(grown.increase, (next - 1) as f64, "the levels lost or doubled something");
    next
}

async fn kill_in(points: &[&str], most_passes: u32) {
    let folder = tempfile::tempdir().unwrap();
    let mut random = SmallRng::seed_from_u64(points.len() as u64 + u64::from(most_passes));
    let (mut next, mut kills, mut runs) = (0, 0, 0);
    while kills < KILLS {
        runs += 1;
        assert!(runs <= 3 * KILLS, "only {kills} of {runs} children were killed");
        let point = points[runs % points.len()];
        let passes = random.random_range(0..most_passes);
        let failpoint = format!("{point}={passes}*off->return");
        let (committed, killed) = run_child(folder.path(), next, &failpoint);
        kills += usize::from(killed);
        if committed >= 0 {
            next = check(folder.path(), committed).await;
        }
    }
}

#[tokio::test]
async fn a_process_killed_in_a_commit_loses_at_most_the_last_second() {
    kill_in(&["commit", "committed"], 150).await;
}

#[tokio::test]
async fn a_process_killed_while_sealing_loses_at_most_the_last_second() {
    kill_in(&["seal.batch", "seal.flip", "sealed"], 4).await;
}

#[tokio::test]
async fn a_process_killed_while_purging_loses_at_most_the_last_second() {
    kill_in(&["purge", "purged"], 8).await;
}

#[tokio::test]
async fn a_process_killed_in_a_checkpoint_loses_at_most_the_last_second() {
    kill_in(&["checkpoint", "checkpointed"], 6).await;
}

#[tokio::test]
async fn a_log_cut_anywhere_opens_with_an_exact_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let options = Options { checkpoint_ms: 3_600_000, ..Options::default() };
    let world = World::with(folder.path(), clock.clone(), options).await;
    world.seconds(400, |i| vec![gauge(Metric::CpuBusy, "", i as f64 / 10.0)]).await;
    while world.recorder_len() > 0 {
        tokio::task::yield_now().await;
    }
    let database = std::fs::read(folder.path().join("history.db")).unwrap();
    let log = std::fs::read(folder.path().join("history.db-wal")).unwrap();
    assert!(log.len() > 400 * 4096, "the ticks are not in the log");
    let mut random = SmallRng::seed_from_u64(2);
    let cut = tempfile::tempdir().unwrap();
    let mut offsets: Vec<usize> = (0..200).map(|_| random.random_range(0..=log.len())).collect();
    offsets.sort_unstable();
    let mut before = 0;
    for offset in offsets {
        std::fs::write(cut.path().join("history.db"), &database).unwrap();
        std::fs::write(cut.path().join("history.db-wal"), &log[..offset]).unwrap();
        let _ = std::fs::remove_file(cut.path().join("history.db-shm"));
        let path = cut.path().join("history.db");
        let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
        let rows = sqlx::query("SELECT seq, at_ms FROM tick ORDER BY seq")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        sqlx::Connection::close(connection).await.unwrap();
        for (i, row) in rows.iter().enumerate() {
            assert_eq!(row.get::<i64, _>(0), i as i64 + 1);
            assert_eq!(row.get::<i64, _>(1), START + i as i64 * SECOND);
        }
        assert!(rows.len() >= before, "a longer log gave fewer ticks");
        before = rows.len();
    }
    assert!(before > 300, "only {before} ticks came back");
    // And recording goes on upon such a prefix.
    let world2 = World::with(cut.path(), Arc::new(ManualClock::at(START + HOUR)), options).await;
    world2.seconds(10, |_| vec![gauge(Metric::CpuBusy, "", 1.0)]).await;
    world2.settle().await;
    assert_eq!(world2.reader.stats().await.unwrap().samples, before as u64 + 10);
    world2.history.stop().await;
    assert!(clock.now().wall_ms > START);
    world.history.stop().await;
}
