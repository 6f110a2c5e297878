//! Alerts as notifications of the desktop. Which alert is worth one, and how often, the engine has
//! decided; a click on one opens the window.

use tauri::AppHandle;
use tauri_plugin_notification::NotificationExt as _;

use crate::window;

/// Call it once, before the first notification: a click is only reported to who listened by then.
pub fn listen(app: &AppHandle) {
    let handle = app.clone();
    let listening = app.notification().on_action(move |_| {
        let app = handle.clone();
        let sent = handle.run_on_main_thread(move || {
            if let Err(error) = window::show(&app) {
                tracing::error!(%error, "the window could not be shown");
            }
        });
        if let Err(error) = sent {
            tracing::debug!(%error, "stopping: the click opens nothing any more");
        }
    });
    if let Err(error) = listening {
        tracing::warn!(%error, "clicks on notifications cannot be heard");
    }
}

pub fn show(app: &AppHandle, title: &str, body: &str) {
    let shown = app.notification().builder().title(title).body(body).icon("plimsoll").show();
    if let Err(error) = shown {
        tracing::warn!(%error, title, "the desktop took no notification");
    }
}
