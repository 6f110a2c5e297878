//! What the stored bodies say, one by one.

use super::{fuzz::FORM, *};
use crate::corpus::files;

fn endpoint_of(name: &str) -> Endpoint {
    match name.split(['-', '.']).next().unwrap() {
        "responses" => Endpoint::Responses,
        "completion" => Endpoint::Completions,
        "embeddings" => Endpoint::Embeddings,
        "rerank" => Endpoint::Rerank,
        "speech" => Endpoint::Speech,
        "claude" => Endpoint::Messages,
        "ollama" if name.contains("chat") => Endpoint::OllamaChat,
        "ollama" if name.contains("generate") => Endpoint::OllamaGenerate,
        "ollama" => Endpoint::OllamaEmbed,
        _ => Endpoint::Chat,
    }
}

/// Model, stream, usage wanted, prompt tokens, most tokens, deterministic.
type Told = (Option<&'static str>, bool, bool, u32, Option<u32>, bool);

const BODIES: [(&str, Told); 28] = [
    ("claude-code.json", (Some("claude-sonnet"), true, false, 33, Some(32000), false)),
    ("completion-tokens.json", (Some("qwen3-8b"), false, false, 5, Some(16), true)),
    ("completion.json", (Some("qwen3-8b"), false, false, 5, Some(64), true)),
    ("curl-pretty.json", (Some("qwen3-8b"), true, false, 2, None, false)),
    ("deep.json", (Some("m"), false, false, 107, None, false)),
    ("embeddings.json", (Some("bge-m3"), false, false, 5, None, true)),
    ("empty-model.json", (None, false, false, 0, None, false)),
    ("empty-object.json", (None, false, false, 0, None, false)),
    ("escapes.json", (Some("qwen3-8b"), false, false, 15, None, false)),
    ("go-case.json", (Some("qwen3:8b"), false, false, 0, None, false)),
    ("half-surrogate.json", (Some("qwen3-8b"), true, false, 9, None, false)),
    ("no-model.json", (None, false, false, 1, None, false)),
    ("null-model.json", (None, false, false, 0, None, false)),
    ("numbers.json", (Some("m"), false, false, 0, Some(1000), true)),
    ("ollama-chat.json", (Some("qwen3:8b"), true, false, 1025, None, true)),
    ("ollama-embed.json", (Some("nomic-embed-text"), false, false, 1, None, true)),
    ("ollama-generate.json", (Some("qwen3:8b"), false, false, 3, Some(10), true)),
    ("openai-sdk-stream.json", (Some("qwen3-8b"), true, true, 8, Some(64), false)),
    ("openai-sdk.json", (Some("qwen3-8b"), false, false, 5, None, false)),
    ("rerank.json", (Some("bge-reranker"), false, false, 2, None, true)),
    ("responses-items.json", (Some("gpt-oss-20b"), false, false, 2, None, false)),
    ("responses-string.json", (Some("gpt-oss-20b"), true, false, 3, Some(20), true)),
    ("spaces.json", (None, false, false, 0, None, false)),
    ("speech.json", (Some("kokoro"), false, false, 3, None, false)),
    ("tools.json", (Some("qwen3-8b"), false, false, 58, None, false)),
    ("twice-the-same.json", (Some("a"), true, false, 0, None, false)),
    ("vision.json", (Some("qwen2.5-vl"), false, false, 1027, Some(50), false)),
    ("wrong-types.json", (Some("m"), false, false, 1, None, false)),
];

/// What is refused, and in which words.
const WRONG: [(&str, &str); 15] = [
    ("bad-bom.json", "the body is not JSON: expected value at line 1, column 1"),
    ("bad-comma.json", "the body is not JSON: trailing comma at line 1, column 14"),
    (
        "bad-control.json",
        "the body is not JSON: control character (\\u0000-\\u001F) found while parsing a string \
         at line 1, column 19",
    ),
    ("bad-cut.json", "the body is not JSON: EOF while parsing a string at line 1, column 18"),
    ("bad-list.json", "the body must be a JSON object, not a list"),
    ("bad-model-list.json", "`model` must be a string, not a list (at byte 9)"),
    ("bad-model-long.json", "the name of the model has 600 bytes; 512 are allowed"),
    ("bad-model-number.json", "`model` must be a string, not a number (at byte 23)"),
    ("bad-model-surrogate.json", "`model` must be a string, not half a surrogate (at byte 9)"),
    ("bad-nan.json", "the body is not JSON: expected value at line 1, column 22"),
    ("bad-text.json", "the body must be a JSON object, not a string"),
    ("bad-trailing.json", "the body is not JSON: trailing characters at line 1, column 15"),
    ("bad-two-cases.json", "the body names two models, `a` and then `b` (at byte 21)"),
    ("bad-two-models.json", "the body names two models, `a` and then `b` (at byte 21)"),
    ("bad-utf8.json", "the body is not JSON: byte 18 is no UTF-8"),
];

/// The same of forms: the model, or what is wrong.
const FORMS: [(&str, Result<Option<&str>, &str>); 10] = [
    (
        "bad-after-boundary.form",
        Err("the form is not well-formed: a boundary is followed by something else at byte 17"),
    ),
    ("bad-head.form", Err("the form is not well-formed: a part's head does not end at byte 17")),
    (
        "bad-no-boundary.form",
        Err("the form is not well-formed: its boundary never comes at byte 0"),
    ),
    ("bad-two-models.form", Err("the body names two models, `a` and then `b` (at byte 137)")),
    (
        "bad-unended.form",
        Err("the form is not well-formed: its last boundary is missing at byte 67"),
    ),
    ("empty-values.form", Ok(None)),
    ("file-first.form", Ok(Some("large-v3"))),
    ("no-model.form", Ok(None)),
    ("openai-sdk.form", Ok(Some("whisper-1"))),
    ("twice-the-same.form", Ok(Some("a"))),
];

#[test]
fn each_stored_body_says_what_it_says() {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (name, body) in files("bodies") {
        match understand(endpoint_of(&name), &body, Some("application/json")) {
            Ok(read) => good.push((name, read)),
            Err(wrong) => bad.push((name, wrong.to_string())),
        }
    }
    let told: Vec<(&str, Told)> = BODIES.to_vec();
    let good: Vec<(&str, Told)> = good
        .iter()
        .map(|(name, read)| {
            let model = told.iter().find(|(told, _)| told == name).and_then(|(_, told)| told.0);
            assert_eq!(read.model.as_deref(), model, "{name}");
            let (prompt, most) = (read.prompt_tokens, read.max_tokens);
            let told = (model, read.stream, read.usage_wanted, prompt, most, read.deterministic);
            (name.as_str(), told)
        })
        .collect();
    assert_eq!(good, told);
    let bad: Vec<_> = bad.iter().map(|(name, wrong)| (name.as_str(), wrong.as_str())).collect();
    assert_eq!(bad, WRONG);
}

#[test]
fn each_stored_form_says_what_it_says() {
    for ((name, form), (told, right)) in files("forms").into_iter().zip(FORMS) {
        assert_eq!(name, told);
        let read = understand(Endpoint::Transcriptions, &form, Some(FORM));
        let read = read.map(|read| read.model).map_err(|wrong| wrong.to_string());
        assert_eq!(read, right.map(|model| model.map(str::to_owned)).map_err(str::to_owned));
    }
}
