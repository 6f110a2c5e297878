//! The sampler with sources on real threads. Nothing here asserts how long anything
//! takes: the tests wait for what must come.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use plimsoll_core::{
    clock::{Instant3, SystemClock},
    metric::Metric,
    reading::{Reading, Tick},
    record::{Layer, Nowhere, Record},
    source::{Source, SourceError, SourceState},
};
use plimsoll_sense::{Options, Pulse, Sampler, real_sources};
use tokio::sync::watch;

#[derive(Default)]
struct Kept {
    ticks: Mutex<Vec<Arc<Tick>>>,
}

impl Layer for Kept {
    fn below(&self) -> &dyn Record {
        &Nowhere
    }
    fn on_tick(&self, tick: Arc<Tick>) {
        self.ticks.lock().unwrap().push(tick);
    }
}

/// Answers with what a closure says.
struct Says<F>(&'static str, F);

impl<F: FnMut() -> Result<f64, SourceError> + Send + 'static> Source for Says<F> {
    fn name(&self) -> &'static str {
        self.0
    }
    fn cadence(&self) -> Duration {
        Duration::from_millis(20)
    }
    fn read(&mut self, _: Instant3, out: &mut Vec<Reading>) -> Result<(), SourceError> {
        let value = (self.1)()?;
        out.push(Reading::gauge(Metric::CoreBusy, &self.0.into(), value));
        Ok(())
    }
}

fn start(list: Vec<Box<dyn Source>>) -> (Sampler, Arc<Kept>, watch::Sender<Options>) {
    let (options, live) = watch::channel(Options { interval_ms: 20, ..Options::default() });
    let kept = Arc::new(Kept::default());
    let sampler = Sampler::start(list, live, Arc::new(SystemClock), kept.clone());
    (sampler, kept, options)
}

/// The first pulse of which that is true.
async fn until(sampler: &Sampler, condition: impl Fn(&Pulse) -> bool) -> Arc<Pulse> {
    let mut pulses = sampler.watch();
    let found = pulses.wait_for(|pulse| condition(pulse));
    tokio::time::timeout(Duration::from_secs(60), found).await.unwrap().unwrap().clone()
}

fn state(pulse: &Pulse, name: &str) -> SourceState {
    pulse.sources.iter().find(|source| source.name == name).unwrap().state
}

/// Whether the source is well and its value is in the tick.
fn reads(pulse: &Pulse, name: &str, value: f64) -> bool {
    state(pulse, name) == SourceState::Healthy
        && pulse.tick.get(Metric::CoreBusy, name) == Some(value)
}

fn steady(name: &'static str) -> Box<dyn Source> {
    Box::new(Says(name, || Ok(1.0)))
}

// MV18
#[tokio::test]
async fn a_source_that_hangs_leaves_a_gap_and_holds_up_nobody() {
    let (release, held) = mpsc::channel::<()>();
    let hanging = Says("hanging", move || {
        let _ = held.recv();
        Ok(2.0)
    });
    let (sampler, kept, _options) = start(vec![Box::new(hanging), steady("steady")]);
    until(&sampler, |pulse| {
        state(pulse, "hanging") == SourceState::Late && reads(pulse, "steady", 1.0)
    })
    .await;
    // And it goes on like this.
    let with = |name: &str| {
        let ticks = kept.ticks.lock().unwrap();
        ticks.iter().filter(|tick| tick.get(Metric::CoreBusy, name).is_some()).count()
    };
    let so_far = with("steady");
    until(&sampler, |_| with("steady") > so_far + 3).await;
    assert_eq!(with("hanging"), 0);

    // From now on it answers at once.
    drop(release);
    until(&sampler, |pulse| reads(pulse, "hanging", 2.0)).await;
    sampler.stop().await;
}

#[tokio::test]
async fn a_source_that_panics_has_failed_and_the_others_go_on() {
    let mut asked = 0;
    let panicking = Says("panicking", move || {
        asked += 1;
        if asked < 3 {
            panic!("on purpose, to see what becomes of it");
        }
        Ok(3.0)
    });
    let (sampler, _kept, _options) = start(vec![Box::new(panicking), steady("steady")]);
    until(&sampler, |pulse| {
        state(pulse, "panicking") == SourceState::Failed && !reads(pulse, "panicking", 3.0)
    })
    .await;
    until(&sampler, |pulse| reads(pulse, "steady", 1.0)).await;
    until(&sampler, |pulse| reads(pulse, "panicking", 3.0)).await;
    sampler.stop().await;
}

#[tokio::test]
async fn what_is_published_is_what_is_recorded() {
    let (sampler, kept, _options) = start(vec![steady("steady")]);
    let pulse = until(&sampler, |pulse| !pulse.tick.readings.is_empty()).await;
    sampler.stop().await;
    let ticks = kept.ticks.lock().unwrap();
    assert!(ticks.iter().any(|tick| Arc::ptr_eq(tick, &pulse.tick)));
    let order: Vec<i64> = ticks.iter().map(|tick| tick.at.monotonic_ms).collect();
    assert!(order.is_sorted());
}

#[tokio::test]
async fn stopping_ends_the_ticks_even_while_a_source_hangs() {
    let (_release, held) = mpsc::channel::<()>();
    let hanging = Says("hanging", move || {
        let _ = held.recv();
        Ok(2.0)
    });
    let (sampler, kept, _options) = start(vec![Box::new(hanging), steady("steady")]);
    until(&sampler, |pulse| !pulse.tick.readings.is_empty()).await;
    sampler.stop().await;
    let ticks = kept.ticks.lock().unwrap().len();
    assert!(sampler.watch().has_changed().is_err(), "the channel is closed");
    sampler.stop().await;
    assert_eq!(kept.ticks.lock().unwrap().len(), ticks);
}

#[tokio::test]
async fn the_interval_is_changed_while_running() {
    let (options, live) = watch::channel(Options { interval_ms: 3_600_000, ..Options::default() });
    let kept = Arc::new(Kept::default());
    let sampler = Sampler::start(vec![steady("steady")], live, Arc::new(SystemClock), kept.clone());
    until(&sampler, |pulse| !pulse.tick.readings.is_empty()).await;
    options.send_modify(|options| options.interval_ms = 10);
    let first = kept.ticks.lock().unwrap().len();
    until(&sampler, |_| kept.ticks.lock().unwrap().len() > first + 3).await;
    sampler.stop().await;
}

// AR7
#[tokio::test]
async fn this_machine_is_read_and_plimsoll_with_it() {
    let (options, live) = watch::channel(Options {
        interval_ms: 50,
        processes_ms: 100,
        gpu_enabled: false,
        ..Options::default()
    });
    let sources = real_sources(live.clone(), Arc::new(SystemClock));
    let machine = sources.machine.clone();
    let kept = Arc::new(Kept::default());
    let sampler = Sampler::start(sources.list, live, Arc::new(SystemClock), kept.clone());
    let seen = |metric: Metric| {
        kept.ticks.lock().unwrap().iter().flat_map(|t| &t.readings).any(|r| r.metric == metric)
    };
    let wanted = [
        Metric::CpuBusy,
        Metric::CoreBusy,
        Metric::Load1,
        Metric::MemoryAvailable,
        Metric::MountAvailable,
        Metric::NetReceived,
        Metric::ProcessCount,
        Metric::ProcessRss,
        Metric::SelfCpu,
        Metric::SelfRss,
        Metric::SelfMemoryShare,
        Metric::SelfFiles,
        Metric::SelfConnections,
        Metric::SelfLag,
        Metric::SelfTasks,
        Metric::SelfQueue,
        Metric::SelfDropped,
    ];
    let pulse = until(&sampler, |pulse| {
        pulse.rate(Metric::SelfDropped, "").is_some()
            && pulse.tick.get(Metric::MemoryTotal, "").is_some()
            && state(pulse, "system") == SourceState::Healthy
            && state(pulse, "self") == SourceState::Healthy
            && wanted.iter().all(|&metric| seen(metric))
    })
    .await;
    assert_eq!(state(&pulse, "gpu"), SourceState::Absent);
    let total = pulse.tick.get(Metric::MemoryTotal, "").unwrap();
    assert!((machine.memory_bytes.unwrap() as f64 - total).abs() < 1.0);
    sampler.stop().await;
    drop(options);
}
