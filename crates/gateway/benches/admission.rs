//! What admission costs a request: `cargo bench -p plimsoll-gateway --bench admission`.

use std::{hint::black_box, sync::Arc};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::FutureExt as _;
use plimsoll_core::{config::gateway::Balance, request::Priority};
use plimsoll_gateway::admission::{
    Admission, Ask, BackendLimits, Candidate, Desk, Limits, Offered, Outcome,
};

fn limits(room: u32) -> Limits {
    Limits {
        in_flight: Some(100_000),
        queue: 20_000,
        queue_batch: 20_000,
        backend: BackendLimits { room: Some(room), ..BackendLimits::default() },
        ..Limits::default()
    }
}

fn candidates(many: u32) -> Arc<[Candidate]> {
    (0..many)
        .map(|n| Candidate { backend: format!("backend-{n}").into(), rank: 0, weight: 1 })
        .collect()
}

/// Asks that differ as those of a few programs do.
struct Asks {
    clients: Vec<Arc<str>>,
    model: Arc<str>,
    candidates: Arc<[Candidate]>,
    next: u64,
}

impl Asks {
    fn new(backends: u32) -> Self {
        Self {
            clients: (0..10).map(|n| format!("client-{n}").into()).collect(),
            model: "qwen3-8b".into(),
            candidates: candidates(backends),
            next: 0,
        }
    }

    fn next(&mut self) -> Ask {
        self.next += 1;
        Ask {
            id: self.next,
            client: self.clients[(self.next % 10) as usize].clone(),
            model: self.model.clone(),
            priority: if self.next.is_multiple_of(4) {
                Priority::Batch
            } else {
                Priority::Interactive
            },
            tokens: 500,
            deadline: u64::MAX,
            candidates: self.candidates.clone(),
            policy: Balance::LeastInFlight,
            hash: self.next,
        }
    }
}

fn uncontended(c: &mut Criterion) {
    let mut group = c.benchmark_group("admission");
    group.throughput(Throughput::Elements(1));
    for backends in [1, 4, 64] {
        let mut machine = Admission::new(limits(1000));
        let mut asks = Asks::new(backends);
        group.bench_function(format!("offer and release, {backends} backends"), |b| {
            b.iter(|| {
                let ask = asks.next();
                let id = ask.id;
                let offered = machine.offer(ask, id / 40);
                debug_assert!(matches!(offered, Offered::Granted(_)));
                black_box(offered);
                machine.release(id, Outcome::Served, Some(400), id / 40);
            });
        });
    }
    group.finish();
}

/// 10,000 wait: each step one comes, one ends, and the next in line is admitted.
fn queued(c: &mut Criterion) {
    let mut group = c.benchmark_group("admission");
    group.throughput(Throughput::Elements(1));
    for backends in [1, 4] {
        let mut machine = Admission::new(limits(16 / backends));
        let mut asks = Asks::new(backends);
        let mut running = std::collections::VecDeque::new();
        for _ in 0..10_016 {
            let ask = asks.next();
            let id = ask.id;
            if let Offered::Granted(_) = machine.offer(ask, 0) {
                running.push_back(id);
            }
        }
        assert_eq!(machine.queued(), 10_000);
        group.bench_function(
            format!("offer and release, 10000 queued, {backends} backends"),
            |b| {
                b.iter(|| {
                    let ask = asks.next();
                    let now = ask.id / 40;
                    black_box(machine.offer(ask, now));
                    if let Some(ended) = running.pop_front() {
                        machine.release(ended, Outcome::Unknown, Some(400), now);
                    }
                    running.extend(machine.decisions().map(|(id, _)| id));
                });
            },
        );
        assert_eq!(machine.queued(), 10_000);
    }
    group.finish();
}

/// The same through the door: lock, clock, permit.
fn desk(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let Ok(runtime) = runtime else { return };
    let _inside = runtime.enter();
    let desk = Desk::new(limits(1000));
    let mut asks = Asks::new(1);
    let mut group = c.benchmark_group("admission");
    group.throughput(Throughput::Elements(1));
    group.bench_function("desk, admit and end", |b| {
        b.iter(|| {
            if let Some(Ok(permit)) = desk.admit(asks.next()).now_or_never() {
                permit.end(Outcome::Served, Some(400));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, uncontended, queued, desk);
criterion_main!(benches);
