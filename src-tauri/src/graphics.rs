//! The NVIDIA and WebKitGTK trap: with NVIDIA's driver, WebKitGTK's DMA-BUF
//! renderer can leave the window blank. It is switched off where that driver
//! runs, before anything of WebKit is loaded, and the log says so.

use std::path::Path;

const RENDERER: &str = "WEBKIT_DISABLE_DMABUF_RENDERER";

/// What was found, and what was done about it; for the log, which opens later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Graphics {
    /// No NVIDIA driver: nothing to do.
    Plain,
    /// The variable was set already; the person's choice stands.
    Chosen,
    /// The driver runs: the renderer was switched off.
    SwitchedOff,
}

// === impl Graphics ===

impl Graphics {
    pub fn log(self) {
        match self {
            Graphics::Plain => tracing::debug!("no NVIDIA driver: WebKitGTK renders as it likes"),
            Graphics::Chosen => tracing::info!("{RENDERER} is set in the environment and stands"),
            Graphics::SwitchedOff => tracing::info!(
                "NVIDIA driver found: WebKitGTK's DMA-BUF renderer is switched off \
                 ({RENDERER}=1), with it the window can stay blank"
            ),
        }
    }
}

/// Call it before any thread is started.
pub fn prepare() -> Graphics {
    let found = decide(Path::new("/"), std::env::var_os(RENDERER).is_some());
    if found == Graphics::SwitchedOff {
        set_renderer_off();
    }
    found
}

#[expect(unsafe_code, reason = "called first in main, while there is one thread only")]
fn set_renderer_off() {
    // SAFETY: nobody else reads or writes the environment yet: this is the only thread.
    unsafe { std::env::set_var(RENDERER, "1") };
}

/// The kernel module says most surely whether the driver runs: the library may be there without it.
fn decide(root: &Path, set_already: bool) -> Graphics {
    let driver = ["proc/driver/nvidia/version", "sys/module/nvidia/version"]
        .iter()
        .any(|path| root.join(path).exists());
    match (driver, set_already) {
        (false, _) => Graphics::Plain,
        (true, true) => Graphics::Chosen,
        (true, false) => Graphics::SwitchedOff,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_renderer_is_switched_off_only_beside_the_driver_and_a_set_variable_stands() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(decide(root.path(), false), Graphics::Plain);
        let module = root.path().join("sys/module/nvidia");
        std::fs::create_dir_all(&module).unwrap();
        std::fs::write(module.join("version"), "550.54\n").unwrap();
        assert_eq!(decide(root.path(), false), Graphics::SwitchedOff);
        assert_eq!(decide(root.path(), true), Graphics::Chosen);
    }
}
