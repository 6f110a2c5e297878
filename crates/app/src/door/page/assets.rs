//! The files of the window.
//!
//! They are looked for when the page is opened rather than compiled in: so the
//! program builds on a clean checkout, the terminal program stays small, and a
//! rebuilt window needs no rebuilt program. The names are read once, and only
//! those names are ever served: a path in a request is a key, never a path.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// More files than any build of the window has.
const MAX_FILES: usize = 4096;

#[derive(Debug, Default)]
pub struct Assets {
    files: HashMap<String, Asset>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    path: PathBuf,
    /// Its name carries a digest of its content, so a browser may keep it.
    lasting: bool,
}

/// The folder of the built window: named by `PLIMSOLL_UI_DIR`, installed beside the program
/// (`/usr/bin/plimsoll` → `/usr/share/plimsoll/ui`), or built in the checkout
/// (`target/release/plimsoll` → `ui/dist`). The first that has an `index.html`.
pub fn find_ui() -> Option<PathBuf> {
    let named = std::env::var_os("PLIMSOLL_UI_DIR").filter(|v| !v.is_empty()).map(PathBuf::from);
    let program = std::env::current_exe().ok().and_then(|exe| fs::canonicalize(exe).ok());
    let beside = |up: usize, rest: &str| {
        program.as_ref().and_then(|exe| exe.ancestors().nth(up)).map(|folder| folder.join(rest))
    };
    [named, beside(2, "share/plimsoll/ui"), beside(3, "ui/dist")]
        .into_iter()
        .flatten()
        .find(|folder| folder.join("index.html").is_file())
}

// === impl Assets ===

impl Assets {
    pub fn load(folder: Option<&Path>) -> Self {
        let mut assets = Self::default();
        if let Some(folder) = folder {
            assets.add(folder, "");
        }
        if !assets.files.contains_key("/index.html") {
            assets.files.clear();
        }
        assets
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The file at that path. A path without a dot is a page of the window, which finds its way
    /// itself.
    pub fn find(&self, path: &str) -> Option<&Asset> {
        self.files.get(path).or_else(|| {
            let page = !path.rsplit('/').next().unwrap_or_default().contains('.');
            let api = path.starts_with("/api/");
            if page && !api { self.files.get("/index.html") } else { None }
        })
    }

    fn add(&mut self, folder: &Path, prefix: &str) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = format!("{prefix}/{name}");
            if kind.is_dir() {
                self.add(&entry.path(), &path);
            } else if kind.is_file() && self.files.len() < MAX_FILES {
                let lasting = prefix.starts_with("/assets");
                self.files.insert(path, Asset { path: entry.path(), lasting });
            }
        }
    }
}

// === impl Asset ===

impl Asset {
    pub async fn response(&self) -> Response {
        match tokio::fs::read(&self.path).await {
            Ok(bytes) => {
                let keep =
                    if self.lasting { "private, max-age=31536000, immutable" } else { "no-cache" };
                let headers = [
                    (header::CONTENT_TYPE, HeaderValue::from_static(content_type(&self.path))),
                    (header::CACHE_CONTROL, HeaderValue::from_static(keep)),
                ];
                (headers, Body::from(bytes)).into_response()
            }
            Err(error) => {
                tracing::warn!(%error, path = %self.path.display(), "a file of the window is gone");
                StatusCode::NOT_FOUND.into_response()
            }
        }
    }
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|e| e.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("woff") => "font/woff",
        Some("wasm") => "application/wasm",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_folder_are_served_and_pages_lead_to_the_index() {
        let dir = tempfile::tempdir().unwrap();
        let ui = dir.path().join("ui");
        fs::create_dir_all(ui.join("assets")).unwrap();
        fs::write(ui.join("index.html"), "x").unwrap();
        fs::write(ui.join("assets/a-1.js"), "x").unwrap();
        fs::write(dir.path().join("secret.txt"), "x").unwrap();
        std::os::unix::fs::symlink(dir.path().join("secret.txt"), ui.join("link.txt")).unwrap();
        let assets = Assets::load(Some(&ui));
        assert!(assets.find("/assets/a-1.js").unwrap().lasting);
        for page in ["/", "/index.html", "/explore"] {
            assert_eq!(assets.find(page).unwrap().path, ui.join("index.html"), "{page}");
        }
        for none in ["/../secret.txt", "/assets/../../secret.txt", "/link.txt", "/b.js", "/api/x"] {
            assert_eq!(assets.find(none), None, "{none}");
        }
    }

    #[test]
    fn a_folder_without_an_index_is_no_window() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.js"), "x").unwrap();
        assert!(Assets::load(Some(dir.path())).is_empty());
        assert!(Assets::load(None).is_empty());
    }
}
