//! What is staged.

use std::{path::Path, sync::Arc};

use plimsoll_core::config::wire::{Change, ConfigView, Revision, SettingValue};
use plimsoll_history::State;

use super::{super::draft::DraftDesk, change, read, view_of};
use crate::{
    api::{Fault, FaultCode, LimitsDraft, LimitsStage, Live, Subscription},
    hub::Hub,
};

const KEY: &str = "gateway.queue.max";
const WAIT: &str = "gateway.queue.wait_s";

async fn desk(folder: &Path) -> DraftDesk {
    DraftDesk::new(Arc::new(State::open(folder).await.unwrap()), Hub::default())
}

fn set(key: &str, value: impl Into<Option<i64>>) -> LimitsStage {
    LimitsStage { set: vec![change(key, value)], ..LimitsStage::default() }
}

fn clear(key: &str) -> LimitsStage {
    LimitsStage { clear: vec![key.into()], ..LimitsStage::default() }
}

fn staged(draft: &LimitsDraft) -> Vec<(&str, Option<SettingValue>)> {
    draft.changes.iter().map(|change| (change.key.as_str(), change.to.clone())).collect()
}

fn to(value: i64) -> Option<SettingValue> {
    Some(SettingValue::Integer(value))
}

#[tokio::test]
async fn a_draft_outlives_a_restart_and_says_what_was_changed_elsewhere_since() {
    let folder = tempfile::tempdir().unwrap();
    let first = view_of(&read(""));
    let at = desk(folder.path()).await;
    let draft = at.stage(&first, set(KEY, 32), 5).await.unwrap();
    assert_eq!((draft.changes.len(), draft.at_ms, draft.file_changed), (1, Some(5), false));
    drop(at);

    let at = desk(folder.path()).await;
    assert_eq!(at.read(&first).await.unwrap(), draft);
    // Something else was written: no conflict of this one.
    let other = view_of(&read("log.files = 3\n"));
    let now = at.read(&other).await.unwrap();
    assert!(now.file_changed && !now.changes[0].conflict);
    // The same was: both values are told, also while it is being moved further.
    let moved = view_of(&read("gateway.queue.max = 500\n"));
    for draft in [at.read(&moved).await.unwrap(), at.stage(&moved, set(KEY, 48), 6).await.unwrap()]
    {
        let one = &draft.changes[0];
        assert!(one.conflict && draft.file_changed);
        let number = SettingValue::Integer;
        assert_eq!((&one.from, &one.now), (&number(1000), &number(500)));
    }
    let seen = LimitsStage { rebase: true, ..LimitsStage::default() };
    let draft = at.stage(&moved, seen, 7).await.unwrap();
    assert!(!draft.changes[0].conflict && !draft.file_changed);
    assert_eq!(staged(&draft), [(KEY, to(48))]);
}

#[tokio::test]
async fn what_is_in_force_is_staged_no_more_and_begins_anew_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let at = desk(folder.path()).await;
    at.stage(&view_of(&read("")), set(KEY, 32), 1).await.unwrap();
    let applied = view_of(&read("gateway.queue.max = 32\n"));
    assert_eq!(at.read(&applied).await.unwrap().changes, []);
    let draft = at.stage(&applied, set(KEY, 64), 2).await.unwrap();
    assert!(!draft.changes[0].conflict && !draft.file_changed);
    assert_eq!(draft.changes[0].from, SettingValue::Integer(32));
    // Back to the default, and thrown away.
    let draft = at.stage(&applied, set(KEY, None), 3).await.unwrap();
    assert_eq!(draft.changes[0].to, None);
    let none = at.stage(&applied, clear(KEY), 4).await.unwrap();
    assert_eq!((none.changes.len(), none.at_ms), (0, None));
}

#[tokio::test]
async fn a_line_that_says_the_default_can_be_staged_to_go() {
    let folder = tempfile::tempdir().unwrap();
    let at = desk(folder.path()).await;
    let said = view_of(&read("gateway.queue.max = 1000\n"));
    let draft = at.stage(&said, set(KEY, None), 1).await.unwrap();
    assert_eq!(staged(&draft), [(KEY, None)]);
    assert_eq!(at.read(&view_of(&read(""))).await.unwrap().changes, []);
}

#[tokio::test]
async fn what_is_no_limit_is_not_staged() {
    let folder = tempfile::tempdir().unwrap();
    let at = desk(folder.path()).await;
    for key in ["gateway.queue.most", "log.level", "services.chat.command", "services.x"] {
        let fault = at.stage(&view_of(&read("")), set(key, 1), 1).await.unwrap_err();
        assert_eq!(fault.code, FaultCode::NotFound, "{key}");
    }
}

#[tokio::test]
async fn changes_of_two_windows_are_put_together_and_each_is_told_of_once() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::default();
    let mut heard = hub.listen(&Subscription::default());
    let at = DraftDesk::new(Arc::new(State::open(folder.path()).await.unwrap()), hub);
    let view = view_of(&read(""));
    let both = tokio::join!(at.stage(&view, set(KEY, 32), 1), at.stage(&view, set(WAIT, 20), 2));
    assert_eq!((both.0.unwrap().serial, both.1.unwrap().serial), (1, 2));
    let draft = at.read(&view).await.unwrap();
    assert_eq!(staged(&draft), [(KEY, to(32)), (WAIT, to(20))]);
    // One throws away what it knows of, and knows nothing of the other.
    let draft = at.stage(&view, clear(KEY), 3).await.unwrap();
    assert_eq!((staged(&draft), draft.serial), (vec![(WAIT, to(20))], 3));
    // What is said twice is no change, and nobody has to look again.
    assert_eq!(at.stage(&view, set(WAIT, 20), 4).await.unwrap(), draft);
    assert_eq!(at.stage(&view, clear(KEY), 5).await.unwrap(), draft);
    drop(at);
    let mut serials = Vec::new();
    while let Some(live) = heard.next().await {
        serials.push(live);
    }
    assert_eq!(serials, [1, 2, 3].map(|serial| Live::Staged { serial }));
}

async fn apply(at: &DraftDesk, view: &ConfigView, seen: &[Change]) -> Result<Revision, Fault> {
    let made = Revision {
        number: 4,
        at_ms: 9,
        by: "window".into(),
        rolled_back_to: None,
        changed: Vec::new(),
        diff: Vec::new(),
    };
    at.apply(view, seen, 9, async { Ok(made) }).await
}

#[tokio::test]
async fn what_was_staged_elsewhere_after_the_look_is_not_applied() {
    let folder = tempfile::tempdir().unwrap();
    let at = desk(folder.path()).await;
    let view = view_of(&read(""));
    at.stage(&view, set(KEY, 32), 1).await.unwrap();
    let seen = [change(KEY, 32)];
    for (elsewhere, why) in [
        (set(KEY, 64), "gateway.queue.max is staged as 64, not 32"),
        (clear(KEY), "gateway.queue.max is staged no more"),
        (set(WAIT, 20), "gateway.queue.wait_s is staged as 20, too"),
    ] {
        // As it was looked at, but for this one change.
        at.stage(&view, set(KEY, 32), 2).await.unwrap();
        let before = at.stage(&view, elsewhere, 3).await.unwrap();
        let fault = apply(&at, &view, &seen).await.unwrap_err();
        assert_eq!(fault.code, FaultCode::Conflict);
        assert!(fault.message.contains(why), "{fault}");
        assert!(fault.message.contains("Nothing was applied."), "{fault}");
        assert!(fault.hint.is_some());
        assert_eq!(at.read(&view).await.unwrap(), before, "it stays as it is");
    }
    // Looked at again: a window writes whole numbers as such, and what it applies is off the draft.
    let seen = [change(KEY, 32), change(WAIT, 20)];
    assert_eq!(apply(&at, &view, &seen).await.unwrap().number, 4);
    assert_eq!(at.read(&view).await.unwrap().changes, []);
    // What is in force is seen, whoever put it there.
    let done = view_of(&read("gateway.queue.max = 32\n"));
    apply(&at, &done, &[change(KEY, 32)]).await.unwrap();
}

#[tokio::test]
async fn what_could_not_be_put_in_force_stays_staged() {
    let folder = tempfile::tempdir().unwrap();
    let at = desk(folder.path()).await;
    let view = view_of(&read(""));
    let draft = at.stage(&view, set(KEY, 32), 1).await.unwrap();
    let refused = async { Err(Fault::new(FaultCode::Unavailable, "The disk is full.")) };
    let fault = at.apply(&view, &[change(KEY, 32)], 2, refused).await.unwrap_err();
    assert_eq!(fault.code, FaultCode::Unavailable);
    assert_eq!(at.read(&view).await.unwrap(), draft);
}
