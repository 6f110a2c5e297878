//! Files that are broken, missing or changed while nobody looked.

use super::*;

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
