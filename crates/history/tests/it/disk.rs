//! A disk that takes nothing: full, or read-only.

use std::{path::Path, process::Command, sync::Arc};

use plimsoll_core::{clock::ManualClock, metric::Metric, series::SeriesKey};
use plimsoll_history::{Options, Recording};

use crate::world::{DAY, MINUTE, SECOND, START, World, gauge};

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
    run_child("disk::full_disk_child", folder.path(), "trap '' XFSZ");
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
    run_child("disk::read_only_child", folder.path(), "true");
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
            .args(["--exact", "disk::read_only_child", "--ignored", "--nocapture"])
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
