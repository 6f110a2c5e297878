//! From the series of an engine to figures, by a table: which names a figure has
//! had over the engine's versions, and what it is. Engines rename their series,
//! and for some versions tell one thing under both names, so the first name that
//! is there is taken and never both.

use std::collections::BTreeMap;

use plimsoll_core::metric::Metric;

use crate::{
    adapter::{Figure, FigureValue},
    prometheus::{Bounds, Exposition, Sample},
};

/// What a series is, and the metric that it becomes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Is {
    /// An amount now: parts of a model (engines, ranks) add up.
    Amount(Metric),
    /// A share now, told from 0 to 1: the highest part stands, in percent.
    Share(Metric),
    /// A count since the start: parts add up.
    Total(Metric),
    /// A histogram of seconds since the start: parts add up, bucket by bucket.
    Seconds(Metric),
}

/// A figure: its names, the newest first, and what it is.
pub(super) type Line = (Is, &'static [&'static str]);

/// Reads of an exposition what the table asks for.
pub(super) fn read(text: &str, lines: &[Line]) -> Exposition {
    read_with(text, lines, &[])
}

/// Reads what the table asks for, and the series of these names.
pub(super) fn read_with(text: &str, lines: &[Line], more: &[&str]) -> Exposition {
    Exposition::read(text, Bounds::default(), |name| wants(lines, name) || more.contains(&name))
}

fn wants(lines: &[Line], name: &str) -> bool {
    lines.iter().any(|(is, names)| {
        let base = match is {
            Is::Seconds(_) => name.strip_suffix("_bucket"),
            _ => Some(name),
        };
        base.is_some_and(|base| names.contains(&base))
    })
}

/// The figures of the table, by the model that the label names.
pub(super) fn figures(read: Exposition, lines: &[Line], label: &str) -> Vec<Figure> {
    let mut by_model: BTreeMap<Option<String>, Exposition> = BTreeMap::new();
    for sample in read.samples {
        let model = sample.label(label).filter(|model| !model.is_empty()).map(Into::into);
        by_model.entry(model).or_default().samples.push(sample);
    }
    let mut out = Vec::new();
    for (model, told) in by_model {
        for &(is, names) in lines {
            if let Some(mut figure) = figure(&told, is, names) {
                figure.model.clone_from(&model);
                out.push(figure);
            }
        }
    }
    out
}

fn figure(told: &Exposition, is: Is, names: &[&str]) -> Option<Figure> {
    match is {
        Is::Amount(metric) => Some(Figure::gauge(metric, told.sum_of_first(names)?)),
        Is::Share(metric) => {
            let share = names.iter().find_map(|name| told.max(name))?;
            Some(Figure::gauge(metric, share * 100.0))
        }
        Is::Total(metric) => Some(Figure::total(metric, told.sum_of_first(names)?)),
        Is::Seconds(metric) => {
            let buckets = names.iter().find_map(|name| told.histogram(name, 1000.0))?;
            Some(Figure::buckets(metric, buckets))
        }
    }
}

/// A level of the figures, added up over the models; `None` where it is not told.
pub(super) fn amount(figures: &[Figure], metric: Metric) -> Option<u32> {
    let values = figures.iter().filter(|figure| figure.metric == metric);
    let sum = values
        .filter_map(|figure| match figure.value {
            FigureValue::Gauge(value) if value.is_finite() => Some(value),
            _ => None,
        })
        .reduce(|a, b| a + b)?;
    // A cast of floats saturates.
    (sum >= 0.0).then(|| sum.round() as u32)
}

/// Keeps of series that several workers tell alike the highest: one for each set of
/// labels that are left when those in `same` are taken away.
pub(super) fn fold(read: &mut Exposition, same: &[&str]) {
    let mut kept: BTreeMap<(String, Vec<(String, String)>), f64> = BTreeMap::new();
    for mut sample in std::mem::take(&mut read.samples) {
        sample.labels.retain(|(name, _)| !same.contains(&name.as_str()));
        sample.labels.sort();
        let value = kept.entry((sample.name, sample.labels)).or_insert(f64::NAN);
        // The highest of two, and of a number and none the number.
        *value = value.max(sample.value);
    }
    read.samples =
        kept.into_iter().map(|((name, labels), value)| Sample { name, labels, value }).collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &[Line] = &[
        (Is::Amount(Metric::RequestsRunning), &["running"]),
        (Is::Share(Metric::KvUsed), &["kv_new", "kv_old"]),
        (Is::Total(Metric::TokensPrompt), &["prompt_total"]),
        (Is::Seconds(Metric::LatencyTtft), &["ttft_seconds"]),
    ];

    fn told(text: &str) -> Vec<Figure> {
        figures(read(text, LINES), LINES, "model")
    }

    #[test]
    fn only_what_the_table_asks_for_is_read() {
        let text = "running 1\nttft_seconds_bucket{le=\"1\"} 1\nttft_seconds 4\nother 1\nmore 1\n";
        assert_eq!(read(text, LINES).samples.len(), 2);
        assert_eq!(read_with(text, LINES, &["more"]).samples.len(), 3);
    }

    #[test]
    fn amounts_add_up_and_of_shares_the_highest_stands() {
        let text = "running{model=\"m\",engine=\"0\"} 3\nrunning{model=\"m\",engine=\"1\"} 4\n\
            kv_new{model=\"m\",engine=\"0\"} 0.25\nkv_new{model=\"m\",engine=\"1\"} 0.875\n";
        let figures = told(text);
        assert_eq!(
            figures,
            [
                Figure::gauge(Metric::RequestsRunning, 7.0).of("m"),
                Figure::gauge(Metric::KvUsed, 87.5).of("m"),
            ]
        );
        assert_eq!(amount(&figures, Metric::RequestsRunning), Some(7));
        assert_eq!(amount(&figures, Metric::RequestsWaiting), None);
    }

    #[test]
    fn of_two_names_for_one_thing_only_the_newer_is_taken() {
        let kv = |text| told(text).pop().map(|figure| figure.value);
        assert_eq!(kv("kv_old 0.5\n"), Some(FigureValue::Gauge(50.0)));
        assert_eq!(kv("kv_old 0.5\nkv_new 0.25\n"), Some(FigureValue::Gauge(25.0)));
        // Renamed, and not filled any more: it is the one with a number that counts.
        assert_eq!(kv("kv_old 0.5\nkv_new NaN\n"), Some(FigureValue::Gauge(50.0)));
    }

    #[test]
    fn what_workers_tell_alike_counts_once() {
        let text = "running{model=\"m\",dp=\"0\",tp=\"0\"} 3\nrunning{model=\"m\",dp=\"0\",tp=\"1\"} 3\n\
            running{model=\"m\",dp=\"1\",tp=\"0\"} 2\nrunning{model=\"m\",dp=\"1\",tp=\"1\"} NaN\n";
        let mut read = read(text, LINES);
        fold(&mut read, &["tp"]);
        let figures = figures(read, LINES, "model");
        assert_eq!(figures, [Figure::gauge(Metric::RequestsRunning, 5.0).of("m")]);
    }
}
