//! Load: as fast as it goes, at a rate, in streams, and connections that rest.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{request, wire::Wire};

/// Times of what ended well, ascending.
#[derive(Default)]
pub struct Times {
    sorted: Vec<Duration>,
    pub failed: usize,
    took: Duration,
}

pub struct Streams {
    /// Between two tokens of one stream.
    pub gaps: Times,
    pub failed: usize,
}

impl Times {
    fn of(mut all: Vec<Duration>, failed: usize, took: Duration) -> Self {
        all.sort_unstable();
        Self { sorted: all, failed, took }
    }

    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    pub fn per_s(&self) -> f64 {
        self.count() as f64 / self.took.as_secs_f64()
    }

    pub fn ms(&self, quantile: f64) -> f64 {
        let place = (self.count() as f64 * quantile).ceil() as usize;
        let at = self.sorted.get(place.saturating_sub(1).min(self.count().saturating_sub(1)));
        at.map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }
}

/// Each connection asks again as soon as it was answered.
pub async fn closed(at: SocketAddr, model: &str, clients: usize, span: Duration) -> Times {
    let text = request(model, false, at);
    run(clients, move |_| {
        let text = text.clone();
        async move {
            let mut wire = Wire::open(at).await.expect("a connection");
            let (mut all, mut failed) = (Vec::new(), 0);
            let end = Instant::now() + span;
            while Instant::now() < end {
                let begun = Instant::now();
                if let Ok(200) = wire.ask(&text).await {
                    all.push(begun.elapsed());
                } else {
                    failed += 1;
                    wire.again().await.expect("a connection");
                }
            }
            (all, failed)
        }
    })
    .await
}

/// At a rate, from when each request should have been sent.
pub async fn open(
    at: SocketAddr,
    model: &str,
    clients: usize,
    per_s: f64,
    span: Duration,
) -> Times {
    let text = request(model, false, at);
    let begun = Instant::now();
    run(clients, move |client| {
        let text = text.clone();
        async move {
            let mut wire = Wire::open(at).await.expect("a connection");
            let (mut all, mut failed) = (Vec::new(), 0);
            let step = Duration::from_secs_f64(clients as f64 / per_s);
            let mut due = begun + step.mul_f64(client as f64 / clients as f64);
            while due < begun + span {
                // Half a millisecond is as exact as a timer is: closer than that, it is due.
                if due > Instant::now() + Duration::from_micros(500) {
                    tokio::time::sleep_until(due.into()).await;
                }
                let sent = due.max(Instant::now());
                if let Ok(200) = wire.ask(&text).await {
                    all.push(sent.elapsed());
                } else {
                    failed += 1;
                    wire.again().await.expect("a connection");
                }
                due += step;
            }
            (all, failed)
        }
    })
    .await
}

async fn run<F>(clients: usize, work: impl Fn(usize) -> F) -> Times
where
    F: Future<Output = (Vec<Duration>, usize)> + Send + 'static,
{
    let begun = Instant::now();
    let mut tasks: JoinSet<_> = (0..clients).map(work).collect();
    let (mut all, mut failed) = (Vec::new(), 0);
    while let Some(ended) = tasks.join_next().await {
        let (times, bad) = ended.expect("a client");
        all.extend(times);
        failed += bad;
    }
    Times::of(all, failed, begun.elapsed())
}

/// So many streams at once, each to its end.
pub async fn streams(at: SocketAddr, model: &str, count: usize) -> Streams {
    let text = request(model, true, at);
    let gaps = run(count, move |_| {
        let text = text.clone();
        async move {
            let mut wire = Wire::open(at).await.expect("a connection");
            let (mut gaps, mut last) = (Vec::new(), None::<Instant>);
            let ended = wire
                .stream(&text, |now| {
                    if let Some(last) = last {
                        gaps.push(now - last);
                    }
                    last = Some(now);
                })
                .await;
            // The first tokens of all streams come at once; the pace is what comes later.
            let settled = gaps.split_off(gaps.len().min(10));
            (settled, usize::from(ended.is_err()))
        }
    })
    .await;
    let failed = gaps.failed;
    Streams { gaps, failed }
}

/// Connections that were used once and rest, and whether a request is answered beside them.
pub async fn idle(at: SocketAddr, count: usize) -> (Vec<Wire>, bool) {
    let get = format!("GET /health HTTP/1.1\r\nhost: {at}\r\n\r\n").into_bytes();
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let Ok(mut wire) = Wire::open(at).await else { break };
        if wire.ask(&get).await.is_err() {
            break;
        }
        wire.rest();
        held.push(wire);
    }
    let text = request("instant", false, at);
    let answered = match Wire::open(at).await {
        Ok(mut wire) => matches!(wire.ask(&text).await, Ok(200)),
        Err(_) => false,
    };
    (held, answered)
}
