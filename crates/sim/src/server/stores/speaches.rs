//! A Speaches with two models on its disk, of which it has one in memory. It tells
//! nothing of what it is asked to do.

use serde_json::json;

use super::{Moment, Page};

/// What lies on its disk: name, languages and task. The first is in use.
const MODELS: [(&str, &str); 2] = [
    ("Systran/faster-whisper-large-v3", "automatic-speech-recognition"),
    ("speaches-ai/Kokoro-82M-v1.0-ONNX", "text-to-speech"),
];
const LOADED: &str = "/api/ps";

/// Which of its models are in memory.
#[derive(Debug)]
pub struct Speaches([bool; 2]);

// === impl Speaches ===

impl Default for Speaches {
    fn default() -> Self {
        Self([true, false])
    }
}

impl Speaches {
    /// Whether the model is in memory that holds VRAM; the other one runs on the CPU.
    pub fn is_loaded(&self) -> bool {
        self.0[0]
    }

    pub fn page(&mut self, method: &str, path: &str, moment: &Moment) -> Page {
        let model = path.strip_prefix(LOADED).and_then(|rest| rest.strip_prefix('/'));
        match (method, path, model) {
            ("GET", "/health", _) => Page::text("OK"),
            ("GET", "/openapi.json", _) => {
                let info = json!({ "title": "Speaches", "version": "0.8.3" });
                Page::json(200, &json!({ "openapi": "3.1.0", "info": info, "paths": {} }))
            }
            ("GET", "/v1/models", _) => {
                let told = MODELS.map(|(name, task)| {
                    let owner = name.split('/').next().unwrap_or_default();
                    json!({
                        "id": name, "created": moment.second - moment.up_s, "object": "model",
                        "owned_by": owner, "language": null, "task": task,
                    })
                });
                Page::json(200, &json!({ "object": "list", "data": told }))
            }
            ("GET", LOADED, _) => {
                let here = MODELS.iter().zip(self.0).filter(|(_, here)| *here);
                let names: Vec<_> = here.map(|((name, _), _)| *name).collect();
                Page::json(200, &json!({ "models": names }))
            }
            ("POST", _, Some(model)) => self.load(model, true),
            ("DELETE", _, Some(model)) => self.load(model, false),
            _ => Page::json(404, &json!({ "detail": "Not Found" })),
        }
    }

    /// Loads a model, or takes it out of memory. It downloads none.
    fn load(&mut self, model: &str, wanted: bool) -> Page {
        let Some(place) = MODELS.iter().position(|(name, _)| *name == model) else {
            let detail = format!("Model '{model}' is not installed locally.");
            return Page::json(404, &json!({ "detail": detail }));
        };
        let before = std::mem::replace(&mut self.0[place], wanted);
        match (wanted, before) {
            (true, true) => Page::json(409, &json!({ "detail": "Model already loaded" })),
            (true, false) => Page { status: 201, ..Page::text("") },
            (false, true) => Page { status: 204, ..Page::text("") },
            (false, false) => Page::json(404, &json!({ "detail": "Model is not loaded" })),
        }
    }
}
