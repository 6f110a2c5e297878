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
    "usr/local/nvidia/lib64",
    "usr/local/nvidia/lib",
    "usr/lib/wsl/lib",
    "run/opengl-driver/lib",
    "usr/lib/x86_64-linux-gnu/nvidia/current",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "usr/lib64",
    "usr/lib/nvidia",
];

/// Opens the library: the given one, or the first that works in the usual places.
pub fn open(roots: &Roots, given: &str) -> Result<Nvml, Trouble> {
    let mut refused = None;
    for path in candidates(roots, given) {
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

fn candidates(roots: &Roots, given: &str) -> Vec<PathBuf> {
    if !given.is_empty() {
        return vec![given.into()];
    }
    let folders = FOLDERS.iter().map(|folder| roots.root.join(folder));
    let files = folders.flat_map(|folder| NAMES.map(|name| folder.join(name)));
    let there = files.filter(|path| path.exists());
    NAMES.iter().map(|name| PathBuf::from(OsStr::new(name))).chain(there).collect()
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
        assert_eq!(candidates(&Roots::default(), "/opt/x.so"), [PathBuf::from("/opt/x.so")]);
    }

    #[test]
    fn the_loader_is_asked_first_and_then_the_places_that_it_does_not_know() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots::below(dir.path());
        let loader = NAMES.map(PathBuf::from);
        assert_eq!(candidates(&roots, ""), loader);
        for place in ["usr/local/nvidia/lib64", "usr/lib/wsl/lib", "run/opengl-driver/lib"] {
            let path = dir.path().join(place).join("libnvidia-ml.so.1");
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            let found = candidates(&roots, "");
            assert_eq!(found[..2], loader);
            assert!(found.contains(&path), "{found:?}");
        }
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
