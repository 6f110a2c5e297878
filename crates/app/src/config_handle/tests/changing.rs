//! Edits: what is written, and what is refused.

use super::*;

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
    let nothing = ConfigEdit { changes: Vec::new(), ..edit(&handle, RAW, 3) };
    assert_eq!(handle.apply(&nothing).await.unwrap_err().code, FaultCode::Invalid);
    let baseless = ConfigEdit { base: None, ..edit(&handle, RAW, 3) };
    assert_eq!(handle.apply(&baseless).await.unwrap_err().code, FaultCode::Invalid);
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
async fn what_was_set_goes_into_the_text_that_was_edited_by_hand() {
    let world = World::new();
    world.write("[sampling]\ninterval_ms = 1000\n");
    let handle = world.start().await;
    let both = ConfigEdit {
        text: Some("# mine\n[sampling]\ninterval_ms = 1500\n".into()),
        ..edit(&handle, "sampling.processes_ms", 7000)
    };
    let preview = handle.preview(&both).await.unwrap();
    assert_eq!(preview.problems, []);
    assert_eq!(preview.text, "# mine\n[sampling]\ninterval_ms = 1500\nprocesses_ms = 7000\n");
    assert!(
        preview.diff.iter().any(|l| l.text == "# mine"),
        "against the file, not the edited text"
    );

    // A text that cannot be read yet keeps its own problems, and nothing is made of it.
    let broken = ConfigEdit { text: Some("[sampling\n".into()), ..both.clone() };
    let refused = handle.preview(&broken).await.unwrap();
    assert_eq!(refused.text, "[sampling\n");
    assert!(refused.problems.iter().any(|p| p.line == Some(1)), "{:?}", refused.problems);

    handle.apply(&both).await.unwrap();
    assert_eq!(world.text(), preview.text);
    assert_eq!(handle.config().sampling.processes_ms, 7000);
}

#[tokio::test]
async fn a_browser_hears_before_it_applies_what_it_may_not_change() {
    let world = World::new();
    let handle = world.start().await;
    let text = "[services.chat]\nurl = \"http://127.0.0.1:9\"\ncommand = [\"true\"]\n";
    let edit = |by: &str| ConfigEdit {
        base: Some(handle.view().digest.clone()),
        text: Some(text.into()),
        by: by.into(),
        ..ConfigEdit::default()
    };
    assert_eq!(handle.preview(&edit("window")).await.unwrap().problems, []);
    let problems = handle.preview(&edit("browser")).await.unwrap().problems;
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].message, "services.chat.command may not be changed from a browser.");
    assert!(problems[0].hint.as_deref().unwrap().contains("plimsoll config set"));
    // Applied all the same, it is refused as such.
    assert_eq!(handle.apply(&edit("browser")).await.unwrap_err().code, FaultCode::Denied);
}
