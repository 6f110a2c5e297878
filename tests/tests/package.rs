//! The Debian package: it installs, both programs start from where it puts them, and it goes again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};
use plimsoll_tests::{
    desk::Desk,
    program::{Home, built},
};

/// Where the package lies: in the system where the tests run as root, else unpacked into a folder.
struct Installed {
    root: PathBuf,
    system: bool,
    _unpacked: Option<tempfile::TempDir>,
}

// === impl Installed ===

impl Installed {
    fn new(package: &Path) -> Result<Self> {
        if rustix::process::geteuid().is_root() {
            ensure!(!is_installed(), "a package named plimsoll is installed here already");
            run(Command::new("dpkg").arg("--install").arg(package))?;
            return Ok(Self { root: "/".into(), system: true, _unpacked: None });
        }
        let folder = tempfile::tempdir()?;
        run(Command::new("dpkg-deb").arg("--extract").arg(package).arg(folder.path()))?;
        Ok(Self { root: folder.path().into(), system: false, _unpacked: Some(folder) })
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        if self.system && is_installed() {
            let removed = Command::new("dpkg").args(["--purge", "plimsoll"]).status();
            eprintln!("removed after a failed test: {removed:?}");
        }
    }
}

fn is_installed() -> bool {
    let state =
        Command::new("dpkg-query").args(["-W", "-f=${db:Status-Status}", "plimsoll"]).output();
    state.is_ok_and(|output| output.stdout == b"installed")
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_package_installs_both_programs_start_and_it_goes_without_a_trace() -> Result<()> {
    let package = built("PLIMSOLL_DEB")?;
    let installed = Installed::new(&package)?;

    for path in [
        "usr/bin/plimsoll",
        "usr/bin/plimsoll-desktop",
        "usr/share/plimsoll/ui/index.html",
        "usr/share/applications/plimsoll.desktop",
        "usr/share/bash-completion/completions/plimsoll",
        "usr/share/zsh/vendor-completions/_plimsoll",
        "usr/share/fish/vendor_completions.d/plimsoll.fish",
        "usr/share/man/man1/plimsoll.1.gz",
        "usr/share/icons/hicolor/16x16/apps/plimsoll.png",
        "usr/share/icons/hicolor/512x512/apps/plimsoll.png",
        "usr/lib/systemd/user/plimsoll.service",
    ] {
        assert!(installed.at(path).exists(), "the package lacks {path}");
    }
    run(Command::new("desktop-file-validate")
        .arg(installed.at("usr/share/applications/plimsoll.desktop")))?;
    let page = run(Command::new("man")
        .args(["--warnings", "--local-file"])
        .arg(installed.at("usr/share/man/man1/plimsoll.1.gz"))
        .env("MANPAGER", "cat"))?;
    assert!(page.contains("plimsoll"), "{page}");
    // Off by default: nothing starts it until a person says so.
    assert!(!installed.at("etc/systemd/user/default.target.wants/plimsoll.service").exists());

    // The installed ones, not those of the build.
    let terminal = installed.at("usr/bin/plimsoll");
    let desktop = installed.at("usr/bin/plimsoll-desktop");
    let home = Home::new()?;
    let mut up = home.up_with(&terminal, &[])?;
    assert_eq!(home.plimsoll_with(&terminal, &["status"])?["recording"], "recording");
    assert!(up.group.terminate()?.success());

    let mut desk = Desk::new(&home)?;
    let page = desk.window_of(&desktop, &home, &[]).await?;
    page.find("nav a[aria-label=Overview]").await?;
    page.close().await?;
    drop(desk);

    if installed.system {
        run(Command::new("dpkg").args(["--purge", "plimsoll"]))?;
        assert!(!terminal.exists() && !desktop.exists());
        assert!(!Path::new("/usr/share/icons/hicolor/16x16/apps/plimsoll.png").exists());
    }
    Ok(())
}
