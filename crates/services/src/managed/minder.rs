//! One process from its start to its end: whether it serves, what it writes, and
//! what is left of it when it is gone.

use std::{sync::Arc, time::Duration};

use plimsoll_core::clock::Clock;
use tokio::{sync::mpsc, task::spawn_blocking, time};

use super::{
    flags::Spec,
    ledger::Ledger,
    output::Output,
    plan::{Ended, Running, Unmade},
    process::{Order, Process},
    ready::Ready,
};

/// Between two looks at what it wrote.
const READ_EVERY: Duration = Duration::from_millis(500);
/// Between two questions whether it serves; the first ones come sooner.
const ASK_EVERY: Duration = Duration::from_secs(1);
const ASK_SOON: Duration = Duration::from_millis(100);
/// Between two looks at the rest of its group.
const LEFT_EVERY: Duration = Duration::from_millis(100);
/// What is left of a group and does not go hangs in the kernel, and is not waited for.
const LEFT_LOOKS: u32 = 100;

/// What the keeper is told of one start.
#[derive(Debug)]
pub struct Report {
    pub id: String,
    pub number: u64,
    pub news: News,
}

#[derive(Debug)]
pub enum News {
    Made(Result<Running, Unmade>),
    Serves,
    Ended { how: Ended, last_words: Option<String> },
}

/// The way back to the keeper. Where nobody listens any more Plimsoll is gone.
#[derive(Clone, Debug)]
pub struct Teller {
    pub id: String,
    pub number: u64,
    pub to: mpsc::Sender<Report>,
}

/// What a process is watched with.
pub struct Minder {
    pub spec: Spec,
    pub ledger: Ledger,
    pub output: Arc<Output>,
    pub ready: Arc<dyn Ready>,
    pub clock: Arc<dyn Clock>,
    pub orders: mpsc::Receiver<Order>,
    pub tell: Teller,
}

// === impl Teller ===

impl Teller {
    async fn tell(&self, news: News) {
        let report = Report { id: self.id.clone(), number: self.number, news };
        // Nobody listens any more: the end of Plimsoll, who leaves the service running.
        let _ = self.to.send(report).await;
    }
}

// === impl Minder ===

impl Minder {
    /// Starts it and stays with it. `holder` is who listens at its address as far as is known.
    pub async fn start(self, holder: Option<String>) {
        if self.ready.listens(&self.spec).await {
            let who = holder.unwrap_or_else(|| "another program".into());
            let why = format!(
                "{} is answered already, by {who}, which Plimsoll did not start: end that first, \
                 or take the command away.",
                self.spec.url
            );
            return self.tell.tell(News::Made(Err(Unmade { why, lasting: true }))).await;
        }
        let (spec, ledger, output) = (self.spec.clone(), self.ledger.clone(), self.output.clone());
        let at_ms = self.clock.now().wall_ms;
        let number = self.tell.number;
        // A start reads and writes files, and forks.
        let made = spawn_blocking(move || make(&spec, number, &ledger, &output, at_ms)).await;
        match made.unwrap_or_else(|error| Err(format!("Its start broke off: {error}.").into())) {
            Err(why) => self.tell.tell(News::Made(Err(why))).await,
            Ok(process) => {
                let running = Running {
                    pid: process.pid,
                    fingerprint: self.spec.launch.fingerprint(),
                    command: self.spec.launch.shown(),
                };
                self.tell.tell(News::Made(Ok(running))).await;
                self.stay(process).await;
            }
        }
    }

    /// Stays with a process until it has ended with all that it started.
    pub async fn stay(self, mut process: Process) {
        let Self { spec, ledger, output, ready, clock, mut orders, tell } = self;
        let follow = || {
            let (output, now_ms) = (output.clone(), clock.now().wall_ms);
            async move { spawn_blocking(move || output.follow(now_ms)).await.unwrap_or_default() }
        };
        let mut read = time::interval(READ_EVERY);
        read.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        let serves = until_it_serves(&spec, &*ready);
        tokio::pin!(serves);
        let (mut served, mut ordered) = (false, None);
        loop {
            tokio::select! {
                () = process.ended() => break,
                Some(order) = orders.recv() => {
                    process.tell(order);
                    ordered = Some(order);
                }
                () = &mut serves, if !served => {
                    served = true;
                    tell.tell(News::Serves).await;
                }
                _ = read.tick() => follow().await,
                () = tell.to.closed() => return,
            }
        }
        // One that was asked to end may have others who still write what they must keep; one
        // that ended by itself serves no more, and the rest of it would only hold VRAM.
        for _ in 0..LEFT_LOOKS.max(looks(spec.grace)) {
            let group = process.group();
            // Reading the process table takes milliseconds.
            let left = spawn_blocking(move || group.others().len()).await.unwrap_or(0);
            if left == 0 {
                break;
            }
            if ordered != Some(Order::End) {
                process.tell(Order::Die);
            }
            tokio::select! {
                Some(order) = orders.recv() => {
                    process.tell(order);
                    ordered = Some(order);
                }
                () = time::sleep(LEFT_EVERY) => {}
                () = tell.to.closed() => return,
            }
        }
        let (id, now_ms) = (spec.id.clone(), clock.now().wall_ms);
        // It was left as one that hangs, and another was started since: the note is of that one.
        let replaced = orders.is_closed();
        let last = spawn_blocking(move || {
            output.finish(now_ms);
            let how = process.reap();
            if !replaced {
                ledger.forget(&id);
            }
            (how, output.last_words())
        });
        let (how, last_words) = last.await.unwrap_or((Ended::Unknown, None));
        tell.tell(News::Ended { how, last_words }).await;
    }
}

/// Notes the start, makes it, and notes what came of it. Blocks.
fn make(
    spec: &Spec,
    number: u64,
    ledger: &Ledger,
    output: &Output,
    at_ms: i64,
) -> Result<Process, Unmade> {
    // Never used twice: not by this Plimsoll, and not by one of another time.
    let token = format!("{}-{}-{at_ms}-{number}", spec.id, std::process::id());
    let note = ledger.about_to_start(spec, token.clone(), at_ms).map_err(|error| {
        format!("It is not started, for it could not be noted and found again: {error}.")
    })?;
    let process = Process::start(&spec.id, &spec.launch, &token, output)
        .inspect_err(|_| ledger.forget(&spec.id))?;
    if let Err(error) = ledger.has_started(note, &process) {
        tracing::warn!(service = %spec.id, %error, "the number of a process could not be noted");
    }
    Ok(process)
}

/// Ends when it serves for the first time.
async fn until_it_serves(spec: &Spec, ready: &dyn Ready) {
    let mut pause = ASK_SOON;
    loop {
        time::sleep(pause).await;
        if ready.serves(spec).await {
            return;
        }
        pause = (pause * 2).min(ASK_EVERY);
    }
}

fn looks(grace: Duration) -> u32 {
    let looks = grace.as_millis() / LEFT_EVERY.as_millis();
    // The keeper kills after the grace; then there is time for the last to go.
    u32::try_from(looks).unwrap_or(u32::MAX).saturating_add(LEFT_LOOKS)
}
