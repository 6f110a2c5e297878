//! The page's door: its commands are forwarded; the one thing done here is to
//! write a file that the page made, at a place the person chose.

use std::path::Path;

use base64::Engine as _;
use plimsoll_app::api::{Fault, FaultCode};
use tauri::{
    AppHandle, State, WebviewWindow,
    ipc::{Channel, InvokeResponseBody, Response},
};
use tauri_plugin_dialog::DialogExt as _;
use tokio::sync::oneshot;

use crate::{host::Host, pump::Listeners, window};

/// A picture or a table of what is shown: far below this.
const MAX_FILE_BYTES: usize = 64 << 20;

/// `{"command":"…","args":{…}}`; answers the command's answer as JSON.
#[tauri::command]
pub async fn call(host: State<'_, Host>, command: serde_json::Value) -> Result<Response, Fault> {
    let session = host.session().await?;
    session.call_json(&command.to_string()).await.map(Response::new)
}

/// Sends [`plimsoll_app::api::Live`] messages into `channel` until the page goes or subscribes anew.
#[tauri::command]
pub async fn subscribe(
    host: State<'_, Host>,
    listeners: State<'_, Listeners>,
    window: WebviewWindow,
    metrics: Vec<String>,
    channel: Channel<InvokeResponseBody>,
) -> Result<(), Fault> {
    // Only to say why there will be no live values, where there will be none.
    host.session().await?;
    listeners.begin(window, channel, metrics);
    Ok(())
}

/// Ends the subscription of that channel.
#[tauri::command]
pub fn unsubscribe(listeners: State<'_, Listeners>, id: u32) {
    listeners.end(id);
}

/// The page has painted its first live value: for those who measure how long that takes.
#[tauri::command]
pub fn painted() {
    let Some(file) = std::env::var_os(window::PAINTED_FILE) else { return };
    if let Err(error) = std::fs::write(&file, "") {
        tracing::warn!(%error, file = %Path::new(&file).display(), "could not be written");
    }
}

/// Asks where to save what the page made, and writes it there. `None`: the person changed their mind.
#[tauri::command]
pub async fn save_file(
    app: AppHandle,
    name: String,
    base64: String,
) -> Result<Option<String>, Fault> {
    let bytes = decode(&base64)?;
    let (tell, told) = oneshot::channel();
    app.dialog().file().set_file_name(name).save_file(move |path| {
        // Nobody waits any more where the window was closed meanwhile.
        let _ = tell.send(path);
    });
    let Some(path) = told.await.ok().flatten().and_then(|path| path.into_path().ok()) else {
        return Ok(None);
    };
    tokio::fs::write(&path, bytes).await.map_err(|error| not_written(&path, &error))?;
    Ok(Some(path.display().to_string()))
}

fn decode(text: &str) -> Result<Vec<u8>, Fault> {
    if text.len() / 4 * 3 > MAX_FILE_BYTES {
        return Err(Fault::new(
            FaultCode::Invalid,
            format!("The file is larger than {} MiB.", MAX_FILE_BYTES >> 20),
        )
        .hint("Choose a shorter range, or export with `plimsoll history export`."));
    }
    base64::engine::general_purpose::STANDARD.decode(text).map_err(|error| {
        Fault::new(FaultCode::Invalid, format!("The file is not base64: {error}."))
    })
}

fn not_written(path: &Path, error: &std::io::Error) -> Fault {
    Fault::new(FaultCode::Denied, format!("{} could not be written: {error}.", path.display()))
        .hint("Choose a folder that you may write to.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_page_made_comes_through_and_too_much_is_refused() {
        assert_eq!(decode("UGxpbXNvbGw=").unwrap(), b"Plimsoll");
        assert_eq!(decode("?").unwrap_err().code, FaultCode::Invalid);
        let large = "A".repeat(MAX_FILE_BYTES / 3 * 4 + 8);
        assert!(decode(&large).unwrap_err().message.contains("64 MiB"));
    }
}
