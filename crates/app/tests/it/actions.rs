//! Loading and unloading by a job, and a hold of the GPU, over a real connection to
//! a small Ollama.

use std::{fs, path::Path, pin::Pin, time::Duration};

use futures::{Stream, StreamExt};
use plimsoll_app::{
    api::{
        Command, Done, Fault, FaultCode, Hold, HoldRequest, HoldState, JobId, JobProgress,
        JobStarted, JobState, Live, Nothing, ServiceId, ServiceModelRequest, Subscription,
    },
    session::{Options, Session},
};
use plimsoll_services::service::{Loaded, Service, ServiceState};
use serde_json::json;
use tokio::time::timeout;

use crate::ollama::{Kept, Ollama};

type LiveStream = Pin<Box<dyn Stream<Item = Live> + Send>>;

/// Nothing here takes so long, unless it never comes.
const NEVER: Duration = Duration::from_secs(60);

fn configure(folder: &Path, ollama: &Ollama) {
    let text = format!(
        "[sampling]\ninterval_ms = 500\n[services]\ndiscover = false\n\
         [services.ollama]\nurl = \"{}\"\nscrape_ms = 250\n",
        ollama.url()
    );
    fs::write(folder.join("plimsoll.toml"), text).unwrap();
}

async fn start(folder: &Path) -> (Session, LiveStream) {
    let data_dir = Some(folder.to_path_buf());
    let session = Session::start(Options { data_dir, ..Options::default() }).await.unwrap();
    let live: LiveStream = Box::pin(session.subscribe(Subscription::default()));
    (session, live)
}

async fn service(session: &Session) -> Service {
    let services: Vec<Service> = session.call(Command::Services(Nothing {})).await.unwrap();
    services.into_iter().find(|service| service.id == "ollama").unwrap()
}

async fn until(session: &Session, live: &mut LiveStream, is: impl Fn(&Service) -> bool) {
    let wait = timeout(NEVER, async {
        while !is(&service(session).await) {
            while !matches!(live.next().await.unwrap(), Live::Services { .. }) {}
        }
    });
    wait.await.expect("it comes to pass");
}

async fn healthy(session: &Session, live: &mut LiveStream) {
    until(session, live, |service| service.state == ServiceState::Healthy).await;
}

async fn act(session: &Session, load: bool, model: &str) -> Result<JobStarted, Fault> {
    let request = ServiceModelRequest { id: "ollama".into(), model: model.into() };
    let command =
        if load { Command::ServiceLoad(request) } else { Command::ServiceUnload(request) };
    session.call(command).await
}

/// How a job ended.
async fn ended(live: &mut LiveStream, started: &JobStarted) -> JobProgress {
    let wait = timeout(NEVER, async {
        loop {
            if let Live::Job { job } = live.next().await.unwrap()
                && job.job == started.job
                && job.state != JobState::Running
            {
                return job;
            }
        }
    });
    wait.await.expect("it ends")
}

async fn hold(session: &Session) -> Hold {
    let hold: Option<Hold> = session.call(Command::HoldShow(Nothing {})).await.unwrap();
    hold.unwrap()
}

/// Listens for words about the hold, and asks then, as the window does.
async fn hold_until(session: &Session, live: &mut LiveStream, state: HoldState) -> Hold {
    let wait = timeout(NEVER, async {
        loop {
            let hold = hold(session).await;
            if hold.state == state {
                return hold;
            }
            while live.next().await.unwrap() != Live::Hold {}
        }
    });
    wait.await.expect("it comes to pass")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_is_loaded_and_unloaded_by_a_job_that_says_what_it_took() {
    let ollama = Ollama::start(0, &[("qwen", Kept::OnDisk)]).await;
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path(), &ollama);
    let (session, mut live) = start(dir.path()).await;
    healthy(&session, &mut live).await;

    let started = act(&session, true, "qwen").await.unwrap();
    let mut marks = Vec::new();
    let job = timeout(NEVER, async {
        loop {
            match live.next().await.unwrap() {
                Live::Mark { mark } if mark.subject.as_deref() == Some("ollama") => {
                    marks.push(mark.title.clone());
                }
                Live::Job { job } if job.job == started.job && job.state != JobState::Running => {
                    return job;
                }
                _ => {}
            }
        }
    });
    let job = job.await.unwrap();
    assert_eq!((job.state, &*job.title), (JobState::Done, "Load qwen:latest on ollama"));
    assert!(job.message.starts_with("Loaded qwen:latest within "), "{}", job.message);
    assert_eq!(marks, ["ollama: loaded qwen:latest"]);
    assert_eq!(ollama.model("qwen"), Kept::Usual);
    // It is seen at once, not with the next look.
    let shown = Command::ServiceShow(ServiceId { id: "ollama".into() });
    let shown: Service = session.call(shown).await.unwrap();
    assert_eq!(shown.models[0].loaded, Loaded::Loaded);

    // One that is not on the list, which is not read with every look.
    ollama.set("fresh", Kept::OnDisk);
    let fresh = act(&session, true, "fresh").await.unwrap();
    assert_eq!(ended(&mut live, &fresh).await.state, JobState::Done);

    let again = act(&session, true, "qwen").await.unwrap();
    let job = ended(&mut live, &again).await;
    assert!(job.message.starts_with("qwen:latest was loaded already"), "{}", job.message);
    let unloaded = act(&session, false, "qwen:latest").await.unwrap();
    let job = ended(&mut live, &unloaded).await;
    assert!(job.message.starts_with("Unloaded qwen:latest within "), "{}", job.message);
    assert_eq!(ollama.model("qwen"), Kept::OnDisk);
    session.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_done_is_refused_and_what_is_under_way_can_be_left() {
    let ollama = Ollama::start(0, &[("qwen", Kept::OnDisk), ("gone", Kept::OnDisk)]).await;
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path(), &ollama);
    let (session, mut live) = start(dir.path()).await;
    healthy(&session, &mut live).await;

    let fault = act(&session, true, "qwem").await.unwrap_err();
    assert_eq!(fault.code, FaultCode::NotFound);
    let request = ServiceModelRequest { id: "olama".into(), model: "qwen".into() };
    let fault = session.call::<JobStarted>(Command::ServiceLoad(request)).await.unwrap_err();
    assert_eq!(
        (fault.code, fault.hint.as_deref()),
        (FaultCode::NotFound, Some("There are: ollama."))
    );

    ollama.hold_loads();
    let started = act(&session, true, "qwen").await.unwrap();
    let fault = act(&session, false, "qwen").await.unwrap_err();
    assert_eq!(fault.code, FaultCode::Conflict);
    assert_eq!(fault.message, "qwen:latest is being loaded already.");
    let job = Command::JobCancel(JobId { job: started.job });
    session.call::<Done>(job).await.unwrap();
    let job = ended(&mut live, &started).await;
    assert_eq!(job.state, JobState::Cancelled);
    assert!(job.message.ends_with("ollama may load qwen:latest all the same."), "{job:?}");

    // A server that dies in the middle of it, and one that is down.
    let started = act(&session, true, "gone").await.unwrap();
    ollama.die().await;
    let job = ended(&mut live, &started).await;
    assert_eq!(job.state, JobState::Failed);
    assert!(job.message.starts_with("ollama did not load gone:latest: "), "{job:?}");
    until(&session, &mut live, |service| service.state == ServiceState::Down).await;
    let fault = act(&session, true, "qwen").await.unwrap_err();
    assert_eq!(fault.code, FaultCode::Unavailable);
    assert!(fault.message.starts_with("ollama is down: refused on 127.0.0.1:"), "{fault}");
    session.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_outlives_a_restart_and_brings_models_back_as_they_were() {
    let models = [
        ("ever", Kept::Always),
        ("idle", Kept::OnDisk),
        ("long", Kept::Seconds(7200)),
        ("usual", Kept::Usual),
    ];
    let ollama = Ollama::start(0, &models).await;
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path(), &ollama);
    let (session, mut live) = start(dir.path()).await;
    healthy(&session, &mut live).await;
    let request = HoldRequest { minutes: 60, services: Vec::new() };
    let begun: Hold = session.call(Command::Hold(request)).await.unwrap();
    assert_eq!(begun.until_ms - begun.from_ms, 3_600_000);
    let held = hold_until(&session, &mut live, HoldState::Held).await;
    let freed: Vec<_> = held.steps.iter().map(|s| (s.model.as_deref().unwrap(), s.freed)).collect();
    assert_eq!(freed, [("ever:latest", true), ("long:latest", true), ("usual:latest", true)]);
    for (name, _) in &models {
        assert_eq!(ollama.model(name), Kept::OnDisk, "{name}");
    }
    session.stop().await;
    assert_eq!(ollama.model("ever"), Kept::OnDisk, "an end of Plimsoll ends no hold");

    let (session, mut live) = start(dir.path()).await;
    let again = hold(&session).await;
    assert_eq!((again.state, again.from_ms), (HoldState::Held, begun.from_ms));
    healthy(&session, &mut live).await;
    ollama.set("usual", Kept::Seconds(30));
    let before = ollama.asked().len();
    session.call::<Hold>(Command::HoldEnd(Nothing {})).await.unwrap();
    let ended = hold_until(&session, &mut live, HoldState::Ended).await;
    assert!(ended.steps.iter().all(|step| step.restored), "{ended:?}");
    let asked = &ollama.asked()[before..];
    let names: Vec<_> = asked.iter().map(|wish| wish["model"].clone()).collect();
    assert_eq!(names, ["long:latest", "ever:latest"], "what is there is left as it is");
    assert_eq!(asked[1]["keep_alive"], json!(-1));
    let Kept::Seconds(seconds) = ollama.model("long") else { panic!("{:?}", ollama.model("long")) };
    assert!((7100..=7200).contains(&seconds), "{seconds}");
    assert_eq!(ollama.model("usual"), Kept::Seconds(30));
    session.stop().await;
}
