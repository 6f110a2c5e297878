//! Where the driver's library is.

use std::{ffi::OsStr, fs, path::PathBuf};

use nvml_wrapper::{Nvml, error::NvmlError};

use super::trouble::Trouble;
use crate::roots::Roots;

/// Names that the loader finds in its own places.
const NAMES: [&str; 2] = ["libnvidia-ml.so.1", "libnvidia-ml.so"];

/// Places that the loader does not know everywhere: containers and Kubernetes nodes,
/// WSL, NixOS, and distributions without an entry for the driver's folder.
const FOLDERS: [&str; 9] = [
    "/usr/local/nvidia/lib64",
    "/usr/local/nvidia/lib",
    "/usr/lib/wsl/lib",
    "/run/opengl-driver/lib",
    "/usr/lib/x86_64-linux-gnu/nvidia/current",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib/nvidia",
];

/// Opens the library: the given one, or the first that works in the usual places.
pub fn open(roots: &Roots, given: &str) -> Result<Nvml, Trouble> {
    let mut refused = None;
    for path in candidates(given) {
        match Nvml::builder().lib_path(path.as_os_str()).init() {
            Ok(nvml) => return Ok(nvml),
            // Not there, or not a library for us: the next one may be.
            Err(NvmlError::LibloadingError(error)) if given.is_empty() => {
                tracing::trace!(path = %path.display(), %error, "no NVML there");
            }
            Err(NvmlError::LibloadingError(error)) => {
                return Err(Trouble::Absent(format!(
                    "The NVIDIA library {given} (setting `gpu.nvml_path`) cannot be loaded: {error}"
                )));
            }
            // The real one says why it cannot serve, and so do stubs: the first counts.
            Err(error) => {
                refused.get_or_insert(error);
            }
        }
    }
    Err(match refused {
        Some(error) => Trouble::of(&error, kernel_module(roots).as_deref()),
        None => Trouble::Absent(
            "No NVIDIA driver on this machine: libnvidia-ml.so.1 is in none of the usual places. \
             If it is elsewhere, set `gpu.nvml_path`."
                .into(),
        ),
    })
}

fn candidates(given: &str) -> Vec<PathBuf> {
    if !given.is_empty() {
        return vec![given.into()];
    }
    let folders = FOLDERS.iter().flat_map(|folder| {
        NAMES.iter().map(move |name| PathBuf::from(folder).join(name)).filter(|path| path.exists())
    });
    NAMES.iter().map(|name| PathBuf::from(OsStr::new(name))).chain(folders).collect()
}

/// Version of the driver's part in the kernel, e.g. `550.54.14`.
pub fn kernel_module(roots: &Roots) -> Option<String> {
    let text = fs::read_to_string(roots.proc.join("driver/nvidia/version")).ok()?;
    let line = text.lines().find(|line| line.contains("NVRM version"))?;
    line.split_whitespace()
        .find(|word| word.contains('.') && word.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_path_is_the_only_one() {
        assert_eq!(candidates("/opt/x.so"), [PathBuf::from("/opt/x.so")]);
        assert_eq!(candidates("")[0], PathBuf::from("libnvidia-ml.so.1"));
    }

    #[test]
    fn a_library_that_is_not_there_is_named_with_its_setting() {
        let trouble = open(&Roots::default(), "/nowhere/libnvidia-ml.so.1").err().unwrap();
        let text = trouble.into_error().to_string();
        assert!(
            text.contains("/nowhere/libnvidia-ml.so.1") && text.contains("gpu.nvml_path"),
            "{text}"
        );
    }

    #[test]
    fn the_version_of_the_kernel_module_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots::below(dir.path());
        fs::create_dir_all(roots.proc.join("driver/nvidia")).unwrap();
        let text = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.14  Release Build\n\
                    GCC version:  gcc version 12.2.0\n";
        fs::write(roots.proc.join("driver/nvidia/version"), text).unwrap();
        assert_eq!(kernel_module(&roots).as_deref(), Some("550.54.14"));
    }
}
