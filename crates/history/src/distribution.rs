//! Distributions over a range: merged buckets, from which percentiles are read.

use plimsoll_core::histogram::Histogram;

use crate::{codec::points::Columns, query::Material, query::Wanted, rollup::Points};

/// All observations of a range in one histogram; `None` for a series that has none.
/// Only equal layouts merge: of several the newest counts.
pub(crate) fn merged(material: &Material, wanted: &Wanted) -> Option<Histogram> {
    let (points, _) = material.collect(wanted, Columns::All, None);
    match points.together(material.from_ms) {
        Points::Histogram(v) => v.into_iter().next().map(|(_, hist)| hist.histogram),
        Points::Gauge(_) | Points::Counter(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use plimsoll_core::{
        clock::ManualClock,
        histogram::{bounds_of, bucket_of},
        series::{Level, Query, SeriesKey},
    };
    use tokio::sync::watch;

    use super::*;
    use crate::{
        codec::{Hist, Sample, tick},
        db::{self, HISTORY},
        history::History,
        lane::Lane,
        options::Options,
    };

    const START: i64 = 1_767_571_200_000;
    const STEP: i64 = 10_000;
    /// Five hours: raw, 10 s and the beginning of what is made of them.
    const TICKS: i64 = 1800;

    /// Ten quick answers each tick, and ten slow ones every twentieth.
    fn latencies(i: i64) -> Histogram {
        let mut hist = Histogram::default();
        for n in 0..10 {
            hist.record(900 + n * 10);
            if i % 20 == 0 {
                hist.record(1_000_000 + n * 1000);
            }
        }
        hist
    }

    /// A history of ticks as the recorder writes them; no metric of the catalogue
    /// is a histogram yet, so they are put in as rows.
    async fn recorded(folder: &std::path::Path) -> History {
        let mut connection = HISTORY.open(folder).await.unwrap();
        let text = "INSERT INTO series (id, metric, subject, cadence_ms) VALUES
                        (1, 'cpu.core.busy', 'a', 10000), (2, 'cpu.core.busy', 'b', 10000);
                    INSERT INTO epoch (id, lane, started_ms, cause) VALUES (1, 1, 0, 'start');";
        sqlx::raw_sql(text).execute(&mut connection).await.unwrap();
        let last_ms = START + (TICKS - 1) * STEP;
        Lane { last_ms, ..Lane::begin(1, START, 0) }.save(&mut connection).await.unwrap();
        db::begin(&mut connection).await.unwrap();
        for i in 0..TICKS {
            let of = |layout| Sample::Histogram(Hist { layout, histogram: latencies(i) });
            // Of the second one the scheme of the bounds changes half way.
            let payload = tick::encode(&[(1, of(1)), (2, of(if i < TICKS / 2 { 1 } else { 2 }))]);
            sqlx::query("INSERT INTO tick (seq, epoch, at_ms, payload) VALUES (?, 1, ?, ?)")
                .bind(i + 1)
                .bind(START + i * STEP)
                .bind(payload)
                .execute(&mut connection)
                .await
                .unwrap();
        }
        db::commit(&mut connection).await.unwrap();
        db::close(connection).await;
        let (_, options) = watch::channel(Options::default());
        let clock = Arc::new(ManualClock::at(last_ms + STEP));
        let history = History::open(folder, options, clock).await.unwrap();
        assert!(history.settle().await);
        history
    }

    fn all(ticks: std::ops::Range<i64>) -> Histogram {
        ticks.map(latencies).fold(Histogram::default(), |mut all, hist| {
            all.merge(&hist);
            all
        })
    }

    #[tokio::test]
    async fn a_percentile_is_read_from_merged_buckets_and_never_averaged() {
        let folder = tempfile::tempdir().unwrap();
        let history = recorded(folder.path()).await;
        let key = SeriesKey::new("cpu.core.busy", "a");
        let to_ms = START + TICKS * STEP;
        let merged = history.reader().distribution(&key, START, to_ms).await.unwrap().unwrap();
        assert_eq!(merged, all(0..TICKS));
        // One answer in twenty-one is slow: the mean of the ticks' own 99th
        // percentiles, a twentieth of a second, is nobody's latency.
        let slow = merged.quantile_us(0.99).unwrap();
        assert!((1_000_000..1_100_000).contains(&slow), "{slow}");
        assert!(merged.quantile_us(0.95).unwrap() < 1100);
        let averaged = (0..TICKS).map(|i| latencies(i).quantile_us(0.99).unwrap()).sum::<u64>()
            / TICKS.unsigned_abs();
        assert!(averaged < 100_000, "{averaged}");

        // The same on every level of a chart, sealed or not.
        for (width_px, level) in
            [(4000, Level::Raw), (1200, Level::S10), (250, Level::M1), (20, Level::M15)]
        {
            let ask = Query { series: vec![key.clone()], from_ms: START, to_ms, width_px };
            let answer = history.reader().query(&ask).await.unwrap().series.remove(0);
            assert_eq!(answer.level, level);
            let top = answer.points.max.iter().flatten().copied().fold(0.0, f64::max);
            let low = answer.points.min.iter().flatten().copied().fold(f64::MAX, f64::min);
            #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
            let ms = |us: u64| us as f64 / 1000.0;
            assert_eq!(top, ms(bounds_of(bucket_of(1_009_000)).1), "{level:?}");
            assert_eq!(low, ms(bounds_of(bucket_of(900)).0), "{level:?}");
        }
        history.stop().await;
    }

    #[tokio::test]
    async fn only_equal_layouts_merge() {
        let folder = tempfile::tempdir().unwrap();
        let history = recorded(folder.path()).await;
        let key = SeriesKey::new("cpu.core.busy", "b");
        let to_ms = START + TICKS * STEP;
        let merged = history.reader().distribution(&key, START, to_ms).await.unwrap().unwrap();
        assert_eq!(merged, all(TICKS / 2..TICKS));
        let half = START + TICKS / 2 * STEP;
        let merged = history.reader().distribution(&key, START, half).await.unwrap().unwrap();
        assert_eq!(merged, all(0..TICKS / 2));
        history.stop().await;
    }
}
