//! Where things are kept: the data folder, the configuration, the socket.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use crate::api::{Fault, FaultCode};

/// Where this start keeps its data and reads its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    pub data: PathBuf,
    pub config: PathBuf,
    pub simulated: bool,
}

/// The environment, as far as it decides about places. Passed in, so that a test needs no process.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    pub home: Option<PathBuf>,
    /// `PLIMSOLL_DATA_DIR`.
    pub data_dir: Option<PathBuf>,
    pub xdg_data_home: Option<PathBuf>,
    pub xdg_config_home: Option<PathBuf>,
    pub xdg_runtime_dir: Option<PathBuf>,
}

/// Longest path that fits a unix socket's address with its closing zero.
pub const SOCKET_PATH_MAX: usize = 107;

// === impl Places ===

impl Places {
    /// What was given on the command line goes first, then the environment, then the XDG folders.
    pub fn find(
        data_dir: Option<&Path>,
        config: Option<&Path>,
        demo: bool,
        around: &Surroundings,
    ) -> Result<Self, Fault> {
        let data = match (data_dir, &around.data_dir) {
            (Some(given), _) => given.to_path_buf(),
            // The demo never shares a folder with the real instrument.
            (None, Some(named)) if demo => with_suffix(named, "-demo"),
            (None, Some(named)) => named.clone(),
            (None, None) => {
                let base = around
                    .xdg_data_home
                    .clone()
                    .or_else(|| around.home.as_ref().map(|home| home.join(".local/share")))
                    .ok_or_else(no_home)?;
                base.join(if demo { "plimsoll-demo" } else { "plimsoll" })
            }
        };
        let data = absolute(&data)?;
        let config = match config {
            Some(given) => absolute(given)?,
            None if demo || data_dir.is_some() => data.join("plimsoll.toml"),
            None => around
                .xdg_config_home
                .clone()
                .or_else(|| around.home.as_ref().map(|home| home.join(".config")))
                .ok_or_else(no_home)?
                .join("plimsoll/plimsoll.toml"),
        };
        Ok(Self { data, config, simulated: demo })
    }
}

// === impl Surroundings ===

impl Surroundings {
    pub fn read() -> Self {
        // An empty variable means "not set", and XDG asks to ignore relative paths.
        let folder = |name: &str| {
            std::env::var_os(name)
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        Self {
            home: folder("HOME"),
            data_dir: std::env::var_os("PLIMSOLL_DATA_DIR")
                .filter(|v| !v.is_empty())
                .map(PathBuf::from),
            xdg_data_home: folder("XDG_DATA_HOME"),
            xdg_config_home: folder("XDG_CONFIG_HOME"),
            xdg_runtime_dir: folder("XDG_RUNTIME_DIR"),
        }
    }

    /// The socket of a data folder, and the folder of our own that it stands in (`None`: in the
    /// data folder itself). The first place that exists and whose path is short enough.
    pub fn socket(&self, data: &Path, uid: u32) -> (PathBuf, Option<PathBuf>) {
        let name = format!("{:016x}.sock", fingerprint(data));
        let fits = |path: &Path| path.as_os_str().len() <= SOCKET_PATH_MAX;
        if let Some(runtime) = self.xdg_runtime_dir.as_ref().filter(|dir| dir.is_dir()) {
            let folder = runtime.join("plimsoll");
            if fits(&folder.join(&name)) {
                return (folder.join(&name), Some(folder));
            }
        }
        let inside = data.join("plimsoll.sock");
        if fits(&inside) {
            return (inside, None);
        }
        let folder = PathBuf::from(format!("/tmp/plimsoll-{uid}"));
        (folder.join(&name), Some(folder))
    }
}

fn no_home() -> Fault {
    Fault::new(
        FaultCode::Invalid,
        "Neither HOME nor the XDG folders are set, so there is no place for data and configuration.",
    )
    .hint("Set HOME, or pass --data-dir FOLDER.")
}

fn absolute(path: &Path) -> Result<PathBuf, Fault> {
    std::path::absolute(path).map_err(|error| {
        Fault::new(FaultCode::Invalid, format!("{} is not a path: {error}.", path.display()))
    })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or(OsStr::new("plimsoll")).to_os_string();
    name.push(suffix);
    path.with_file_name(name)
}

/// FNV-1a over the path: the same in every version, unlike the standard library's hashes.
fn fingerprint(path: &Path) -> u64 {
    path.as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around() -> Surroundings {
        Surroundings { home: Some("/home/ada".into()), ..Surroundings::default() }
    }

    #[test]
    fn without_options_data_and_configuration_lie_in_the_xdg_folders() {
        let places = Places::find(None, None, false, &around()).unwrap();
        assert_eq!(places.data, Path::new("/home/ada/.local/share/plimsoll"));
        assert_eq!(places.config, Path::new("/home/ada/.config/plimsoll/plimsoll.toml"));
    }

    #[test]
    fn the_demo_never_shares_a_folder_with_the_real_one() {
        let mut around = around();
        let demo = Places::find(None, None, true, &around).unwrap();
        assert_eq!(demo.data, Path::new("/home/ada/.local/share/plimsoll-demo"));
        assert_eq!(demo.config, demo.data.join("plimsoll.toml"));
        around.data_dir = Some("/data/plimsoll".into());
        let demo = Places::find(None, None, true, &around).unwrap();
        assert_eq!(demo.data, Path::new("/data/plimsoll-demo"));
    }

    #[test]
    fn a_given_data_folder_holds_its_configuration_too() {
        let places = Places::find(Some(Path::new("/x")), None, false, &around()).unwrap();
        assert_eq!(places.config, Path::new("/x/plimsoll.toml"));
        let places =
            Places::find(Some(Path::new("/x")), Some(Path::new("/y.toml")), false, &around());
        assert_eq!(places.unwrap().config, Path::new("/y.toml"));
    }

    #[test]
    fn without_home_the_fault_says_what_to_pass() {
        let fault = Places::find(None, None, false, &Surroundings::default()).unwrap_err();
        assert_eq!(fault.code, FaultCode::Invalid);
        assert!(fault.hint.unwrap().contains("--data-dir"));
    }

    #[test]
    fn a_socket_path_that_is_too_long_moves_to_a_short_private_folder() {
        let around = around();
        let short = Path::new("/home/ada/plimsoll");
        assert_eq!(around.socket(short, 1000), (short.join("plimsoll.sock"), None));
        let long = PathBuf::from(format!("/home/{}", "a".repeat(120)));
        let (path, folder) = around.socket(&long, 1000);
        assert_eq!(folder.as_deref(), Some(Path::new("/tmp/plimsoll-1000")));
        assert!(path.as_os_str().len() <= SOCKET_PATH_MAX);
        let (other, _) = around.socket(&long.join("b"), 1000);
        assert_ne!(path, other);
    }
}
