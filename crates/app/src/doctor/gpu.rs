//! Driver and NVML.

use std::{
    fs,
    path::{Path, PathBuf},
};

use plimsoll_core::source::SourceState;

use super::{Patient, check};
use crate::{
    api::{Check, Verdict},
    words::quoted,
};

/// Where the library lies: the usual places of distributions, then containers, WSL, NixOS.
const PLACES: [&str; 8] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/lib/x86_64-linux-gnu",
    "/usr/local/nvidia/lib64",
    "/usr/lib/wsl/lib",
    "/run/opengl-driver/lib",
];

pub fn checks(patient: &Patient) -> Vec<Check> {
    if !patient.config.gpu.enabled {
        return vec![check(
            "NVIDIA driver",
            Verdict::Limited,
            "The GPU is switched off in the configuration.",
            "Switch it on with gpu.enabled = true.",
            "plimsoll config get gpu.enabled",
        )];
    }
    vec![driver(), library(patient), card(patient)]
}

fn driver() -> Check {
    let by_hand = "cat /proc/driver/nvidia/version; nvidia-smi";
    if let Ok(text) = fs::read_to_string("/proc/driver/nvidia/version") {
        let version = text.lines().next().unwrap_or_default().trim().to_owned();
        return check("NVIDIA driver", Verdict::Good, version, "", by_hand);
    }
    if Path::new("/dev/dxg").exists() {
        let finding = "The driver of Windows is used through WSL (/dev/dxg).";
        return check("NVIDIA driver", Verdict::Good, finding, "", by_hand);
    }
    if pci_has_nvidia() {
        return check(
            "NVIDIA driver",
            Verdict::Bad,
            "There is an NVIDIA card, and its driver is not loaded.",
            "Install the driver (Debian: nvidia-driver), or load it: sudo modprobe nvidia.",
            "lspci -nnk | grep -iA3 nvidia; lsmod | grep nvidia; dmesg | grep -i nvrm",
        );
    }
    check(
        "NVIDIA driver",
        Verdict::Limited,
        "No NVIDIA driver and no NVIDIA card on this machine.",
        "Everything but the GPU is measured. In a container, pass the card through (--gpus all).",
        "lspci -nn | grep -i nvidia; ls /dev/nvidia*",
    )
}

fn pci_has_nvidia() -> bool {
    let Ok(devices) = fs::read_dir("/sys/bus/pci/devices") else { return false };
    devices.flatten().any(|device| {
        let read = |name| fs::read_to_string(device.path().join(name)).unwrap_or_default();
        // NVIDIA's vendor number; class 03 is a display, so its sound device does not count.
        read("vendor").trim() == "0x10de" && read("class").starts_with("0x03")
    })
}

fn library(patient: &Patient) -> Check {
    let named = &patient.config.gpu.nvml_path;
    if !named.is_empty() {
        let by_hand = format!("ls -lL {}", quoted(named));
        return if Path::new(named).is_file() {
            check("NVML", Verdict::Good, format!("{named}, as gpu.nvml_path says."), "", by_hand)
        } else {
            check(
                "NVML",
                Verdict::Bad,
                format!("gpu.nvml_path names {named}, and there is no such file."),
                "Correct gpu.nvml_path, or leave it empty: the usual places are searched then.",
                by_hand,
            )
        };
    }
    let by_hand = "ldconfig -p | grep libnvidia-ml; ls /usr/lib/wsl/lib /run/opengl-driver/lib";
    match find_library() {
        Some(path) => check("NVML", Verdict::Good, path.display().to_string(), "", by_hand),
        None => check(
            "NVML",
            Verdict::Limited,
            "libnvidia-ml.so.1 was not found in the usual places.",
            "It comes with the driver (Debian: libnvidia-ml1). If it lies elsewhere, name it in gpu.nvml_path.",
            by_hand,
        ),
    }
}

fn find_library() -> Option<PathBuf> {
    PLACES
        .iter()
        .flat_map(|place| {
            ["libnvidia-ml.so.1", "libnvidia-ml.so"].map(|n| Path::new(place).join(n))
        })
        .find(|path| path.exists())
}

fn card(patient: &Patient) -> Check {
    let by_hand = "nvidia-smi --query-gpu=name,uuid,driver_version,memory.used --format=csv";
    let Some(source) = patient.sources.iter().find(|source| source.name == "gpu") else {
        let finding = "Not known: no Plimsoll is running that reads it.";
        let advice = "Start `plimsoll up`, or read it once: plimsoll sample.";
        return check("GPU", Verdict::Unknown, finding, advice, by_hand);
    };
    match source.state {
        SourceState::Healthy => check("GPU", Verdict::Good, "It is read.", "", by_hand),
        SourceState::Starting => {
            check("GPU", Verdict::Unknown, "It has not been read yet.", "", by_hand)
        }
        SourceState::Absent => check("GPU", Verdict::Limited, source.reason.clone(), "", by_hand),
        SourceState::Lost | SourceState::Failed | SourceState::Late => check(
            "GPU",
            Verdict::Bad,
            if source.reason.is_empty() {
                "It does not answer.".into()
            } else {
                source.reason.clone()
            },
            "It is tried again by itself. If nvidia-smi fails too, the driver needs a restart.",
            by_hand,
        ),
    }
}
