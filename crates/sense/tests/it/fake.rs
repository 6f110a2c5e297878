//! A driver of its own for each test: a copy of the fake library in a folder, with
//! the scenario beside it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use plimsoll_sense::{Options, Roots, Sources, sources_at};
use tokio::sync::watch;

use crate::at;

pub struct FakeDriver {
    dir: tempfile::TempDir,
    pub options: watch::Sender<Options>,
}

/// Everything that the fake card has.
pub const WHOLE: &str = "\
name = NVIDIA GeForce RTX 4090
uuid = GPU-5a3f
driver = 550.54.14
nvml = 12.550.54.14
cuda = 12040
vram.total = 25757220864
vram.used = 18253611008
vram.reserved = 367001600
busy = 87
memory.busy = 41
power = 312500
power.limit = 450000
energy = 123456789
temperature = 71
temperature.slowdown = 90
temperature.shutdown = 95
fan = 62
clock.graphics = 2520
clock.sm = 2520
clock.memory = 10501
clock.max.graphics = 3105
clock.max.sm = 3105
clock.max.memory = 10501
throttle = 4
pcie.generation = 4
pcie.width = 16
pcie.generation.max = 4
pcie.width.max = 16
pcie.sent = 1000
pcie.received = 2000
encoder = 12
decoder = 34
";

// === impl FakeDriver ===

impl FakeDriver {
    /// A machine whose driver lies at the configured path.
    pub fn with(scenario: &str) -> Self {
        let driver = Self::missing();
        driver.set(scenario);
        driver.install();
        driver
    }

    /// A machine whose driver is still to be installed.
    pub fn missing() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let nvml_path = dir.path().join("libnvidia-ml.so.1").display().to_string();
        let (options, _) = watch::channel(Options { nvml_path, ..Options::default() });
        Self { dir, options }
    }

    pub fn install(&self) {
        self.install_in("");
    }

    /// Into a folder of the machine, the scenario beside it.
    fn install_in(&self, place: &str) {
        let folder = self.dir.path().join(place);
        fs::create_dir_all(&folder).unwrap();
        fs::copy(library(), folder.join("libnvidia-ml.so.1")).unwrap();
    }

    /// A machine whose driver lies in one of the places that loaders do not know.
    pub fn found_in(place: &str, scenario: &str) -> (Self, Sources) {
        let driver = Self::missing();
        driver.install_in(place);
        fs::write(driver.dir.path().join(place).join("scenario"), scenario).unwrap();
        driver.options.send_modify(|options| options.nvml_path.clear());
        let roots = Roots::below(driver.dir.path());
        let sources = sources_at(&roots, driver.options.subscribe(), at(0));
        (driver, sources)
    }

    /// Another scenario from now on, whole at any moment.
    pub fn set(&self, scenario: &str) {
        let new = self.dir.path().join("scenario.new");
        fs::write(&new, scenario).unwrap();
        fs::rename(new, self.dir.path().join("scenario")).unwrap();
    }

    pub fn sources(&self) -> Sources {
        sources_at(&Roots::default(), self.options.subscribe(), at(0))
    }
}

/// Built by `cargo build -p plimsoll-fake-nvml`; a test without it fails.
fn library() -> PathBuf {
    let path = std::env::var_os("PLIMSOLL_FAKE_NVML").map_or_else(beside_the_tests, PathBuf::from);
    assert!(
        path.exists(),
        "{} is not there: build it with `cargo build -p plimsoll-fake-nvml`, \
         or say where it is in PLIMSOLL_FAKE_NVML",
        path.display()
    );
    path
}

fn beside_the_tests() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let target = tests.parent().and_then(Path::parent).unwrap();
    target.join("libnvidia_ml_fake.so")
}
