//! Stored values as they are shown: in the metric's unit, and as a chart's answer.

use plimsoll_core::{
    metric::{Kind, Metric},
    series::{Level, Points as Drawn, SeriesAnswer, SeriesKey},
    unit::Unit,
};

use crate::{
    answers::RawValue,
    chart::{draw, step_for},
    codec::{Sample, points::Columns},
    query::{Material, Wanted},
    rollup::{Points, Values},
};

/// Unit of a chart: a counter is drawn as a rate.
fn drawn_unit(metric: Metric) -> Unit {
    let spec = metric.spec();
    if spec.kind == Kind::Counter { spec.unit.per_second() } else { spec.unit }
}

pub(crate) fn answer_one(
    material: &Material,
    key: SeriesKey,
    wanted: Option<Wanted>,
    from_ms: i64,
    to_ms: i64,
    width_px: u32,
) -> SeriesAnswer {
    let Some(wanted) = wanted else { return unknown(key, material.level) };
    let spec = wanted.metric.spec();
    let step = material.level.step_ms();
    let join = step.map(|step| step_for(from_ms, to_ms, width_px, step));
    let (points, cadence) = material.collect(&wanted, Columns::Chart, join);
    let (points, step_ms) = draw(points, spec, cadence, step, from_ms, to_ms, width_px);
    SeriesAnswer {
        key,
        unit: drawn_unit(wanted.metric),
        kind: spec.kind,
        level: material.level,
        step_ms,
        points,
    }
}

fn unknown(key: SeriesKey, level: Level) -> SeriesAnswer {
    let metric = Metric::named(&key.metric);
    SeriesAnswer {
        key,
        unit: metric.map_or(Unit::Count, drawn_unit),
        kind: metric.map_or(Kind::Gauge, |m| m.spec().kind),
        level,
        step_ms: level.step_ms().unwrap_or(1000),
        points: Drawn::default(),
    }
}

/// A stored value as a number in the metric's unit.
#[expect(clippy::cast_precision_loss, reason = "shown, not stored")]
pub(crate) fn number(sample: &Sample, metric: Metric) -> f64 {
    let resolution = metric.spec().resolution;
    match sample {
        Sample::Gauge(v) => *v as f64 * resolution,
        Sample::Counter(v) => *v as f64 * resolution,
        Sample::Histogram(hist) => hist.histogram.count() as f64,
    }
}

pub(crate) fn numbers(values: &Values, metric: Metric) -> Vec<RawValue> {
    let row = |at_ms: i64, sample: Sample| RawValue { at_ms, value: number(&sample, metric) };
    match values {
        Values::Gauge(v) => v.iter().map(|&(at, v)| row(at, Sample::Gauge(v))).collect(),
        Values::Counter(v) => v.iter().map(|&(at, v)| row(at, Sample::Counter(v))).collect(),
        Values::Histogram(v) => {
            v.iter().map(|(at, v)| row(*at, Sample::Histogram(v.clone()))).collect()
        }
    }
}

/// Points of a level as an export gives them: means, a counter's last total.
#[expect(clippy::cast_precision_loss, reason = "shown, not stored")]
pub(crate) fn point_numbers(points: &Points, metric: Metric) -> Vec<RawValue> {
    let unit = metric.spec().resolution;
    match points {
        Points::Gauge(v) => v
            .iter()
            .map(|&(at_ms, p)| RawValue {
                at_ms,
                value: p.sum as f64 / p.count.max(1) as f64 * unit,
            })
            .collect(),
        Points::Counter(v) => {
            v.iter().map(|&(at_ms, p)| RawValue { at_ms, value: p.last as f64 * unit }).collect()
        }
        Points::Histogram(v) => v
            .iter()
            .map(|(at_ms, p)| RawValue { at_ms: *at_ms, value: p.histogram.count() as f64 })
            .collect(),
    }
}
