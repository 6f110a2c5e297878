//! `history`: reads the database directly, beside whoever writes it.

use std::{io::Write, path::Path};

use futures::StreamExt;
use plimsoll_app::{
    api::{ExportFormat, Fault, HistoryStats},
    export,
    folder::cannot,
    offline,
};
use plimsoll_core::{
    clock::{Clock, SystemClock},
    metric::Kind,
    series::{Level, MAX_SERIES_PER_QUERY, Query, SeriesAnswer, SeriesKey},
    unit::Unit,
};
use plimsoll_history::{Reader, RecoverReport};
use serde_json::{Value, json};

use crate::{
    args::{Format, Global, History, Range},
    commands::options,
    out::{self, Failure, Outcome, number},
    words,
};

/// Bytes gathered before they are printed.
const BLOCK: usize = 64 << 10;

pub async fn run(global: &Global, command: History) -> Outcome {
    match command {
        History::Query { series, range, width } => query(global, &series, &range, width).await,
        History::Stats => stats(global).await,
        History::Export { series, range, format, output } => {
            let format = match format {
                Format::Csv => ExportFormat::Csv,
                Format::Jsonl => ExportFormat::Jsonl,
            };
            self::export(global, &series, &range, format, output.as_deref()).await
        }
        History::Recover { file } => recover(global, file.as_deref()).await,
    }
}

async fn query(global: &Global, series: &[String], range: &Range, width_px: u32) -> Outcome {
    let (from_ms, to_ms) = span(range)?;
    // What is typed is checked before anything is opened.
    words::choose(series, Vec::new).map_err(Failure::Usage)?;
    let reader = offline::reader(&options(global)).await?;
    let series = choose(&reader, series).await?;
    let mut answers = Vec::new();
    for some in series.chunks(MAX_SERIES_PER_QUERY) {
        let query = Query { series: some.to_vec(), from_ms, to_ms, width_px };
        answers.extend(reader.query(&query).await.map_err(Fault::from)?.series);
    }
    for answer in &answers {
        if global.json {
            out::json(&as_json(answer))?;
        } else {
            print(answer)?;
        }
    }
    Ok(())
}

/// As it is printed: points are `[at_ms, min, mean, max]`, `null` where nothing was recorded.
#[derive(serde::Serialize)]
struct Printed<'a> {
    metric: &'a str,
    subject: &'a str,
    unit: Unit,
    kind: Kind,
    level: Level,
    step_ms: i64,
    points: Vec<(i64, Value, Value, Value)>,
}

fn as_json(answer: &SeriesAnswer) -> Printed<'_> {
    let points = &answer.points;
    let rows = (0..points.at_ms.len()).map(|i| {
        (points.at_ms[i], number(points.min[i]), number(points.mean[i]), number(points.max[i]))
    });
    Printed {
        metric: &answer.key.metric,
        subject: &answer.key.subject,
        unit: answer.unit,
        kind: answer.kind,
        level: answer.level,
        step_ms: answer.step_ms,
        points: rows.collect(),
    }
}

fn print(answer: &SeriesAnswer) -> Outcome {
    let points = &answer.points;
    out::line(format_args!("{}, one point for {} s", answer.key, seconds(answer.step_ms)))?;
    if points.at_ms.is_empty() {
        return out::line("  nothing was recorded in this range");
    }
    let cell = |value: Option<f64>| value.map_or("-".into(), |v| words::value(v, answer.unit));
    let mut rows = vec![vec!["  at".into(), "min".into(), "mean".into(), "max".into()]];
    for i in 0..points.at_ms.len() {
        rows.push(vec![
            format!("  {}", words::moment(points.at_ms[i])),
            cell(points.min[i]),
            cell(points.mean[i]),
            cell(points.max[i]),
        ]);
    }
    out::table(&rows)
}

#[expect(clippy::cast_precision_loss, reason = "shown")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

async fn stats(global: &Global) -> Outcome {
    let reader = offline::reader(&options(global)).await?;
    let stats: HistoryStats = reader.stats().await.map_err(Fault::from)?.into();
    if global.json {
        return out::json(&stats);
    }
    let moment = |at: Option<i64>| at.map_or("nothing yet".into(), words::moment);
    out::table(&[
        vec!["bytes".into(), format!("{} ({})", stats.bytes, words::whole_bytes(stats.bytes))],
        vec!["samples".into(), stats.samples.to_string()],
        vec![
            "bytes_per_sample".into(),
            stats.bytes_per_sample.map_or("not known yet".into(), |b| format!("{b:.2}")),
        ],
        vec!["series".into(), stats.series.to_string()],
        vec!["oldest".into(), moment(stats.oldest_ms)],
        vec!["newest".into(), moment(stats.newest_ms)],
        vec!["epochs".into(), stats.epochs.to_string()],
    ])
}

async fn export(
    global: &Global,
    series: &[String],
    range: &Range,
    format: ExportFormat,
    output: Option<&Path>,
) -> Outcome {
    let (from_ms, to_ms) = span(range)?;
    words::choose(series, Vec::new).map_err(Failure::Usage)?;
    let reader = offline::reader(&options(global)).await?;
    let series = choose(&reader, series).await?;
    let mut sink = Sink::open(output)?;
    let outcome = rows(&reader, series, (from_ms, to_ms), format, &mut sink).await;
    match (outcome, output) {
        (Ok(rows), Some(path)) => {
            sink.keep()?;
            let path = std::path::absolute(path)?;
            if global.json {
                out::json(&json!({ "path": path, "rows": rows }))
            } else {
                out::line(format_args!("{rows} rows are in {}.", path.display()))
            }
        }
        (Ok(_), None) => Ok(()),
        (Err(failure), _) => {
            sink.discard();
            Err(failure)
        }
    }
}

async fn rows(
    reader: &Reader,
    series: Vec<SeriesKey>,
    (from_ms, to_ms): (i64, i64),
    format: ExportFormat,
    sink: &mut Sink,
) -> Result<u64, Failure> {
    let mut text = String::with_capacity(BLOCK + 4096);
    if format == ExportFormat::Csv {
        text.push_str(export::CSV_HEAD);
    }
    let mut count = 0u64;
    let mut stream = std::pin::pin!(reader.export(series, from_ms, to_ms));
    while let Some(row) = stream.next().await {
        export::row(&mut text, format, &row.map_err(Fault::from)?);
        count += 1;
        if text.len() >= BLOCK {
            sink.write(&text)?;
            text.clear();
        }
    }
    sink.write(&text)?;
    Ok(count)
}

/// Where an export goes. A file is written beside its place and moved there when it is complete.
enum Sink {
    Printed,
    File { file: std::fs::File, beside: std::path::PathBuf, path: std::path::PathBuf },
}

// === impl Sink ===

impl Sink {
    fn open(output: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = output else { return Ok(Self::Printed) };
        let path = std::path::absolute(path)?;
        export::check_path(&path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let beside = path.with_file_name(format!(".{name}.part-{}", std::process::id()));
        let file =
            std::fs::File::create(&beside).map_err(|error| cannot("write", &beside, &error))?;
        Ok(Self::File { file, beside, path })
    }

    fn write(&mut self, text: &str) -> Outcome {
        match self {
            Self::Printed => {
                let mut out = std::io::stdout().lock();
                out.write_all(text.as_bytes())?;
                out.flush()?;
            }
            Self::File { file, beside, .. } => {
                file.write_all(text.as_bytes()).map_err(|error| cannot("write", beside, &error))?;
            }
        }
        Ok(())
    }

    fn keep(self) -> Outcome {
        if let Self::File { file, beside, path } = self {
            file.sync_all()
                .and_then(|()| std::fs::rename(&beside, &path))
                .map_err(|error| cannot("write", &path, &error))?;
        }
        Ok(())
    }

    fn discard(self) {
        if let Self::File { beside, .. } = self {
            let _ = std::fs::remove_file(beside);
        }
    }
}

async fn recover(global: &Global, file: Option<&Path>) -> Outcome {
    let file = file.map(std::path::absolute).transpose()?;
    let recovered = offline::recover(&options(global), file).await?;
    if global.json {
        let reports: Vec<Value> =
            recovered.iter().map(|(file, r)| recovered_json(file, r)).collect();
        return out::json(&reports);
    }
    for (file, report) in &recovered {
        out::line(format_args!("{}", file.display()))?;
        match (report.from_ms, report.to_ms) {
            (Some(from), Some(to)) => out::line(format_args!(
                "  brought back: {} series from {} to {} ({} chunks, {} ticks), {} marks, {} \
                 alerts, {} log entries, {} requests",
                report.series,
                words::moment(from),
                words::moment(to),
                report.chunks,
                report.ticks,
                report.marks,
                report.alerts,
                report.log,
                report.requests
            ))?,
            _ => out::line("  no measurements could be read")?,
        }
        out::line(format_args!("  lost: {} places could not be read", report.lost))?;
        out::line("  The damaged file is still there; delete it when you are content.")?;
    }
    Ok(())
}

fn recovered_json(file: &Path, report: &RecoverReport) -> Value {
    json!({
        "file": file,
        "series": report.series,
        "chunks": report.chunks,
        "ticks": report.ticks,
        "marks": report.marks,
        "alerts": report.alerts,
        "log": report.log,
        "requests": report.requests,
        "lost": report.lost,
        "from_ms": report.from_ms,
        "to_ms": report.to_ms,
    })
}

async fn choose(reader: &Reader, wanted: &[String]) -> Result<Vec<SeriesKey>, Failure> {
    let known = reader.series().await.map_err(Fault::from)?;
    words::choose(wanted, || known.iter().map(|info| info.key.clone()).collect())
        .map_err(Failure::Usage)
}

/// From and to in milliseconds; without a word, the last hour.
fn span(range: &Range) -> Result<(i64, i64), Failure> {
    let now = SystemClock.now().wall_ms;
    let time = |text: &String| words::time(text).map_err(Failure::Usage);
    // The moment that is just being recorded belongs to "until now".
    let to = range.to.as_ref().map(time).transpose()?.unwrap_or(now + 1);
    let back = match &range.last {
        Some(last) => words::span(last).map_err(Failure::Usage)?,
        None => 3_600_000,
    };
    let from = range.from.as_ref().map(time).transpose()?.unwrap_or(to - back);
    if from >= to {
        return Err(Failure::Usage(format!(
            "The range ends ({}) before it begins ({}).",
            words::moment(to),
            words::moment(from)
        )));
    }
    Ok((from, to))
}
