//! The window: opened at once, destroyed on closing, so that a closed one holds
//! neither memory nor VRAM.

use plimsoll_core::config::OnClose;
use tauri::{
    AppHandle, Manager as _, WebviewUrl, WebviewWindow, WebviewWindowBuilder, window::Color,
};
use tauri_plugin_dialog::{DialogExt as _, MessageDialogButtons, MessageDialogResult};

use crate::{desktop::Desk, pump::Listeners};

pub const LABEL: &str = "main";

/// Whoever measures the start sets it: a file that is written when the first live value stands there.
pub const PAINTED_FILE: &str = "PLIMSOLL_PAINTED_FILE";
/// Looks for that value: a number in an instrument, painted by the frame after the one that set it.
const TELL_WHEN_PAINTED: &str = r#"
(() => {
  const painted = () => {
    const shown = document.querySelector('[data-testid="instrument-value"]');
    if (!shown || !/[0-9]/.test(shown.textContent)) return requestAnimationFrame(painted);
    requestAnimationFrame(() => setTimeout(() => window.__TAURI_INTERNALS__.invoke('painted'), 0));
  };
  requestAnimationFrame(painted);
})();
"#;

/// In a session without a locale (`LANG=C`) WebKitGTK names the language `C`, which is none to
/// `Intl`: a library that formats numbers would throw, and the window stay blank.
const KNOWN_LANGUAGE: &str = r"
try {
  Intl.getCanonicalLocales(navigator.language);
} catch {
  Object.defineProperty(navigator, 'language', { value: 'en-US' });
  Object.defineProperty(navigator, 'languages', { value: ['en-US'] });
}
";

/// The desk's colour of the dark theme: what stands there until the page has painted.
const DESK: Color = Color(0x0f, 0x14, 0x17, 0xff);

const KEEP: &str = "Keep running";
const QUIT: &str = "Quit";
const STAY: &str = "Cancel";

/// What happens when the window is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The window goes, the program stays.
    Keep,
    Quit,
    Ask,
}

/// Without a tray a program that stays cannot be seen any more: then it asks.
fn decide(setting: OnClose, tray: bool) -> Closing {
    match (setting, tray) {
        (OnClose::Quit, _) => Closing::Quit,
        (OnClose::Tray, true) => Closing::Keep,
        (OnClose::Tray, false) | (OnClose::Ask, _) => Closing::Ask,
    }
}

/// The choice with that name in the configuration.
pub fn on_close_named(name: &str) -> Option<OnClose> {
    serde_json::from_value(name.into()).ok()
}

/// Shows the window, or opens it where there is none.
pub fn show(app: &AppHandle) -> tauri::Result<()> {
    if let Some(window) = app.get_webview_window(LABEL) {
        window.unminimize()?;
        window.show()?;
        return window.set_focus();
    }
    open(app).map(drop)
}

fn open(app: &AppHandle) -> tauri::Result<WebviewWindow> {
    let desk = app.state::<Desk>();
    let title = if desk.args.demo { "Plimsoll (simulated)" } else { "Plimsoll" };
    let mut builder = WebviewWindowBuilder::new(app, LABEL, WebviewUrl::default())
        .title(title)
        .inner_size(1440.0, 900.0)
        .min_inner_size(800.0, 560.0)
        .background_color(DESK)
        .data_directory(desk.webview_folder.clone())
        .initialization_script(KNOWN_LANGUAGE)
        // The page is the program: it opens no other page, and no page opens it.
        .on_navigation(|url| url.scheme() == "tauri" || url.host_str() == Some("tauri.localhost"));
    if std::env::var_os(PAINTED_FILE).is_some() {
        builder = builder.initialization_script(TELL_WHEN_PAINTED);
    }
    builder.build()
}

/// Asked by the desktop to close the window. True where it may go.
pub fn may_close(app: &AppHandle) -> bool {
    let desk = app.state::<Desk>();
    let closing = decide(desk.on_close(), desk.tray_present());
    tracing::info!(?closing, tray = desk.tray_present(), "the window was asked to close");
    match closing {
        Closing::Keep => true,
        Closing::Quit => {
            app.exit(0);
            false
        }
        Closing::Ask => {
            ask(app);
            false
        }
    }
}

fn ask(app: &AppHandle) {
    let desk = app.state::<Desk>();
    if !desk.begin_asking() {
        return;
    }
    let text = if desk.tray_present() {
        "Keep Plimsoll running in the tray, so that it goes on recording?"
    } else {
        "This desktop has no tray. Plimsoll can keep running without a window and go on recording; \
         start it again to see it."
    };
    let buttons = MessageDialogButtons::YesNoCancelCustom(KEEP.into(), QUIT.into(), STAY.into());
    let mut dialog = app.dialog().message(text).title("Close Plimsoll").buttons(buttons);
    if let Some(window) = app.get_webview_window(LABEL) {
        dialog = dialog.parent(&window);
    }
    let app = app.clone();
    dialog.show_with_result(move |answer| {
        app.state::<Desk>().end_asking();
        match answer {
            MessageDialogResult::Custom(chosen) if chosen == KEEP => gone(&app),
            MessageDialogResult::Yes => gone(&app),
            MessageDialogResult::Custom(chosen) if chosen == QUIT => app.exit(0),
            MessageDialogResult::No => app.exit(0),
            _ => {}
        }
    });
}

fn gone(app: &AppHandle) {
    if let Some(window) = app.get_webview_window(LABEL)
        && let Err(error) = window.destroy()
    {
        tracing::error!(%error, "the window could not be closed");
    }
}

/// The window is gone: nothing is sent to it any more.
pub fn destroyed(app: &AppHandle) {
    app.state::<Listeners>().end_all();
    tracing::debug!("the window is closed; its web process has ended");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_keeps_running_only_where_a_tray_can_show_it() {
        assert_eq!(decide(OnClose::Tray, true), Closing::Keep);
        assert_eq!(decide(OnClose::Tray, false), Closing::Ask);
        assert_eq!(decide(OnClose::Quit, true), Closing::Quit);
        assert_eq!(decide(OnClose::Quit, false), Closing::Quit);
        assert_eq!(decide(OnClose::Ask, true), Closing::Ask);
    }

    #[test]
    fn every_choice_of_the_setting_is_known() {
        for name in ["tray", "quit", "ask"] {
            assert!(on_close_named(name).is_some(), "{name}");
        }
        assert_eq!(on_close_named("minimise"), None);
    }
}
