//! One tick of the card, reading by reading. What a card does not have is left out.

use std::{collections::BTreeSet, sync::Arc};

use nvml_wrapper::{
    Device, Nvml,
    bitmasks::device::ThrottleReasons,
    cuda_driver_version_major, cuda_driver_version_minor,
    enum_wrappers::device::{Clock, PcieUtilCounter, TemperatureSensor, TemperatureThreshold},
    error::NvmlError,
};
use plimsoll_core::{device::GpuInfo, metric::Metric, reading::Reading};

use super::{
    CARD, Open,
    library::kernel_module,
    trouble::{Meaning, Trouble},
};
use crate::roots::Roots;

/// Names as NVIDIA's own tools use them.
const REASONS: [(ThrottleReasons, &str); 8] = [
    (ThrottleReasons::APPLICATIONS_CLOCKS_SETTING, "application clocks"),
    (ThrottleReasons::SW_POWER_CAP, "SW power cap"),
    (ThrottleReasons::HW_SLOWDOWN, "HW slowdown"),
    (ThrottleReasons::SYNC_BOOST, "sync boost"),
    (ThrottleReasons::SW_THERMAL_SLOWDOWN, "SW thermal slowdown"),
    (ThrottleReasons::HW_THERMAL_SLOWDOWN, "HW thermal slowdown"),
    (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, "HW power brake"),
    (ThrottleReasons::DISPLAY_CLOCK_SETTING, "display clocks"),
];

/// What does not change: read once after the library was opened.
pub fn info(nvml: &Nvml, roots: &Roots) -> Result<GpuInfo, Trouble> {
    let trouble = |error: NvmlError| Trouble::of(&error, kernel_module(roots).as_deref());
    let cards = nvml.device_count().map_err(trouble)?;
    if cards == 0 {
        return Err(Trouble::of(&NvmlError::NotFound, None));
    }
    let card = nvml.device_by_index(CARD).map_err(trouble)?;
    let name_of = |card: &Device<'_>| card.name().unwrap_or_else(|_| "NVIDIA GPU".into());
    let cuda = nvml.sys_cuda_driver_version().ok().map(|version| {
        format!("{}.{}", cuda_driver_version_major(version), cuda_driver_version_minor(version))
    });
    Ok(GpuInfo {
        uuid: card.uuid().map_err(trouble)?,
        name: name_of(&card),
        driver_version: nvml.sys_driver_version().ok(),
        cuda_version: cuda,
        nvml_version: nvml.sys_nvml_version().ok(),
        vram_total_bytes: card.memory_info().ok().map(|memory| memory.total),
        slowdown_celsius: card.temperature_threshold(TemperatureThreshold::Slowdown).ok(),
        shutdown_celsius: card.temperature_threshold(TemperatureThreshold::Shutdown).ok(),
        power_limit_watts: card.enforced_power_limit().ok().map(watts),
        graphics_clock_max_mhz: card.max_clock_info(Clock::Graphics).ok(),
        memory_clock_max_mhz: card.max_clock_info(Clock::Memory).ok(),
        sm_clock_max_mhz: card.max_clock_info(Clock::SM).ok(),
        pcie_generation_max: card.max_pcie_link_gen().ok(),
        pcie_width_max: card.max_pcie_link_width().ok(),
        throttle_reasons: Vec::new(),
        missing: Vec::new(),
        others: (1..cards)
            .filter_map(|index| nvml.device_by_index(index).ok())
            .map(|other| name_of(&other))
            .collect(),
    })
}

/// Collects readings and stops at the first error after which nothing works.
struct Tick<'a> {
    subject: &'a Arc<str>,
    out: &'a mut Vec<Reading>,
    made: usize,
    last_error: Option<NvmlError>,
    /// What the card does not give; readings of other ticks stay as they were.
    missing: &'a mut BTreeSet<Metric>,
}

impl Tick<'_> {
    /// One answer, which makes the readings of `metrics`.
    fn take<T>(
        &mut self,
        metrics: &[Metric],
        result: Result<T, NvmlError>,
    ) -> Result<Option<T>, Trouble> {
        match result {
            Ok(value) => {
                self.made += 1;
                self.missing.retain(|metric| !metrics.contains(metric));
                Ok(Some(value))
            }
            Err(error) => match Meaning::of(&error) {
                Meaning::Over(trouble) => Err(trouble),
                Meaning::LeftOut => {
                    self.missing.extend(metrics);
                    self.last_error = Some(error);
                    Ok(None)
                }
            },
        }
    }

    fn gauge(&mut self, metric: Metric, value: f64) {
        self.out.push(Reading::gauge(metric, self.subject, value));
    }

    fn plain(
        &mut self,
        metric: Metric,
        result: Result<impl Into<f64>, NvmlError>,
    ) -> Result<(), Trouble> {
        if let Some(value) = self.take(&[metric], result)? {
            self.gauge(metric, value.into());
        }
        Ok(())
    }
}

/// Reads everything that is cheap, and with `slow` also what makes NVML wait
/// (PCIe throughput is measured over 20 ms, twice).
pub fn read(open: &mut Open, slow: bool, out: &mut Vec<Reading>) -> Result<(), Trouble> {
    let over = |error: NvmlError| Trouble::of(&error, None);
    let card = open.nvml.device_by_index(CARD).map_err(|error| match error {
        // There is no such number any more.
        NvmlError::InvalidArg => over(NvmlError::NotFound),
        other => over(other),
    })?;
    let missing = &mut open.missing;
    let mut tick = Tick { subject: &open.subject, out, made: 0, last_error: None, missing };

    #[expect(clippy::cast_precision_loss, reason = "bytes of memory stay below 2^53")]
    if let Some(memory) =
        tick.take(&[Metric::VramUsed, Metric::VramFree, Metric::VramTotal], card.memory_info())?
    {
        tick.gauge(Metric::VramUsed, memory.used as f64);
        tick.gauge(Metric::VramFree, memory.free as f64);
        tick.gauge(Metric::VramTotal, memory.total as f64);
        open.info.vram_total_bytes = Some(memory.total);
    }
    if let Some(busy) =
        tick.take(&[Metric::GpuBusy, Metric::GpuMemoryBusy], card.utilization_rates())?
    {
        tick.gauge(Metric::GpuBusy, f64::from(busy.gpu));
        tick.gauge(Metric::GpuMemoryBusy, f64::from(busy.memory));
    }
    tick.plain(Metric::GpuPower, card.power_usage().map(watts))?;
    if let Some(limit) = tick.take(&[Metric::GpuPowerLimit], card.enforced_power_limit())? {
        tick.gauge(Metric::GpuPowerLimit, watts(limit));
        open.info.power_limit_watts = Some(watts(limit));
    }
    if let Some(millijoules) = tick.take(&[Metric::GpuEnergy], card.total_energy_consumption())? {
        tick.out.push(Reading::counter(Metric::GpuEnergy, tick.subject, millijoules));
    }
    tick.plain(Metric::GpuTemperature, card.temperature(TemperatureSensor::Gpu))?;
    tick.plain(Metric::GpuFan, card.fan_speed(0))?;
    tick.plain(Metric::GpuClockGraphics, card.clock_info(Clock::Graphics))?;
    tick.plain(Metric::GpuClockSm, card.clock_info(Clock::SM))?;
    tick.plain(Metric::GpuClockMemory, card.clock_info(Clock::Memory))?;
    let throttle = [Metric::GpuThrottleThermal, Metric::GpuThrottlePower];
    if let Some(reasons) = tick.take(&throttle, card.current_throttle_reasons())? {
        let held = |which: ThrottleReasons| f64::from(u8::from(reasons.intersects(which)));
        tick.gauge(Metric::GpuThrottleThermal, held(THERMAL));
        tick.gauge(Metric::GpuThrottlePower, held(POWER));
        let names = REASONS.iter().filter(|(reason, _)| reasons.contains(*reason));
        open.info.throttle_reasons = names.map(|&(_, name)| name.to_owned()).collect();
    } else {
        open.info.throttle_reasons.clear();
    }
    tick.plain(Metric::GpuPcieGeneration, card.current_pcie_link_gen())?;
    tick.plain(Metric::GpuPcieWidth, card.current_pcie_link_width())?;
    tick.plain(Metric::GpuEncoder, card.encoder_utilization().map(|busy| busy.utilization))?;
    tick.plain(Metric::GpuDecoder, card.decoder_utilization().map(|busy| busy.utilization))?;
    if slow {
        // NVML says KB/s and means 1024 bytes.
        let bytes = |kib: u32| f64::from(kib) * 1024.0;
        tick.plain(
            Metric::GpuPcieReceived,
            card.pcie_throughput(PcieUtilCounter::Receive).map(bytes),
        )?;
        tick.plain(Metric::GpuPcieSent, card.pcie_throughput(PcieUtilCounter::Send).map(bytes))?;
    }
    let (made, last_error) = (tick.made, tick.last_error);
    open.info.missing = open.missing.iter().map(|metric| metric.name().to_owned()).collect();
    match last_error {
        Some(error) if made == 0 => Err(over(error)),
        _ => Ok(()),
    }
}

const THERMAL: ThrottleReasons =
    ThrottleReasons::SW_THERMAL_SLOWDOWN.union(ThrottleReasons::HW_THERMAL_SLOWDOWN);
const POWER: ThrottleReasons =
    ThrottleReasons::SW_POWER_CAP.union(ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN);

fn watts(milliwatts: u32) -> f64 {
    f64::from(milliwatts) / 1000.0
}
