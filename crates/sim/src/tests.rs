use plimsoll_core::{
    clock::Instant3,
    metric::{CATALOGUE, Metric, SubjectKind},
    process::EndProcess,
    reading::{Reading, Tick, Value},
    source::{SourceError, SourceState},
};
use plimsoll_sense::{InspectError, Options, Sources};
use tokio::sync::watch;

use super::*;

/// Tuesday 17 November 2026, 14:32 UTC.
const NOW_MS: i64 = 1_794_925_920_000;
const HOUR_MS: i64 = 3_600_000;
const GPU: &str = "GPU-5a1b7c02-9d34-4e0f-8c61-a71a50000001";

fn start() -> Instant3 {
    Instant3 { wall_ms: NOW_MS, monotonic_ms: 5_000_000, boottime_ms: 5_000_000 }
}

fn after(ms: i64) -> Instant3 {
    let start = start();
    Instant3 {
        wall_ms: start.wall_ms + ms,
        monotonic_ms: start.monotonic_ms + ms,
        boottime_ms: start.boottime_ms + ms,
    }
}

fn simulation(name: &str, seed: u64, speed: f64) -> Simulation {
    Simulation::new(name, seed, speed, start()).unwrap()
}

fn sources(simulation: &Simulation) -> Sources {
    simulation.sources(watch::channel(Options::default()).1)
}

fn read(sources: &mut Sources, now: Instant3) -> (Vec<Reading>, Vec<SourceError>) {
    let (mut readings, mut errors) = (Vec::new(), Vec::new());
    for source in &mut sources.list {
        if let Err(error) = source.read(now, &mut readings) {
            errors.push(error);
        }
    }
    (readings, errors)
}

fn tick(sources: &mut Sources, now: Instant3) -> Tick {
    Tick { at: now, readings: read(sources, now).0 }
}

#[test]
fn the_same_seed_gives_the_same_readings_and_another_seed_others() {
    let run = |seed| {
        let mut sources = sources(&simulation("day", seed, 1.0));
        (0..30).map(|s| read(&mut sources, after(s * 1000)).0).collect::<Vec<_>>()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn a_simulated_moment_looks_the_same_at_any_speed() {
    let mut slow = sources(&simulation("day", 7, 1.0));
    let mut fast = sources(&simulation("day", 7, 60.0));
    for minute in [1, 2, 4, 9] {
        // The slow one is read each second on its way there, the fast one is not.
        (0..60).for_each(|s| drop(read(&mut slow, after(minute * 60_000 - s))));
        let slow = read(&mut slow, after(minute * 60_000)).0;
        let fast = read(&mut fast, after(minute * 1000)).0;
        assert_eq!(slow, fast, "after {minute} min");
    }
}

#[test]
fn a_second_of_the_past_is_the_same_at_every_step_and_runs_into_the_live_readings() {
    let simulation = simulation("day", 7, 1.0).since(NOW_MS - HOUR_MS);
    let fine: Vec<_> = simulation.past(NOW_MS - HOUR_MS, NOW_MS + 10_000, 1000).collect();
    let coarse: Vec<_> = simulation.past(NOW_MS - HOUR_MS, NOW_MS, 60_000).collect();
    assert_eq!((fine.len(), coarse.len()), (3610, 60));
    for tick in &coarse {
        let place = usize::try_from((tick.at.wall_ms - NOW_MS + HOUR_MS) / 1000).unwrap();
        assert_eq!(tick.at, fine[place].at);
        assert_eq!(tick.readings, fine[place].readings);
    }
    // Seven seconds after the start no list of processes is due.
    let mut live = sources(&simulation);
    let live = read(&mut live, after(10_000 - 3000)).0;
    let past = &fine[3600 + 7];
    assert_eq!(past.at, after(7000));
    for reading in &past.readings {
        assert!(live.contains(reading), "{reading:?}");
    }
}

#[test]
fn every_metric_of_the_catalogue_is_simulated_except_our_own_containers_and_services() {
    let mut sources = sources(&simulation("day", 7, 1.0));
    let tick = tick(&mut sources, after(0));
    for spec in CATALOGUE {
        let ours = spec.name.starts_with("cgroup.")
            || matches!(
                spec.subject,
                SubjectKind::Plimsoll
                    | SubjectKind::Service
                    | SubjectKind::Model
                    | SubjectKind::Client
            );
        let there = tick.readings.iter().any(|r| r.metric.name() == spec.name);
        assert_eq!(there, !ours, "{}", spec.name);
    }
    let mut seen = std::collections::HashSet::new();
    for reading in &tick.readings {
        assert!(seen.insert((reading.metric, reading.subject.clone())), "{reading:?} twice");
        let Value::Gauge(value) = reading.value else { continue };
        let steps = value / reading.metric.spec().resolution;
        assert!((steps - steps.round()).abs() < 1e-6, "{reading:?} is not at its resolution");
        assert!(value.is_finite() && value >= 0.0, "{reading:?}");
    }
}

#[test]
fn over_a_whole_day_values_stay_possible_and_hang_together() {
    let simulation = simulation("day", 7, 1.0).since(NOW_MS - 24 * HOUR_MS);
    let mut energy = 0.0;
    let (mut idle, mut full, mut lost) = (f64::MAX, f64::MAX, 0);
    for tick in simulation.past(NOW_MS - 24 * HOUR_MS, NOW_MS, 10_000) {
        let of = |metric| tick.get(metric, GPU);
        let (Some(used), Some(free)) = (of(Metric::VramUsed), of(Metric::VramFree)) else {
            lost += 1;
            continue;
        };
        let total = of(Metric::VramTotal).unwrap();
        assert!((used + free - total).abs() < 1.0);
        // Each holder and what the driver keeps: nothing was cut off at the total.
        let held: f64 = tick
            .readings
            .iter()
            .filter(|r| r.metric == Metric::ProcessVram)
            .map(Reading::number)
            .sum();
        assert!((used - held - 364.0 * 1_048_576.0).abs() < 1.0, "at {}", tick.at.wall_ms);
        assert!(free > 50.0 * 1_048_576.0, "{free} free at {}", tick.at.wall_ms);
        full = full.min(free);
        let (watts, busy) = (of(Metric::GpuPower).unwrap(), of(Metric::GpuBusy).unwrap());
        assert!(watts <= of(Metric::GpuPowerLimit).unwrap() && watts >= 20.0);
        assert!(of(Metric::GpuTemperature).unwrap() < 85.0);
        if busy == 0.0 {
            assert!(watts < 40.0);
            idle = idle.min(watts);
        }
        if busy > 90.0 {
            assert!(watts > 300.0, "{watts} W at {busy} %");
        }
        let now = of(Metric::GpuEnergy).unwrap();
        assert!(now >= energy);
        energy = now;
        let memory = |metric| tick.get(metric, "").unwrap();
        assert!(memory(Metric::MemoryAvailable) > 0.2 * memory(Metric::MemoryTotal));
    }
    assert!(idle < 30.0, "a night without work");
    assert!(full < 1_073_741_824.0, "a batch that fills VRAM");
    assert_eq!(lost, 5, "42 s without the GPU");
    let kwh = energy / 3.6e6;
    assert!((1.5..6.0).contains(&kwh), "{kwh} kWh");
}

#[test]
fn a_lost_gpu_leaves_a_gap_and_comes_back_by_itself() {
    let mut sources = sources(&simulation("hiccup", 7, 1.0));
    let gpu_there = |readings: &[Reading]| readings.iter().any(|r| r.metric == Metric::VramUsed);
    let (readings, errors) = read(&mut sources, after(119_000));
    assert!(gpu_there(&readings) && errors.is_empty());

    let (readings, errors) = read(&mut sources, after(120_000));
    assert!(!gpu_there(&readings));
    assert!(readings.iter().any(|r| r.metric == Metric::CpuBusy), "the rest goes on");
    assert!(matches!(&errors[..], [SourceError::Lost(why)] if why.contains("Simulated")));
    let table = sources.processes.borrow().clone();
    assert!(table.vram_unknown.is_some());
    assert!(table.processes.iter().all(|p| p.vram_bytes.is_none()), "unknown is not 0");
    assert!(sources.gpu.borrow().is_some(), "which card it was is still known");

    let (readings, errors) = read(&mut sources, after(160_000));
    assert!(gpu_there(&readings) && errors.is_empty());
}

#[test]
fn the_past_names_the_lost_gpu_in_its_sources() {
    let simulation = simulation("hiccup", 7, 1.0);
    let mut past = simulation.past(NOW_MS + 119_000, NOW_MS + 122_000, 1000);
    let mut states = Vec::new();
    while past.next().is_some() {
        let gpu = past.sources().into_iter().find(|s| s.name == "gpu").unwrap();
        states.push((gpu.state, gpu.last_ms.unwrap() - NOW_MS));
    }
    use SourceState::{Healthy, Lost};
    assert_eq!(states, [(Healthy, 119_000), (Lost, 119_000), (Lost, 119_000)]);
}

#[test]
fn the_table_holds_services_containers_and_users_with_ten_minutes_of_trace() {
    let mut sources = sources(&simulation("day", 7, 1.0));
    read(&mut sources, after(0));
    let table = sources.processes.borrow().clone();
    assert!(table.processes.len() >= 30, "{}", table.processes.len());
    let find = |name: &str| table.processes.iter().find(|p| p.name == name).unwrap();
    assert_eq!(find("llama-server").container.as_deref(), Some("llama-chat"));
    assert_eq!(find("ollama").unit.as_deref(), Some("ollama.service"));
    assert_eq!(find("redis-server").user, "redis");
    assert_eq!(find("qdrant").cpu_trace.len(), 120);
    assert!(find("firefox").vram_bytes.is_some());
    let detail = sources.inspect.detail(find("qdrant").pid).unwrap();
    assert_eq!(detail.rss_trace.len(), 120);
    assert_eq!(detail.listens, ["0.0.0.0:6333", "0.0.0.0:6334"]);
    assert_eq!(find("qdrant").ports, [6333, 6334]);
    assert_eq!(find("ollama").ports, [11434]);
    assert_eq!(find("llama-server").ports, [8080]);
    assert_eq!(find("redis-server").ports, [6379]);
    assert!(find("firefox").ports.is_empty());
    assert_eq!(detail.parent_name.as_deref(), Some("systemd"));
}

#[test]
fn ending_a_process_frees_its_vram_in_the_simulation_and_says_so() {
    let mut sources = sources(&simulation("chat", 7, 1.0));
    let before = tick(&mut sources, after(0));
    let table = sources.processes.borrow().clone();
    let chat = table.processes.iter().find(|p| p.pid == 21734).unwrap().clone();
    let request = EndProcess { pid: chat.pid, started_ms: chat.started_ms, kill: false };

    let other = EndProcess { started_ms: chat.started_ms - 1000, ..request.clone() };
    assert!(matches!(sources.inspect.end(&other), Err(InspectError::Gone(_))));
    let said = sources.inspect.end(&request).unwrap();
    assert!(said.contains("llama-server (21734)") && said.contains("simulation"), "{said}");
    assert!(matches!(sources.inspect.end(&request), Err(InspectError::Gone(_))));

    let after_it = tick(&mut sources, after(1000));
    let used = |tick: &Tick| tick.get(Metric::VramUsed, GPU).unwrap();
    #[expect(clippy::cast_precision_loss, reason = "bytes")]
    let held = chat.vram_bytes.unwrap() as f64;
    assert!((used(&before) - used(&after_it) - held).abs() < 1.0);
    assert!(!sources.processes.borrow().processes.iter().any(|p| p.pid == 21734));
    assert!(after_it.get(Metric::GpuBusy, GPU) < before.get(Metric::GpuBusy, GPU));

    let init = EndProcess {
        pid: 1,
        started_ms: table.processes.iter().find(|p| p.pid == 1).unwrap().started_ms,
        kill: true,
    };
    assert!(matches!(sources.inspect.end(&init), Err(InspectError::Refused(_))));
}

#[test]
fn marks_of_the_scenario_stand_in_the_past_once_a_day() {
    let simulation = simulation("day", 7, 1.0);
    let marks = simulation.marks(NOW_MS - 48 * HOUR_MS, NOW_MS);
    assert_eq!(marks.len(), 10);
    assert!(marks.is_sorted_by_key(|m| m.at_ms));
    // The demo starts at 14:31 of its own day: the last restart was at 13:48:02.
    let last = marks.last().unwrap();
    assert_eq!(NOW_MS - last.at_ms, (42 * 60 + 58) * 1000);
    assert!(last.title.contains("restarted"));
}

#[test]
fn marks_of_the_scenario_come_once_each_as_time_passes() {
    for speed in [1.0, 60.0] {
        let simulation = simulation("day", 7, speed);
        let mut live = simulation.live_marks();
        assert_eq!(live.until(after(0)), []);
        let mut heard = Vec::new();
        let (mut now_ms, step_ms) = (0, if speed > 1.0 { 700 } else { 1000 });
        while (now_ms as f64) < 2.0 * 86_400_000.0 / speed {
            let marks = live.until(after(now_ms));
            // A mark stands where the tick of its moment does.
            assert!(marks.iter().all(|m| (0..=step_ms).contains(&(NOW_MS + now_ms - m.at_ms))));
            heard.extend(marks);
            now_ms += step_ms;
        }
        assert_eq!(heard.len(), 10, "{speed}");
        assert_eq!(heard, simulation.marks(NOW_MS, NOW_MS + now_ms));
        assert!(heard[0].title.contains("batch of 32"));
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds")]
        let batch_ms = (210_000.0 / speed) as i64;
        assert_eq!(heard[0].at_ms - NOW_MS, batch_ms);
    }
}

#[test]
fn a_clock_that_is_set_moves_the_marks_that_come_and_repeats_none() {
    let simulation = simulation("day", 7, 1.0);
    let mut live = simulation.live_marks();
    assert_eq!(live.until(after(209_000)), []);
    let set = |ms: i64| Instant3 { wall_ms: after(ms).wall_ms - HOUR_MS, ..after(ms) };
    let marks = live.until(set(211_000));
    assert_eq!(marks.len(), 1);
    assert_eq!(marks[0].at_ms, NOW_MS + 210_000 - HOUR_MS);
    assert_eq!(live.until(set(211_000)), []);
    assert_eq!(live.until(set(100_000)), []);
}

#[test]
fn the_demo_begins_shortly_before_its_batch() {
    let simulation = simulation("day", 7, 1.0);
    assert_eq!(simulation.phase(after(0)), "chat");
    assert_eq!(simulation.phase(after(5 * 60_000)), "a batch that fills VRAM");
}

#[test]
fn a_speed_or_scenario_that_cannot_be_is_refused_in_words() {
    let error = Simulation::new("day", 1, 0.0, start()).unwrap_err().to_string();
    assert!(error.contains("above 0"), "{error}");
    assert!(Simulation::new("day", 1, f64::NAN, start()).is_err());
    assert!(Simulation::new("week", 1, 1.0, start()).is_err());
}
