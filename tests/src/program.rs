//! The built programs, and a data folder of their own.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::child::Group;

/// Where one test's programs keep everything; gone with the test.
#[derive(Debug)]
pub struct Home {
    root: TempDir,
    variables: Vec<(String, OsString)>,
}

/// A running `plimsoll up`.
#[derive(Debug)]
pub struct Up {
    pub group: Group,
    /// What it said when it was ready.
    pub ready: Value,
}

// === impl Home ===

impl Home {
    pub fn new() -> Result<Self> {
        let root = tempfile::Builder::new().prefix("plimsoll-").tempdir()?;
        let home = Self { root, variables: Vec::new() };
        for folder in ["run", "config", "share", "cache", "data"] {
            std::fs::create_dir(home.path().join(folder))?;
        }
        // What the XDG specification asks of the runtime folder.
        let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(home.path().join("run"), owner_only)?;
        Ok(home)
    }

    pub fn path(&self) -> &Path {
        self.root.path()
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub fn config_file(&self) -> PathBuf {
        self.data().join("plimsoll.toml")
    }

    /// A variable for every program of this home.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.push((name.to_owned(), value.into()));
    }

    /// Nothing of the person who runs the tests: neither their folders nor their settings.
    pub fn dress(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            if name_text.starts_with("PLIMSOLL_") || name_text.starts_with("XDG_") {
                command.env_remove(&name);
            }
        }
        command
            .env("HOME", self.path())
            .env("XDG_RUNTIME_DIR", self.path().join("run"))
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env("XDG_DATA_HOME", self.path().join("share"))
            .env("XDG_CACHE_HOME", self.path().join("cache"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
    }

    /// Runs the terminal program and answers what it wrote as JSON.
    pub fn plimsoll(&self, args: &[&str]) -> Result<Value> {
        self.plimsoll_with(&built("PLIMSOLL_BIN")?, args)
    }

    /// The same, on another folder.
    pub fn plimsoll_at(&self, folder: &Path, args: &[&str]) -> Result<Value> {
        self.ask(&built("PLIMSOLL_BIN")?, folder, args)
    }

    pub fn plimsoll_with(&self, program: &Path, args: &[&str]) -> Result<Value> {
        self.ask(program, &self.data(), args)
    }

    fn ask(&self, program: &Path, folder: &Path, args: &[&str]) -> Result<Value> {
        let mut command = Command::new(program);
        self.dress(&mut command);
        let output = command.arg("--data-dir").arg(folder).arg("--json").args(args).output()?;
        ensure!(
            output.status.success(),
            "plimsoll {args:?} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).with_context(|| format!("plimsoll {args:?}"))
    }

    /// Starts `plimsoll up` and waits until it is ready.
    pub fn up(&self, args: &[&str]) -> Result<Up> {
        self.up_with(&built("PLIMSOLL_BIN")?, args)
    }

    pub fn up_with(&self, program: &Path, args: &[&str]) -> Result<Up> {
        let mut command = Command::new(program);
        self.dress(&mut command);
        command.arg("--data-dir").arg(self.data()).args(["--json", "up"]).args(args);
        command.stderr(Stdio::inherit());
        let (group, line) = Group::start_and_read_line(&mut command)?;
        let ready: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        ensure!(ready["ready"] == true, "it is not ready: {line}");
        Ok(Up { group, ready })
    }
}

/// A path that `./test.sh` passed.
pub fn built(variable: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from).with_context(|| {
        format!("{variable} is not set: run ./test.sh, it builds and says where")
    })?;
    ensure!(path.exists(), "{variable} names {}, which does not exist", path.display());
    Ok(path)
}

/// Whether a command is there, for a clear message.
pub fn need(command: &str, package: &str) -> Result<()> {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(OsStr::new(command)).exists())
    });
    ensure!(found, "{command} is missing (package {package}); ./test.sh installs it");
    Ok(())
}
