//! What the window needs: a display, WebKit, a tray.

use std::{
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::check;
use crate::api::{Check, Verdict};

const ASK_WITHIN: Duration = Duration::from_secs(2);
const LIBRARY_PLACES: [&str; 6] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/lib/x86_64-linux-gnu",
    "/usr/local/lib",
];

pub fn checks() -> Vec<Check> {
    let display = set("WAYLAND_DISPLAY").or_else(|| set("DISPLAY"));
    vec![show(display.as_deref()), webkit(), tray(display.is_some())]
}

fn show(display: Option<&str>) -> Check {
    let by_hand = "echo $WAYLAND_DISPLAY $DISPLAY; echo $XDG_SESSION_TYPE";
    match display {
        Some(display) => check("Display", Verdict::Good, display, "", by_hand),
        None => check(
            "Display",
            Verdict::Limited,
            "There is no display here.",
            "Use `plimsoll up --ui 127.0.0.1:0` and a browser; from afar, forward the port with ssh -L.",
            by_hand,
        ),
    }
}

fn webkit() -> Check {
    let by_hand = "ldconfig -p | grep libwebkit2gtk-4.1";
    match library("libwebkit2gtk-4.1.so.0") {
        Some(path) => check("WebKit", Verdict::Good, path.display().to_string(), "", by_hand),
        None => check(
            "WebKit",
            Verdict::Limited,
            "libwebkit2gtk-4.1 is not installed: the window cannot open.",
            "Debian, Ubuntu: sudo apt install libwebkit2gtk-4.1-0. The terminal and the browser work without it.",
            by_hand,
        ),
    }
}

fn tray(display: bool) -> Check {
    let by_hand = "gdbus call --session --dest org.freedesktop.DBus --object-path \
        /org/freedesktop/DBus --method org.freedesktop.DBus.NameHasOwner \
        org.kde.StatusNotifierWatcher";
    let asked = display.then(|| {
        ask(
            "gdbus",
            &[
                "call",
                "--session",
                "--dest",
                "org.freedesktop.DBus",
                "--object-path",
                "/org/freedesktop/DBus",
                "--method",
                "org.freedesktop.DBus.NameHasOwner",
                "org.kde.StatusNotifierWatcher",
            ],
        )
    });
    let library = library("libayatana-appindicator3.so.1").is_some()
        || library("libappindicator3.so.1").is_some();
    match (library, asked.flatten().as_deref().map(str::trim)) {
        (false, _) => check(
            "Tray",
            Verdict::Limited,
            "libayatana-appindicator3 is not installed: there is no tray icon.",
            "Debian, Ubuntu: sudo apt install libayatana-appindicator3-1. Closing the window asks instead.",
            by_hand,
        ),
        (true, Some("(true,)")) => {
            check("Tray", Verdict::Good, "The desktop shows tray icons.", "", by_hand)
        }
        (true, Some("(false,)")) => check(
            "Tray",
            Verdict::Limited,
            "This desktop shows no tray icons.",
            "On GNOME, install the extension AppIndicator. Closing the window asks instead.",
            by_hand,
        ),
        (true, _) => {
            check("Tray", Verdict::Unknown, "The desktop could not be asked.", "", by_hand)
        }
    }
}

fn library(name: &str) -> Option<PathBuf> {
    LIBRARY_PLACES.iter().map(|place| Path::new(place).join(name)).find(|path| path.exists())
}

fn set(name: &str) -> Option<String> {
    std::env::var(name)
        .ok()
        .filter(|value| !value.is_empty())
        .map(|value| format!("{name}={value}"))
}

/// What a short command prints; `None` where it is missing, fails or takes too long.
fn ask(program: &str, args: &[&str]) -> Option<String> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let deadline = Instant::now() + ASK_WITHIN;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    };
    let mut text = String::new();
    child.stdout.take()?.take(4096).read_to_string(&mut text).ok()?;
    status.success().then_some(text)
}
