//! Where news meets those who listen.
//!
//! The hub never waits for anybody. News goes through a ring of fixed size:
//! who falls behind it is told how much was missed. Of ticks only the newest
//! is kept, for an older one is of no use to a live chart.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::Stream;
use plimsoll_core::{reading::Value, series::SeriesKey};
use plimsoll_sense::Pulse;
use tokio::sync::{broadcast, watch};

use crate::api::{Live, LiveValue, Subscription};

/// News that a listener may be behind before it misses some.
const NEWS: usize = 256;
/// News of the start waits so long for the first who listens: an alert may begin before a
/// window can hear of it. What is older is no news to whoever comes then.
const START: Duration = Duration::from_secs(10);
/// Prefixes of one subscription; further ones are left out.
const PREFIXES: usize = 64;

/// Publishes ticks and news to any number of listeners.
#[derive(Clone, Debug)]
pub struct Hub {
    news: broadcast::Sender<Arc<Live>>,
    ticks: watch::Sender<Option<Arc<LiveTick>>>,
    start: Arc<Start>,
}

/// What was told before anybody listened.
#[derive(Debug)]
struct Start {
    at: Instant,
    news: Mutex<Option<broadcast::Receiver<Arc<Live>>>>,
}

/// A tick in the words of the live stream, made once for all listeners.
#[derive(Debug)]
struct LiveTick {
    at_ms: i64,
    values: Vec<LiveValue>,
}

/// One who listens. Holds no queue of its own.
#[derive(Debug)]
pub struct Listener {
    news: broadcast::Receiver<Arc<Live>>,
    /// `None` for one who wants no metrics: then a tick costs nothing.
    ticks: Option<watch::Receiver<Option<Arc<LiveTick>>>>,
    prefixes: Vec<String>,
}

// === impl Hub ===

impl Default for Hub {
    fn default() -> Self {
        let (news, first) = broadcast::channel(NEWS);
        let start = Start { at: Instant::now(), news: Mutex::new(Some(first)) };
        Self { news, ticks: watch::channel(None).0, start: Arc::new(start) }
    }
}

impl Hub {
    /// Tells everybody. Nobody listening is fine.
    pub fn tell(&self, news: Live) {
        let _ = self.news.send(Arc::new(news));
    }

    /// Publishes a tick. Costs next to nothing while nobody listens.
    pub fn pulse(&self, pulse: &Pulse) {
        if self.ticks.receiver_count() > 0 {
            self.ticks.send_replace(Some(Arc::new(LiveTick::of(pulse))));
        }
    }

    pub fn listen(&self, subscription: &Subscription) -> Listener {
        let prefixes: Vec<String> = subscription.metrics.iter().take(PREFIXES).cloned().collect();
        let ticks = (!prefixes.is_empty()).then(|| {
            let mut ticks = self.ticks.subscribe();
            // Only what comes from now on: the listener asks for what was before.
            ticks.mark_unchanged();
            ticks
        });
        let news = self.start.first().unwrap_or_else(|| self.news.subscribe());
        Listener { news, ticks, prefixes }
    }
}

// === impl Start ===

impl Start {
    /// For the first who listens, soon after the start.
    fn first(&self) -> Option<broadcast::Receiver<Arc<Live>>> {
        let first = self.news.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.filter(|_| self.at.elapsed() < START)
    }
}

// === impl LiveTick ===

impl LiveTick {
    fn of(pulse: &Pulse) -> Self {
        let mut values = Vec::with_capacity(pulse.tick.readings.len());
        for reading in &pulse.tick.readings {
            if let Value::Gauge(value) = reading.value {
                let key = SeriesKey::new(reading.metric.name(), &*reading.subject);
                values.push(LiveValue { key, value });
            }
        }
        for rate in &pulse.rates {
            let key = SeriesKey::new(rate.metric.name(), &*rate.subject);
            values.push(LiveValue { key, value: rate.per_second });
        }
        Self { at_ms: pulse.tick.at.wall_ms, values }
    }
}

// === impl Listener ===

impl Listener {
    /// The next message; `None` once the hub is gone. May be dropped while it waits.
    pub async fn next(&mut self) -> Option<Live> {
        loop {
            tokio::select! {
                biased;
                news = self.news.recv() => return match news {
                    Ok(news) => Some(Live::clone(&news)),
                    Err(broadcast::error::RecvError::Lagged(messages)) => {
                        Some(Live::Missed { messages })
                    }
                    Err(broadcast::error::RecvError::Closed) => None,
                },
                tick = next_tick(&mut self.ticks) => {
                    let tick = tick?;
                    if let Some(live) = self.wanted(&tick) {
                        return Some(live);
                    }
                }
            }
        }
    }

    pub fn into_stream(self) -> impl Stream<Item = Live> + Send + 'static {
        futures::stream::unfold(self, async |mut listener| {
            let live = listener.next().await?;
            Some((live, listener))
        })
    }

    fn wanted(&self, tick: &LiveTick) -> Option<Live> {
        let values: Vec<LiveValue> = tick
            .values
            .iter()
            .filter(|value| self.prefixes.iter().any(|p| value.key.metric.starts_with(p.as_str())))
            .cloned()
            .collect();
        (!values.is_empty()).then_some(Live::Tick { at_ms: tick.at_ms, values })
    }
}

/// The newest tick; `None` once the hub is gone. Waits for ever where none are wanted.
async fn next_tick(
    ticks: &mut Option<watch::Receiver<Option<Arc<LiveTick>>>>,
) -> Option<Arc<LiveTick>> {
    let Some(ticks) = ticks else { return std::future::pending().await };
    loop {
        ticks.changed().await.ok()?;
        let tick = ticks.borrow_and_update().clone();
        if tick.is_some() {
            return tick;
        }
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_core::{
        clock::Instant3,
        metric::Metric,
        reading::{Reading, Tick},
    };
    use plimsoll_sense::Rate;

    use super::*;

    fn pulse(at_ms: i64, readings: Vec<Reading>) -> Pulse {
        let at = Instant3 { wall_ms: at_ms, monotonic_ms: at_ms, boottime_ms: at_ms };
        Pulse { tick: Arc::new(Tick { at, readings }), sources: Arc::default(), rates: Vec::new() }
    }

    fn subscription(metrics: &[&str]) -> Subscription {
        Subscription { metrics: metrics.iter().map(ToString::to_string).collect() }
    }

    fn busy(value: f64) -> Reading {
        Reading::gauge(Metric::CpuBusy, &"".into(), value)
    }

    #[tokio::test]
    async fn news_of_the_start_waits_for_the_first_who_listens_alone() {
        let hub = Hub::default();
        hub.tell(Live::Staged { serial: 1 });
        let mut first = hub.listen(&Subscription::default());
        let mut second = hub.listen(&Subscription::default());
        hub.tell(Live::Staged { serial: 2 });
        assert_eq!(first.next().await, Some(Live::Staged { serial: 1 }));
        assert_eq!(first.next().await, Some(Live::Staged { serial: 2 }));
        assert_eq!(second.next().await, Some(Live::Staged { serial: 2 }));
    }

    #[tokio::test]
    async fn only_subscribed_metrics_are_sent() {
        let hub = Hub::default();
        let mut cpu = hub.listen(&subscription(&["cpu."]));
        let memory = Reading::gauge(Metric::MemoryUsed, &"".into(), 5.0);
        hub.pulse(&pulse(1000, vec![busy(3.0), memory]));
        let Some(Live::Tick { at_ms: 1000, values }) = cpu.next().await else { panic!() };
        assert_eq!(values.len(), 1);
        assert_eq!(values[0].key.metric, "cpu.busy");
    }

    #[tokio::test]
    async fn counters_come_as_rates() {
        let hub = Hub::default();
        let mut net = hub.listen(&subscription(&["net."]));
        let eth0: Arc<str> = "eth0".into();
        let total = Reading::counter(Metric::NetReceived, &eth0, 1_000_000);
        let mut second = pulse(2000, vec![total]);
        second.rates =
            vec![Rate { metric: Metric::NetReceived, subject: eth0, per_second: 2000.0 }];
        hub.pulse(&second);
        let Some(Live::Tick { values, .. }) = net.next().await else { panic!() };
        assert_eq!(values.len(), 1, "the total itself is no live value");
        assert_eq!((values[0].key.subject.as_str(), values[0].value), ("eth0", 2000.0));
    }

    // MV13
    #[tokio::test]
    async fn a_slow_listener_keeps_the_newest_tick_and_is_told_what_news_it_missed() {
        let hub = Hub::default();
        let mut slow = hub.listen(&subscription(&["cpu."]));
        for at in 1..=1000 {
            hub.pulse(&pulse(at, vec![busy(1.0)]));
            hub.tell(Live::Processes { at_ms: at });
        }
        assert_eq!(slow.next().await, Some(Live::Missed { messages: 1000 - NEWS as u64 }));
        for at_ms in (1001 - NEWS as i64)..=1000 {
            assert_eq!(slow.next().await, Some(Live::Processes { at_ms }));
        }
        let Some(Live::Tick { at_ms, .. }) = slow.next().await else { panic!() };
        assert_eq!(at_ms, 1000);
    }

    #[tokio::test]
    async fn without_metrics_news_comes_and_no_tick() {
        let hub = Hub::default();
        let mut hidden = hub.listen(&subscription(&[]));
        assert_eq!(hub.ticks.receiver_count(), 0, "no tick is made for it");
        hub.pulse(&pulse(1, vec![busy(1.0)]));
        hub.tell(Live::Alerts);
        assert_eq!(hidden.next().await, Some(Live::Alerts));
        drop(hub);
        assert_eq!(hidden.next().await, None);
    }
}
