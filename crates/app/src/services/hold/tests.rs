use plimsoll_core::clock::Clock;
use plimsoll_services::{
    kind::ServiceKind,
    service::{Loaded, RunState, Service, ServiceState},
};

use super::{
    doubles::{World, managed, model, service},
    hands::Hands,
    *,
};

const MINUTE: i64 = 60_000;

/// A desk over a world, and the work of it.
struct Bench {
    world: Arc<World>,
    desk: HoldDesk,
}

// === impl Bench ===

impl Bench {
    fn new(services: impl IntoIterator<Item = Service>) -> Self {
        Self::over(Arc::new(World::new(services)))
    }

    /// A start of Plimsoll, with what the one before kept.
    fn over(world: Arc<World>) -> Self {
        let kept = world.kept().map(|text| serde_json::from_str::<Machine>(&text).unwrap());
        let machine = kept.map(|machine| Arc::new(machine.resume(world.clock.now())));
        let (asks, asked) = mpsc::channel(ASKS);
        let (show, shown) = watch::channel(machine);
        let stop = CancellationToken::new();
        let runner = Runner::new(world.clone(), asked, show);
        let work = Mutex::new(Some(tokio::spawn(runner.run(stop.clone()))));
        let desk = HoldDesk { asks, shown, stop, idle: Mutex::default(), work };
        Self { world, desk }
    }

    async fn restart(self) -> Self {
        self.desk.stop().await;
        Self::over(self.world)
    }

    async fn hold(&self, minutes: u32, services: &[&str]) -> Result<Hold, Fault> {
        let services = services.iter().map(|&id| id.into()).collect();
        self.desk.begin(HoldRequest { minutes, services }).await
    }

    async fn until(&self, state: HoldState) -> Hold {
        let mut shown = self.desk.shown.clone();
        let is = |machine: &Option<Arc<Machine>>| {
            machine.as_ref().is_some_and(|machine| machine.state == state)
        };
        shown.wait_for(is).await.unwrap();
        self.desk.show().unwrap()
    }

    /// Time passes, and the work sees it at its next look.
    fn pass(&self, ms: i64) {
        self.world.clock.advance_ms(ms);
    }
}

fn ollama() -> Service {
    let models =
        vec![model("a", Loaded::Loaded), model("b", Loaded::Loaded), model("c", Loaded::Unloaded)];
    service("o", ServiceKind::Ollama, models)
}

#[tokio::test(start_paused = true)]
async fn everything_is_taken_away_and_brought_back_in_the_reverse_order() {
    let mut fixed = service("v", ServiceKind::Vllm, vec![model("m", Loaded::Loaded)]);
    fixed.actions = Default::default();
    let bench = Bench::new([managed("l"), ollama(), fixed]);
    let begun = bench.hold(60, &[]).await.unwrap();
    assert_eq!(begun.until_ms - begun.from_ms, 60 * MINUTE);
    assert!(bench.desk.held().holds("l"), "it may not start by itself");
    let held = bench.until(HoldState::Held).await;
    assert_eq!(bench.world.done(), ["unload o a", "unload o b", "stop l"]);
    let freed: Vec<_> = held.steps.iter().map(|s| (&*s.service, s.freed)).collect();
    assert_eq!(freed, [("o", true), ("o", true), ("l", true), ("v", false)]);
    assert!(held.steps[3].trouble.starts_with("vLLM lets no model go"), "{:?}", held.steps[3]);
    assert_eq!((held.vram_before_bytes, held.vram_after_bytes), (Some(9 << 30), Some(1 << 30)));

    bench.pass(60 * MINUTE);
    let ended = bench.until(HoldState::Ended).await;
    // Both stayed until somebody would unload them.
    let back = ["start l", "load o b for ever", "load o a for ever"];
    assert_eq!(bench.world.done()[3..], back);
    assert!(ended.steps[..3].iter().all(|step| step.restored && step.trouble.is_empty()));
    assert!(!bench.desk.held().holds("l"));
    assert_eq!(bench.world.warnings(), [""; 0]);
    let marks = bench.world.marks();
    let spans: Vec<_> = marks.iter().map(|m| (m.at_ms, m.end_ms.is_some())).collect();
    assert_eq!(spans, [(begun.from_ms, false), (begun.from_ms, true)], "one event is one mark");
    assert!(marks[1].detail.contains("a on o: freed and brought back"), "{}", marks[1].detail);
}

#[tokio::test(start_paused = true)]
async fn what_runs_on_a_service_ends_before_anything_of_it_is_taken() {
    let bench = Bench::new([managed("l"), ollama()]);
    bench.world.runs("o", 2);
    bench.world.runs("l", 1);
    bench.hold(60, &[]).await.unwrap();
    let waits = async |at: usize, requests: u32| {
        let mut shown = bench.desk.shown.clone();
        let is = |m: &Option<Arc<Machine>>| {
            m.as_ref().is_some_and(|m| m.told().steps[at].waits_for == requests)
        };
        shown.wait_for(is).await.unwrap();
    };
    waits(0, 2).await;
    assert_eq!((bench.world.resting(), bench.world.done()), (vec!["o".into()], Vec::new()));
    bench.world.runs("o", 1);
    waits(0, 1).await;
    bench.world.runs("o", 0);
    waits(2, 1).await;
    assert_eq!(bench.world.done(), ["unload o a", "unload o b"]);
    assert_eq!(bench.world.resting(), ["l"], "it was kept so until both were gone");
    bench.world.runs("l", 0);
    let held = bench.until(HoldState::Held).await;
    assert!(held.steps.iter().all(|step| step.freed && step.waits_for == 0));
    assert_eq!(bench.world.emptied(), ["o Soon", "l Never"]);
    assert_eq!(bench.world.resting(), [""; 0]);
    assert_eq!(bench.world.done()[2..], ["stop l"]);
}

#[tokio::test(start_paused = true)]
async fn a_word_ends_a_hold_that_waits_for_requests_and_they_go_on() {
    let bench = Bench::new([ollama()]);
    bench.world.runs("o", 1);
    bench.hold(60, &[]).await.unwrap();
    let mut shown = bench.desk.shown.clone();
    let waits = |m: &Option<Arc<Machine>>| m.as_ref().unwrap().told().steps[0].waits_for == 1;
    shown.wait_for(waits).await.unwrap();
    bench.desk.end().await.unwrap();
    let ended = bench.until(HoldState::Ended).await;
    assert!(ended.steps.iter().all(|step| !step.freed && step.waits_for == 0), "{ended:?}");
    assert_eq!((bench.world.done(), bench.world.resting()), (Vec::new(), Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_the_middle_goes_on_and_brings_back_at_the_end() {
    let bench = Bench::new([ollama()]);
    bench.hold(60, &[]).await.unwrap();
    bench.until(HoldState::Held).await;
    let bench = bench.restart().await;
    assert_eq!(bench.desk.show().unwrap().state, HoldState::Held);
    bench.pass(30 * MINUTE);
    let bench = bench.restart().await;
    assert!(bench.desk.held().holds("o"), "before anything starts");
    bench.pass(29 * MINUTE);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(bench.desk.show().unwrap().state, HoldState::Held);
    bench.pass(MINUTE);
    bench.until(HoldState::Ended).await;
    let done = bench.world.done();
    assert_eq!(done[2..], ["load o b for ever", "load o a for ever"], "each once");
    // The one that ended last is still told of, and done with.
    let bench = bench.restart().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(bench.desk.show().unwrap().state, HoldState::Ended);
    assert_eq!(bench.world.done(), done);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_was_slept_through_or_missed_is_made_up_for_at_once() {
    let bench = Bench::new([ollama()]);
    bench.hold(60, &[]).await.unwrap();
    bench.until(HoldState::Held).await;
    bench.desk.stop().await;
    bench.world.clock.suspend_ms(600 * MINUTE);
    let bench = Bench::over(bench.world);
    let ended = bench.until(HoldState::Ended).await;
    assert!(ended.steps.iter().all(|step| step.restored));
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_when_plimsoll_ended_is_not_forgotten() {
    let bench = Bench::new([ollama()]);
    bench.hold(60, &[]).await.unwrap();
    bench.until(HoldState::Held).await;
    bench.desk.stop().await;
    // As if it had ended just after `a` was asked for, and had never heard the answer.
    let mut kept: serde_json::Value = serde_json::from_str(&bench.world.kept().unwrap()).unwrap();
    kept["state"] = "freeing".into();
    kept["steps"][0]["phase"] = "asked".into();
    kept["steps"][1]["phase"] = "planned".into();
    bench.world.keep(kept.to_string()).await.unwrap();
    bench.world.set_model("o", "b", Loaded::Loaded);
    bench.world.clock.advance_ms(61 * MINUTE);
    let bench = Bench::over(bench.world);
    let ended = bench.until(HoldState::Ended).await;
    assert_eq!(bench.world.done()[2..], ["load o a for ever"]);
    assert!(ended.steps[0].restored && ended.steps[1].trouble.contains("before its turn"));
}

#[tokio::test(start_paused = true)]
async fn the_word_again_changes_its_end_and_the_end_can_come_now() {
    let bench = Bench::new([ollama()]);
    let begun = bench.hold(60, &[]).await.unwrap();
    bench.until(HoldState::Held).await;
    bench.pass(10 * MINUTE);
    let longer = bench.hold(120, &[]).await.unwrap();
    assert_eq!(longer.until_ms, begun.from_ms + 130 * MINUTE);
    assert_eq!(longer.from_ms, begun.from_ms);
    assert_eq!(bench.world.done().len(), 2, "nothing is done twice");
    assert_eq!(bench.world.marks().len(), 1, "it is the same hold");
    assert_eq!(bench.desk.end().await.unwrap().state, HoldState::Restoring);
    bench.until(HoldState::Ended).await;
    assert_eq!(bench.world.done().len(), 4);
    let fault = bench.desk.end().await.unwrap_err();
    assert_eq!((fault.code, &*fault.message), (FaultCode::NotFound, "No hold is on."));
}

#[tokio::test(start_paused = true)]
async fn what_starts_while_a_hold_begins_is_taken_too() {
    let mut waits = managed("l");
    waits.run.as_mut().unwrap().state = RunState::Waiting;
    waits.state = ServiceState::Down;
    let bench = Bench::new([ollama(), waits]);
    // It begins to start when the list is made already.
    bench.world.set_after_look("l", |l| l.run.as_mut().unwrap().state = RunState::Starting);
    // And somebody loads a model while another one is unloaded.
    bench.world.load_after("unload o b", "o", "c");
    bench.hold(60, &[]).await.unwrap();
    let held = bench.until(HoldState::Held).await;
    assert_eq!(bench.world.done(), ["unload o a", "unload o b", "stop l", "unload o c"]);
    assert!(held.steps.iter().all(|step| step.freed), "{held:?}");
}

#[tokio::test(start_paused = true)]
async fn a_service_can_be_named_and_another_one_later() {
    let other = service("p", ServiceKind::Ollama, vec![model("x", Loaded::Loaded)]);
    let bench = Bench::new([ollama(), other]);
    bench.hold(60, &["p"]).await.unwrap();
    bench.until(HoldState::Held).await;
    assert_eq!(bench.world.done(), ["unload p x"]);
    assert!(bench.desk.held().holds("p") && !bench.desk.held().holds("o"));
    bench.hold(60, &["o"]).await.unwrap();
    bench.until(HoldState::Held).await;
    assert_eq!(bench.world.done().len(), 3);
    assert!(bench.desk.held().holds("o"));
    for (minutes, services, code) in [
        (0, &[][..], FaultCode::Invalid),
        (1441, &[][..], FaultCode::Invalid),
        (5, &["q"][..], FaultCode::NotFound),
    ] {
        assert_eq!(bench.hold(minutes, services).await.unwrap_err().code, code);
    }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_loaded_meanwhile_is_left() {
    let bench = Bench::new([ollama(), managed("l")]);
    bench.hold(60, &[]).await.unwrap();
    bench.until(HoldState::Held).await;
    bench.world.set_model("o", "a", Loaded::Loaded);
    bench.world.set_model("o", "c", Loaded::Loaded);
    bench.world.set("l", |service| service.run.as_mut().unwrap().state = RunState::Running);
    bench.desk.end().await.unwrap();
    let ended = bench.until(HoldState::Ended).await;
    assert_eq!(bench.world.done()[3..], ["load o b for ever"]);
    assert!(ended.steps.iter().all(|step| step.restored));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dies_in_the_middle_is_waited_for_and_else_said() {
    let bench =
        Bench::new([ollama(), service("p", ServiceKind::Ollama, vec![model("x", Loaded::Loaded)])]);
    bench.hold(60, &[]).await.unwrap();
    bench.until(HoldState::Held).await;
    bench.world.goes_down("o");
    bench.world.goes_down("p");
    bench.desk.end().await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    bench.world.comes_back("p");
    let ended = bench.until(HoldState::Ended).await;
    let told: Vec<_> = ended.steps.iter().map(|s| (s.restored, &*s.trouble)).collect();
    let down = "o is down: refused on 127.0.0.1:1234.";
    assert_eq!(told, [(false, down), (false, down), (true, "")]);
    let warnings = bench.world.warnings();
    assert_eq!(
        warnings,
        [format!("After the hold 2 things were not brought back. a on o: {down} b on o: {down}")]
    );
    assert_eq!(
        bench.world.marks().last().unwrap().title,
        "The GPU was held free; not all was brought back"
    );
    // The end once more tries again what was lost.
    bench.world.comes_back("o");
    bench.desk.end().await.unwrap();
    let ended = bench.until(HoldState::Ended).await;
    assert!(ended.steps.iter().all(|step| step.restored), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_told_and_what_goes_late_is_brought_back() {
    let bench = Bench::new([ollama()]);
    bench.world.refuse("unload o a", "a still works on a request; it goes when that ends.");
    bench.world.refuse("unload o b", "No.");
    bench.hold(60, &[]).await.unwrap();
    let held = bench.until(HoldState::Held).await;
    assert!(held.steps.iter().all(|step| !step.freed));
    assert!(held.steps[0].trouble.contains("still works"));
    bench.world.set_model("o", "a", Loaded::Unloaded);
    let mut shown = bench.desk.shown.clone();
    shown.wait_for(|m| m.as_ref().unwrap().told().steps[0].freed).await.unwrap();
    bench.desk.end().await.unwrap();
    let ended = bench.until(HoldState::Ended).await;
    assert_eq!(bench.world.done()[2..], ["load o a for ever"]);
    assert_eq!((ended.steps[1].freed, &*ended.steps[1].trouble), (false, "No."));
    assert_eq!(bench.world.warnings(), [""; 0], "nothing was lost");
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_cannot_be_kept_takes_nothing_away() {
    let bench = Bench::new([ollama()]);
    bench.world.fill_disk();
    let fault = bench.hold(60, &[]).await.unwrap_err();
    assert_eq!(fault.code, FaultCode::Unavailable);
    assert!(fault.message.contains("the disk is full"), "{fault}");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((bench.world.done(), bench.desk.show()), (Vec::new(), None));
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_hold_lost_comes_back_with_the_next() {
    let bench = Bench::new([ollama()]);
    bench.world.refuse("load o a for ever", "out of memory.");
    bench.hold(60, &[]).await.unwrap();
    bench.until(HoldState::Held).await;
    bench.desk.end().await.unwrap();
    let ended = bench.until(HoldState::Ended).await;
    assert_eq!(ended.steps[0].trouble, "out of memory.");
    bench.world.refuse("load o a for ever", "still.");
    bench.hold(60, &[]).await.unwrap();
    bench.until(HoldState::Held).await;
    bench.desk.end().await.unwrap();
    let ended = bench.until(HoldState::Ended).await;
    let told: Vec<_> = ended.steps.iter().map(|s| (s.model.as_deref(), &*s.trouble)).collect();
    assert_eq!(told, [(Some("a"), "still."), (Some("b"), "")]);
}
