//! Which renderer WebKitGTK gets, decided before anything of WebKit is loaded.
//!
//! With NVIDIA's driver its DMA-BUF renderer can leave the window blank. Without
//! any render node (`/dev/dri/renderD*`) it draws through OpenGL in software and
//! then copies: three times the CPU of drawing directly. In both cases it is
//! switched off, and the log says so.

use std::path::Path;

const RENDERER: &str = "WEBKIT_DISABLE_DMABUF_RENDERER";

/// What was found, and what was done about it; for the log, which opens later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Graphics {
    /// A card with a driver of its own: nothing to do.
    Plain,
    /// The variable was set already; the person's choice stands.
    Chosen,
    /// NVIDIA's driver runs: the renderer was switched off.
    BesideNvidia,
    /// Nothing renders in hardware: the renderer was switched off.
    InSoftware,
}

// === impl Graphics ===

impl Graphics {
    pub fn log(self) {
        match self {
            Graphics::Plain => tracing::debug!("WebKitGTK renders as it likes"),
            Graphics::Chosen => tracing::info!("{RENDERER} is set in the environment and stands"),
            Graphics::BesideNvidia => tracing::info!(
                "NVIDIA driver found: WebKitGTK's DMA-BUF renderer is switched off \
                 ({RENDERER}=1), with it the window can stay blank"
            ),
            Graphics::InSoftware => tracing::info!(
                "no /dev/dri/renderD*: WebKitGTK's DMA-BUF renderer is switched off \
                 ({RENDERER}=1), in software it costs more than drawing directly"
            ),
        }
    }
}

/// Call it before any thread is started.
pub fn prepare() -> Graphics {
    let found = decide(Path::new("/"), std::env::var_os(RENDERER).is_some());
    if matches!(found, Graphics::BesideNvidia | Graphics::InSoftware) {
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
    match (set_already, driver, renders_in_hardware(root)) {
        (true, _, _) => Graphics::Chosen,
        (false, true, _) => Graphics::BesideNvidia,
        (false, false, false) => Graphics::InSoftware,
        (false, false, true) => Graphics::Plain,
    }
}

fn renders_in_hardware(root: &Path) -> bool {
    let Ok(nodes) = std::fs::read_dir(root.join("dev/dri")) else { return false };
    nodes.flatten().any(|node| node.file_name().to_string_lossy().starts_with("renderD"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_renderer_is_switched_off_beside_nvidia_and_in_software_and_a_set_variable_stands() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(decide(root.path(), false), Graphics::InSoftware);
        let nodes = root.path().join("dev/dri");
        std::fs::create_dir_all(&nodes).unwrap();
        std::fs::write(nodes.join("card0"), "").unwrap();
        assert_eq!(
            decide(root.path(), false),
            Graphics::InSoftware,
            "a card without a render node"
        );
        std::fs::write(nodes.join("renderD128"), "").unwrap();
        assert_eq!(decide(root.path(), false), Graphics::Plain);
        let module = root.path().join("sys/module/nvidia");
        std::fs::create_dir_all(&module).unwrap();
        std::fs::write(module.join("version"), "550.54\n").unwrap();
        assert_eq!(decide(root.path(), false), Graphics::BesideNvidia);
        assert_eq!(decide(root.path(), true), Graphics::Chosen);
    }
}
