//! Limits of a whole engine: moved, obeyed, marked, taken back, and staged over a restart.

use std::{fs, net::TcpListener, path::Path, time::Duration};

use futures::StreamExt as _;
use plimsoll_app::{
    api::{
        Command, ConfigEdit, Fault, FaultCode, JobProgress, JobStarted, JobState, LimitsAsk,
        LimitsCompared, LimitsDraft, LimitsEffect, LimitsStage, LimitsView, Live, Nothing, Range,
        RevisionId, RollbackRequest, ServiceId, Subscription, Traffic,
    },
    session::{Options, Session},
};
use plimsoll_core::{
    config::wire::{Change, Revision, SettingValue},
    mark::Mark,
    traffic::RoomBasis,
};
use plimsoll_services::service::{RunState, Service};
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

/// A server of a few lines: it answers every question with 200.
const SERVER: &str = r#"$s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => shift,
  Listen => 9, ReuseAddr => 1) or die "no port"; while ($c = $s->accept) { while (<$c>) {
  last if /^\r?\n$/ } print $c "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
  close $c }"#;

/// The process of the service that Plimsoll runs, once it serves.
async fn serving(session: &Session) -> i32 {
    let asking = async {
        loop {
            let services: Vec<Service> = session.call(Command::Services(Nothing {})).await.unwrap();
            let run = services.iter().find(|service| service.id == "a").and_then(|a| a.run.clone());
            if let Some(run) = run.filter(|run| run.state == RunState::Running)
                && let Some(pid) = run.pid
            {
                return pid;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), asking).await.expect("it serves")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_launch_setting_needs_is_a_restart_that_says_how_long_it_took() {
    let dir = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!(
        "[services]\ndiscover = false\n[services.a]\nurl = \"http://127.0.0.1:{port}\"\n\
         kind = \"http\"\nscrape_ms = 250\nstop_s = 5\n\
         command = [\"perl\", \"-MIO::Socket::INET\", \"-e\", '''{SERVER}''', \"{port}\"]\n\
         [services.b]\nurl = \"http://127.0.0.1:1\"\nenabled = false\n"
    );
    fs::write(dir.path().join("plimsoll.toml"), text).unwrap();
    let data_dir = Some(dir.path().to_path_buf());
    let gateway = Some("127.0.0.1:0".parse().unwrap());
    let options = Options { data_dir, gateway, ..Options::default() };
    let session = Session::start(options).await.unwrap();
    let mut live = Box::pin(session.subscribe(Subscription::default()));
    let before = serving(&session).await;
    let restart = |id: &str| session.call(Command::ServiceRestart(ServiceId { id: id.into() }));
    let started: JobStarted = restart("a").await.unwrap();
    let asking = async {
        loop {
            if let Live::Job { job } = live.next().await.unwrap()
                && job.job == started.job
                && job.state != JobState::Running
            {
                return job;
            }
        }
    };
    let ended: JobProgress = timeout(Duration::from_secs(60), asking).await.expect("it ends");
    assert_eq!(ended.state, JobState::Done, "{}", ended.message);
    assert!(ended.message.starts_with("a serves again after "), "{}", ended.message);
    assert_ne!(serving(&session).await, before, "another process");
    let fault: Fault = restart("b").await.map(|_: JobStarted| ()).unwrap_err();
    assert_eq!(fault.code, FaultCode::Invalid, "nobody here starts it");
    session.stop().await;
}
