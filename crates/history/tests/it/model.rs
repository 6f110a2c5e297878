//! The history against a plain model in memory: random ticks, series that come
//! and go, jumps of the clock, sealing, purging and restarts; afterwards every
//! level must answer as the model does.

use std::{collections::BTreeMap, sync::Arc};

use plimsoll_core::{
    clock::{Clock as _, ManualClock},
    metric::Metric,
    series::{Level, Points},
};
use plimsoll_history::{Keep, Options};
use proptest::prelude::*;

use crate::world::{DAY, HOUR, MINUTE, SECOND, START, World, counter, gauge};

/// One thing that happens.
#[derive(Clone, Debug)]
enum Event {
    /// So many ticks, so many seconds apart, with these of the three series.
    Ticks {
        n: i64,
        apart_s: i64,
        series: u8,
    },
    /// Nothing is recorded for a while.
    Silence {
        s: i64,
    },
    SetClock {
        s: i64,
    },
    Sleep {
        s: i64,
    },
    /// The disks are counted anew.
    ResetCounters,
    Settle,
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (1i64..900, prop::sample::select(vec![1i64, 1, 1, 2, 30]), 1u8..8)
            .prop_map(|(n, apart_s, series)| Event::Ticks { n, apart_s, series }),
        1 => (1i64..40_000).prop_map(|s| Event::Silence { s }),
        2 => prop_oneof![-9000i64..9000, Just(-3600i64), Just(30)].prop_map(|s| Event::SetClock { s }),
        1 => (5i64..20_000).prop_map(|s| Event::Sleep { s }),
        1 => Just(Event::ResetCounters),
        1 => Just(Event::Settle),
        1 => Just(Event::Restart),
    ]
}

/// What was recorded, by lane: a lane ends where time goes back.
#[derive(Default)]
struct Model {
    lanes: Vec<Lane>,
}

#[derive(Default)]
struct Lane {
    ticks: Vec<i64>,
    busy: Vec<(i64, i64)>,
    read: Vec<(i64, u64)>,
    rss: Vec<(i64, i64)>,
}

/// min, sum, count, max in whole multiples; for counters rates in thousandths,
/// increase and time instead of sum and count.
type Bucket = (u64, i128, i128, u64);

impl Model {
    fn lane(&mut self, at: i64) -> &mut Lane {
        if self.lanes.last().is_none_or(|lane| lane.ticks.last().is_some_and(|last| at <= *last)) {
            self.lanes.push(Lane::default());
        }
        let lane = self.lanes.last_mut().unwrap();
        lane.ticks.push(at);
        lane
    }

    fn hidden(&self, index: usize, from: i64, to: i64) -> bool {
        let ends = |lane: &Lane| (lane.ticks[0], *lane.ticks.last().unwrap());
        let (first, last) = ends(&self.lanes[index]);
        let (from, to) = (from.max(first), to.min(last));
        self.lanes[index + 1..].iter().any(|later| {
            let (first, last) = ends(later);
            first <= to && from <= last
        })
    }

    /// Buckets of `out` from points of `step` (1 for raw), as the rules say.
    fn buckets(
        &self,
        step: i64,
        out: i64,
        from: i64,
        to: i64,
        of: impl Fn(&Lane) -> Vec<(i64, Bucket)>,
    ) -> BTreeMap<i64, Bucket> {
        let mut all = BTreeMap::new();
        for (index, lane) in self.lanes.iter().enumerate() {
            let mut points: BTreeMap<i64, Bucket> = BTreeMap::new();
            for (at, value) in of(lane) {
                if at < to + (-to).rem_euclid(step) && at >= from - from.rem_euclid(step) {
                    join(&mut points, at - at.rem_euclid(step), value);
                }
            }
            for (at, point) in points {
                if !self.hidden(index, at, at + step - 1) {
                    join(&mut all, at - at.rem_euclid(out), point);
                }
            }
        }
        all
    }
}

fn join(all: &mut BTreeMap<i64, Bucket>, at: i64, value: Bucket) {
    all.entry(at)
        .and_modify(|b| *b = (b.0.min(value.0), b.1 + value.1, b.2 + value.2, b.3.max(value.3)))
        .or_insert(value);
}

fn gauges(values: &[(i64, i64)]) -> Vec<(i64, Bucket)> {
    values.iter().map(|&(at, v)| (at, (v as u64, i128::from(v), 1, v as u64))).collect()
}

fn rates(values: &[(i64, u64)], cadence_ms: i64) -> Vec<(i64, Bucket)> {
    values
        .windows(2)
        .filter(|w| (w[1].0 - w[0].0) * 10 <= cadence_ms * 25)
        .map(|w| {
            let ms = w[1].0 - w[0].0;
            let grown = if w[1].1 >= w[0].1 { w[1].1 - w[0].1 } else { w[1].1 };
            let rate = grown * 1_000_000 / ms as u64;
            (w[1].0, (rate, i128::from(grown), i128::from(ms), rate))
        })
        .collect()
}

/// The model's buckets against an answer: same times, same values, gaps only
/// where nothing was.
fn compare(
    what: &str,
    points: &Points,
    model: &BTreeMap<i64, Bucket>,
    plot: impl Fn(&Bucket) -> (f64, f64, f64),
) -> Result<(), TestCaseError> {
    let mut expected = model.iter();
    for (i, &at) in points.at_ms.iter().enumerate() {
        let Some(mean) = points.mean[i] else {
            prop_assert!(!model.contains_key(&at), "{}: a gap over data at {}", what, at - START);
            continue;
        };
        let Some((&time, bucket)) = expected.next() else {
            prop_assert!(false, "{}: a point too many at {}", what, at - START);
            break;
        };
        prop_assert_eq!(at - START, time - START, "{}: another time", what);
        let (min, average, max) = plot(bucket);
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-6 * b.abs().max(1e-3);
        prop_assert!(
            near(points.min[i].unwrap(), min)
                && near(mean, average)
                && near(points.max[i].unwrap(), max),
            "{} at {}: {:?} {} {:?} instead of {} {} {}",
            what,
            at - START,
            points.min[i],
            mean,
            points.max[i],
            min,
            average,
            max
        );
    }
    let left = expected.count();
    prop_assert_eq!(left, 0, "{}: points are missing", what);
    Ok(())
}

async fn run(events: Vec<Event>) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(START + 11 * DAY));
    // Short retention of what is fine, so that coarse levels answer for it.
    let options = Options {
        keep: Keep { raw_ms: HOUR, ..Keep::default() },
        processes_ms: 5000,
        ..Options::default()
    };
    let mut world = World::with(folder.path(), clock.clone(), options).await;
    let mut model = Model::default();
    let (mut total, mut n) = (7u64, 0i64);
    for event in &events {
        match *event {
            Event::Ticks { n: count, apart_s, series } => {
                for _ in 0..count {
                    let at = clock.now().wall_ms;
                    let lane = model.lane(at);
                    let mut readings = Vec::new();
                    if series & 1 != 0 {
                        let value = (n * 37) % 1000;
                        lane.busy.push((at, value));
                        readings.push(gauge(Metric::CpuBusy, "", value as f64 / 10.0));
                    }
                    if series & 2 != 0 {
                        total += (n as u64 * 7919) % 100_000;
                        lane.read.push((at, total));
                        readings.push(counter(Metric::DiskRead, "sda", total));
                    }
                    if series & 4 != 0 && n % 5 == 0 {
                        let value = (n * 13) % 5000;
                        lane.rss.push((at, value));
                        readings.push(gauge(Metric::ProcessRss, "redis", value as f64 * 65536.0));
                    }
                    world.tick(readings);
                    clock.advance_ms(apart_s * SECOND);
                    n += 1;
                }
                while world.recorder_len() > 2000 {
                    tokio::task::yield_now().await;
                }
            }
            Event::Silence { s } => clock.advance_ms(s * SECOND),
            Event::SetClock { s } => clock.step_wall_ms(s * SECOND),
            Event::Sleep { s } => clock.suspend_ms(s * SECOND),
            Event::ResetCounters => total = 3,
            Event::Settle => world.settle().await,
            Event::Restart => {
                world.history.stop().await;
                world = World::with(folder.path(), clock.clone(), options).await;
            }
        }
    }
    world.settle().await;
    let Some(first) = model.lanes.iter().map(|l| l.ticks[0]).min() else { return Ok(()) };
    let last = model.lanes.iter().map(|l| *l.ticks.last().unwrap()).max().unwrap();
    // Every level over everything, and the newest part that is surely still raw.
    let newest = *model.lanes.last().unwrap().ticks.last().unwrap();
    let mut ranges = vec![(first, last + 1), (newest - 20 * MINUTE, newest + 1)];
    ranges.push((first + (last - first) / 3, first + (last - first) / 2 + 2 * HOUR));
    for (from, to) in ranges {
        for width in [1200u32, 300, 40, 7, 2] {
            let answer = world.query(Metric::CpuBusy, "", from, to, width).await;
            let series = &answer.series[0];
            prop_assert!(series.points.at_ms.len() <= width as usize, "more points than pixels");
            let step = series.level.step_ms().unwrap_or(1);
            // Points of their own times: none of them is joined with another.
            let single = series.level == Level::Raw && series.step_ms == 1000;
            let out = if single { 1 } else { series.step_ms };
            let what = format!("{:?}, {width} px", series.level);
            let buckets = model.buckets(step, out, from, to, |lane| gauges(&lane.busy));
            compare(&what, &series.points, &buckets, |b| {
                (b.0 as f64 / 10.0, b.1 as f64 / b.2 as f64 / 10.0, b.3 as f64 / 10.0)
            })?;

            let answer = world.query(Metric::DiskRead, "sda", from, to, width).await;
            let series = &answer.series[0];
            let out = if series.level == Level::Raw && series.step_ms == 1000 {
                1
            } else {
                series.step_ms
            };
            let buckets = model.buckets(step, out, from, to, |lane| rates(&lane.read, 1000));
            compare(&format!("{what} counter"), &series.points, &buckets, |b| {
                (b.0 as f64 / 1e3, b.1 as f64 * 1e3 / b.2 as f64, b.3 as f64 / 1e3)
            })?;

            let answer = world.query(Metric::ProcessRss, "redis", from, to, width).await;
            let series = &answer.series[0];
            let out = if series.level == Level::Raw && series.step_ms == 5000 {
                1
            } else {
                series.step_ms
            };
            let buckets = model.buckets(step, out, from, to, |lane| gauges(&lane.rss));
            compare(&format!("{what} every fifth"), &series.points, &buckets, |b| {
                let unit = 65536.0;
                (b.0 as f64 * unit, b.1 as f64 / b.2 as f64 * unit, b.3 as f64 * unit)
            })?;
        }
    }
    world.history.stop().await;
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_level_answers_as_the_model_does(events in prop::collection::vec(event(), 1..16)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(events))?;
    }
}
