//! What is staged.

use plimsoll_core::config::wire::SettingValue;
use plimsoll_history::State;

use super::{super::draft, change, read, view_of};
use crate::api::{FaultCode, LimitsStage};

const KEY: &str = "gateway.queue.max";

fn stage(value: i64) -> LimitsStage {
    LimitsStage { changes: vec![change(KEY, value)], rebase: false }
}

#[tokio::test]
async fn a_draft_outlives_a_restart_and_says_what_was_changed_elsewhere_since() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(folder.path()).await.unwrap();
    let first = view_of(&read(""));
    let draft = draft::stage(&state, &first, stage(32), 5).await.unwrap();
    assert_eq!((draft.changes.len(), draft.at_ms, draft.file_changed), (1, Some(5), false));
    drop(state);

    let state = State::open(folder.path()).await.unwrap();
    assert_eq!(draft::read(&state, &first).await.unwrap(), draft);
    // Something else was written: no conflict of this one.
    let other = view_of(&read("log.files = 3\n"));
    let now = draft::read(&state, &other).await.unwrap();
    assert!(now.file_changed && !now.changes[0].conflict);
    // The same was: both values are told, also while it is being moved further.
    let moved = view_of(&read("gateway.queue.max = 500\n"));
    for draft in [
        draft::read(&state, &moved).await.unwrap(),
        draft::stage(&state, &moved, stage(48), 6).await.unwrap(),
    ] {
        let one = &draft.changes[0];
        assert!(one.conflict && draft.file_changed);
        let number = SettingValue::Integer;
        assert_eq!((&one.from, &one.now), (&number(1000), &number(500)));
    }
    let seen = LimitsStage { rebase: true, ..stage(48) };
    let draft = draft::stage(&state, &moved, seen, 7).await.unwrap();
    assert!(!draft.changes[0].conflict && !draft.file_changed);
}

#[tokio::test]
async fn what_is_in_force_is_staged_no_more_and_begins_anew_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(folder.path()).await.unwrap();
    draft::stage(&state, &view_of(&read("")), stage(32), 1).await.unwrap();
    let applied = view_of(&read("gateway.queue.max = 32\n"));
    assert_eq!(draft::read(&state, &applied).await.unwrap().changes, []);
    let draft = draft::stage(&state, &applied, stage(64), 2).await.unwrap();
    assert!(!draft.changes[0].conflict && !draft.file_changed);
    assert_eq!(draft.changes[0].from, SettingValue::Integer(32));
    // Back to the default, and thrown away.
    let reset = LimitsStage { changes: vec![change(KEY, None)], rebase: false };
    let draft = draft::stage(&state, &applied, reset, 3).await.unwrap();
    assert_eq!(draft.changes[0].to, None);
    let none = draft::stage(&state, &applied, LimitsStage::default(), 4).await.unwrap();
    assert_eq!((none.changes.len(), none.at_ms), (0, None));
}

#[tokio::test]
async fn what_is_no_limit_is_not_staged() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(folder.path()).await.unwrap();
    for key in ["gateway.queue.most", "log.level", "services.chat.command", "services.x"] {
        let stage = LimitsStage { changes: vec![change(key, 1)], rebase: false };
        let fault = draft::stage(&state, &view_of(&read("")), stage, 1).await.unwrap_err();
        assert_eq!(fault.code, FaultCode::NotFound, "{key}");
    }
}
