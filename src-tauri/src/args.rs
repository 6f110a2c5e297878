//! What the desktop program is started with: the same words as the terminal's.

use std::{
    ffi::OsString,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
};

use clap::Parser;
use plimsoll_app::session::Options;

/// A desktop control center for people who run AI on one GPU workstation.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "plimsoll-desktop", version)]
pub struct Args {
    /// Show a simulated workstation; it has a data folder of its own.
    #[arg(long)]
    pub demo: bool,
    /// Keep the data in this folder; `PLIMSOLL_DATA_DIR` says the same.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Read the configuration from this file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Start without a window: in the tray, where there is one.
    #[arg(long)]
    pub hidden: bool,
}

// === impl Args ===

impl Args {
    pub fn options(&self) -> Options {
        Options {
            data_dir: self.data_dir.clone(),
            config: self.config.clone(),
            demo: self.demo,
            ..Options::default()
        }
    }

    /// Tells apart the windows that may stand beside each other: one for each data folder.
    pub fn instance(&self, data: &Path) -> String {
        if self.data_dir.is_none() && std::env::var_os("PLIMSOLL_DATA_DIR").is_none() {
            return if self.demo { "demo" } else { "main" }.to_owned();
        }
        let mut hasher = DefaultHasher::new();
        data.hash(&mut hasher);
        format!("at{:016x}", hasher.finish())
    }

    /// The arguments that start the same again, for the entry that starts it at login.
    pub fn again(&self) -> Vec<OsString> {
        let mut words = Vec::new();
        if self.demo {
            words.push("--demo".into());
        }
        for (name, path) in [("--data-dir", &self.data_dir), ("--config", &self.config)] {
            if let Some(path) = path {
                words.push(name.into());
                words.push(std::path::absolute(path).unwrap_or_else(|_| path.clone()).into());
            }
        }
        words
    }
}

/// Opens the display that the window will be on, or says why no window can be shown at all.
/// Asked here because what builds the window panics where GTK cannot begin.
pub fn open_display() -> Result<(), String> {
    let named = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    let Some(display) = named("WAYLAND_DISPLAY").or_else(|| named("DISPLAY")) else {
        return Err("there is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set).".into());
    };
    gtk::init().map_err(|_| {
        format!("the display {display} does not answer: it is not there, or not yours to use.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_and_another_folder_are_windows_of_their_own() {
        let folder = Path::new("/srv/plimsoll");
        let demo = Args { demo: true, ..Args::default() };
        let other = Args { data_dir: Some(folder.into()), ..Args::default() };
        assert_eq!(Args::default().instance(folder), "main");
        assert_eq!(demo.instance(folder), "demo");
        assert_eq!(other.instance(folder), other.instance(folder));
        assert_ne!(other.instance(folder), other.instance(Path::new("/srv/other")));
    }

    #[test]
    fn a_relative_folder_is_named_in_full_for_the_next_login() {
        let args = Args { data_dir: Some("here".into()), ..Args::default() };
        let again = args.again();
        assert_eq!(again[0], "--data-dir");
        assert!(PathBuf::from(&again[1]).is_absolute(), "{again:?}");
    }
}
