//! The open library, lent to the process list.
//!
//! The list of processes takes the driver's lock for milliseconds, so it is asked
//! for at its own, slower cadence and on the thread that needs it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nvml_wrapper::{
    Nvml, enums::device::UsedGpuMemory, error::NvmlError, struct_wrappers::device::ProcessInfo,
};
use rustc_hash::FxHashMap;

use super::{CARD, trouble::Trouble};
use crate::process::Vram;

pub struct Link {
    state: Mutex<State>,
}

enum State {
    Open(Arc<Nvml>),
    /// Why there is no GPU, in words.
    Closed(String),
}

// === impl Link ===

impl Default for Link {
    fn default() -> Self {
        Self { state: Mutex::new(State::Closed("The GPU has not been read yet.".into())) }
    }
}

impl Link {
    pub fn open(&self, nvml: Arc<Nvml>) {
        *self.state() = State::Open(nvml);
    }

    pub fn close(&self, reason: String) {
        let before = std::mem::replace(&mut *self.state(), State::Closed(reason));
        // Closing the library may wait for the driver: not under the lock.
        drop(before);
    }

    /// What each process holds. One that appears in several lists, because it
    /// computes and draws, holds the same memory in each.
    pub fn vram(&self) -> Vram {
        let nvml = match &*self.state() {
            State::Open(nvml) => nvml.clone(),
            State::Closed(reason) => return Vram::Unknown(reason.clone()),
        };
        let card = match nvml.device_by_index(CARD) {
            Ok(card) => card,
            Err(error) => return unknown(&error),
        };
        let lists = [
            card.running_compute_processes(),
            card.running_graphics_processes(),
            card.mps_running_compute_processes(),
        ];
        let mut held = FxHashMap::default();
        let mut answered = false;
        let mut refusal = None;
        for list in lists {
            match list {
                Ok(list) => {
                    answered = true;
                    list.iter().for_each(|process| add(&mut held, process));
                }
                // A card without such processes has no list of them.
                Err(error) if is_missing(&error) => {
                    refusal.get_or_insert(error);
                }
                // Who stands in a list that was not given would seem to hold nothing.
                Err(error) => return unknown(&error),
            }
        }
        match refusal {
            Some(error) if !answered => unknown(&error),
            _ => Vram::Known(held),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(held: &mut FxHashMap<i32, Option<u64>>, process: &ProcessInfo) {
    let Ok(pid) = i32::try_from(process.pid) else { return };
    let bytes = match process.used_gpu_memory {
        UsedGpuMemory::Used(bytes) => Some(bytes),
        // Unknown is not zero.
        UsedGpuMemory::Unavailable => None,
    };
    let entry = held.entry(pid).or_default();
    *entry = (*entry).max(bytes);
}

fn unknown(error: &NvmlError) -> Vram {
    Vram::Unknown(if is_missing(error) {
        "The driver does not list the processes on this GPU.".into()
    } else {
        Trouble::of(error, None).into_error().to_string()
    })
}

fn is_missing(error: &NvmlError) -> bool {
    matches!(error, NvmlError::NotSupported | NvmlError::FailedToLoadSymbol(_))
}
