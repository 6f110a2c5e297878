//! Earlier revisions: all of one, or one change alone.

use super::*;

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

fn undo(revision: i64) -> RollbackRequest {
    RollbackRequest { revision, by: "window".into() }
}

#[tokio::test]
async fn undoing_the_newest_change_brings_back_the_text_before_it() {
    let world = World::new();
    world.write("# mine\n");
    let handle = world.start().await;
    let noted = Arc::new(Noted::default());
    handle.mark_into(noted.clone());
    handle.apply(&edit(&handle, RAW, 24)).await.unwrap();
    // As a chart has it: the number stands in the mark's reference.
    let reference = noted.0.lock().unwrap()[0].reference.clone().unwrap();
    let number = reference.strip_prefix("revision:").unwrap().parse().unwrap();
    let revision = handle.undo(&undo(number)).await.unwrap();
    assert_eq!((revision.number, revision.rolled_back_to), (3, Some(1)));
    assert_eq!(world.text(), "# mine\n");
    // Taking that back brings the change again.
    handle.undo(&undo(3)).await.unwrap();
    assert_eq!(handle.config().history.keep.raw_hours, 24);
}

#[tokio::test]
async fn undoing_an_older_change_leaves_what_came_after_it() {
    let world = World::new();
    let handle = world.start().await;
    handle.apply(&edit(&handle, RAW, 24)).await.unwrap();
    handle.apply(&edit(&handle, "log.files", 3)).await.unwrap();
    // The person also wrote into the file meanwhile.
    world.write(&format!("# by hand\n{}", world.text()));
    let revision = handle.undo(&undo(2)).await.unwrap();
    assert_eq!(revision.rolled_back_to, None);
    assert_eq!(revision.changed.len(), 1);
    assert_eq!(handle.config().history.keep.raw_hours, 48);
    assert_eq!(handle.config().log.files, 3);
    let text = world.text();
    assert!(text.starts_with("# by hand\n") && !text.contains("raw_hours"), "{text}");
}

#[tokio::test]
async fn a_change_that_was_changed_again_is_not_undone_and_the_setting_is_named() {
    let world = World::new();
    let handle = world.start().await;
    handle.apply(&edit(&handle, RAW, 24)).await.unwrap();
    world.write("[history.keep]\nraw_hours = 12\n");
    let fault = handle.undo(&undo(2)).await.unwrap_err();
    assert_eq!(fault.code, FaultCode::Conflict);
    assert!(fault.message.contains("history.keep.raw_hours is 12 by now, no longer 24"), "{fault}");
    assert_eq!(world.text(), "[history.keep]\nraw_hours = 12\n");
    assert_eq!(handle.config().history.keep.raw_hours, 12);
}

#[tokio::test]
async fn what_the_first_start_found_and_what_never_was_cannot_be_undone() {
    let world = World::new();
    world.write("log.files = 3\n");
    let handle = world.start().await;
    for number in [1, 99] {
        let fault = handle.undo(&undo(number)).await.unwrap_err();
        assert_eq!(fault.code, FaultCode::NotFound, "{fault}");
    }
    assert_eq!(world.text(), "log.files = 3\n");
}
