//! Settings of the window.

use super::named;
use crate::config::setting::Setting;

const WINDOW: &str = "Window";

pub(super) const ENTRIES: &[Setting] = &[
    named(WINDOW, "window.theme", "Theme", "Dark, light, or what the desktop says.")
        .choice("system", &["system", "dark", "light"]),
    named(
        WINDOW,
        "window.close",
        "Closing the window",
        "What closing the window does: keep recording behind the tray icon, quit, or ask.",
    )
    .choice("tray", &["tray", "quit", "ask"]),
    named(
        WINDOW,
        "window.start_at_login",
        "Start at login",
        "Whether the desktop starts Plimsoll when one logs in.",
    )
    .switch(false),
    named(
        WINDOW,
        "window.start_hidden",
        "Start hidden",
        "Whether Plimsoll starts with its tray icon only.",
    )
    .switch(false),
];
