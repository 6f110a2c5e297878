//! Limits of a whole engine: moved, obeyed, marked, taken back, and staged over a restart.

use std::{path::Path, time::Duration};

use plimsoll_app::{
    api::{
        Command, ConfigEdit, LimitsAsk, LimitsCompared, LimitsDraft, LimitsEffect, LimitsStage,
        LimitsView, Nothing, Range, RevisionId, RollbackRequest, Traffic,
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

    let stage = LimitsStage { changes: to(2), rebase: false };
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
    let edit =
        ConfigEdit { base: Some(after.digest), changes: to(2), text: None, by: "window".into() };
    let revision: Revision = session.call(Command::ConfigApply(edit)).await.unwrap();
    room(&session, 2, RoomBasis::Configured).await;
    let now = limits(&session).await;
    assert_eq!(now.draft, LimitsDraft::default(), "what is in force is staged no more");
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
