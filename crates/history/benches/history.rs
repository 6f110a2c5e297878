//! What the history costs, beside the naive way in the same run: one row per
//! sample in SQLite. `cargo bench -p plimsoll-history`; with
//! `PLIMSOLL_RECORDED=file.csv` the size is measured on a recording.
//!
//! `PLIMSOLL_BENCH_FILLED=file.db` keeps the years that `query` is asked about
//! from run to run.
//!
//! The recording is what `plimsoll history export --last 1h` writes.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use plimsoll_core::{
    clock::{Clock as _, Instant3, ManualClock},
    metric::{Kind, Metric},
    reading::{Reading, Tick},
    record::Record as _,
    series::{Query, SeriesKey},
};
use plimsoll_history::{History, Options, Reader, metric_of};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use sqlx::{
    ConnectOptions as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::sync::watch;

const TICKS: i64 = 5000;
const SERIES: u32 = 200;
const START: i64 = 1_767_571_200_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    // `cargo test --benches` only asks whether it builds.
    if std::env::args().any(|a| a == "--test") {
        return Ok(());
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        // `cargo bench -p plimsoll-history -- size` runs that one alone.
        let named = |name: &str| {
            let names = ["ingest", "size", "query"];
            let asked: Vec<String> = std::env::args().filter(|a| names.contains(&&**a)).collect();
            asked.is_empty() || asked.iter().any(|a| a == name)
        };
        if named("ingest") {
            ingest().await?;
        }
        if named("size") {
            size().await?;
        }
        if named("query") {
            queries().await?;
        }
        Ok(())
    })
}

fn ticks() -> Vec<Arc<Tick>> {
    let mut random = SmallRng::seed_from_u64(7);
    let subjects: Vec<Arc<str>> = (0..SERIES).map(|i| i.to_string().into()).collect();
    let mut level = vec![50.0f64; SERIES as usize];
    let mut total = vec![0u64; SERIES as usize];
    (0..TICKS)
        .map(|n| {
            let readings = subjects.iter().enumerate().map(|(i, subject)| {
                if i % 10 == 9 {
                    total[i] += random.random_range(0..100_000);
                    return Reading::counter(Metric::NetReceived, subject, total[i]);
                }
                level[i] = (level[i] + random.random_range(-3.0..3.0)).clamp(0.0, 100.0);
                Reading::gauge(Metric::CoreBusy, subject, level[i])
            });
            let ms = n * 1000;
            Arc::new(Tick {
                at: Instant3 { wall_ms: START + ms, monotonic_ms: ms, boottime_ms: ms },
                readings: readings.collect(),
            })
        })
        .collect()
}

async fn open(
    folder: &Path,
    now_ms: i64,
) -> Result<(History, Arc<ManualClock>, watch::Sender<Options>), Failure> {
    let (options, receiver) = watch::channel(Options::default());
    let clock = Arc::new(ManualClock::at(now_ms));
    Ok((History::open(folder, receiver, clock.clone()).await?, clock, options))
}

async fn ingest() -> Result<(), Failure> {
    println!(
        "ingest: {TICKS} ticks x {SERIES} series, one commit each, all levels answering, closed"
    );
    let ticks = ticks();
    let samples = f64::from(SERIES) * TICKS as f64;
    for round in 0..3 {
        let folder = tempfile::tempdir()?;
        let (history, _clock, _options) = open(folder.path(), START).await?;
        let began = Instant::now();
        let recorder = history.recorder();
        for tick in &ticks {
            recorder.tick(tick.clone());
        }
        if !history.settle().await {
            return Err("recording is paused".into());
        }
        for width_px in [4000, 500, 80, 6, 2] {
            let series = vec![SeriesKey::new("cpu.core.busy", "0")];
            let answer = history
                .reader()
                .query(&Query { series, from_ms: START, to_ms: START + TICKS * 1000, width_px })
                .await?;
            assert!(!answer.series[0].points.at_ms.is_empty());
        }
        history.stop().await;
        let took = began.elapsed();
        println!("  round {round}: {took:>8.0?}  {:>10.0} samples/s", samples / took.as_secs_f64());
    }
    // The naive way, a tenth of it: a row per sample, a transaction per tick.
    let folder = tempfile::tempdir()?;
    let part = &ticks[..ticks.len() / 10];
    let mut naive = naive(&folder.path().join("naive.db")).await?;
    let began = Instant::now();
    for tick in part {
        sqlx::query("BEGIN").execute(&mut naive).await?;
        for (i, reading) in tick.readings.iter().enumerate() {
            sqlx::query("INSERT INTO sample (series, at_ms, value) VALUES (?, ?, ?)")
                .bind(i as i64)
                .bind(tick.at.wall_ms)
                .bind(reading.number())
                .execute(&mut naive)
                .await?;
        }
        sqlx::query("COMMIT").execute(&mut naive).await?;
    }
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut naive).await?;
    let took = began.elapsed();
    println!("  a row per sample: {:>10.0} samples/s", samples / 10.0 / took.as_secs_f64());
    Ok(())
}

async fn naive(path: &Path) -> Result<SqliteConnection, Failure> {
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .connect()
        .await?;
    sqlx::raw_sql(
        "CREATE TABLE sample (series INTEGER NOT NULL, at_ms INTEGER NOT NULL, value REAL NOT NULL);
         CREATE INDEX sample_by_series ON sample (series, at_ms);",
    )
    .execute(&mut connection)
    .await?;
    Ok(connection)
}

/// Ticks from what `plimsoll history export --format csv` wrote.
fn recording(path: &str) -> Result<Vec<Tick>, Failure> {
    let mut ticks: BTreeMap<i64, Vec<Reading>> = BTreeMap::new();
    for line in std::fs::read_to_string(path)?.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        // Quoted subjects (with commas in them) are rare, and left out.
        let [at_ms, _time, metric, subject, _unit, value] = cells[..] else { continue };
        let Some(metric) = Metric::named(metric) else { continue };
        let (subject, value): (Arc<str>, f64) = (subject.into(), value.parse()?);
        ticks.entry(at_ms.parse()?).or_default().push(if metric.spec().kind == Kind::Counter {
            Reading::counter(metric, &subject, (value / metric.spec().resolution).round() as u64)
        } else {
            Reading::gauge(metric, &subject, value)
        });
    }
    let tick = |(wall_ms, readings)| {
        let at = Instant3 { wall_ms, monotonic_ms: wall_ms, boottime_ms: wall_ms };
        Tick { at, readings }
    };
    Ok(ticks.into_iter().map(tick).collect())
}

async fn size() -> Result<(), Failure> {
    let Ok(path) = std::env::var("PLIMSOLL_RECORDED") else {
        println!("size: skipped, PLIMSOLL_RECORDED names no recording");
        return Ok(());
    };
    let mut ticks = recording(&path)?;
    // Kernel threads hold no memory and say nothing: they would flatter the figure.
    let mut alive: Vec<Arc<str>> = Vec::new();
    for reading in ticks.iter().flat_map(|t| &t.readings) {
        if reading.metric == Metric::ProcessRss
            && reading.number() > 0.0
            && !alive.contains(&reading.subject)
        {
            alive.push(reading.subject.clone());
        }
    }
    for tick in &mut ticks {
        tick.readings.retain(|r| {
            !matches!(r.metric, Metric::ProcessRss | Metric::ProcessCpu)
                || alive.contains(&r.subject)
        });
    }
    let minutes = ticks.len() / 60;
    let folder = tempfile::tempdir()?;
    let (history, _clock, _options) = open(folder.path(), START).await?;
    let mut naive = naive(&folder.path().join("naive.db")).await?;
    let mut rows = 0u64;
    sqlx::query("BEGIN").execute(&mut naive).await?;
    for tick in ticks {
        for (i, reading) in tick.readings.iter().enumerate() {
            sqlx::query("INSERT INTO sample (series, at_ms, value) VALUES (?, ?, ?)")
                .bind(i as i64)
                .bind(tick.at.wall_ms)
                .bind(reading.number())
                .execute(&mut naive)
                .await?;
            rows += 1;
        }
        history.recorder().tick(Arc::new(tick));
    }
    sqlx::query("COMMIT").execute(&mut naive).await?;
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut naive).await?;
    history.settle().await;
    let stats = history.reader().stats().await?;
    let stored = history.reader().storage().await?;
    println!(
        "size: {minutes} min of a recording, {} samples of {} series: {:.2} bytes a sealed raw sample (raw with rows and unsealed ticks: {} kB)",
        stats.samples,
        stats.series,
        stats.bytes_per_sample.unwrap_or(f64::NAN),
        stored[0].bytes / 1000
    );
    let bytes = std::fs::metadata(folder.path().join("naive.db"))?.len();
    println!("  a row per sample: {:.2} bytes", bytes as f64 / rows as f64);
    history.stop().await;
    Ok(())
}

/// 200, unless `PLIMSOLL_BENCH_SERIES` asks for fewer (at least 48), for a quick look.
fn series_filled() -> u32 {
    std::env::var("PLIMSOLL_BENCH_SERIES").ok().and_then(|n| n.parse().ok()).unwrap_or(SERIES)
}

/// Reads that this process has asked the kernel for; a page of SQLite is one.
fn read_calls() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let calls = text.lines().find_map(|line| line.strip_prefix("syscr: "));
    calls.and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Of the whole process: what a busy machine does not blur.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

fn report(what: &str, times: &mut [Duration], cpus: &mut [Duration]) {
    let of = |times: &mut [Duration]| {
        let [p50, p99, worst] = [0.5, 0.99, 1.0].map(|q| percentile(times, q));
        format!("p50 {p50:>7.2?} p99 {p99:>7.2?} worst {worst:>7.2?}")
    };
    println!("  {what:>5}: {}  CPU {}  (load {})", of(times), of(cpus), load());
}

fn percentile(times: &mut [Duration], q: f64) -> Duration {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * q) as usize]
}

/// The load of the machine over a minute: what else may have slowed a figure.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().into()
}

/// Two days of ticks through the recorder: raw slots and all that is made of them.
async fn record(folder: &Path, from: i64, to: i64) -> Result<(), Failure> {
    let (history, clock, _options) = open(folder, from).await?;
    let recorder = history.recorder();
    let mut random = SmallRng::seed_from_u64(5);
    let subjects: Vec<Arc<str>> = (0..series_filled()).map(|i| i.to_string().into()).collect();
    let mut level = vec![50.0f64; subjects.len()];
    let mut total = vec![from.cast_unsigned() * 50; subjects.len()];
    while clock.now().wall_ms < to {
        let readings = subjects.iter().enumerate().map(|(i, subject)| {
            let metric = metric_of(i as u32);
            if metric == Metric::NetReceived {
                total[i] += random.random_range(0..100_000);
                return Reading::counter(metric, subject, total[i]);
            }
            level[i] = (level[i] + random.random_range(-3.0..3.0)).clamp(0.0, 100.0);
            Reading::gauge(metric, subject, level[i])
        });
        recorder.tick(Arc::new(Tick { at: clock.now(), readings: readings.collect() }));
        clock.advance_ms(1000);
        while recorder.queue_len() > 2000 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    if !history.settle().await {
        return Err("recording is paused".into());
    }
    history.stop().await;
    Ok(())
}

fn key(series: u32) -> SeriesKey {
    SeriesKey::new(metric_of(series).name(), series.to_string())
}

async fn queries() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    // Not at the end of a slot at any level: there is an unsealed part of each.
    let now = START + 13 * DAY + 7 * HOUR + 5 * 60_000;
    let began = Instant::now();
    let kept = std::env::var("PLIMSOLL_BENCH_FILLED").ok();
    let path = folder.path().join("history.db");
    let mut source = "kept";
    if let Some(kept) = kept.as_deref().filter(|f| Path::new(f).exists()) {
        std::fs::copy(kept, &path)?;
    } else {
        source = "filled";
        let from =
            plimsoll_history::fill(folder.path(), now, series_filled(), Options::default().keep)
                .await?;
        record(folder.path(), from, now).await?;
        if let Some(kept) = kept {
            std::fs::copy(&path, kept)?;
        }
    }
    let (history, clock, _options) = open(folder.path(), now).await?;
    history.settle().await;
    let stats = history.reader().stats().await?;
    println!(
        "query: {SERIES} series, {source} in {:.0?}, {} MiB; load of the machine {}",
        began.elapsed(),
        stats.bytes >> 20,
        load()
    );
    for stored in history.reader().storage().await? {
        println!("  {:?}: {} MiB", stored.kind, stored.bytes >> 20);
    }
    let end = clock.now().wall_ms;
    let reader = history.reader();
    let mut random = SmallRng::seed_from_u64(11);
    let question = |random: &mut SmallRng| {
        // Log-uniform from a minute to five years; half of them end now.
        let (low, high) = (60_000f64.ln(), (1826.0 * DAY as f64).ln());
        let range = random.random_range(low..high).exp() as i64;
        let back =
            if random.random_bool(0.5) { 0 } else { random.random_range(0..=(1826 * DAY - range)) };
        let n = random.random_range(1..=8);
        let series = (0..n).map(|_| key(random.random_range(0..series_filled()))).collect();
        Query { series, from_ms: end - back - range, to_ms: end - back, width_px: 1200 }
    };
    // Two rounds of the same: the first fills caches of SQLite and of the kernel.
    let questions: Vec<Query> = (0..1000).map(|_| question(&mut random)).collect();
    for round in ["first", "warm"] {
        let (mut times, mut cpus) = (Vec::new(), Vec::new());
        for ask in &questions {
            let (began, cpu) = (Instant::now(), cpu_time());
            std::hint::black_box(reader.query(ask).await?);
            times.push(began.elapsed());
            cpus.push(cpu_time() - cpu);
        }
        report(round, &mut times, &mut cpus);
    }
    for (name, range) in [
        ("an hour", HOUR),
        ("ten hours", 10 * HOUR),
        ("a week", 7 * DAY),
        ("a month", 30 * DAY),
        ("five years", 1826 * DAY),
    ] {
        let series = (0..8).map(key).collect();
        let ask = Query { series, from_ms: end - range, to_ms: end, width_px: 1200 };
        let mut times = Vec::new();
        let cpu = cpu_time();
        for _ in 0..20 {
            let began = Instant::now();
            std::hint::black_box(reader.query(&ask).await?);
            times.push(began.elapsed());
        }
        println!(
            "  eight series over {name}: p50 {:.2?}, CPU {:.2?}",
            percentile(&mut times, 0.5),
            (cpu_time() - cpu) / 20
        );
    }
    // Cold: an open reader that was not asked yet, and not a page of the file in the
    // kernel's cache (only clean pages leave it, so the log is folded in first). The
    // file system's own metadata stay, as does what the disk itself may cache.
    history.stop().await;
    let (mut times, mut cpus, mut reads) = (Vec::new(), Vec::new(), Vec::new());
    for ask in questions.iter().take(200) {
        let cold = Reader::open_readonly(folder.path()).await?;
        cold.warm().await?;
        let file = std::fs::File::open(&path)?;
        file.sync_all()?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        let (began, cpu, before) = (Instant::now(), cpu_time(), read_calls());
        std::hint::black_box(cold.query(ask).await?);
        times.push(began.elapsed());
        cpus.push(cpu_time() - cpu);
        reads.push(read_calls() - before);
    }
    report("cold", &mut times, &mut cpus);
    reads.sort_unstable();
    println!(
        "  cold: pages read p50 {} p99 {}",
        reads[reads.len() / 2],
        reads[reads.len() * 99 / 100]
    );
    let (history, _clock, _options) = open(folder.path(), now).await?;
    let reader = history.reader();
    let (mut times, mut cpus) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        let (began, cpu) = (Instant::now(), cpu_time());
        let charts = (0..12u32).map(|chart| {
            let series = (0..4).map(|s| key(chart * 4 + s)).collect();
            Query { series, from_ms: end - DAY, to_ms: end, width_px: 1200 }
        });
        for ask in charts {
            std::hint::black_box(reader.query(&ask).await?);
        }
        times.push(began.elapsed());
        cpus.push(cpu_time() - cpu);
    }
    report("twelve charts of four series over a day", &mut times, &mut cpus);
    history.stop().await;

    // The naive way with one series of thirty days: 2.6 million rows.
    let path = folder.path().join("naive.db");
    let mut naive = naive(&path).await?;
    sqlx::raw_sql(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2591999)
         INSERT INTO sample SELECT 1, i * 1000, i % 97 FROM n;",
    )
    .execute(&mut naive)
    .await?;
    for (name, range) in [("an hour", HOUR), ("a day", DAY), ("thirty days", 30 * DAY)] {
        let mut times = Vec::new();
        for _ in 0..5 {
            let began = Instant::now();
            sqlx::query(
                "SELECT (at_ms - ?1) * 1200 / ?2 AS px, min(value), avg(value), max(value) FROM sample
                 WHERE series = 1 AND at_ms >= ?1 AND at_ms < ?1 + ?2 GROUP BY px",
            )
            .bind(30 * DAY - range)
            .bind(range)
            .fetch_all(&mut naive)
            .await?;
            times.push(began.elapsed());
        }
        println!("  a row per sample, one series over {name}: {:.1?}", percentile(&mut times, 0.5));
    }
    Ok(())
}
