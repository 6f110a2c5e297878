//! What was usual before this start: busy minutes of the last days, from the history.
//! Asked for aside, when a service is first seen at work with a set of models.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::BoxFuture;
use plimsoll_core::{
    metric::Metric,
    series::{Answer, MAX_SERIES_PER_QUERY, Query, SeriesAnswer, SeriesKey},
};
use plimsoll_history::{ReadError, Reader};

use super::fleet::{Minute, Wish, subject_of};

const DAY_MS: i64 = 86_400_000;
/// As far back as a median reaches.
const DAYS: i64 = 7;
const MINUTE_MS: i64 = 60_000;

/// Tells what a service did before.
pub trait Past: Send + Sync + 'static {
    /// Minutes in which requests ran, in order; none where the history does not say which
    /// models they ran on.
    fn minutes<'a>(&'a self, wish: &'a Wish, now_ms: i64) -> BoxFuture<'a, Vec<Minute>>;
}

impl Past for Reader {
    fn minutes<'a>(&'a self, wish: &'a Wish, now_ms: i64) -> BoxFuture<'a, Vec<Minute>> {
        Box::pin(async move {
            read(self, wish, now_ms).await.unwrap_or_else(|error| {
                tracing::warn!(service = %wish.service, %error, "what is usual could not be read");
                Vec::new()
            })
        })
    }
}

async fn read(reader: &Reader, wish: &Wish, now_ms: i64) -> Result<Vec<Minute>, ReadError> {
    let mut series = vec![
        SeriesKey::new(Metric::RequestsRunning.name(), wish.service.as_str()),
        SeriesKey::new(Metric::TokensGenerated.name(), wish.service.as_str()),
        SeriesKey::new(Metric::TokensPrompt.name(), wish.service.as_str()),
    ];
    let figures = series.len();
    let mut from_ms = now_ms - DAYS * DAY_MS;
    if wish.sized {
        // What else was loaded at some time says when it was not this.
        let prefix = format!("{}/", wish.service);
        let sizes = reader.series().await?.into_iter().map(|info| info.key).filter(|key| {
            key.metric == Metric::ModelSize.name() && key.subject.starts_with(&prefix)
        });
        series.extend(sizes);
    } else if let Some(since_ms) = wish.since_ms {
        from_ms = from_ms.max(since_ms);
    } else {
        return Ok(Vec::new());
    }
    if series.len() > MAX_SERIES_PER_QUERY {
        return Ok(Vec::new());
    }
    let wanted: BTreeSet<String> =
        wish.models.iter().map(|model| subject_of(&wish.service, model).to_string()).collect();
    let mut minutes = Vec::new();
    while from_ms < now_ms {
        let to_ms = (from_ms + DAY_MS).min(now_ms);
        // A point a minute.
        let width_px = u32::try_from((to_ms - from_ms) / MINUTE_MS).unwrap_or(1).max(1);
        let query = Query { series: series.clone(), from_ms, to_ms, width_px };
        let answer = reader.query(&query).await?;
        minutes.extend(minutes_of(&answer, figures, wish.sized.then_some(&wanted)));
        from_ms = to_ms;
    }
    Ok(minutes)
}

/// Busy minutes of an answer whose first series are figures and whose others are sizes.
/// With `wanted`, those in which exactly these models were loaded.
fn minutes_of(answer: &Answer, figures: usize, wanted: Option<&BTreeSet<String>>) -> Vec<Minute> {
    let columns: Vec<BTreeMap<i64, f64>> = answer.series.iter().map(means).collect();
    let [running, generated, prompt, ..] = columns.as_slice() else { return Vec::new() };
    let span_s = |at_ms: i64| {
        let step_ms = answer.series.first().map_or(0, |series| series.step_ms);
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a chart")]
        let ms = step_ms.min(answer.to_ms - at_ms).max(0) as f64;
        ms / 1000.0
    };
    let right = |at_ms: i64| {
        let Some(wanted) = wanted else { return true };
        let sizes = answer.series.iter().zip(&columns).skip(figures);
        let loaded = sizes.filter(|(_, column)| column.contains_key(&at_ms));
        let loaded: BTreeSet<&str> =
            loaded.map(|(series, _)| series.key.subject.as_str()).collect();
        loaded.len() == wanted.len() && wanted.iter().all(|name| loaded.contains(name.as_str()))
    };
    let busy = running.iter().filter(|&(at_ms, &running)| running > 0.0 && right(*at_ms));
    busy.filter_map(|(&at_ms, &running)| {
        Some(Minute {
            at_ms,
            span_s: span_s(at_ms),
            running,
            generated_per_s: *generated.get(&at_ms)?,
            prompt_per_s: prompt.get(&at_ms).copied().unwrap_or(0.0),
        })
    })
    .collect()
}

fn means(series: &SeriesAnswer) -> BTreeMap<i64, f64> {
    let points = series.points.at_ms.iter().zip(&series.points.mean);
    points.filter_map(|(&at_ms, mean)| Some((at_ms, (*mean)?))).collect()
}
