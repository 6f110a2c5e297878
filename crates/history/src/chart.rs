//! A chart: which level and which step it has, and what is drawn of a series' points.

use plimsoll_core::{
    metric::MetricSpec,
    series::{Level, Points as Drawn},
};

use crate::{
    codec::{Hist, points::BLOCK_MS},
    rollup::{Points, is_gap},
};

/// A point as it is drawn: at, min, mean, max.
type Plotted = (i64, f64, f64, f64);

/// The coarsest level that fills the width and still holds the whole range.
pub(crate) fn level_for(from_ms: i64, to_ms: i64, width_px: u32, purged: &[i64; 5]) -> Level {
    let range = to_ms - from_ms;
    let fits = |level: &Level| {
        level.step_ms().is_none_or(|step| step.saturating_mul(i64::from(width_px)) <= range)
    };
    let coarsest = Level::ALL.into_iter().rev().find(fits).unwrap_or(Level::Raw);
    // Where no level reaches back so far, the one that reaches furthest.
    let missing = |level: &Level| purged[*level as usize].max(from_ms);
    Level::ALL[coarsest as usize..].iter().copied().min_by_key(missing).unwrap_or(Level::H1)
}

/// The step of a chart, a multiple of `base`: the shortest that answers with at
/// most `width_px` spans. From three blocks of hours on it is one of whole
/// blocks, a third longer at most, for which no hour has to be unpacked.
pub(crate) fn step_for(from_ms: i64, to_ms: i64, width_px: u32, base: i64) -> i64 {
    let step = shortest_step(from_ms, to_ms, width_px, base);
    if Level::H1.step_ms() == Some(base) && step >= 3 * BLOCK_MS {
        return shortest_step(from_ms, to_ms, width_px, BLOCK_MS);
    }
    step
}

/// Spans begin at multiples of the step.
fn shortest_step(from_ms: i64, to_ms: i64, width_px: u32, base: i64) -> i64 {
    let width = i64::from(width_px.max(1));
    let spans = |step: i64| (to_ms - 1).div_euclid(step) - from_ms.div_euclid(step) + 1;
    let mut times = ((to_ms - from_ms) / width / base).max(1);
    // Each round adds at least a two-thousandth; a range crosses at most two
    // spans more than it fills, so this ends after a few. Across a border no
    // step has one span.
    while spans(base * times) > width.max(2) {
        times += (times / 2048).max(1);
    }
    base * times
}

/// Points at the width of a chart, with gaps. `level_step` is `None` at the raw level.
pub(crate) fn draw(
    points: Points,
    spec: &MetricSpec,
    cadence_ms: u32,
    level_step: Option<i64>,
    from_ms: i64,
    to_ms: i64,
    width_px: u32,
) -> (Drawn, i64) {
    let width = width_px as usize;
    let cadence = i64::from(cadence_ms);
    if level_step.is_none() && points.len() <= width {
        let drawn = with_gaps(plot(&points, spec), cadence_ms, 0, cadence);
        if drawn.at_ms.len() <= width {
            return (drawn, cadence);
        }
    }
    let step = step_for(from_ms, to_ms, width_px, level_step.unwrap_or(1));
    let mut points = if level_step == Some(step) { points } else { points.coarser(step) };
    if width == 1 {
        // No step gives one span to a range that crosses a border.
        points = points.together(from_ms);
    }
    (with_gaps(plot(&points, spec), cadence_ms, step, step), step)
}

#[expect(clippy::cast_precision_loss, reason = "drawn, not stored")]
fn plot(points: &Points, spec: &MetricSpec) -> Vec<Plotted> {
    let unit = spec.resolution;
    match points {
        Points::Gauge(v) => v
            .iter()
            .map(|(at, p)| {
                let mean = p.sum as f64 / p.count.max(1) as f64;
                (*at, p.min as f64 * unit, mean * unit, p.max as f64 * unit)
            })
            .collect(),
        Points::Counter(v) => v
            .iter()
            .map(|(at, p)| {
                let (low, high) = (p.min_rate as f64 / 1000.0, p.max_rate as f64 / 1000.0);
                let mean = p.increase as f64 * 1000.0 / p.covered_ms.max(1) as f64;
                // Rates were rounded down to a thousandth: the mean stays between them.
                (*at, low * unit, mean.clamp(low, high) * unit, high * unit)
            })
            .collect(),
        Points::Histogram(v) => v.iter().filter_map(|(at, p)| plot_histogram(*at, p)).collect(),
    }
}

/// In milliseconds: from the lowest bucket's lower to the highest one's upper bound.
#[expect(clippy::cast_precision_loss, reason = "drawn, not stored")]
fn plot_histogram(at: i64, hist: &Hist) -> Option<Plotted> {
    use plimsoll_core::histogram::bounds_of;
    let buckets = hist.histogram.buckets();
    let (first, last) = (buckets.first()?, buckets.last()?);
    let ms = |us: u64| us as f64 / 1000.0;
    let (mut sum, mut count) = (0.0, 0.0);
    for &(bucket, n) in buckets {
        let (low, high) = bounds_of(bucket);
        sum += f64::midpoint(ms(low), ms(high)) * n as f64;
        count += n as f64;
    }
    Some((at, ms(bounds_of(first.0).0), sum / count, ms(bounds_of(last.0).1)))
}

/// Columns with a `None` where a series was silent for more than 2.5 cadences
/// (and for a whole step, where points stand for one).
fn with_gaps(plotted: Vec<Plotted>, cadence_ms: u32, step_ms: i64, gap_at_ms: i64) -> Drawn {
    let mut out = Drawn::default();
    let n = plotted.len();
    out.at_ms.reserve(n);
    out.min.reserve(n);
    out.mean.reserve(n);
    out.max.reserve(n);
    for (at, min, mean, max) in plotted {
        if let Some(&before) = out.at_ms.last()
            && is_gap(at - before, cadence_ms)
            && at - before > step_ms
        {
            out.at_ms.push(before + gap_at_ms);
            out.min.push(None);
            out.mean.push(None);
            out.max.push(None);
        }
        out.at_ms.push(at);
        out.min.push(Some(min));
        out.mean.push(Some(mean));
        out.max.push(Some(max));
    }
    out
}

#[cfg(test)]
mod tests {
    use plimsoll_core::metric::Metric;
    use proptest::prelude::*;

    use super::*;
    use crate::rollup::Gauge;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn the_coarsest_level_that_fills_the_width_answers() {
        let none = [i64::MIN; 5];
        let level = |hours: i64| level_for(0, hours * HOUR, 1200, &none);
        assert_eq!(level(1), Level::Raw);
        assert_eq!(level(4), Level::S10);
        assert_eq!(level(24), Level::M1);
        assert_eq!(level(24 * 30), Level::M15);
        assert_eq!(level(24 * 365), Level::H1);
    }

    #[test]
    fn a_level_that_was_purged_gives_way_to_a_coarser_one() {
        let purged = [HOUR * 10, HOUR * 5, i64::MIN, i64::MIN, i64::MIN];
        assert_eq!(level_for(HOUR * 11, HOUR * 12, 1200, &purged), Level::Raw);
        assert_eq!(level_for(HOUR * 6, HOUR * 7, 1200, &purged), Level::S10);
        assert_eq!(level_for(HOUR, HOUR * 2, 1200, &purged), Level::M1);
    }

    proptest! {
        #[test]
        fn no_step_answers_with_more_points_than_pixels(
            from in -1_000_000i64..2_000_000_000_000, range in 1i64..200_000_000_000,
            width in 1u32..4096, base in prop::sample::select(vec![1i64, 10_000, 60_000, 900_000, 3_600_000]),
        ) {
            let to = from + range;
            let step = step_for(from, to, width, base);
            prop_assert_eq!(step % base, 0);
            let spans = (to - 1).div_euclid(step) - from.div_euclid(step) + 1;
            // A range that straddles a border takes two spans, however short it is.
            prop_assert!(spans <= i64::from(width.max(2)), "{} spans of {}", spans, step);
        }
    }

    #[test]
    fn silence_of_more_than_two_and_a_half_cadences_is_a_gap() {
        let at = |ms: i64| (ms, Gauge::of(10));
        let points = Points::Gauge(vec![at(0), at(1000), at(3500), at(6001), at(7000)]);
        let (drawn, step) = draw(points, Metric::CpuBusy.spec(), 1000, None, 0, 10_000, 100);
        assert_eq!(step, 1000);
        assert_eq!(drawn.at_ms, [0, 1000, 3500, 4500, 6001, 7000]);
        assert_eq!(drawn.mean[3], None);
        assert_eq!(drawn.mean[4], Some(1.0));
    }

    #[test]
    fn a_chart_of_one_pixel_is_one_point() {
        let values: Vec<_> = (0..60).map(|i| (i * 1000, Gauge::of(i))).collect();
        let (drawn, _) =
            draw(Points::Gauge(values), Metric::CpuBusy.spec(), 1000, None, -500, 59_500, 1);
        assert_eq!((&drawn.at_ms[..], drawn.max[0]), (&[-500][..], Some(5.9)));
    }

    #[test]
    fn a_spike_survives_zooming_out() {
        let mut values: Vec<_> = (0..3600).map(|i| (i * 1000, Gauge::of(5))).collect();
        values[1234].1 = Gauge::of(990);
        let (drawn, _) =
            draw(Points::Gauge(values), Metric::CpuBusy.spec(), 1000, None, 0, HOUR, 60);
        assert!(drawn.at_ms.len() <= 60);
        assert!(drawn.max.contains(&Some(99.0)));
        assert!(drawn.min.iter().all(|v| *v == Some(0.5)));
    }
}
