//! What the stored answers say, one by one.

use super::*;
use crate::{
    corpus::files,
    sse::{frame::Frame, glance::counts_at_end},
};

type Tokens = (Option<u32>, Option<u32>, Option<u32>);

/// Tokens in, out and known before; chunks with text, whether it said that it is complete; what
/// went wrong.
type Told = (&'static str, Tokens, (u64, bool), Option<&'static str>);

const STREAMS: [Told; 31] = [
    ("anthropic-error.sse", (Some(124), Some(1), Some(20)), (1, true), Some("Overloaded")),
    ("anthropic.sse", (Some(124), Some(33), Some(20)), (2, true), None),
    ("azure-filter-first.sse", (Some(12), Some(3), Some(8)), (2, true), None),
    ("carriage-returns.sse", (Some(12), Some(3), Some(8)), (2, true), None),
    ("ids-and-retry.sse", (Some(12), Some(3), Some(8)), (2, true), None),
    ("llama-cpp-chat-usage.sse", (Some(24), Some(6), Some(23)), (6, true), None),
    ("llama-cpp-chat.sse", (Some(24), Some(6), Some(0)), (6, true), None),
    ("llama-cpp-completion.sse", (Some(6), Some(5), Some(1)), (5, true), None),
    ("llama-cpp-messages.sse", (Some(8), Some(5), Some(4)), (5, true), None),
    ("llama-cpp-responses.sse", (Some(10), Some(5), Some(0)), (5, true), None),
    ("llama-cpp-timings-each.sse", (Some(24), Some(3), Some(23)), (3, true), None),
    ("llama-cpp-two-choices-usage.sse", (Some(24), Some(6), Some(0)), (6, true), None),
    ("llama-cpp-two-choices.sse", (Some(24), Some(6), Some(23)), (6, true), None),
    ("no-last-blank-line.sse", (Some(12), Some(3), Some(8)), (2, true), None),
    ("not-json.sse", (Some(12), Some(3), Some(8)), (2, true), None),
    ("ollama-chat.sse", (None, None, None), (2, true), None),
    ("openai-usage-null.sse", (Some(12), Some(3), Some(8)), (2, true), None),
    ("openrouter-comments.sse", (Some(12), Some(3), Some(8)), (2, true), None),
    ("responses-calls.sse", (Some(7), Some(9), Some(2)), (2, true), None),
    ("responses-failed.sse", (None, None, None), (1, true), Some("The model failed")),
    ("transcription.sse", (Some(14), Some(2), None), (2, true), None),
    ("usage-unended.sse", (Some(12), Some(3), Some(8)), (2, false), None),
    ("utf8.sse", (Some(12), Some(3), Some(8)), (2, true), None),
    ("vllm-broken-off.sse", (None, None, None), (1, false), None),
    ("vllm-chat-usage-crlf.sse", (Some(12), Some(3), Some(8)), (2, true), None),
    ("vllm-chat-usage.sse", (Some(12), Some(3), Some(8)), (2, true), None),
    ("vllm-chat.sse", (None, None, None), (2, true), None),
    ("vllm-continuous-usage.sse", (Some(12), Some(3), None), (2, true), None),
    (
        "vllm-error-midway-older.sse",
        (None, None, None),
        (1, true),
        Some("EngineDeadError: the engine died"),
    ),
    (
        "vllm-error-midway.sse",
        (None, None, None),
        (1, true),
        Some("EngineDeadError: the engine died"),
    ),
    ("vllm-reasoning-tools.sse", (Some(12), Some(3), Some(8)), (4, true), None),
];

const LINES: [Told; 3] = [
    ("ollama-chat.ndjson", (Some(26), Some(3), None), (3, true), None),
    (
        "ollama-error.ndjson",
        (None, None, None),
        (1, false),
        Some("an error was encountered while running the model: CUDA error"),
    ),
    ("ollama-generate.ndjson", (Some(26), Some(3), None), (2, true), None),
];

const ANSWERS: [Told; 14] = [
    ("anthropic.json", (Some(15), Some(7), Some(5)), (0, false), None),
    ("deepseek.json", (Some(20), Some(1), Some(16)), (0, false), None),
    ("llama-cpp-chat.json", (Some(24), Some(6), Some(23)), (0, false), None),
    ("llama-cpp-context-overflow.json", (None, None, None), (0, false), None),
    ("llama-cpp-embeddings.json", (Some(4), None, None), (0, false), None),
    ("llama-cpp-messages.json", (Some(8), Some(5), Some(7)), (0, false), None),
    ("llama-cpp-responses.json", (Some(10), Some(5), Some(9)), (0, false), None),
    ("ollama-chat.json", (Some(26), Some(3), None), (0, false), None),
    ("ollama-embed.json", (Some(8), None, None), (0, false), None),
    ("rerank-cohere.json", (Some(38), Some(0), None), (0, false), None),
    ("rerank-jina.json", (Some(38), None, None), (0, false), None),
    ("rerank-tei.json", (None, None, None), (0, false), None),
    ("transcription.json", (None, None, None), (0, false), None),
    ("vllm-chat.json", (Some(12), Some(3), Some(8)), (0, false), None),
];

fn check(kind: &str, form: Form, told: &[Told]) {
    let answers = files(kind);
    assert_eq!(answers.len(), told.len());
    for ((name, answer), told) in answers.iter().zip(told) {
        let (_, watch) = fed(form, false, answer, &[]);
        let seen = watch.seen();
        let counts = (seen.counts.tokens_in, seen.counts.tokens_out, seen.counts.cached);
        let end = (seen.chunks, seen.complete);
        assert_eq!((name.as_str(), counts, end, seen.error.as_deref()), *told);
    }
}

#[test]
fn each_stored_answer_is_counted() {
    check("streams", Form::Events, &STREAMS);
    check("lines", Form::Lines, &LINES);
    check("answers", Form::Whole, &ANSWERS);
}

#[test]
fn counts_at_the_end_of_an_answer_are_what_reading_all_of_it_finds() {
    let mut at_end = 0;
    for (name, answer) in files("answers") {
        let all = Frame::read(&answer).map(|frame| frame.counts);
        if let Some(counts) = counts_at_end(&answer) {
            assert_eq!(Some(counts), all, "{name}");
            at_end += 1;
        }
    }
    assert!(at_end >= 3, "{at_end}");
    let twice = r#"{"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":1,"cached_tokens":3,
        "prompt_tokens_details":{"cached_tokens":null}}}"#;
    assert_eq!(counts_at_end(twice.as_bytes()).and_then(|counts| counts.cached), Some(3));
    // What somebody else's object says, or what could be misread, is not taken for it.
    for not_its_own in [
        r#"{"tool":{"usage":{"prompt_tokens":1,"completion_tokens":1}}}"#,
        r#"{"tool":{"usage":{"prompt_tokens":1,"completion_tokens":1}},"a":1}"#,
        r#"[{"usage":{"prompt_tokens":1,"completion_tokens":1}}]"#,
        r#"{"usage":{"prompt_tokens":1,"completion_tokens":1},"a":"}"}"#,
        r#"{"usage":{"prompt_tokens":1}}"#,
        r#"{"usage":"#,
        r#"{"what":"usage"}"#,
        r#"{"timings":{"cache_n":3},"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
    ] {
        assert_eq!(counts_at_end(not_its_own.as_bytes()), None, "{not_its_own}");
    }
}
