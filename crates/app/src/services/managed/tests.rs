use std::path::Path;

use plimsoll_core::{clock::SystemClock, reading::Reading, record::Nowhere};
use plimsoll_history::State;
use plimsoll_services::service::Run;

use super::*;
use crate::{
    alerts::{Notice, Notifier},
    services::{Parts, found::tests::config},
};

const PATIENCE: Duration = Duration::from_secs(60);

struct Silent;

impl Notifier for Silent {
    fn notify(&self, _: &Notice) {}
}

/// The services of that configuration; what they run is ended by the test itself.
async fn services(dir: &Path, text: &str) -> (watch::Sender<Arc<Config>>, Services) {
    let (tell, read) = watch::channel(config(text));
    let runs = Runs { folder: dir.join(FOLDER), vram: watch::channel(None).1, held: Held::never() };
    let parts = Parts {
        config: read,
        clock: Arc::new(SystemClock),
        record: Arc::new(Nowhere),
        processes: watch::channel(Arc::default()).1,
        state: Arc::new(State::open(dir).await.unwrap()),
        notifier: Arc::new(Silent),
        runs: Some(runs),
        simulated: None,
    };
    (tell, Services::start(parts).await.unwrap())
}

/// Until the service that all see runs so.
async fn until(services: &Services, id: &str, wanted: impl Fn(&Run) -> bool) -> Service {
    let mut view = services.view();
    let of = |view: &Arc<FleetView>| {
        let service = view.services.iter().find(|service| service.id == id).cloned();
        service.filter(|service| service.run.as_ref().is_some_and(&wanted))
    };
    let seen = timeout(PATIENCE, view.wait_for(|view| of(view).is_some())).await;
    Service::clone(&of(&seen.expect("it comes to pass").unwrap()).unwrap())
}

const TWO: &str = "[services]\ndiscover = false\n\
    [services.a]\nurl = \"http://127.0.0.1:1\"\nenabled = false\nautostart = false\n\
    command = [\"sh\", \"-c\", \"echo up; exec sleep 600\"]\n\
    [services.b]\nurl = \"http://127.0.0.1:1\"\nenabled = false\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_persons_words_start_and_stop_it_and_are_answered_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let (tell, services) = services(dir.path(), TWO).await;
    let stopped = until(&services, "a", |run| run.state == RunState::Stopped).await;
    assert!(stopped.run.unwrap().reason.contains("does not start with Plimsoll"));
    assert_eq!(services.start_run("a").await.unwrap().message, "a is being started.");
    until(&services, "a", |run| run.pid.is_some()).await;
    assert_eq!(services.start_run("a").await.unwrap().message, "a runs already.");
    // Another command holds from the next start on, and a hint says so.
    tell.send_replace(config(&TWO.replace("sleep 600", "sleep 601")));
    let changed = timeout(PATIENCE, async {
        let hinted = |list: Vec<Service>| list[0].hints.iter().any(|h| h.id == "launch-changed");
        while !hinted(services.list()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    changed.await.expect("the hint comes");
    services.stop_and_wait("a").await.unwrap();
    let list = services.list();
    assert_eq!(list[0].run.as_ref().unwrap().state, RunState::Stopped);
    assert!(list[0].hints.is_empty(), "{:?}", list[0].hints);
    assert_eq!(services.stop_run("a").await.unwrap().message, "a does not run.");
    let ask = |id: &str, lines| ServiceOutputRequest { id: id.into(), lines };
    let output = services.output(&ask("a", 10), 7).await.unwrap();
    assert!(output.lines.iter().any(|line| line.text == "up" && line.at_ms.is_some()));
    assert!(output.file.unwrap().ends_with("services/a.log"));

    assert_eq!(list[1].run, None);
    let fault = services.start_run("b").await.unwrap_err();
    assert_eq!(fault.code, FaultCode::Invalid);
    assert!(fault.hint.unwrap().contains("services.b.command"));
    assert_eq!(services.output(&ask("c", 1), 0).await.unwrap_err().code, FaultCode::NotFound);
    assert_eq!(services.output(&ask("a", 0), 0).await.unwrap_err().code, FaultCode::Invalid);
    services.stop_runs().await;
    assert_eq!(services.start_run("a").await.unwrap_err().code, FaultCode::Unavailable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_start_that_fails_is_told_why() {
    let dir = tempfile::tempdir().unwrap();
    let text = "[services]\ndiscover = false\n\
        [services.a]\nurl = \"http://127.0.0.1:1\"\nenabled = false\nautostart = false\n\
        restart = \"never\"\ncommand = [\"sh\", \"-c\", \"echo no model; exit 1\"]\n";
    let (_tell, services) = services(dir.path(), text).await;
    let said = services.start_and_wait("a").await.unwrap_err();
    let why = "a did not start: It ended with code 1; its last line: no model";
    assert_eq!(said, why);
    services.stop_runs().await;
}

#[tokio::test]
async fn a_simulated_workstation_starts_no_real_program() {
    let dir = tempfile::tempdir().unwrap();
    let parts = Parts {
        config: watch::channel(config(TWO)).1,
        clock: Arc::new(SystemClock),
        record: Arc::new(Nowhere),
        processes: watch::channel(Arc::default()).1,
        state: Arc::new(State::open(dir.path()).await.unwrap()),
        notifier: Arc::new(Silent),
        runs: None,
        simulated: Some(Arc::default()),
    };
    let services = Services::start(parts).await.unwrap();
    let fault = services.start_run("a").await.unwrap_err();
    assert!(fault.message.contains("simulated") && fault.hint.is_some(), "{fault}");
}

#[test]
fn free_vram_is_that_of_all_gpus_and_none_where_none_is_read() {
    let at = SystemClock.now();
    let free = |values: &[f64]| {
        let reading = |value: &f64| Reading::gauge(Metric::VramFree, &"gpu".into(), *value);
        let mut readings: Vec<Reading> = values.iter().map(reading).collect();
        readings.push(Reading::gauge(Metric::VramUsed, &"gpu".into(), 5.0));
        free_vram(&Tick { at, readings })
    };
    assert_eq!(free(&[]), None);
    assert_eq!(free(&[2.0, 3.0]), Some(Vram { at_ms: at.monotonic_ms, free_bytes: 5 }));
}
