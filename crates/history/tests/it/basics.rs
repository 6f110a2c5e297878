//! What is recorded is what is answered.

use std::sync::Arc;

use futures::StreamExt as _;
use plimsoll_core::{
    alert::{AlertRow, Severity},
    clock::ManualClock,
    log::{LogEntry, LogLevel},
    mark::{Mark, MarkKind},
    metric::Metric,
    record::Record as _,
    series::{Level, SeriesKey},
};
use plimsoll_history::{Keep, Options, Reader};

use crate::world::{DAY, HOUR, MINUTE, SECOND, START, World, counter, gauge};

#[tokio::test]
async fn a_tick_is_answered_as_it_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    world
        .seconds(90, |i| {
            vec![
                gauge(Metric::CpuBusy, "", i as f64 / 10.0 + 0.04),
                counter(Metric::DiskRead, "sda", i as u64 * 4096),
            ]
        })
        .await;
    world.settle().await;
    let answer = world.query(Metric::CpuBusy, "", START, START + MINUTE, 1200).await;
    let series = &answer.series[0];
    assert_eq!(series.level, Level::Raw);
    assert_eq!(series.points.at_ms.len(), 60);
    assert_eq!(series.points.mean[7], Some(7.0 * 0.1));
    let answer = world.query(Metric::DiskRead, "sda", START, START + MINUTE, 1200).await;
    assert_eq!(answer.series[0].points.mean[0], Some(4096.0));
    // The first total has no rate.
    assert_eq!(answer.series[0].points.at_ms[0], START + SECOND);
    world.history.stop().await;
}

#[tokio::test]
async fn the_seam_between_sealed_and_unsealed_does_not_show() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    // Two hours and a quarter: raw and 10 s chunks are sealed, the rest is not.
    let n = 8100;
    world
        .seconds(n, |i| {
            vec![
                gauge(Metric::CpuBusy, "", (i % 100) as f64),
                counter(Metric::NetSent, "eth0", i as u64 * 1000),
            ]
        })
        .await;
    world.settle().await;
    let stats = world.reader.stats().await.unwrap();
    assert_eq!(stats.samples, n as u64 * 2);
    let end = START + n * SECOND;
    for (px, level) in [
        (10_000u32, Level::Raw),
        (800, Level::S10),
        (120, Level::M1),
        (8, Level::M15),
        (2, Level::H1),
    ] {
        let px = px.min(4096);
        let from = if level == Level::Raw { end - HOUR } else { START };
        let answer = world.query(Metric::CpuBusy, "", from, end, px).await;
        let series = &answer.series[0];
        assert_eq!(series.level, level);
        assert!(series.points.mean.iter().all(Option::is_some), "a gap at {level:?}");
        let steps: Vec<i64> = series.points.at_ms.windows(2).map(|w| w[1] - w[0]).collect();
        assert!(steps.iter().all(|s| *s == steps[0]), "uneven at {level:?}: {steps:?}");
        let answer = world.query(Metric::NetSent, "eth0", from, end, px).await;
        let rates = &answer.series[0].points;
        assert!(rates.mean.iter().all(|v| *v == Some(1000.0)), "{level:?} {:?}", rates.mean);
    }
    world.history.stop().await;
}

#[tokio::test]
async fn the_same_answers_come_after_a_restart_and_to_a_second_reader() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    world
        .seconds(2000, |i| vec![gauge(Metric::GpuTemperature, "GPU-1", 40.0 + (i % 30) as f64)])
        .await;
    world.settle().await;
    let (from, to) = (START, START + HOUR);
    let before = world.query(Metric::GpuTemperature, "GPU-1", from, to, 300).await;
    let beside = Reader::open_readonly(folder.path()).await.unwrap();
    let ask = crate::world::query(Metric::GpuTemperature, "GPU-1", from, to, 300);
    assert_eq!(beside.query(&ask).await.unwrap(), before);
    let clock = world.clock.clone();
    world.history.stop().await;
    let world = World::with(folder.path(), clock, Options::default()).await;
    assert_eq!(world.query(Metric::GpuTemperature, "GPU-1", from, to, 300).await, before);
    assert_eq!(world.reader.stats().await.unwrap().samples, 2000);
    world.history.stop().await;
}

#[tokio::test]
async fn silence_is_a_gap_and_not_a_zero() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    world
        .seconds(60, |_| {
            vec![gauge(Metric::GpuBusy, "GPU-1", 50.0), gauge(Metric::CpuBusy, "", 1.0)]
        })
        .await;
    world.seconds(60, |_| vec![gauge(Metric::CpuBusy, "", 1.0)]).await;
    world
        .seconds(60, |_| {
            vec![gauge(Metric::GpuBusy, "GPU-1", 50.0), gauge(Metric::CpuBusy, "", 1.0)]
        })
        .await;
    world.settle().await;
    for px in [1000, 18, 6] {
        let answer = world.query(Metric::GpuBusy, "GPU-1", START, START + 180 * SECOND, px).await;
        let mean = &answer.series[0].points.mean;
        assert_eq!(mean.iter().filter(|v| v.is_none()).count(), 1, "{px} px: {mean:?}");
        assert!(mean.iter().flatten().all(|v| *v == 50.0));
    }
    world.history.stop().await;
}

// DE5
#[tokio::test]
async fn raw_values_come_in_pages_and_as_a_stream() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    world
        .seconds(1500, |i| {
            vec![
                counter(Metric::GpuEnergy, "GPU-1", (1 << 60) + i as u64),
                gauge(Metric::CpuBusy, "", 3.0),
            ]
        })
        .await;
    world.settle().await;
    let key = SeriesKey::new("gpu.energy", "GPU-1");
    let (mut cursor, mut values) = (None, Vec::new());
    let mut pages = 0;
    loop {
        let page = world.reader.raw_page(&key, START, START + DAY, cursor, 400).await.unwrap();
        values.extend(page.values);
        pages += 1;
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((pages, values.len()), (4, 1500));
    assert!(values.windows(2).all(|w| w[1].at_ms - w[0].at_ms == SECOND));
    let rows: Vec<_> = world.reader.export(Vec::new(), START, START + DAY).collect().await;
    assert_eq!(rows.len(), 3000);
    let first = rows[0].as_ref().unwrap();
    assert_eq!((first.key.metric.as_str(), first.at_ms), ("gpu.energy", START));
    world.history.stop().await;
}

#[tokio::test]
async fn energy_over_a_range_leaves_gaps_out_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    // 100 W in millijoules: 100,000 a second.
    let mut total = 0u64;
    let mut watts = |_| {
        total += 100_000;
        vec![counter(Metric::GpuEnergy, "GPU-1", total)]
    };
    world.seconds(1801, &mut watts).await;
    world.clock.advance_ms(30 * MINUTE - SECOND);
    // The card was reset: its counter began again.
    total = 0;
    let mut watts = |_| {
        total += 100_000;
        vec![counter(Metric::GpuEnergy, "GPU-1", total)]
    };
    world.seconds(1801, &mut watts).await;
    world.settle().await;
    let key = SeriesKey::new("gpu.energy", "GPU-1");
    let grown =
        world.reader.counter_increase(&key, START, START + 90 * MINUTE + 1).await.unwrap().unwrap();
    assert!((grown.increase - 100.0 * 3600.0).abs() < 1.0, "{grown:?}");
    assert!((grown.covered - 2.0 / 3.0).abs() < 0.01, "{grown:?}");
    world.history.stop().await;
}

#[tokio::test]
async fn marks_alerts_and_log_entries_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    world.recorder.mark(Mark::new(START, MarkKind::Change, "One setting was changed"));
    let mut alert = AlertRow {
        id: "disk-space:/home:1".into(),
        rule: "disk-space".into(),
        subject: "/home".into(),
        severity: Severity::Warning,
        title: "/home has 3.2 GiB left".into(),
        start_ms: START,
        end_ms: None,
        peak: Some(3.2),
        threshold: Some(10.0),
    };
    world.recorder.alert(alert.clone());
    alert.end_ms = Some(START + MINUTE);
    world.recorder.alert(alert.clone());
    let entry = |at_ms, level, message: &str| LogEntry {
        at_ms,
        level,
        module: "plimsoll_sense::gpu".into(),
        message: message.into(),
        fields: "code=7".into(),
    };
    world.recorder.log(vec![
        entry(START, LogLevel::Warn, "GPU lost"),
        entry(START + 1, LogLevel::Error, "disk"),
        entry(START + 2, LogLevel::Info, "GPU found"),
    ]);
    world.settle().await;
    let marks = world.reader.marks(START - DAY, START + DAY).await.unwrap();
    assert_eq!(marks[0].title, "One setting was changed");
    assert!(marks[0].id > 0);
    assert_eq!(world.reader.alerts(START, START + DAY).await.unwrap(), [alert]);
    let found = world.reader.log(LogLevel::Warn, "gpu", None, 10).await.unwrap();
    assert_eq!(found.iter().map(|e| e.message.as_str()).collect::<Vec<_>>(), ["disk", "GPU lost"]);
    let older = world.reader.log(LogLevel::Info, "", Some(START + 1), 10).await.unwrap();
    assert_eq!(older.len(), 1);
    world.history.stop().await;
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    let mut ask = crate::world::query(Metric::CpuBusy, "", START, START, 100);
    let error = world.reader.query(&ask).await.unwrap_err();
    assert_eq!(error.to_string(), "The range ends before it begins.");
    ask.to_ms += 1;
    ask.width_px = 0;
    assert!(world.reader.query(&ask).await.unwrap_err().to_string().contains("1 to 4096"));
    ask.width_px = 10;
    ask.from_ms = i64::MIN;
    assert!(world.reader.query(&ask).await.is_err());
    world.history.stop().await;
}

#[tokio::test]
async fn years_at_a_chart_s_width_keep_the_peaks_of_their_hours() {
    let folder = tempfile::tempdir().unwrap();
    let now = START + 13 * DAY;
    let keep =
        Keep { raw_ms: HOUR, s10_ms: DAY, m1_ms: 8 * DAY, m15_ms: 400 * DAY, ..Keep::default() };
    let from = plimsoll_history::fill(folder.path(), now, 10, keep).await.unwrap();
    let clock = Arc::new(ManualClock::at(from));
    let world = World::with(folder.path(), clock, Options { keep, ..Options::default() }).await;
    world.seconds(10, |_| vec![gauge(Metric::CoreBusy, "3", 42.0)]).await;
    world.settle().await;
    for (metric, subject) in [(Metric::CoreBusy, "3"), (Metric::NetReceived, "9")] {
        let (from, to) = (now - 380 * DAY + 5 * HOUR + MINUTE, now - 30 * DAY);
        // Blocks of four hours, and hours one by one.
        let years = world.query(metric, subject, from, to, 400).await.series.remove(0);
        let fine = world.query(metric, subject, from, to, 4096).await.series.remove(0);
        assert_eq!((years.level, fine.level), (Level::H1, Level::H1));
        assert_eq!((years.step_ms % (4 * HOUR), fine.step_ms % (4 * HOUR) != 0), (0, true));
        let peak = |points: &[Option<f64>]| points.iter().flatten().copied().fold(0.0, f64::max);
        let low = |points: &[Option<f64>]| points.iter().flatten().copied().fold(1e300, f64::min);
        assert_eq!(peak(&years.points.max), peak(&fine.points.max), "{metric:?}");
        assert_eq!(low(&years.points.min), low(&fine.points.min), "{metric:?}");
        assert!(years.points.mean.iter().all(Option::is_some), "a gap in {metric:?}");
    }
    world.history.stop().await;
}

#[tokio::test]
async fn the_newest_value_of_a_series_is_known_after_a_start_however_long_it_is_silent() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    world
        .seconds(700, |i| {
            vec![
                gauge(Metric::CpuBusy, "", i as f64 / 10.0),
                counter(Metric::NetSent, "eth0", i as u64),
            ]
        })
        .await;
    world.seconds(9000, |_| vec![gauge(Metric::CpuBusy, "", 7.0)]).await;
    world.settle().await;
    let clock = world.clock.clone();
    world.history.stop().await;
    let world = World::with(folder.path(), clock, Options::default()).await;
    let newest = |list: Vec<plimsoll_core::series::SeriesInfo>| {
        list.into_iter().map(|info| (info.key.metric, info.last_ms, info.last)).collect::<Vec<_>>()
    };
    let (busy, sent) = (START + 9699 * SECOND, START + 699 * SECOND);
    assert_eq!(
        newest(world.reader.series().await.unwrap()),
        [("cpu.busy".into(), Some(busy), Some(7.0)), ("net.sent".into(), Some(sent), Some(699.0))]
    );
    // What was deleted is not shown either.
    world.history.delete_before(Some(START + HOUR)).await.unwrap();
    let list = newest(world.reader.series().await.unwrap());
    assert_eq!(list[1], ("net.sent".into(), None, None));
    world.history.stop().await;
}
