//! The scenario file.

use std::{
    ffi::{CStr, OsStr},
    fs,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

pub const SUCCESS: u32 = 0;
pub const UNINITIALIZED: u32 = 1;
pub const INVALID_ARGUMENT: u32 = 2;
pub const NOT_SUPPORTED: u32 = 3;
pub const INSUFFICIENT_SIZE: u32 = 7;
pub const DRIVER_NOT_LOADED: u32 = 9;
pub const GPU_IS_LOST: u32 = 15;
pub const VERSION_MISMATCH: u32 = 18;
pub const UNKNOWN: u32 = 999;

/// How often the library is open.
static OPEN: AtomicU32 = AtomicU32::new(0);
/// The card was lost since the library was opened.
static LOST: AtomicBool = AtomicBool::new(false);

pub struct Scenario {
    lines: Vec<(String, String)>,
}

// === impl Scenario ===

impl Scenario {
    pub fn load() -> Result<Self, u32> {
        let path = path().ok_or(UNKNOWN)?;
        let text = fs::read_to_string(path).map_err(|_| UNKNOWN)?;
        let lines = text.lines().filter_map(|line| {
            let (key, value) = line.split('#').next()?.split_once('=')?;
            Some((key.trim().to_owned(), value.trim().to_owned()))
        });
        Ok(Self { lines: lines.collect() })
    }

    /// The state of the driver when it is opened.
    pub fn open() -> Result<(), u32> {
        match Self::load()?.get("state").unwrap_or("ok") {
            "mismatch" => Err(VERSION_MISMATCH),
            "not-loaded" => Err(DRIVER_NOT_LOADED),
            state => {
                OPEN.fetch_add(1, Ordering::SeqCst);
                LOST.store(state == "lost", Ordering::SeqCst);
                Ok(())
            }
        }
    }

    pub fn shut() -> Result<(), u32> {
        let shut = OPEN.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        shut.map(drop).map_err(|_| UNINITIALIZED)
    }

    /// The scenario, where the library is open and the card answers.
    pub fn now() -> Result<Self, u32> {
        if OPEN.load(Ordering::SeqCst) == 0 {
            return Err(UNINITIALIZED);
        }
        let scenario = Self::load()?;
        match scenario.get("state").unwrap_or("ok") {
            "lost" => LOST.store(true, Ordering::SeqCst),
            "mismatch" => return Err(VERSION_MISMATCH),
            "not-loaded" => return Err(DRIVER_NOT_LOADED),
            _ => {}
        }
        if LOST.load(Ordering::SeqCst) {
            return Err(GPU_IS_LOST);
        }
        Ok(scenario)
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.all(key).next()
    }

    pub fn all<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a str> {
        self.lines.iter().filter(move |(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    pub fn text(&self, key: &str) -> Result<&str, u32> {
        let value = self.get(key).ok_or(NOT_SUPPORTED)?;
        match value.strip_prefix("error ") {
            Some(code) => Err(code.trim().parse().unwrap_or(UNKNOWN)),
            None => Ok(value),
        }
    }

    pub fn number(&self, key: &str) -> Result<u64, u32> {
        self.text(key)?.parse().map_err(|_| UNKNOWN)
    }
}

/// Several tests run in one process: each has a copy of the library in a folder of
/// its own, so the library must know where it lies.
fn path() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("FAKE_NVML_SCENARIO") {
        return Some(path.into());
    }
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    let here = (path as fn() -> Option<PathBuf>) as *const libc::c_void;
    // SAFETY: `dladdr` writes the struct when it answers other than zero, and the
    // name it points to lives as long as this library is loaded.
    let name = unsafe {
        if libc::dladdr(here, info.as_mut_ptr()) == 0 {
            return None;
        }
        let name = info.assume_init().dli_fname;
        (!name.is_null()).then(|| CStr::from_ptr(name))?
    };
    let library = PathBuf::from(OsStr::from_bytes(name.to_bytes()));
    Some(library.parent()?.join("scenario"))
}
