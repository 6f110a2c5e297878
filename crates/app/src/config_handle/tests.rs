use std::{collections::BTreeMap, fs, time::Duration};

use futures::future::BoxFuture;
use plimsoll_core::{
    alert::AlertRow,
    clock::ManualClock,
    config::{
        digest,
        wire::{Change, SettingValue},
    },
    log::LogEntry,
    reading::Tick,
};

use super::*;
use crate::api::{ConfigEdit, RollbackRequest};

/// Revisions in memory; they fail when told to.
#[derive(Default)]
struct Kept {
    rows: StdMutex<BTreeMap<i64, KeptRevision>>,
    broken: std::sync::atomic::AtomicBool,
}

impl Kept {
    fn rows(&self) -> Result<std::sync::MutexGuard<'_, BTreeMap<i64, KeptRevision>>, Fault> {
        if self.broken.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(Fault::new(FaultCode::Unavailable, "state.db: disk full"));
        }
        Ok(self.rows.lock().unwrap())
    }
}

impl Revisions for Kept {
    fn add(&self, mut kept: KeptRevision) -> BoxFuture<'_, Result<i64, Fault>> {
        Box::pin(async move {
            let mut rows = self.rows()?;
            let number = rows.len() as i64 + 1;
            kept.revision.number = number;
            rows.insert(number, kept);
            Ok(number)
        })
    }
    fn get(&self, number: i64) -> BoxFuture<'_, Result<Option<KeptRevision>, Fault>> {
        Box::pin(async move { Ok(self.rows()?.get(&number).cloned()) })
    }
    fn newest(&self) -> BoxFuture<'_, Result<Option<KeptRevision>, Fault>> {
        Box::pin(async move { Ok(self.rows()?.values().next_back().cloned()) })
    }
    fn list(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Revision>, Fault>> {
        Box::pin(async move {
            let rows = self.rows()?;
            Ok(rows.values().rev().take(limit as usize).map(|k| k.revision.clone()).collect())
        })
    }
}

#[derive(Default)]
struct Noted(StdMutex<Vec<Mark>>);

impl Record for Noted {
    fn tick(&self, _: Arc<Tick>) {}
    fn mark(&self, mark: Mark) {
        self.0.lock().unwrap().push(mark);
    }
    fn alert(&self, _: AlertRow) {}
    fn log(&self, _: Vec<LogEntry>) {}
    fn queue_len(&self) -> usize {
        0
    }
    fn dropped(&self) -> u64 {
        0
    }
}

struct World {
    dir: tempfile::TempDir,
    kept: Arc<Kept>,
}

impl World {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), kept: Arc::default() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("plimsoll.toml")
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    async fn start(&self) -> ConfigHandle {
        let clock = Arc::new(ManualClock::at(1_763_650_000_000));
        ConfigHandle::load(self.path(), Environment::default(), self.kept.clone(), clock).await
    }
}

fn change(key: &str, value: i64) -> Vec<Change> {
    vec![Change { key: key.into(), value: Some(SettingValue::Integer(value)) }]
}

fn edit(handle: &ConfigHandle, key: &str, value: i64) -> ConfigEdit {
    ConfigEdit {
        base: Some(handle.view().digest.clone()),
        changes: change(key, value),
        by: "window".into(),
        ..ConfigEdit::default()
    }
}

const RAW: &str = "history.keep.raw_hours";

#[tokio::test]
async fn a_change_is_written_in_force_numbered_and_marked() {
    let world = World::new();
    world.write("# mine\n");
    let handle = world.start().await;
    let noted = Arc::new(Noted::default());
    handle.mark_into(noted.clone());
    let mut watch = handle.watch();
    watch.mark_unchanged();
    assert_eq!(handle.view().revision, 1, "the text of the first start is the first revision");

    let revision = handle.apply(&edit(&handle, RAW, 24)).await.unwrap();

    assert_eq!(revision.number, 2);
    assert_eq!(revision.by, "window");
    assert_eq!(revision.changed.len(), 1);
    assert!(watch.has_changed().unwrap());
    assert_eq!(watch.borrow().history.keep.raw_hours, 24);
    assert_eq!(world.text(), "# mine\n\n[history.keep]\nraw_hours = 24\n");
    let marks = noted.0.lock().unwrap();
    assert_eq!(marks.len(), 1);
    assert_eq!(marks[0].title, "history.keep.raw_hours 48 → 24");
    assert_eq!(marks[0].reference.as_deref(), Some("revision:2"));
    assert_eq!(marks[0].kind, MarkKind::Change);
    assert!(marks[0].detail.contains("+raw_hours = 24"));
}

#[tokio::test]
async fn a_change_on_an_old_text_is_a_conflict_and_nothing_is_written() {
    let world = World::new();
    world.write("");
    let handle = world.start().await;
    let stale = edit(&handle, RAW, 24);
    world.write("[log]\nfiles = 2\n");
    let fault = handle.apply(&stale).await.unwrap_err();
    assert_eq!(fault.code, FaultCode::Conflict);
    assert_eq!(world.text(), "[log]\nfiles = 2\n");
    // What the other one wrote is in force, and the same change works on top of it.
    assert_eq!(handle.config().log.files, 2);
    handle.apply(&edit(&handle, RAW, 24)).await.unwrap();
    assert_eq!(handle.config().log.files, 2);
    assert_eq!(handle.config().history.keep.raw_hours, 24);
}

#[tokio::test]
async fn a_wrong_change_is_refused_with_the_reason_and_nothing_happens() {
    let world = World::new();
    let handle = world.start().await;
    let fault = handle.apply(&edit(&handle, RAW, 0)).await.unwrap_err();
    assert_eq!(fault.code, FaultCode::Invalid);
    assert!(fault.message.contains("1 to 720 h. Found 0."), "{fault}");
    assert!(!world.path().exists());
    let both = ConfigEdit { text: Some(String::new()), ..edit(&handle, RAW, 3) };
    assert_eq!(handle.apply(&both).await.unwrap_err().code, FaultCode::Invalid);
    let baseless = ConfigEdit { base: None, ..edit(&handle, RAW, 3) };
    assert_eq!(handle.apply(&baseless).await.unwrap_err().code, FaultCode::Invalid);
}

#[tokio::test]
async fn a_rollback_is_a_new_revision_with_the_old_text() {
    let world = World::new();
    world.write("# first\n");
    let handle = world.start().await;
    handle.apply(&edit(&handle, RAW, 24)).await.unwrap();
    let request = RollbackRequest { revision: 1, by: "terminal".into() };
    let revision = handle.rollback(&request).await.unwrap();
    assert_eq!((revision.number, revision.rolled_back_to), (3, Some(1)));
    assert_eq!(world.text(), "# first\n");
    assert_eq!(handle.config().history.keep.raw_hours, 48);
    assert_eq!(handle.revisions().await.unwrap().len(), 3);
    let none = handle.rollback(&RollbackRequest { revision: 99, by: String::new() }).await;
    assert_eq!(none.unwrap_err().code, FaultCode::NotFound);
}

#[tokio::test]
async fn asking_for_what_is_so_already_makes_no_revision() {
    let world = World::new();
    let handle = world.start().await;
    let first = handle.apply(&edit(&handle, RAW, 24)).await.unwrap();
    let again = handle.apply(&edit(&handle, RAW, 24)).await.unwrap();
    assert_eq!(first, again);
}

#[tokio::test]
async fn a_broken_file_keeps_the_last_good_one_in_force_and_tells_where() {
    let world = World::new();
    world.write("[log]\nfiles = 2\n");
    let handle = world.start().await;
    world.write("[log]\nfiles = 200\n");
    handle.reload().await;
    assert_eq!(handle.config().log.files, 2);
    let view = handle.view();
    assert_eq!(view.text, "[log]\nfiles = 200\n");
    assert_eq!(view.problems[0].line, Some(2));
    assert_eq!(view.revision, 1);
    // And over a restart: the newest revision is the last good text.
    let again = world.start().await;
    assert_eq!(again.config().log.files, 2);
    assert_eq!(again.view().problems.len(), 1);
    // Mended, it is in force again.
    world.write("[log]\nfiles = 20\n");
    again.reload().await;
    assert_eq!(again.config().log.files, 20);
    assert_eq!(again.view().problems, []);
}

#[tokio::test]
async fn a_file_that_is_broken_at_the_very_first_start_leaves_the_defaults() {
    let world = World::new();
    world.write("this is not = = toml\n");
    let handle = world.start().await;
    assert_eq!(*handle.config(), Config::default());
    assert_eq!(handle.view().problems.len(), 1);
    // A whole new text mends it; changes to a text that is no TOML do not.
    assert!(handle.apply(&edit(&handle, RAW, 24)).await.is_err());
    let mend = ConfigEdit {
        base: Some(handle.view().digest.clone()),
        text: Some("[log]\nfiles = 7\n".into()),
        ..ConfigEdit::default()
    };
    handle.apply(&mend).await.unwrap();
    assert_eq!(handle.config().log.files, 7);
}

#[tokio::test]
async fn a_broken_file_that_cannot_be_kept_is_not_replaced_by_a_rollback() {
    let world = World::new();
    world.write("log.files = 3\n");
    let handle = world.start().await;
    world.write("log.files = \"many\"\n");
    fs::create_dir(world.dir.path().join("plimsoll.toml.broken")).unwrap();
    let request = RollbackRequest { revision: 1, by: "window".into() };
    let fault = handle.rollback(&request).await.unwrap_err();
    assert_eq!(fault.code, FaultCode::Unavailable);
    assert_eq!(world.text(), "log.files = \"many\"\n");
}

#[tokio::test]
async fn a_rollback_over_a_broken_file_keeps_the_broken_text_beside_it() {
    let world = World::new();
    world.write("[log]\nfiles = 2\n");
    let handle = world.start().await;
    world.write("files = = 3\n");
    handle.rollback(&RollbackRequest { revision: 1, by: String::new() }).await.unwrap();
    assert_eq!(world.text(), "[log]\nfiles = 2\n");
    let aside = world.dir.path().join("plimsoll.toml.broken");
    assert_eq!(fs::read_to_string(aside).unwrap(), "files = = 3\n");
    assert_eq!(handle.view().problems, []);
}

#[tokio::test]
async fn a_file_changed_while_nobody_looked_becomes_a_revision() {
    let world = World::new();
    world.write("[log]\nfiles = 2\n");
    drop(world.start().await);
    world.write("[log]\nfiles = 3\n");
    let handle = world.start().await;
    let revisions = handle.revisions().await.unwrap();
    assert_eq!((revisions.len(), revisions[0].by.as_str()), (2, "file"));
    assert_eq!(revisions[0].changed[0].old, SettingValue::Integer(2));
    // The mark waited for the history.
    let noted = Arc::new(Noted::default());
    handle.mark_into(noted.clone());
    assert_eq!(noted.0.lock().unwrap()[0].title, "log.files 2 → 3");
}

#[tokio::test]
async fn revisions_that_cannot_be_kept_stop_nothing() {
    let world = World::new();
    world.kept.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    world.write("[log]\nfiles = 2\n");
    let handle = world.start().await;
    assert_eq!(handle.config().log.files, 2);
    assert_eq!(handle.view().revision, 0);
    let edit = edit(&handle, "log.files", 3);
    let fault = handle.apply(&edit).await.unwrap_err();
    assert!(fault.message.starts_with("The change is in force"), "{fault}");
    assert_eq!(handle.config().log.files, 3);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_a_problem_not_an_end() {
    let world = World::new();
    fs::create_dir(world.path()).unwrap();
    let handle = world.start().await;
    assert_eq!(*handle.config(), Config::default());
    assert!(handle.view().problems[0].message.contains("it is not a file"));
}

#[tokio::test]
async fn a_preview_writes_nothing_and_names_what_needs_a_restart() {
    let world = World::new();
    let handle = world.start().await;
    let edit = ConfigEdit {
        changes: vec![Change {
            key: "gpu.nvml_path".into(),
            value: Some(SettingValue::Text("/opt/x.so".into())),
        }],
        ..ConfigEdit::default()
    };
    let preview = handle.preview(&edit).await.unwrap();
    assert_eq!(preview.restart, ["gpu.nvml_path"]);
    assert!(!world.path().exists());
}

#[tokio::test]
async fn of_two_changes_on_the_same_text_one_wins_and_the_other_is_told() {
    let world = World::new();
    let handle = world.start().await;
    let (a, b) = (edit(&handle, RAW, 24), edit(&handle, "log.files", 3));
    let (a, b) = tokio::join!(handle.apply(&a), handle.apply(&b));
    let lost = [&a, &b].into_iter().filter_map(|r| r.as_ref().err()).collect::<Vec<_>>();
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0].code, FaultCode::Conflict);
    assert_eq!(handle.view().revision, 2);
}

#[tokio::test]
async fn the_database_keeps_revisions_whole() {
    let world = World::new();
    let data = tempfile::tempdir().unwrap();
    let start = async || {
        let state = Arc::new(plimsoll_history::State::open(data.path()).await.unwrap());
        let clock = Arc::new(ManualClock::at(1_763_650_000_000));
        ConfigHandle::load(world.path(), Environment::default(), state, clock).await
    };
    let handle = start().await;
    let applied = handle.apply(&edit(&handle, RAW, 24)).await.unwrap();
    let back = handle
        .rollback(&RollbackRequest { revision: applied.number - 1, by: "browser".into() })
        .await
        .unwrap();
    drop(handle);
    let handle = start().await;
    assert_eq!(handle.view().revision, back.number);
    let revisions = handle.revisions().await.unwrap();
    assert_eq!(revisions.len(), 3);
    assert_eq!((&revisions[0], &revisions[1]), (&back, &applied));
}

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
