use proptest::prelude::*;

use super::*;
use crate::adapter::Buckets;

fn scrape(figures: Vec<Figure>) -> Scrape {
    Scrape { figures, ..Scrape::default() }
}

fn number(normal: &Normal, metric: Metric) -> Option<f64> {
    normal.readings.iter().find(|r| r.metric == metric).map(Reading::number)
}

#[test]
fn totals_become_rates_for_people_and_stay_totals_for_the_history() {
    let mut n = Normaliser::new("vllm");
    let at = |total| scrape(vec![Figure::total(Metric::TokensGenerated, total)]);
    let first = n.take(&at(1000.0), 0);
    assert_eq!(first.figures.generated_tokens_per_s, None, "one look has no rate");
    let second = n.take(&at(1300.0), 2000);
    assert_eq!(second.figures.generated_tokens_per_s, Some(150.0));
    assert_eq!(number(&second, Metric::TokensGenerated), Some(1300.0));
    // It started again and has served 40 tokens since.
    let third = n.take(&at(40.0), 3000);
    assert_eq!(number(&third, Metric::TokensGenerated), Some(1340.0));
    assert_eq!(third.figures.generated_tokens_per_s, Some(40.0));
}

#[test]
fn what_is_not_told_is_unknown_and_never_zero() {
    let mut n = Normaliser::new("x");
    n.take(&scrape(vec![Figure::total(Metric::TokensPrompt, 5.0)]), 0);
    let normal = n.take(&scrape(Vec::new()), 1000);
    assert!(normal.readings.is_empty());
    assert_eq!(normal.figures, Figures::default());
}

#[test]
fn figures_by_model_are_added_up_and_of_shares_the_highest_stands() {
    let mut n = Normaliser::new("llama");
    let normal = n.take(
        &scrape(vec![
            Figure::gauge(Metric::RequestsRunning, 2.0).of("a"),
            Figure::gauge(Metric::RequestsRunning, 3.0).of("b"),
            Figure::gauge(Metric::KvUsed, 20.0).of("a"),
            Figure::gauge(Metric::KvUsed, 90.0).of("b"),
        ]),
        0,
    );
    assert_eq!(normal.figures.running, Some(5.0));
    assert_eq!(normal.figures.kv_used_percent, Some(90.0));
}

#[test]
fn numbers_that_are_none_are_left_out() {
    let mut n = Normaliser::new("x");
    let bad = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0];
    let mut figures = Vec::new();
    for value in bad {
        figures.push(Figure::gauge(Metric::RequestsRunning, value));
        figures.push(Figure::gauge(Metric::KvUsed, value));
        figures.push(Figure::total(Metric::TokensPrompt, value));
    }
    figures.push(Figure::total(Metric::TokensPrompt, 1e300));
    assert!(n.take(&scrape(figures), 0).readings.is_empty());
    // Fragmentation below zero is told by a Redis that was swapped out.
    let swapped = Figure::gauge(Metric::RedisFragmentation, -4096.0);
    assert_eq!(n.take(&scrape(vec![swapped]), 0).readings.len(), 1);
}

#[test]
fn a_figure_of_another_kind_or_of_the_machine_is_not_taken() {
    let mut n = Normaliser::new("x");
    let normal = n.take(
        &scrape(vec![
            Figure::gauge(Metric::TokensPrompt, 3.0),
            Figure::total(Metric::RequestsRunning, 3.0),
            Figure::gauge(Metric::MemoryUsed, 3.0),
            Figure::gauge(Metric::LatencyTtft, 3.0),
        ]),
        0,
    );
    assert!(normal.readings.is_empty(), "{:?}", normal.readings);
}

#[test]
fn slots_fill_in_what_no_figure_told() {
    let slots =
        |total, busy, waiting| Slots { total, busy, waiting, basis: crate::service::Basis::Told };
    let mut n = Normaliser::new("x");
    let told = Scrape { slots: Some(slots(Some(4), Some(1), None)), ..Scrape::default() };
    let normal = n.take(&told, 0);
    assert_eq!(number(&normal, Metric::SlotsTotal), Some(4.0));
    assert_eq!((normal.figures.running, normal.figures.waiting), (Some(1.0), None));
    let both = Scrape {
        figures: vec![Figure::gauge(Metric::RequestsRunning, 2.0)],
        slots: Some(slots(None, Some(1), Some(7))),
        ..Scrape::default()
    };
    let normal = n.take(&both, 0);
    assert_eq!((normal.figures.running, normal.figures.waiting), (Some(2.0), Some(7.0)));
}

#[test]
fn loaded_models_are_series_of_their_own() {
    let model = |name: &str, loaded| Model::named(name, loaded).sized(Some(8 << 30), Some(4 << 30));
    let mut n = Normaliser::new("ollama");
    let normal = n.take(
        &Scrape {
            models: Some(vec![model("qwen3:8b", Loaded::Loaded), model("big", Loaded::Unloaded)]),
            ..Scrape::default()
        },
        0,
    );
    let subjects: Vec<_> = normal.readings.iter().map(|r| &*r.subject).collect();
    assert_eq!(subjects, ["ollama/qwen3:8b", "ollama/qwen3:8b"]);
}

#[test]
fn latencies_are_percentiles_of_what_was_observed_since_the_start_of_watching() {
    let mut n = Normaliser::new("vllm");
    let at = |fast: f64, all: f64| {
        scrape(vec![Figure::buckets(
            Metric::LatencyTtft,
            Buckets { cumulative: vec![(100.0, fast), (200.0, all), (f64::INFINITY, all)] },
        )])
    };
    let first = n.take(&at(5000.0, 9000.0), 0);
    assert!(first.readings.is_empty() && first.figures.ttft.is_none());
    let second = n.take(&at(5300.0, 9400.0), 1000);
    let ttft = second.figures.ttft.unwrap();
    assert_eq!(ttft.count, 400);
    assert!((60.0..75.0).contains(&ttft.p50_ms), "{ttft:?}");
    assert!((180.0..205.0).contains(&ttft.p95_ms), "{ttft:?}");
    // Silence does not take the last minutes away.
    let third = n.take(&at(5300.0, 9400.0), 2000);
    assert!(third.readings.is_empty());
    assert_eq!(third.figures.ttft.unwrap().count, 400);
}

#[test]
fn hit_rates_are_those_between_two_looks_and_unknown_without_a_look_up() {
    let mut n = Normaliser::new("redis");
    let at = |hits, misses| {
        scrape(vec![
            Figure::gauge(Metric::RedisMemoryUsed, 1e6),
            Figure::total(Metric::RedisHits, hits),
            Figure::total(Metric::RedisMisses, misses),
        ])
    };
    n.take(&at(1000.0, 0.0), 0);
    let redis = n.take(&at(1030.0, 10.0), 5000).figures.redis.unwrap();
    assert_eq!(redis.hit_percent, Some(75.0));
    let redis = n.take(&at(1030.0, 10.0), 10_000).figures.redis.unwrap();
    assert_eq!(redis.hit_percent, None);
    assert_eq!(redis.memory_limit_bytes, None, "no limit is not a limit of 0");
}

proptest! {
    #[test]
    fn whatever_is_told_readings_are_finite_and_totals_never_fall(
        looks in prop::collection::vec(
            prop::collection::vec((0..4u8, any::<f64>(), 0..3u8), 0..8), 1..6),
    ) {
        let mut n = Normaliser::new("x");
        let mut last = 0.0;
        for (i, look) in looks.into_iter().enumerate() {
            let figures = look.into_iter().map(|(kind, value, model)| {
                let figure = match kind {
                    0 => Figure::gauge(Metric::RequestsWaiting, value),
                    1 => Figure::total(Metric::TokensPrompt, value),
                    2 => Figure::gauge(Metric::ModelVram, value),
                    _ => Figure::buckets(Metric::LatencyE2e, Buckets {
                        cumulative: vec![(1.0, value), (value, 5.0)],
                    }),
                };
                figure.of(format!("m{model}"))
            });
            let normal = n.take(&scrape(figures.collect()), i64::try_from(i).unwrap() * 1000);
            for reading in &normal.readings {
                prop_assert!(reading.number().is_finite());
            }
            if let Some(total) = number(&normal, Metric::TokensPrompt) {
                prop_assert!(total >= last);
                last = total;
            }
        }
    }
}
