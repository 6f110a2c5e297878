//! Limits of a whole engine: moved, obeyed, marked, taken back, and staged over a restart.

use std::{path::Path, time::Duration};

use futures::{Stream, StreamExt as _};
use plimsoll_app::{
    api::{
        Command, ConfigEdit, FaultCode, LimitsAsk, LimitsCompared, LimitsDraft, LimitsEffect,
        LimitsStage, LimitsView, Live, Nothing, Range, RevisionId, RollbackRequest, Subscription,
        Traffic,
    },
    session::{Options, Session},
};
use plimsoll_core::{
    config::wire::{Change, Revision, SettingValue},
    mark::Mark,
    traffic::RoomBasis,
};
use tokio::time::{sleep, timeout};

const ROOM: &str = "services.chat.max_in_flight";

fn options(folder: &Path) -> Options {
    Options {
        data_dir: Some(folder.to_path_buf()),
        demo: true,
        gateway: Some("127.0.0.1:0".parse().unwrap()),
        ..Options::default()
    }
}

fn to(value: i64) -> Vec<Change> {
    vec![Change { key: ROOM.into(), value: Some(SettingValue::Integer(value)) }]
}

async fn limits(session: &Session) -> LimitsView {
    session.call(Command::Limits(Nothing {})).await.unwrap()
}

/// Waits until the gateway gives the service of the demo that room.
async fn room(session: &Session, room: u32, basis: RoomBasis) {
    let asking = async {
        loop {
            let traffic: Traffic = session.call(Command::Traffic(Nothing {})).await.unwrap();
            let chat = traffic.backends.iter().find(|backend| backend.id == "chat");
            if chat.is_some_and(|chat| (chat.room, chat.room_basis) == (Some(room), basis)) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), asking).await.unwrap_or_else(|_| panic!("never {room}"));
}

// AR9
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_is_moved_obeyed_marked_and_taken_back_and_a_draft_outlives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let session = Session::start(options(dir.path())).await.unwrap();
    room(&session, 4, RoomBasis::Told).await;
    let before = limits(&session).await;
    let chat = before.limits.iter().find(|limit| limit.key == ROOM).expect("it is listed");
    assert_eq!((chat.in_force, &chat.value), (Some(4.0), &SettingValue::Text("auto".into())));

    let stage = LimitsStage { set: to(2), ..LimitsStage::default() };
    let draft: LimitsDraft = session.call(Command::LimitsStage(stage)).await.unwrap();
    assert_eq!((draft.changes.len(), draft.changes[0].conflict), (1, false));
    let ask = LimitsAsk { changes: to(2) };
    let effect: LimitsEffect = session.call(Command::LimitsEffect(ask)).await.unwrap();
    assert_eq!(effect.effects[0].keys, [ROOM]);
    assert!(effect.effects[0].text.ends_with('.'), "{:?}", effect.effects);
    session.stop().await;

    let session = Session::start(options(dir.path())).await.unwrap();
    let after = limits(&session).await;
    assert_eq!(after.draft, draft, "as it was staged");
    let edit = ConfigEdit {
        base: Some(after.digest),
        changes: to(2),
        by: "window".into(),
        staged: Some(vec![ROOM.into()]),
        ..ConfigEdit::default()
    };
    let revision: Revision = session.call(Command::ConfigApply(edit)).await.unwrap();
    room(&session, 2, RoomBasis::Configured).await;
    let now = limits(&session).await;
    assert_eq!(now.draft.changes, [], "what is in force is staged no more");
    let range = Range { from_ms: revision.at_ms - 1000, to_ms: revision.at_ms + 1000 };
    let reference = format!("revision:{}", revision.number);
    let asking = async {
        loop {
            let marks: Vec<Mark> = session.call(Command::Marks(range)).await.unwrap();
            if let Some(mark) = marks.into_iter().find(|m| m.reference.as_ref() == Some(&reference))
            {
                return mark;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let mark = timeout(Duration::from_secs(60), asking).await.expect("it stands on the charts");
    assert!(mark.title.contains(ROOM) && mark.title.contains('2'), "{}", mark.title);

    let of = RevisionId { revision: revision.number };
    let compared: LimitsCompared = session.call(Command::LimitsCompare(of)).await.unwrap();
    assert_eq!(
        (compared.revision, compared.services.as_slice()),
        (revision.number, &["chat".to_owned()][..])
    );
    let undo = RollbackRequest { revision: revision.number, by: "window".into() };
    let _: Revision = session.call(Command::ConfigUndo(undo)).await.unwrap();
    room(&session, 4, RoomBasis::Told).await;
    session.stop().await;
}

/// Waits until somebody who listens is told that.
async fn told(
    live: &mut (impl Stream<Item = Live> + Unpin),
    what: &str,
    is: impl Fn(&Live) -> bool,
) {
    let hearing = async { while !is(&live.next().await.expect("it goes on")) {} };
    timeout(Duration::from_secs(60), hearing).await.unwrap_or_else(|_| panic!("never {what}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_stage_at_once_lose_nothing_and_apply_only_what_they_saw() {
    const QUEUE: &str = "gateway.queue.max";
    let dir = tempfile::tempdir().unwrap();
    let owner = Session::start(options(dir.path())).await.unwrap();
    let attach = async || Session::start_or_attach(options(dir.path())).await.unwrap();
    let (one, other) = (attach().await, attach().await);
    assert!(!one.hosted() && !other.hosted());
    room(&one, 4, RoomBasis::Told).await;
    let ticks = Subscription { metrics: vec!["cpu.".into()] };
    let mut heard = Box::pin(other.subscribe(ticks.clone()));
    let mut heard_too = Box::pin(owner.subscribe(ticks));
    told(&mut heard, "a tick", |live| matches!(live, Live::Tick { .. })).await;
    told(&mut heard_too, "a tick", |live| matches!(live, Live::Tick { .. })).await;

    let change =
        |key: &str, to: i64| Change { key: key.into(), value: Some(SettingValue::Integer(to)) };
    let stage = |change: Change| {
        Command::LimitsStage(LimitsStage { set: vec![change], ..LimitsStage::default() })
    };
    let (first, second) = tokio::join!(
        one.call::<LimitsDraft>(stage(change(ROOM, 2))),
        other.call::<LimitsDraft>(stage(change(QUEUE, 64))),
    );
    assert_eq!(first.unwrap().serial + second.unwrap().serial, 3, "one after the other");
    told(&mut heard, "the second", |live| *live == Live::Staged { serial: 2 }).await;
    told(&mut heard_too, "the second", |live| *live == Live::Staged { serial: 2 }).await;
    let (seen, also) = (limits(&one).await, limits(&other).await);
    assert_eq!(seen.draft, also.draft);
    let mut keys: Vec<_> = seen.draft.changes.iter().map(|one| one.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, [QUEUE, ROOM]);

    // One has looked; the other moves its limit further; what one saw is not what would be applied.
    let mut edit = ConfigEdit {
        base: Some(seen.digest),
        changes: vec![change(ROOM, 2), change(QUEUE, 64)],
        by: "window".into(),
        staged: Some(vec![ROOM.into(), QUEUE.into()]),
        ..ConfigEdit::default()
    };
    let _: LimitsDraft = other.call(stage(change(QUEUE, 32))).await.unwrap();
    let fault = one.call::<Revision>(Command::ConfigApply(edit.clone())).await.unwrap_err();
    assert_eq!(fault.code, FaultCode::Conflict);
    assert!(fault.message.contains("gateway.queue.max is staged as 32, not 64"), "{fault}");
    let now = limits(&one).await;
    assert_eq!((now.revision, now.draft.changes.len()), (also.revision, 2), "nothing happened");

    edit.changes[1] = change(QUEUE, 32);
    let _: Revision = one.call(Command::ConfigApply(edit)).await.unwrap();
    told(&mut heard, "the last", |live| *live == Live::Staged { serial: 4 }).await;
    assert_eq!(limits(&other).await.draft.changes, []);
    let value = |view: &LimitsView, key: &str| {
        view.limits.iter().find(|limit| limit.key == key).map(|limit| limit.value.clone())
    };
    let now = limits(&other).await;
    let number = |value| Some(SettingValue::Integer(value));
    assert_eq!((value(&now, ROOM), value(&now, QUEUE)), (number(2), number(32)));
    drop((one, other));
    owner.stop().await;
}
