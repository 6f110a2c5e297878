//! The functions that Plimsoll calls. Those that are not here do not exist in this
//! driver, which the wrapper finds out when it looks for them.

use std::ffi::{c_char, c_uint, c_ulonglong, c_void};

use crate::scenario::{
    INSUFFICIENT_SIZE, INVALID_ARGUMENT, NOT_SUPPORTED, SUCCESS, Scenario, UNKNOWN,
};

type Device = *mut c_void;

/// A memory of no size that the driver does not tell.
const NOT_AVAILABLE: u64 = u64::MAX;

#[repr(C)]
pub struct Utilization {
    gpu: c_uint,
    memory: c_uint,
}

#[repr(C)]
pub struct MemoryV2 {
    version: c_uint,
    total: c_ulonglong,
    reserved: c_ulonglong,
    free: c_ulonglong,
    used: c_ulonglong,
}

#[repr(C)]
pub struct ProcessInfo {
    pid: c_uint,
    used_bytes: c_ulonglong,
    gpu_instance: c_uint,
    compute_instance: c_uint,
}

fn code(result: Result<(), u32>) -> c_uint {
    result.err().unwrap_or(SUCCESS)
}

fn put<T>(place: *mut T, value: T) -> Result<(), u32> {
    if place.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    // SAFETY: the caller passes a place for one value, as NVML's header asks.
    unsafe { place.write(value) };
    Ok(())
}

fn put_text(text: &str, place: *mut c_char, room: c_uint) -> Result<(), u32> {
    let room = room as usize;
    if place.is_null() || text.len() + 1 > room {
        return Err(INSUFFICIENT_SIZE);
    }
    // SAFETY: the caller passes room for that many bytes, and they suffice.
    unsafe {
        place.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), text.len());
        place.add(text.len()).write(0);
    }
    Ok(())
}

fn number(key: &str, place: *mut c_uint) -> c_uint {
    code(
        Scenario::now().and_then(|scenario| {
            put(place, scenario.number(key)?.try_into().map_err(|_| UNKNOWN)?)
        }),
    )
}

fn text(key: &str, place: *mut c_char, room: c_uint) -> c_uint {
    code(Scenario::now().and_then(|scenario| put_text(scenario.text(key)?, place, room)))
}

fn clock_key(beginning: &str, kind: c_uint) -> String {
    let name = ["graphics", "sm", "memory", "video"].get(kind as usize).unwrap_or(&"none");
    format!("{beginning}.{name}")
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlInit_v2() -> c_uint {
    code(Scenario::open())
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlShutdown() -> c_uint {
    code(Scenario::shut())
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlSystemGetDriverVersion(place: *mut c_char, room: c_uint) -> c_uint {
    text("driver", place, room)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlSystemGetNVMLVersion(place: *mut c_char, room: c_uint) -> c_uint {
    text("nvml", place, room)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlSystemGetCudaDriverVersion_v2(place: *mut i32) -> c_uint {
    code(
        Scenario::now().and_then(|scenario| {
            put(place, scenario.number("cuda")?.try_into().map_err(|_| UNKNOWN)?)
        }),
    )
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetCount_v2(place: *mut c_uint) -> c_uint {
    code(Scenario::now().and_then(|scenario| {
        let cards = if scenario.get("state") == Some("no-card") { 0 } else { 1 };
        put(place, cards)
    }))
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, place: *mut Device) -> c_uint {
    code(Scenario::now().and_then(|_| {
        if index > 0 {
            return Err(INVALID_ARGUMENT);
        }
        // Any value that is not null: it is only handed back.
        put(place, std::ptr::without_provenance_mut(1))
    }))
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetName(_: Device, place: *mut c_char, room: c_uint) -> c_uint {
    text("name", place, room)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetUUID(_: Device, place: *mut c_char, room: c_uint) -> c_uint {
    text("uuid", place, room)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetMemoryInfo_v2(_: Device, place: *mut MemoryV2) -> c_uint {
    code(Scenario::now().and_then(|scenario| {
        let (total, used) = (scenario.number("vram.total")?, scenario.number("vram.used")?);
        let reserved = scenario.number("vram.reserved").unwrap_or(0);
        let free = total.saturating_sub(used).saturating_sub(reserved);
        let version = 2 << 24 | u32::try_from(size_of::<MemoryV2>()).unwrap_or(0);
        put(place, MemoryV2 { version, total, reserved, free, used })
    }))
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetUtilizationRates(_: Device, place: *mut Utilization) -> c_uint {
    code(Scenario::now().and_then(|scenario| {
        let percent = |key| scenario.number(key)?.try_into().map_err(|_| UNKNOWN);
        put(place, Utilization { gpu: percent("busy")?, memory: percent("memory.busy")? })
    }))
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetPowerUsage(_: Device, place: *mut c_uint) -> c_uint {
    number("power", place)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetEnforcedPowerLimit(_: Device, place: *mut c_uint) -> c_uint {
    number("power.limit", place)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetTotalEnergyConsumption(
    _: Device,
    place: *mut c_ulonglong,
) -> c_uint {
    code(Scenario::now().and_then(|scenario| put(place, scenario.number("energy")?)))
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetTemperature(_: Device, _: c_uint, place: *mut c_uint) -> c_uint {
    number("temperature", place)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetTemperatureThreshold(
    _: Device,
    kind: c_uint,
    place: *mut c_uint,
) -> c_uint {
    match kind {
        0 => number("temperature.shutdown", place),
        1 => number("temperature.slowdown", place),
        _ => NOT_SUPPORTED,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetFanSpeed_v2(_: Device, fan: c_uint, place: *mut c_uint) -> c_uint {
    if fan == 0 { number("fan", place) } else { INVALID_ARGUMENT }
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetClockInfo(_: Device, kind: c_uint, place: *mut c_uint) -> c_uint {
    number(&clock_key("clock", kind), place)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetMaxClockInfo(_: Device, kind: c_uint, place: *mut c_uint) -> c_uint {
    number(&clock_key("clock.max", kind), place)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetCurrentClocksThrottleReasons(
    _: Device,
    place: *mut c_ulonglong,
) -> c_uint {
    code(Scenario::now().and_then(|scenario| put(place, scenario.number("throttle")?)))
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetCurrPcieLinkGeneration(_: Device, place: *mut c_uint) -> c_uint {
    number("pcie.generation", place)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetCurrPcieLinkWidth(_: Device, place: *mut c_uint) -> c_uint {
    number("pcie.width", place)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetMaxPcieLinkGeneration(_: Device, place: *mut c_uint) -> c_uint {
    number("pcie.generation.max", place)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetMaxPcieLinkWidth(_: Device, place: *mut c_uint) -> c_uint {
    number("pcie.width.max", place)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetPcieThroughput(
    _: Device,
    counter: c_uint,
    place: *mut c_uint,
) -> c_uint {
    number(if counter == 0 { "pcie.sent" } else { "pcie.received" }, place)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetEncoderUtilization(
    _: Device,
    place: *mut c_uint,
    period_us: *mut c_uint,
) -> c_uint {
    busy("encoder", place, period_us)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetDecoderUtilization(
    _: Device,
    place: *mut c_uint,
    period_us: *mut c_uint,
) -> c_uint {
    busy("decoder", place, period_us)
}

fn busy(key: &str, place: *mut c_uint, period_us: *mut c_uint) -> c_uint {
    match put(period_us, 167_000) {
        Ok(()) => number(key, place),
        Err(code) => code,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    _: Device,
    count: *mut c_uint,
    list: *mut ProcessInfo,
) -> c_uint {
    processes("compute", count, list)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetGraphicsRunningProcesses_v3(
    _: Device,
    count: *mut c_uint,
    list: *mut ProcessInfo,
) -> c_uint {
    processes("graphics", count, list)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetMPSComputeRunningProcesses_v3(
    _: Device,
    count: *mut c_uint,
    list: *mut ProcessInfo,
) -> c_uint {
    processes("mps", count, list)
}

/// Fills the list, or says how much room it takes.
fn processes(kind: &str, count: *mut c_uint, list: *mut ProcessInfo) -> c_uint {
    code(Scenario::now().and_then(|scenario| {
        // `processes = error 3`: this driver does not list them at all;
        // `processes.graphics = error 999`: this one list fails.
        for key in ["processes", &format!("processes.{kind}")] {
            if scenario.get(key).is_some() {
                scenario.text(key)?;
            }
        }
        let found: Vec<ProcessInfo> =
            scenario.all("process").filter_map(|line| process(kind, line)).collect();
        if count.is_null() {
            return Err(INVALID_ARGUMENT);
        }
        // SAFETY: the caller passes how many its list holds.
        let room = unsafe { count.read() } as usize;
        put(count, found.len().try_into().map_err(|_| UNKNOWN)?)?;
        if found.len() > room {
            return Err(INSUFFICIENT_SIZE);
        }
        for (index, process) in found.into_iter().enumerate() {
            // SAFETY: there is room for as many as were found, as was just compared.
            put(unsafe { list.add(index) }, process)?;
        }
        Ok(())
    }))
}

/// `compute 4711 8589934592` or `graphics 812 unavailable`
fn process(kind: &str, line: &str) -> Option<ProcessInfo> {
    let mut words = line.split_whitespace();
    if words.next()? != kind {
        return None;
    }
    let pid = words.next()?.parse().ok()?;
    let used_bytes = match words.next()? {
        "unavailable" => NOT_AVAILABLE,
        bytes => bytes.parse().ok()?,
    };
    Some(ProcessInfo { pid, used_bytes, gpu_instance: u32::MAX, compute_instance: u32::MAX })
}
