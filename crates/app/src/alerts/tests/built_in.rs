//! The rules that come with Plimsoll, each at its own defaults.

use plimsoll_core::{
    alert::Severity, config::BUILT_IN, device::GpuInfo, metric::Metric, source::SourceState,
    unit::Unit,
};

use super::{
    super::watch::{watch, watches},
    bench::{Bench, GIB, GPU},
};

const MIB: f64 = 1_048_576.0;

fn fresh() -> Bench {
    Bench::new(|_| {})
}

fn card(slowdown: Option<u32>) -> GpuInfo {
    GpuInfo { uuid: GPU.into(), slowdown_celsius: slowdown, ..GpuInfo::default() }
}

fn vram(free: f64) -> [(Metric, &'static str, f64); 2] {
    [(Metric::VramFree, GPU, free), (Metric::VramTotal, GPU, 24.0 * GIB)]
}

#[test]
fn every_built_in_rule_has_its_row_and_every_row_its_rule() {
    let settings: Vec<_> = BUILT_IN.iter().map(|b| b.id).collect();
    let rows: Vec<_> = watches().map(|w| w.id).collect();
    assert_eq!(settings, rows);
    for built_in in BUILT_IN {
        let row = watch(built_in.id).unwrap();
        let sentence = (row.sentence)(&built_in.rule());
        assert!(sentence.ends_with('.'), "{sentence}");
        assert!((row.advice)("x").ends_with(['.', '!']), "{}", built_in.id);
        if let Some(metric) = Metric::named(built_in.metric) {
            assert!(row.metrics.contains(&metric), "{}", built_in.id);
        }
    }
}

// AR7
#[test]
fn plimsoll_itself_alerts_above_its_own_limits() {
    for (metric, rule, quiet, loud, after_s, title) in [
        (
            Metric::SelfRss,
            "self-memory",
            511.0 * MIB,
            600.0 * MIB,
            60,
            "Plimsoll itself takes 600 MiB of RAM.",
        ),
        (Metric::SelfCpu, "self-cpu", 90.0, 97.0, 60, "Plimsoll itself takes 97 % of a core."),
        (Metric::SelfLag, "self-lag", 100.0, 140.5, 10, "Timers inside Plimsoll fire 140 ms late."),
        (Metric::SelfTasks, "self-tasks", 1000.0, 1001.0, 30, "Plimsoll runs 1001 tasks at once."),
    ] {
        let mut bench = fresh();
        bench.ticks(120, &[(metric, "", quiet)]);
        assert!(bench.events.is_empty(), "{rule}");
        bench.ticks(after_s, &[(metric, "", loud)]);
        assert!(bench.events.is_empty(), "{rule} after {after_s} s");
        bench.tick(&[(metric, "", loud)]);
        assert_eq!(bench.active(), [rule]);
        assert_eq!(bench.rows()[0].title, title);
    }
}

// MA6
#[test]
fn memory_warns_at_70_and_acts_at_80_percent_of_what_is_not_available() {
    let used =
        |gib: f64| [(Metric::MemoryUsed, "", gib * GIB), (Metric::MemoryTotal, "", 64.0 * GIB)];
    let mut bench = fresh();
    bench.ticks(60, &used(0.70 * 64.0));
    assert!(bench.events.is_empty());
    bench.ticks(31, &used(0.72 * 64.0));
    assert_eq!(bench.active(), ["memory-warn"]);
    assert_eq!(bench.rows()[0].title, "72 % of RAM is in use: 17.9 GiB of 64.0 GiB is left.");
    bench.ticks(11, &used(0.83 * 64.0));
    assert_eq!(bench.active(), ["memory-act", "memory-warn"], "the worst first");
    assert_eq!(bench.rows().last().map(|r| r.severity), Some(Severity::Critical));
    bench.ticks(1, &used(0.74 * 64.0));
    assert_eq!(bench.active(), ["memory-warn"]);
    bench.tick(&used(0.64 * 64.0));
    assert!(bench.active().is_empty());
}

// MA6
#[test]
fn memory_pressure_alerts_whatever_the_share_says() {
    let mut bench = fresh();
    bench.ticks(11, &[(Metric::PressureMemoryFull, "", 12.0)]);
    assert_eq!(bench.active(), ["memory-pressure"]);
    assert_eq!(bench.rows()[0].title, "All tasks wait for memory 12 % of the time.");
}

// MA6
#[test]
fn inside_a_container_its_own_limit_counts_where_it_is_nearer() {
    let mut bench = fresh();
    bench.ticks(
        11,
        &[
            (Metric::MemoryUsed, "", 10.0 * GIB),
            (Metric::MemoryTotal, "", 64.0 * GIB),
            (Metric::CgroupMemoryUsed, "", 3.5 * GIB),
            (Metric::CgroupMemoryLimit, "", 4.0 * GIB),
        ],
    );
    assert_eq!(bench.active(), ["memory-act"]);
    assert!(bench.rows()[0].title.contains("the container's memory"), "{}", bench.rows()[0].title);
}

#[test]
fn vram_that_is_taken_beforehand_is_no_alarm() {
    let mut bench = fresh();
    bench.ticks(60, &vram(20.0 * GIB));
    // A model server takes all but half a gigabyte within ten seconds, and stays.
    (0..10).for_each(|n| bench.tick(&vram((20.0 - 1.95 * f64::from(n + 1)) * GIB)));
    bench.ticks(3600, &vram(0.5 * GIB));
    assert!(bench.events.is_empty(), "{:?}", bench.events);
}

#[test]
fn vram_that_runs_out_alarms_and_ends_when_it_is_steady_or_free_again() {
    let mut bench = fresh();
    let falling = |n: i32| vram(1.1 * GIB - f64::from(n) * 6.0 * MIB);
    (0..120).for_each(|n| bench.tick(&falling(n)));
    assert_eq!(bench.active(), ["vram-free GPU-1"]);
    let title = &bench.rows()[0].title;
    assert!(
        title.starts_with("VRAM: 8")
            && title.ends_with("of 24.0 GiB is free, and it is getting less."),
        "{title}"
    );
    // Less than the value that ends it, and no more falling: ten minutes of grace.
    bench.ticks(600, &falling(119));
    assert_eq!(bench.active(), ["vram-free GPU-1"]);
    bench.ticks(30, &falling(119));
    assert!(bench.active().is_empty(), "this is how things are now");

    (119..180).for_each(|n| bench.tick(&falling(n)));
    assert_eq!(bench.active(), ["vram-free GPU-1"], "it falls again");
    bench.tick(&vram(1.6 * GIB));
    assert!(bench.active().is_empty());
}

#[test]
fn a_gpu_is_hot_near_its_own_slowdown_point_and_nowhere_else() {
    let at = |celsius| [(Metric::GpuTemperature, GPU, celsius)];
    let mut bench = fresh();
    bench.ticks(60, &at(99.0));
    assert!(bench.events.is_empty(), "a card that names no slowdown point is not compared");
    bench.gpu = Some(card(Some(90)));
    bench.ticks(60, &at(84.0));
    assert!(bench.events.is_empty());
    bench.ticks(11, &at(85.0));
    assert_eq!(bench.active(), ["gpu-hot GPU-1"]);
    assert_eq!(bench.rows()[0].title, "The GPU is at 85 °C, 5 °C below its slowdown point.");
    assert_eq!(bench.rows()[0].threshold, Some(85.0));
    bench.ticks(5, &at(83.0));
    assert_eq!(bench.active(), ["gpu-hot GPU-1"], "8 °C below ends it");
    bench.tick(&at(82.0));
    assert!(bench.active().is_empty());

    let mut cooler = fresh();
    cooler.gpu = Some(card(Some(105)));
    cooler.ticks(60, &at(90.0));
    assert!(cooler.events.is_empty());
}

#[test]
fn throttling_alerts_by_its_reason_once_it_lasts() {
    let mut bench = fresh();
    let both = [(Metric::GpuThrottleThermal, GPU, 1.0), (Metric::GpuThrottlePower, GPU, 1.0)];
    bench.ticks(11, &both);
    assert_eq!(bench.active(), ["gpu-throttle-thermal GPU-1"]);
    bench.ticks(290, &both);
    assert_eq!(bench.active(), ["gpu-throttle-thermal GPU-1", "gpu-throttle-power GPU-1"]);
    assert_eq!(bench.notices().len(), 1, "the power limit is information");
}

#[test]
fn a_disk_alerts_by_share_or_by_floor_whichever_comes_first() {
    let mount = |left: f64, total: f64| {
        [(Metric::MountAvailable, "/data", left * GIB), (Metric::MountTotal, "/data", total * GIB)]
    };
    let alerts = |left, total| {
        let mut bench = fresh();
        bench.ticks(31, &mount(left, total));
        bench.active().len()
    };
    assert_eq!(alerts(110.0, 1000.0), 0);
    assert_eq!(alerts(90.0, 1000.0), 1, "9 %");
    assert_eq!(alerts(9.0, 60.0), 1, "15 %, but below 10 GiB");
    assert_eq!(alerts(1.0, 6.0), 0, "the floor is no measure for a small disk");
    assert_eq!(alerts(0.5, 6.0), 1, "8 % of a small disk is little");

    let mut bench = fresh();
    bench.ticks(31, &mount(9.0, 60.0));
    bench.ticks(10, &mount(11.9, 60.0));
    assert_eq!(bench.active(), ["disk-space /data"], "a fifth above the floor ends it");
    bench.tick(&mount(12.0, 60.0));
    assert!(bench.active().is_empty());
}

#[test]
fn space_that_is_read_every_ten_seconds_is_known_in_between() {
    let mut bench = fresh();
    let mount = [(Metric::MountAvailable, "/", GIB), (Metric::MountTotal, "/", 100.0 * GIB)];
    for _ in 0..3 {
        bench.tick(&mount);
        bench.ticks(9, &[]);
    }
    bench.tick(&mount);
    assert_eq!(bench.active(), ["disk-space /"]);
}

#[test]
fn a_lost_gpu_alerts_at_once_and_a_late_one_says_nothing() {
    let mut bench = fresh();
    bench.gpu = Some(card(None));
    bench.source("gpu", SourceState::Healthy, "");
    bench.tick(&[]);
    bench.source("gpu", SourceState::Lost, "GPU is lost");
    bench.gpu = None;
    bench.tick(&[]);
    assert_eq!(bench.active(), ["gpu-lost GPU-1"], "by the name it had");
    assert_eq!(bench.rows()[0].title, "The GPU does not answer: GPU is lost.");
    bench.ticks(60, &[]);
    assert_eq!(bench.active().len(), 1, "its silence is no second alert");
    bench.source("gpu", SourceState::Late, "no answer for 3 s");
    bench.ticks(20, &[]);
    assert_eq!(bench.active(), ["gpu-lost GPU-1"]);
    bench.source("gpu", SourceState::Healthy, "");
    bench.tick(&[]);
    assert!(bench.active().is_empty());
}

#[test]
fn a_gpu_that_was_lost_before_it_told_its_name_is_not_mourned_when_it_is_back() {
    let mut bench = fresh();
    bench.source("gpu", SourceState::Lost, "the driver was updated under way");
    bench.tick(&[]);
    assert_eq!(bench.active(), ["gpu-lost"]);
    bench.gpu = Some(card(None));
    bench.source("gpu", SourceState::Healthy, "");
    bench.tick(&[]);
    assert!(bench.active().is_empty());
}

#[test]
fn the_line_of_used_space_stands_where_the_alert_begins() {
    // 5 GiB of it are reserved for root: they are neither used nor available.
    let disk = |left: f64| {
        [
            (Metric::MountTotal, "/", 100.0 * GIB),
            (Metric::MountAvailable, "/", left * GIB),
            (Metric::MountUsed, "/", (95.0 - left) * GIB),
        ]
    };
    let mut bench = fresh();
    bench.tick(&disk(40.0));
    let rules = bench.engine.rules();
    let rule = rules.iter().find(|r| r.id == "disk-space").unwrap();
    let line = rule.lines.iter().find(|l| l.metric == "mount.used").unwrap();
    assert_eq!(line.value, 85.0 * GIB);
    bench.ticks(40, &disk(10.1));
    assert!(bench.active().is_empty());
    bench.ticks(40, &disk(9.9));
    assert_eq!(bench.active(), ["disk-space /"]);
}

#[test]
fn a_source_that_is_silent_for_30_s_alerts_and_one_that_is_absent_does_not() {
    let mut bench = fresh();
    bench.source("system", SourceState::Healthy, "");
    bench.source("gpu", SourceState::Absent, "No NVIDIA driver on this machine");
    bench.ticks(60, &[]);
    assert!(bench.events.is_empty());
    bench.sources[0].state = SourceState::Late;
    bench.sources[0].reason = "no answer for 3 s".into();
    bench.ticks(29, &[]);
    assert!(bench.events.is_empty());
    // The last reading is a second old when the first silent tick is looked at.
    bench.tick(&[]);
    assert_eq!(bench.active(), ["source-silent system"]);
    assert_eq!(
        bench.rows()[0].title,
        "Nothing has been read from `system` for 30 s: no answer for 3 s."
    );
}

#[test]
fn a_clock_that_jumps_forward_silences_no_source() {
    let mut bench = fresh();
    bench.source("space", SourceState::Healthy, "");
    bench.ticks(5, &[]);
    bench.sources[0].state = SourceState::Starting; // between two readings
    bench.clock.step_wall_ms(3_600_000);
    bench.ticks(9, &[]);
    assert!(bench.events.is_empty());
}

#[test]
fn a_source_that_is_read_every_minute_may_be_silent_that_long() {
    let mut bench = Bench::new(|config| config.sampling.processes_ms = 60_000);
    bench.source("processes", SourceState::Starting, "");
    bench.ticks(150, &[]);
    assert!(bench.events.is_empty());
    bench.tick(&[]);
    assert_eq!(bench.active(), ["source-silent processes"]);
}

#[test]
fn paused_recording_and_too_many_series_alert_at_once() {
    let mut bench = fresh();
    bench.recording.paused = Some("the disk is full".into());
    bench.recording.series_turned_away = 12;
    bench.tick(&[]);
    assert_eq!(bench.active(), ["recording-paused", "series-limit"]);
    assert_eq!(bench.rows()[0].title, "The history is not recorded: the disk is full.");
    assert_eq!(bench.rows()[1].title, "12 series found no room below sampling.max_series.");
    bench.recording = Default::default();
    bench.tick(&[]);
    assert!(bench.active().is_empty());
}

#[test]
fn an_address_that_is_taken_and_a_file_that_is_broken_alert_at_once_in_their_own_words() {
    let mut bench = fresh();
    let taken = "127.0.0.1:1876 is taken by vllm (pid 7). Stop it.";
    let broken = "/c/plimsoll.toml is not in force. Line 2: there is no setting a.";
    bench.shortfalls.gateway = Some(taken.into());
    bench.shortfalls.config = Some(broken.into());
    bench.tick(&[]);
    let mut rows: Vec<_> = bench.rows().iter().map(|row| (&*row.rule, &*row.title)).collect();
    rows.sort_unstable();
    assert_eq!(rows, [("config-file", broken), ("gateway-address", taken)]);
    bench.shortfalls = Default::default();
    bench.tick(&[]);
    assert!(bench.active().is_empty());
}

#[test]
fn the_list_of_rules_carries_sentences_and_load_lines_in_force() {
    let mut bench = Bench::new(|config| {
        config.alerts.rules.get_mut("memory-warn").unwrap().threshold = Some(75.0);
    });
    bench.gpu = Some(card(Some(90)));
    bench.tick(&[
        (Metric::GpuTemperature, GPU, 60.0),
        (Metric::VramFree, GPU, 4.0 * GIB),
        (Metric::VramTotal, GPU, 24.0 * GIB),
        (Metric::MemoryUsed, "", 8.0 * GIB),
        (Metric::MemoryTotal, "", 64.0 * GIB),
        (Metric::MountAvailable, "/", 500.0 * GIB),
        (Metric::MountTotal, "/", 1000.0 * GIB),
        (Metric::MountAvailable, "/home", 30.0 * GIB),
        (Metric::MountTotal, "/home", 50.0 * GIB),
    ]);
    let rules = bench.engine.rules();
    assert_eq!(rules.len(), BUILT_IN.len());
    let rule = |id: &str| rules.iter().find(|r| r.id == id).unwrap();
    let line = |id: &str, metric: &str, subject: &str| {
        let line = rule(id).lines.iter().find(|l| l.metric == metric && l.subject == subject);
        line.map(|l| (l.value, l.below))
    };
    let hot = rule("gpu-hot");
    assert_eq!(
        (hot.metric.as_deref(), hot.threshold, hot.below),
        (Some("gpu.temperature"), Some(85.0), false)
    );
    assert_eq!(hot.unit, Some(Unit::Celsius));
    assert_eq!(rule("memory-warn").sentence, "More than 75 % of RAM is not available, for 30 s.");
    assert_eq!(line("memory-warn", "memory.used", ""), Some((48.0 * GIB, false)));
    assert_eq!(line("vram-free", "gpu.vram.used", GPU), Some((23.0 * GIB, false)));
    assert_eq!(line("vram-free", "gpu.vram.free", GPU), Some((GIB, true)));
    assert_eq!(line("disk-space", "mount.used", "/"), Some((900.0 * GIB, false)));
    assert_eq!(
        line("disk-space", "mount.available", "/home"),
        Some((10.0 * GIB, true)),
        "the floor is nearer"
    );
    assert_eq!(
        rule("disk-space").sentence,
        "A disk has less than 10 % of its size or less than 10.0 GiB left, for 30 s."
    );
    assert_eq!(rule("self-cpu").lines, []);
}
