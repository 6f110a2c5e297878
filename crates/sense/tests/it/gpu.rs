//! The GPU through the real nvml-wrapper and a fake driver.

use plimsoll_core::{
    metric::{Metric, SubjectKind},
    reading::Reading,
    source::{Source, SourceError},
};

use crate::{
    at,
    fake::{FakeDriver, WHOLE},
    source, value,
};

const UUID: &str = "GPU-5a3f";

fn read(gpu: &mut Box<dyn Source>, ms: i64) -> Result<Vec<Reading>, SourceError> {
    let mut out = Vec::new();
    gpu.read(at(ms), &mut out).map(|()| out)
}

/// The scenario with another value for a key, or without it.
fn with(key: &str, value: Option<&str>) -> String {
    let rest: String = WHOLE
        .lines()
        .filter(|l| !l.starts_with(&format!("{key} =")))
        .map(|l| format!("{l}\n"))
        .collect();
    match value {
        Some(value) => format!("{rest}{key} = {value}\n"),
        None => rest,
    }
}

#[test]
fn every_reading_of_the_card_arrives_in_its_unit() {
    let driver = FakeDriver::with(WHOLE);
    let mut sources = driver.sources();
    let readings = read(&mut source(&mut sources, "gpu"), 0).unwrap();
    let of = |metric| value(&readings, metric, UUID);
    let expected = [
        (Metric::VramUsed, 18_253_611_008.0),
        (Metric::VramFree, 7_136_608_256.0),
        (Metric::VramTotal, 25_757_220_864.0),
        (Metric::GpuBusy, 87.0),
        (Metric::GpuMemoryBusy, 41.0),
        (Metric::GpuPower, 312.5),
        (Metric::GpuPowerLimit, 450.0),
        (Metric::GpuTemperature, 71.0),
        (Metric::GpuFan, 62.0),
        (Metric::GpuClockGraphics, 2520.0),
        (Metric::GpuClockSm, 2520.0),
        (Metric::GpuClockMemory, 10501.0),
        (Metric::GpuThrottleThermal, 0.0),
        (Metric::GpuThrottlePower, 1.0),
        (Metric::GpuPcieGeneration, 4.0),
        (Metric::GpuPcieWidth, 16.0),
        (Metric::GpuPcieReceived, 2_048_000.0),
        (Metric::GpuPcieSent, 1_024_000.0),
        (Metric::GpuEncoder, 12.0),
        (Metric::GpuDecoder, 34.0),
    ];
    for (metric, number) in expected {
        assert_eq!(of(metric), Some(number), "{}", metric.name());
    }
    // Millijoules of the driver are kept whole, and shown as joules.
    assert!((of(Metric::GpuEnergy).unwrap() - 123_456.789).abs() < 1e-6);
    // All that the catalogue has about a GPU was read.
    let catalogue = Metric::ALL.iter().filter(|m| m.spec().subject == SubjectKind::Gpu);
    assert_eq!(readings.len(), catalogue.count());

    let info = sources.gpu.borrow().clone().unwrap();
    assert_eq!((&*info.name, &*info.uuid), ("NVIDIA GeForce RTX 4090", UUID));
    assert_eq!(info.driver_version.as_deref(), Some("550.54.14"));
    assert_eq!(info.cuda_version.as_deref(), Some("12.4"));
    assert_eq!(info.nvml_version.as_deref(), Some("12.550.54.14"));
    assert_eq!((info.slowdown_celsius, info.shutdown_celsius), (Some(90), Some(95)));
    assert_eq!(info.power_limit_watts, Some(450.0));
    let clocks = [info.graphics_clock_max_mhz, info.sm_clock_max_mhz, info.memory_clock_max_mhz];
    assert_eq!(clocks, [Some(3105), Some(3105), Some(10501)]);
    assert_eq!((info.pcie_generation_max, info.pcie_width_max), (Some(4), Some(16)));
    assert_eq!(info.vram_total_bytes, Some(25_757_220_864));
    assert_eq!(info.throttle_reasons, ["SW power cap"]);
    assert!(info.missing.is_empty() && info.others.is_empty());
}

#[test]
fn what_blocks_the_driver_is_read_with_the_processes_only() {
    let driver = FakeDriver::with(WHOLE);
    let mut gpu = source(&mut driver.sources(), "gpu");
    let mut slow = Vec::new();
    for second in 0..11 {
        let readings = read(&mut gpu, second * 1000).unwrap();
        assert!(value(&readings, Metric::GpuBusy, UUID).is_some());
        if value(&readings, Metric::GpuPcieSent, UUID).is_some() {
            slow.push(second);
        }
    }
    assert_eq!(slow, [0, 5, 10]);
}

#[test]
fn a_reading_that_the_card_does_not_have_is_left_out_and_is_not_zero() {
    let driver = FakeDriver::with(&with("fan", None));
    let mut sources = driver.sources();
    let mut gpu = source(&mut sources, "gpu");
    let readings = read(&mut gpu, 0).unwrap();
    assert_eq!(value(&readings, Metric::GpuFan, UUID), None);
    assert_eq!(value(&readings, Metric::GpuBusy, UUID), Some(87.0));
    let missing = || sources.gpu.borrow().as_ref().unwrap().missing.clone();
    assert_eq!(missing(), ["gpu.fan"], "the window can name it");

    // The driver's own "unknown error" of one reading leaves the others alone.
    driver.set(&with("power", Some("error 999")));
    let readings = read(&mut gpu, 1000).unwrap();
    assert_eq!(value(&readings, Metric::GpuPower, UUID), None);
    assert_eq!(value(&readings, Metric::GpuFan, UUID), Some(62.0));
    assert_eq!(missing(), ["gpu.power"]);

    driver.set("uuid = GPU-5a3f\n");
    let SourceError::Failed(reason) = read(&mut gpu, 2000).unwrap_err() else {
        panic!("a card without a single reading has failed");
    };
    assert!(reason.contains("not available"), "{reason}");
}

#[test]
fn throttling_is_named_by_its_reasons() {
    // SW thermal slowdown and HW slowdown.
    let driver = FakeDriver::with(&with("throttle", Some("40")));
    let mut sources = driver.sources();
    let mut gpu = source(&mut sources, "gpu");
    let readings = read(&mut gpu, 0).unwrap();
    assert_eq!(value(&readings, Metric::GpuThrottleThermal, UUID), Some(1.0));
    assert_eq!(value(&readings, Metric::GpuThrottlePower, UUID), Some(0.0));
    let reasons = sources.gpu.borrow().clone().unwrap().throttle_reasons.clone();
    assert_eq!(reasons, ["HW slowdown", "SW thermal slowdown"]);

    // An idle card is not throttled.
    driver.set(&with("throttle", Some("1")));
    let readings = read(&mut gpu, 1000).unwrap();
    assert_eq!(value(&readings, Metric::GpuThrottleThermal, UUID), Some(0.0));
    assert!(sources.gpu.borrow().clone().unwrap().throttle_reasons.is_empty());
}

#[test]
fn a_gpu_that_is_lost_is_named_and_found_again_without_a_restart() {
    let driver = FakeDriver::with(WHOLE);
    let mut sources = driver.sources();
    let mut gpu = source(&mut sources, "gpu");
    read(&mut gpu, 0).unwrap();

    driver.set(&format!("state = lost\n{WHOLE}"));
    let SourceError::Lost(reason) = read(&mut gpu, 1000).unwrap_err() else {
        panic!("a card that fell off the bus is lost");
    };
    assert!(reason.contains("fell off the bus"), "{reason}");
    // Its name stays: the window says which card it is that is missing.
    assert!(sources.gpu.borrow().is_some());

    // The library is opened anew after a wait that doubles, up to half a minute.
    let mut tries = Vec::new();
    let mut before = gpu.cadence();
    for ms in (1500..200_000).step_by(500) {
        assert!(matches!(read(&mut gpu, ms), Err(SourceError::Lost(_))));
        let now = gpu.cadence();
        if now != before {
            tries.push(ms);
        }
        before = now;
    }
    assert!(tries.first().is_some_and(|&first| first >= 2000), "{tries:?}");

    // A driver that no longer sees the card says that there is none.
    driver.set(&format!("state = no-card\n{WHOLE}"));
    let Some(SourceError::Lost(reason)) =
        (200_000..240_000).step_by(1000).filter_map(|ms| read(&mut gpu, ms).err()).last()
    else {
        panic!("a card that was there is lost and not absent");
    };
    assert!(reason.starts_with("NVIDIA GeForce RTX 4090 was here and is gone"), "{reason}");

    driver.set(WHOLE);
    let back = (240_000..280_000).step_by(1000).find(|&ms| read(&mut gpu, ms).is_ok());
    assert!(back.is_some_and(|ms| ms <= 270_000), "{back:?}");
    let readings = read(&mut gpu, 280_000).unwrap();
    assert_eq!(value(&readings, Metric::GpuBusy, UUID), Some(87.0));
}

#[test]
fn a_driver_updated_under_way_is_named_and_recovered_from() {
    let driver = FakeDriver::with(WHOLE);
    let mut gpu = source(&mut driver.sources(), "gpu");
    read(&mut gpu, 0).unwrap();
    driver.set(&format!("state = mismatch\n{WHOLE}"));
    let SourceError::Lost(reason) = read(&mut gpu, 1000).unwrap_err() else {
        panic!("a driver that does not match is no driver");
    };
    assert!(reason.contains("updated under way"), "{reason}");
    assert!(reason.contains("Restart the machine"), "{reason}");
    // Opening the library fails in the same words.
    assert_eq!(read(&mut gpu, 60_000).unwrap_err(), SourceError::Lost(reason));
    driver.set(WHOLE);
    assert!(read(&mut gpu, 120_000).is_ok());
}

#[test]
fn a_machine_without_driver_or_card_says_so_and_sees_one_that_comes() {
    let driver = FakeDriver::missing();
    let mut sources = driver.sources();
    let mut gpu = source(&mut sources, "gpu");
    let absent = |error: SourceError, word: &str| {
        let SourceError::Absent(reason) = error else { panic!("{error:?} is not absent") };
        assert!(reason.contains(word), "{reason}");
    };
    absent(read(&mut gpu, 0).unwrap_err(), "cannot be loaded");
    assert!(sources.gpu.borrow().is_none());

    driver.set(&format!("state = not-loaded\n{WHOLE}"));
    driver.install();
    absent(read(&mut gpu, 40_000).unwrap_err(), "modprobe nvidia");
    driver.set(&format!("state = no-card\n{WHOLE}"));
    absent(read(&mut gpu, 80_000).unwrap_err(), "no GPU");
    driver.set(WHOLE);
    assert!(read(&mut gpu, 120_000).is_ok());
    assert!(sources.gpu.borrow().is_some());
}

#[test]
fn a_driver_in_an_unusual_place_is_found() {
    for place in ["usr/local/nvidia/lib64", "usr/lib/wsl/lib", "run/opengl-driver/lib"] {
        let (driver, mut sources) = FakeDriver::found_in(place, WHOLE);
        read(&mut source(&mut sources, "gpu"), 0).unwrap();
        let uuid = sources.gpu.borrow().clone().unwrap().uuid.clone();
        // Where the machine has a driver of its own, the loader knows that one.
        let real = std::path::Path::new("/proc/driver/nvidia/version").exists();
        assert!(uuid == UUID || real, "{place}: {uuid}");
        drop(driver);
    }
}

#[test]
fn the_gpu_is_switched_off_and_on_while_running() {
    let driver = FakeDriver::with(WHOLE);
    let mut sources = driver.sources();
    let mut gpu = source(&mut sources, "gpu");
    read(&mut gpu, 0).unwrap();
    driver.options.send_modify(|options| options.gpu_enabled = false);
    assert!(
        matches!(read(&mut gpu, 1000), Err(SourceError::Absent(reason)) if reason.contains("gpu.enabled"))
    );
    assert!(sources.gpu.borrow().is_none());
    driver.options.send_modify(|options| options.gpu_enabled = true);
    assert!(read(&mut gpu, 2000).is_ok());
    assert!(sources.gpu.borrow().is_some());
}

#[test]
fn processes_hold_the_vram_that_the_driver_says() {
    let own = std::process::id();
    let driver = FakeDriver::with(&format!(
        "{WHOLE}process = compute {own} 8589934592\nprocess = graphics {own} 8589934592\n\
         process = graphics 1 unavailable\n"
    ));
    let mut sources = driver.sources();
    let mut gpu = source(&mut sources, "gpu");
    let mut processes = source(&mut sources, "processes");
    let mut scan = |ms| {
        let mut out = Vec::new();
        processes.read(at(ms), &mut out).unwrap();
        out
    };
    let table = sources.processes.clone();
    let vram = |pid: u32| {
        let table = table.borrow();
        let process = table.processes.iter().find(|p| u32::try_from(p.pid) == Ok(pid)).unwrap();
        process.vram_bytes
    };

    // Before the GPU was read nobody knows, and nobody says zero.
    scan(0);
    assert!(table.borrow().vram_unknown.is_some());
    assert_eq!(vram(own), None);

    read(&mut gpu, 0).unwrap();
    let out = scan(5000);
    assert_eq!(table.borrow().vram_unknown, None);
    assert_eq!(vram(own), Some(8 << 30));
    assert_eq!(vram(1), None, "unknown is not zero");
    // The test is a process of Plimsoll: what it holds is told as our own.
    assert_eq!(value(&out, Metric::SelfVram, ""), Some(8_589_934_592.0));
    let name = {
        let table = table.borrow();
        let found = table.processes.iter().find(|p| u32::try_from(p.pid) == Ok(own)).unwrap();
        assert!(found.own);
        found.name.clone()
    };
    assert_eq!(value(&out, Metric::ProcessVram, &name), Some(8_589_934_592.0));

    driver.set(&format!("{WHOLE}processes = error 3\n"));
    let out = scan(10_000);
    assert!(table.borrow().vram_unknown.as_deref().unwrap().contains("does not list"));
    assert_eq!(value(&out, Metric::SelfVram, ""), None);

    // One list is missing: who stands in it would seem to hold nothing.
    driver.set(&format!(
        "{WHOLE}process = compute {own} 8589934592\nprocesses.graphics = error 999\n"
    ));
    let out = scan(12_000);
    assert!(table.borrow().vram_unknown.is_some());
    assert_eq!(vram(own), None);
    assert_eq!(value(&out, Metric::SelfVram, ""), None);
    // A card without such processes has no such list, and the others count.
    driver
        .set(&format!("{WHOLE}process = compute {own} 8589934592\nprocesses.graphics = error 3\n"));
    let out = scan(13_000);
    assert_eq!(table.borrow().vram_unknown, None);
    assert_eq!(value(&out, Metric::SelfVram, ""), Some(8_589_934_592.0));

    driver.set(&format!("{WHOLE}process = compute {own} unavailable\n"));
    let out = scan(15_000);
    assert!(table.borrow().vram_unknown.is_some());
    assert_eq!(value(&out, Metric::SelfVram, ""), None);

    driver.set(&format!("{WHOLE}process = compute 2147483646 1073741824\n"));
    scan(20_000);
    assert!(table.borrow().vram_unknown.as_deref().unwrap().contains("container"));
}
