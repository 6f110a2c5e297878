//! A whole engine in this process, on the simulated workstation, and one attached to it.

use std::{path::Path, time::Duration};

use futures::StreamExt;
use plimsoll_app::{
    api::{
        Command, DeleteRequest, Done, EnergyReport, ExportFormat, ExportRequest, FaultCode, Folder,
        HistoryStats, JobId, JobProgress, JobStarted, JobState, Live, Nothing, Range, RememberKey,
        Remembered, Status, StorageReport, Subscription,
    },
    session::{Options, Session},
};
use plimsoll_core::{mark::Mark, series::SeriesKey};
use plimsoll_services::{
    kind::ServiceKind,
    service::{Service, ServiceState},
};
use tokio::time::timeout;

fn options(folder: &Path) -> Options {
    Options { data_dir: Some(folder.to_path_buf()), demo: true, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_session_attaches_and_both_see_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let owner = Session::start_or_attach(options(dir.path())).await.unwrap();
    assert!(owner.hosted() && owner.about().simulated);
    let guest = Session::start_or_attach(options(dir.path())).await.unwrap();
    assert!(!guest.hosted());
    // What holds a card's clocks down changes from look to look; who and where does not.
    let place = |session: &Session| {
        let about = session.about();
        (about.pid, about.started_ms, about.data_dir.clone(), about.machine.clone())
    };
    assert_eq!(place(&guest), place(&owner));
    let refused = Session::start(options(dir.path())).await.err().unwrap();
    assert_eq!(refused.code, FaultCode::Conflict);
    assert!(refused.message.contains(&std::process::id().to_string()), "{refused}");

    let all = Subscription { metrics: vec!["gpu.".into()] };
    let mut heard = [
        Box::pin(owner.subscribe(all.clone()))
            as std::pin::Pin<Box<dyn futures::Stream<Item = Live> + Send>>,
        Box::pin(guest.subscribe(all)),
    ];
    for live in &mut heard {
        let tick = timeout(Duration::from_secs(30), async {
            loop {
                match live.next().await {
                    Some(Live::Tick { values, .. }) => return values,
                    Some(_) => {}
                    None => panic!("the stream ended"),
                }
            }
        });
        let values = tick.await.expect("a tick comes");
        assert!(values.iter().all(|value| value.key.metric.starts_with("gpu.")));
        assert!(values.iter().any(|value| value.key.metric == "gpu.vram.used"));
    }

    let status: Status = guest.call(Command::Status(Nothing {})).await.unwrap();
    assert!(status.sources.iter().any(|source| source.name == "gpu"));
    let raw = guest.call_json(r#"{"command":"metrics"}"#).await.unwrap();
    assert!(raw.contains("gpu.vram.used"));

    owner.stop().await;
    timeout(Duration::from_secs(10), guest.owner_ended()).await.expect("the guest is told");
    let fault = guest.call::<Status>(Command::Status(Nothing {})).await.unwrap_err();
    assert_eq!(fault.code, FaultCode::Unavailable);
    // The folder is free again.
    let next = Session::start_or_attach(options(dir.path())).await.unwrap();
    assert!(next.hosted());
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_subscription_ends_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let session = Session::start_or_attach(options(dir.path())).await.unwrap();
    let first = session.subscribe(Subscription::default());
    let _second = session.subscribe(Subscription::default());
    let rest = timeout(Duration::from_secs(10), first.collect::<Vec<_>>());
    rest.await.expect("the first one has ended");
    session.stop().await;
}

async fn finished(session: &Session, started: JobStarted) -> JobProgress {
    let ended = timeout(Duration::from_secs(120), async {
        loop {
            let jobs: Vec<JobProgress> = session.call(Command::Jobs(Nothing {})).await.unwrap();
            let job = jobs.into_iter().find(|job| job.job == started.job).unwrap();
            if job.state != JobState::Running {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    ended.await.expect("the job ends")
}

/// A folder that was started before, so that no first day is written into it.
async fn started_before(dir: &Path) -> Session {
    let session = Session::start(options(dir)).await.unwrap();
    let jobs: Vec<JobProgress> = session.call(Command::Jobs(Nothing {})).await.unwrap();
    session.call::<Done>(Command::JobCancel(JobId { job: jobs[0].job })).await.unwrap();
    // An end of the program before the word has arrived would have the past made anew.
    demo_day(&session, |job| job.state != JobState::Running).await;
    session.stop().await;
    Session::start(options(dir)).await.unwrap()
}

async fn remember(session: &Session, value: &str) {
    let remembered = Remembered { key: "test.note".into(), value: value.into() };
    session.call::<Done>(Command::Remember(remembered)).await.unwrap();
}

async fn recall(session: &Session) -> Option<String> {
    session.call(Command::Recall(RememberKey { key: "test.note".into() })).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_takes_its_place_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let backup = Folder { path: dir.path().join("backup").display().to_string() };
    let session = started_before(&data).await;
    remember(&session, "1").await;
    let job = session.call(Command::StorageBackup(backup.clone())).await.unwrap();
    let job = finished(&session, job).await;
    assert_eq!(job.state, JobState::Done, "{}", job.message);
    remember(&session, "2").await;

    let nothing = Folder { path: dir.path().display().to_string() };
    let fault = session.call::<Done>(Command::StorageRestore(nothing)).await.unwrap_err();
    assert_eq!(fault.code, FaultCode::NotFound);
    session.call::<Done>(Command::StorageRestore(backup)).await.unwrap();
    assert_eq!(recall(&session).await.as_deref(), Some("2"), "not before the next start");
    session.stop().await;

    let session = Session::start(options(&data)).await.unwrap();
    assert_eq!(recall(&session).await.as_deref(), Some("1"));
    let aside = std::fs::read_dir(&data)
        .unwrap()
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with("before-restore-"));
    assert!(aside.unwrap().path().join("state.db").exists());
    session.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moved_data_is_found_by_its_old_name_with_what_came_after_the_copy() {
    let dir = tempfile::tempdir().unwrap();
    let (data, there) = (dir.path().join("data"), dir.path().join("there"));
    let session = started_before(&data).await;
    let folder = Folder { path: there.display().to_string() };
    let job = session.call(Command::StorageMove(folder)).await.unwrap();
    let job = finished(&session, job).await;
    assert_eq!(job.state, JobState::Done, "{}", job.message);
    remember(&session, "\"after the copy\"").await;
    session.stop().await;

    let session = Session::start(options(&data)).await.unwrap();
    assert_eq!(session.about().data_dir, there.canonicalize().unwrap().display().to_string());
    assert_eq!(recall(&session).await.as_deref(), Some("\"after the copy\""));
    assert!(!data.join("history.db").exists());
    let guest = Session::start_or_attach(options(&data)).await.unwrap();
    assert!(!guest.hosted(), "the old name leads to the same owner");
    session.stop().await;
    let session = Session::start(options(&data)).await.unwrap();
    assert_eq!(recall(&session).await.as_deref(), Some("\"after the copy\""), "every time");
    session.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_demo_has_a_past_with_energy_alerts_and_an_export() {
    let dir = tempfile::tempdir().unwrap();
    let session = Session::start(options(&dir.path().join("data"))).await.unwrap();
    assert!(session.about().first_start);
    // An hour of the past is enough to see that all of it hangs together.
    let now = session.about().started_ms;
    let day = Range { from_ms: now - 86_400_000, to_ms: now };
    let filled = timeout(Duration::from_secs(120), async {
        loop {
            let jobs: Vec<JobProgress> = session.call(Command::Jobs(Nothing {})).await.unwrap();
            if jobs[0].share.is_some_and(|share| share > 0.05) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    filled.await.expect("the past is written");
    // Its services really answer, each with the process that plays it.
    let answering = timeout(Duration::from_secs(60), async {
        loop {
            let services: Vec<Service> = session.call(Command::Services(Nothing {})).await.unwrap();
            let well = |of: &Service| of.state == ServiceState::Healthy && of.holder.is_some();
            if services.len() == 6 && services.iter().all(well) {
                return services;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let services = answering.await.expect("all of them are healthy");
    let told: Vec<_> = services.iter().map(|of| (&*of.id, of.kind)).collect();
    let playing = [
        ("chat", ServiceKind::LlamaCpp),
        ("embed", ServiceKind::Vllm),
        ("notes", ServiceKind::Ollama),
        ("whisper", ServiceKind::Speaches),
        ("redis", ServiceKind::Redis),
        ("qdrant", ServiceKind::Qdrant),
    ];
    assert_eq!(told, playing.map(|(id, kind)| (id, Some(kind))));
    let share = services[2].models[0].gpu_share.unwrap();
    assert!(share < 0.5, "most of it runs on the CPU: {share}");

    let first = Range { to_ms: day.from_ms + 3_600_000, ..day };
    let energy: EnergyReport = session.call(Command::Energy(first)).await.unwrap();
    assert_eq!(energy.basis, "counter");
    assert!(energy.kwh.unwrap() > 0.0 && energy.covered > 0.9, "{energy:?}");
    assert!((energy.cost.unwrap() - energy.kwh.unwrap() * 0.3).abs() < 1e-9, "{energy:?}");

    let path = dir.path().join("export.csv");
    let request = ExportRequest {
        series: vec![SeriesKey::new("memory.used", "")],
        from_ms: first.from_ms,
        to_ms: first.to_ms,
        format: ExportFormat::Csv,
        path: path.display().to_string(),
    };
    let job = session.call(Command::HistoryExport(request)).await.unwrap();
    let job = finished(&session, job).await;
    assert_eq!(job.state, JobState::Done, "{}", job.message);
    let rows = std::fs::read_to_string(&path).unwrap().lines().count();
    assert!((3590..=3602).contains(&rows), "{rows} lines for an hour");

    let stats: HistoryStats = session.call(Command::HistoryStats(Nothing {})).await.unwrap();
    assert_eq!(stats.epochs, 1, "the past and the present are one time");
    let storage: StorageReport = session.call(Command::Storage(Nothing {})).await.unwrap();
    assert_eq!(storage.kinds.len(), 8);
    session.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_history_is_gone_and_recording_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let session = started_before(&dir.path().join("data")).await;
    let before = session.about().started_ms - 1;
    let later = DeleteRequest { before_ms: Some(i64::MAX) };
    let fault = session.call::<Done>(Command::StorageDelete(later)).await.unwrap_err();
    assert_eq!(fault.code, FaultCode::Invalid);
    let mut live = Box::pin(session.subscribe(Subscription::default()));
    let request = DeleteRequest { before_ms: Some(before) };
    session.call::<Done>(Command::StorageDelete(request)).await.unwrap();
    let stats: HistoryStats = session.call(Command::HistoryStats(Nothing {})).await.unwrap();
    assert!(stats.oldest_ms.is_none_or(|oldest| oldest >= before), "from {before} on: {stats:?}");
    // The history made it itself, and who listens hears of it at once. A machine that
    // stood still meanwhile has marks of its own.
    let heard = timeout(Duration::from_secs(20), async {
        while let Some(live) = live.next().await {
            if let Live::Mark { mark } = live
                && mark.title.contains("was deleted")
            {
                return mark.title.clone();
            }
        }
        panic!("the stream ended");
    });
    let heard = heard.await.unwrap();
    let range = Range { from_ms: before, to_ms: i64::MAX };
    let marks: Vec<Mark> = session.call(Command::Marks(range)).await.unwrap();
    let deleted: Vec<&Mark> = marks.iter().filter(|m| m.title.contains("was deleted")).collect();
    assert_eq!(deleted.len(), 1, "one event is one mark: {marks:?}");
    assert_eq!(heard, deleted[0].title);
    session.stop().await;
}

async fn demo_day(session: &Session, is: impl Fn(&JobProgress) -> bool) -> u64 {
    let wait = timeout(Duration::from_secs(120), async {
        loop {
            let jobs: Vec<JobProgress> = session.call(Command::Jobs(Nothing {})).await.unwrap();
            let day = jobs.iter().find(|job| job.title.contains("first day")).unwrap();
            if is(day) {
                return day.job;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    wait.await.expect("the past is written")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_that_ended_within_its_first_fill_begins_anew_and_one_that_was_told_to_stop_does_not()
 {
    let dir = tempfile::tempdir().unwrap();
    let begun = |job: &JobProgress| job.share.is_some_and(|share| share > 0.01);
    let session = Session::start(options(dir.path())).await.unwrap();
    demo_day(&session, begun).await;
    session.stop().await;
    assert!(dir.path().join("history.db").exists());

    let session = Session::start(options(dir.path())).await.unwrap();
    assert!(session.about().first_start, "a part of a day is no past");
    let day = demo_day(&session, begun).await;
    let stats: HistoryStats = session.call(Command::HistoryStats(Nothing {})).await.unwrap();
    assert_eq!(stats.epochs, 1);
    // Where ten seconds are together already, they begin on the clock's own tens.
    let from_ms = (session.about().started_ms - 86_400_000) / 10_000 * 10_000;
    assert!(stats.oldest_ms.unwrap() >= from_ms, "{stats:?}");
    // A person who wants no more of it keeps what there is.
    session.call::<Done>(Command::JobCancel(JobId { job: day })).await.unwrap();
    demo_day(&session, |job| job.state == JobState::Cancelled).await;
    session.stop().await;
    let session = Session::start(options(dir.path())).await.unwrap();
    assert!(!session.about().first_start);
    session.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_door_cannot_be_opened_no_service_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let text = "[services]\ndiscover = false\n[services.a]\nurl = \"http://127.0.0.1:1\"\n\
        enabled = false\ncommand = [\"sleep\", \"600\"]\n";
    std::fs::write(dir.path().join("plimsoll.toml"), text).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let options = Options {
        data_dir: Some(dir.path().to_path_buf()),
        ui: Some(taken.local_addr().unwrap()),
        ..Options::default()
    };
    let fault = Session::start(options.clone()).await.err().unwrap();
    assert_eq!(fault.code, FaultCode::Unavailable);
    assert!(fault.message.starts_with("Cannot listen at 127.0.0.1:"), "{fault}");
    let of_services = dir.path().join("services");
    assert!(!of_services.exists(), "nothing was started, taken over or stopped");
    drop(taken);
    let session = Session::start(options).await.unwrap();
    assert!(session.page_link().is_some());
    timeout(Duration::from_secs(60), async {
        while !of_services.join("a.log").exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the service is started");
    session.stop().await;
}
