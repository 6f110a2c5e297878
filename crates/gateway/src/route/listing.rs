//! What there is to ask for, as clients of either kind ask for it. Made once with
//! its table, and sent as it lies there.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use serde::Serialize;

use crate::admission::BackendId;

/// A model as it can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: Arc<str>,
    /// Who answers with it, fallbacks apart.
    pub backends: Vec<BackendId>,
    /// The model that is asked for in its place, where it is another name for it.
    pub stands_for: Option<Arc<str>>,
    /// Ollama's own paths lead to it, too.
    pub native: bool,
}

/// The answers, by the alphabet.
#[derive(Debug, Default)]
pub struct Listing {
    pub(super) models: Vec<Listed>,
    /// `GET /v1/models`
    pub openai: Bytes,
    /// `GET /api/tags`
    pub ollama: Bytes,
    /// `GET /v1/models/NAME`
    single: BTreeMap<Arc<str>, Bytes>,
}

#[derive(Serialize)]
struct List<T> {
    object: &'static str,
    data: Vec<T>,
}

/// As OpenAI has it, with what is of use beside it.
#[derive(Serialize)]
struct One<'a> {
    id: &'a str,
    object: &'static str,
    /// When a model was made is known to no server; clients insist on a number.
    created: u64,
    owned_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<&'a str>,
}

#[derive(Serialize)]
struct Tags<'a> {
    models: Vec<Tag<'a>>,
}

/// As Ollama has it. What is not known of a model behind another server is empty.
#[derive(Serialize)]
struct Tag<'a> {
    name: &'a str,
    model: &'a str,
    modified_at: &'static str,
    size: u64,
    digest: &'static str,
    details: Details,
}

#[derive(Default, Serialize)]
struct Details {
    parent_model: &'static str,
    format: &'static str,
    family: &'static str,
    families: [&'static str; 0],
    parameter_size: &'static str,
    quantization_level: &'static str,
}

// === impl Listing ===

impl Listing {
    pub(super) fn of(models: &[Listed]) -> Self {
        let single = models.iter().map(|model| (model.name.clone(), json(&One::of(model))));
        let native = models.iter().filter(|model| model.native);
        Self {
            openai: json(&List { object: "list", data: models.iter().map(One::of).collect() }),
            ollama: json(&Tags { models: native.map(Tag::of).collect() }),
            single: single.collect(),
            models: models.to_vec(),
        }
    }

    /// Of these, those that may be told.
    #[must_use]
    pub fn narrowed(&self, may: impl Fn(&Listed) -> bool) -> Self {
        let models: Vec<_> = self.models.iter().filter(|model| may(model)).cloned().collect();
        Self::of(&models)
    }

    /// `GET /v1/models/NAME`
    pub fn one(&self, name: &str) -> Option<&Bytes> {
        self.single.get(name)
    }
}

// === impl One ===

impl<'a> One<'a> {
    fn of(model: &'a Listed) -> Self {
        Self {
            id: &model.name,
            object: "model",
            created: 0,
            owned_by: model.backends.iter().map(|id| &**id).collect::<Vec<_>>().join(","),
            root: model.stands_for.as_deref(),
        }
    }
}

// === impl Tag ===

impl<'a> Tag<'a> {
    fn of(model: &'a Listed) -> Self {
        Self {
            name: &model.name,
            model: &model.name,
            modified_at: "1970-01-01T00:00:00Z",
            size: 0,
            digest: "",
            details: Details::default(),
        }
    }
}

fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).map(Bytes::from).unwrap_or_default()
}
