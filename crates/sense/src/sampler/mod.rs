//! The sampler: asks each source when it is due and publishes one [`Pulse`] an interval.
//!
//! A source runs on a thread of its own, because files and drivers block. The
//! tick does not wait for those that are late: what comes after it has been
//! published goes into the next one, and what is older than 2.5 cadences is
//! thrown away, so that a stuck driver shows as a gap and nothing else.

mod assembly;
mod rates;
mod worker;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use plimsoll_core::{
    clock::Clock,
    metric::Metric,
    reading::Tick,
    record::Record,
    source::{Source, SourceStatus},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior},
};

pub use self::rates::Rate;
use self::{assembly::Assembly, worker::Worker};
use crate::{
    own::{Own, OwnMeasures},
    roots::Roots,
    sources::Options,
};

/// Name of the source that measures Plimsoll itself.
const OWN: &str = "self";
/// How long stopping waits for readings that are under way.
const STOP_WAIT: Duration = Duration::from_secs(1);

/// What is true now: the newest tick, and the state of every source.
#[derive(Clone, Debug)]
pub struct Pulse {
    pub tick: Arc<Tick>,
    pub sources: Arc<Vec<SourceStatus>>,
    /// How fast the counters of this tick grew since they were last read. A
    /// counter has no rate when it is seen for the first time or after a gap.
    pub rates: Vec<Rate>,
}

/// Reads sources until it is stopped. Start it on the runtime that serves requests.
pub struct Sampler {
    pulse: watch::Receiver<Arc<Pulse>>,
    /// Sending, or dropping the sampler, ends the task.
    running: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

// === impl Pulse ===

impl Pulse {
    /// The rate of a counter per second, in its unit: bytes, joules (watts) or things.
    pub fn rate(&self, metric: Metric, subject: &str) -> Option<f64> {
        self.rates
            .iter()
            .find(|r| r.metric == metric && &*r.subject == subject)
            .map(|r| r.per_second)
    }
}

// === impl Sampler ===

impl Sampler {
    /// Starts the threads and the first tick at once.
    ///
    /// The source `self` is added here, unless the list brings its own: what Plimsoll
    /// costs is measured on this runtime, and is real also when the rest is simulated.
    pub fn start(
        mut sources: Vec<Box<dyn Source>>,
        options: watch::Receiver<Options>,
        clock: Arc<dyn Clock>,
        record: Arc<dyn Record>,
    ) -> Self {
        let now = clock.now();
        let measures = Arc::new(OwnMeasures::default());
        if !sources.iter().any(|source| source.name() == OWN) {
            let own = Own::new(&Roots::default(), options.clone(), measures.clone());
            sources.push(Box::new(own));
        }
        let follow = measures.follow(record.clone());
        let (replies_in, replies) = mpsc::unbounded_channel();
        let mut assembly = Assembly::default();
        let mut workers = Vec::with_capacity(sources.len());
        for (index, source) in sources.into_iter().enumerate() {
            assembly.add(source.name(), now);
            workers.push(Worker::start(index, source, replies_in.clone()));
        }
        let first = Pulse {
            tick: Arc::new(Tick { at: now, readings: Vec::new() }),
            sources: assembly.statuses(),
            rates: Vec::new(),
        };
        let (publish, pulse) = watch::channel(Arc::new(first));
        let (stop, stopped) = oneshot::channel();
        let run =
            Run { follow, assembly, workers, replies, options, clock, record, publish, stopped };
        let task = tokio::spawn(run.run());
        Self { pulse, running: Mutex::new(Some((stop, task))) }
    }

    /// The newest pulse. The first one is empty: nothing has been read yet.
    pub fn watch(&self) -> watch::Receiver<Arc<Pulse>> {
        self.pulse.clone()
    }

    /// Ends the sampling. A reading that is stuck is left behind on its thread.
    pub async fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((stop, task)) = running {
            let _ = stop.send(());
            let _ = task.await;
        }
    }
}

// === the loop ===

struct Run {
    /// Measures lag, tasks and queue for the source `self`.
    follow: JoinHandle<()>,
    assembly: Assembly,
    workers: Vec<Worker>,
    replies: mpsc::UnboundedReceiver<worker::Reply>,
    options: watch::Receiver<Options>,
    clock: Arc<dyn Clock>,
    record: Arc<dyn Record>,
    publish: watch::Sender<Arc<Pulse>>,
    stopped: oneshot::Receiver<()>,
}

impl Run {
    async fn run(mut self) {
        let mut interval = self.interval();
        let mut ticks = ticker(Instant::now(), interval);
        let mut options_live = true;
        loop {
            tokio::select! {
                biased;
                _ = &mut self.stopped => break,
                Some(reply) = self.replies.recv() => self.arrived(reply),
                _ = ticks.tick() => {
                    if !self.tick(interval).await {
                        break;
                    }
                }
                changed = self.options.changed(), if options_live => {
                    options_live = changed.is_ok();
                    let asked = self.interval();
                    if asked != interval {
                        interval = asked;
                        ticks = ticker(Instant::now() + interval, interval);
                    }
                }
            }
        }
        self.end().await;
    }

    fn interval(&mut self) -> Duration {
        Duration::from_millis(u64::from(self.options.borrow_and_update().interval_ms.max(1)))
    }

    /// Asks what is due, gathers the answers for at most half an interval and
    /// publishes. `false` when it was told to stop meanwhile.
    async fn tick(&mut self, interval: Duration) -> bool {
        let now = self.clock.now();
        for index in self.assembly.begin(now, interval) {
            self.workers[index].ask(now);
        }
        let deadline = Instant::now() + interval / 2;
        while self.assembly.is_waiting() {
            tokio::select! {
                biased;
                _ = &mut self.stopped => return false,
                Some(reply) = self.replies.recv() => self.arrived(reply),
                () = tokio::time::sleep_until(deadline) => break,
            }
        }
        let pulse = self.assembly.finish(now);
        if !pulse.tick.readings.is_empty() {
            self.record.tick(pulse.tick.clone());
        }
        self.publish.send_replace(Arc::new(pulse));
        true
    }

    fn arrived(&mut self, reply: worker::Reply) {
        self.assembly.arrived(reply, self.clock.now());
    }

    /// Lets the threads end, and waits a little for those that are reading.
    async fn end(mut self) {
        self.follow.abort();
        let threads = self.workers.len();
        self.workers.clear();
        let ended = async {
            // The channel closes when the last thread has dropped its end.
            while self.replies.recv().await.is_some() {}
        };
        if tokio::time::timeout(STOP_WAIT, ended).await.is_err() {
            tracing::warn!(threads, "a source is still reading while Plimsoll stops");
        }
    }
}

fn ticker(first: Instant, interval: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval_at(first, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}
