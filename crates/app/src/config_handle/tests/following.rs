//! The file as others change it.

use super::*;

/// Waits for a configuration that fits; the limit only ends a test that failed.
async fn until(handle: &ConfigHandle, fits: impl FnMut(&Arc<Config>) -> bool) {
    let mut watch = handle.watch();
    tokio::time::timeout(Duration::from_secs(20), watch.wait_for(fits))
        .await
        .expect("the change of the file was not noticed")
        .unwrap();
}

fn watching_only() -> follow::Pace {
    follow::Pace {
        settle: Duration::from_millis(1),
        missing: Duration::from_millis(1),
        poll: Duration::from_secs(3600),
    }
}

#[tokio::test]
async fn a_change_on_disk_is_noticed_in_place_by_rename_and_through_a_link() {
    let world = World::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let real = elsewhere.path().join("real.toml");
    fs::write(&real, "log.files = 2\n").unwrap();
    std::os::unix::fs::symlink(&real, world.path()).unwrap();
    let handle = world.start().await;
    let _watch = follow::follow(&handle, watching_only());
    // The first look is at once; from then on only news counts.
    tokio::task::yield_now().await;

    fs::write(&real, "log.files = 3\n").unwrap();
    until(&handle, |c| c.log.files == 3).await;

    let beside = elsewhere.path().join("real.toml.swp");
    fs::write(&beside, "log.files = 4\n").unwrap();
    fs::rename(&beside, &real).unwrap();
    until(&handle, |c| c.log.files == 4).await;

    let beside = world.dir.path().join("new.toml");
    fs::write(&beside, "log.files = 5\n").unwrap();
    fs::rename(&beside, world.path()).unwrap();
    until(&handle, |c| c.log.files == 5).await;
    assert_eq!(handle.view().digest, digest("log.files = 5\n"));
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_watched_the_file_is_looked_at_now_and_then() {
    let world = World::new();
    let path = world.dir.path().join("not-yet/plimsoll.toml");
    let clock = Arc::new(ManualClock::at(0));
    let handle =
        ConfigHandle::load(path.clone(), Environment::default(), world.kept.clone(), clock).await;
    let _watch = handle.follow();
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(&path, "log.files = 9\n").unwrap();
    let mut watch = handle.watch();
    watch.wait_for(|c| c.log.files == 9).await.unwrap();
}
