//! Embeddings: vectors that mean nothing, and are the same for the same text.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    super::{engine::Outcome, spec::ModelSpec},
    ask::{Ask, Text},
};

/// As OpenAI's clients want it; packed where they ask for that.
pub fn open_ai(model: &ModelSpec, ask: &Ask<'_>, texts: &[Text<'_>], prompt: u32) -> Value {
    let packed = ask.encoding_format.as_deref() == Some("base64");
    let one = |(index, text): (usize, &Text<'_>)| {
        let vector = vector(model, *text);
        let told = if packed {
            STANDARD.encode(vector.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>()).into()
        } else {
            json!(vector)
        };
        json!({ "object": "embedding", "index": index, "embedding": told })
    };
    json!({
        "object": "list", "model": model.name,
        "data": texts.iter().enumerate().map(one).collect::<Vec<_>>(),
        "usage": { "prompt_tokens": prompt, "total_tokens": prompt },
    })
}

/// As Ollama itself tells it.
pub fn native(
    model: &ModelSpec,
    texts: &[Text<'_>],
    last: &Outcome,
    prompt: u32,
    load_us: u64,
) -> Value {
    json!({
        "model": model.name,
        "embeddings": texts.iter().map(|text| vector(model, *text)).collect::<Vec<_>>(),
        "total_duration": (last.ended - last.arrived) * 1000,
        "load_duration": load_us * 1000,
        "prompt_eval_count": prompt,
    })
}

/// The same text has the same vector.
fn vector(model: &ModelSpec, text: Text<'_>) -> Vec<f32> {
    let mut state = text.seed() | 1;
    (0..model.dimensions)
        .map(|_| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            #[expect(clippy::cast_precision_loss, reason = "made up")]
            let x = (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5;
            x
        })
        .collect()
}
