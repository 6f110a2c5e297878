//! What the stored answers say, one by one.

use super::*;
use crate::corpus::files;

type Tokens = (Option<u32>, Option<u32>, Option<u32>);

/// Tokens in, out and known before; chunks with text, why it stopped, whether it said that
/// it is complete; what went wrong.
type Told = (&'static str, Tokens, (u64, Option<&'static str>, bool), Option<&'static str>);

const STREAMS: [Told; 31] = [
    ("anthropic-error.sse", (Some(124), Some(1), Some(20)), (1, None, true), Some("Overloaded")),
    ("anthropic.sse", (Some(124), Some(33), Some(20)), (2, Some("tool_use"), true), None),
    ("azure-filter-first.sse", (Some(12), Some(3), Some(8)), (2, Some("stop"), true), None),
    ("carriage-returns.sse", (Some(12), Some(3), Some(8)), (2, Some("stop"), true), None),
    ("ids-and-retry.sse", (Some(12), Some(3), Some(8)), (2, Some("stop"), true), None),
    ("llama-cpp-chat-usage.sse", (Some(24), Some(6), Some(23)), (6, Some("length"), true), None),
    ("llama-cpp-chat.sse", (Some(24), Some(6), Some(0)), (6, Some("length"), true), None),
    ("llama-cpp-completion.sse", (Some(6), Some(5), Some(1)), (5, Some("length"), true), None),
    ("llama-cpp-messages.sse", (Some(8), Some(5), Some(4)), (5, Some("max_tokens"), true), None),
    ("llama-cpp-responses.sse", (Some(10), Some(5), Some(0)), (5, Some("completed"), true), None),
    ("llama-cpp-timings-each.sse", (Some(24), Some(3), Some(23)), (3, Some("length"), true), None),
    (
        "llama-cpp-two-choices-usage.sse",
        (Some(24), Some(6), Some(0)),
        (6, Some("length"), true),
        None,
    ),
    ("llama-cpp-two-choices.sse", (Some(24), Some(6), Some(23)), (6, Some("length"), true), None),
    ("no-last-blank-line.sse", (Some(12), Some(3), Some(8)), (2, Some("stop"), true), None),
    ("not-json.sse", (Some(12), Some(3), Some(8)), (2, Some("stop"), true), None),
    ("ollama-chat.sse", (None, None, None), (2, Some("stop"), true), None),
    ("openai-usage-null.sse", (Some(12), Some(3), Some(8)), (2, Some("stop"), true), None),
    ("openrouter-comments.sse", (Some(12), Some(3), Some(8)), (2, Some("stop"), true), None),
    ("responses-calls.sse", (Some(7), Some(9), Some(2)), (2, Some("incomplete"), true), None),
    (
        "responses-failed.sse",
        (None, None, None),
        (1, Some("failed"), true),
        Some("The model failed"),
    ),
    ("transcription.sse", (Some(14), Some(2), None), (2, None, true), None),
    ("usage-unended.sse", (Some(12), Some(3), Some(8)), (2, Some("stop"), false), None),
    ("utf8.sse", (Some(12), Some(3), Some(8)), (2, Some("stop"), true), None),
    ("vllm-broken-off.sse", (None, None, None), (1, None, false), None),
    ("vllm-chat-usage-crlf.sse", (Some(12), Some(3), Some(8)), (2, Some("stop"), true), None),
    ("vllm-chat-usage.sse", (Some(12), Some(3), Some(8)), (2, Some("stop"), true), None),
    ("vllm-chat.sse", (None, None, None), (2, Some("stop"), true), None),
    ("vllm-continuous-usage.sse", (Some(12), Some(3), None), (2, Some("stop"), true), None),
    (
        "vllm-error-midway-older.sse",
        (None, None, None),
        (1, None, true),
        Some("EngineDeadError: the engine died"),
    ),
    (
        "vllm-error-midway.sse",
        (None, None, None),
        (1, None, true),
        Some("EngineDeadError: the engine died"),
    ),
    ("vllm-reasoning-tools.sse", (Some(12), Some(3), Some(8)), (4, Some("tool_calls"), true), None),
];

const LINES: [Told; 3] = [
    ("ollama-chat.ndjson", (Some(26), Some(3), None), (3, Some("stop"), true), None),
    (
        "ollama-error.ndjson",
        (None, None, None),
        (1, None, false),
        Some("an error was encountered while running the model: CUDA error"),
    ),
    ("ollama-generate.ndjson", (Some(26), Some(3), None), (2, Some("stop"), true), None),
];

const ANSWERS: [Told; 14] = [
    ("anthropic.json", (Some(15), Some(7), Some(5)), (0, Some("tool_use"), false), None),
    ("deepseek.json", (Some(20), Some(1), Some(16)), (0, Some("stop"), false), None),
    ("llama-cpp-chat.json", (Some(24), Some(6), Some(23)), (0, Some("length"), false), None),
    ("llama-cpp-context-overflow.json", (None, None, None), (0, None, false), None),
    ("llama-cpp-embeddings.json", (Some(4), None, None), (0, None, false), None),
    ("llama-cpp-messages.json", (Some(8), Some(5), Some(7)), (0, Some("max_tokens"), false), None),
    ("llama-cpp-responses.json", (Some(10), Some(5), Some(9)), (0, Some("completed"), false), None),
    ("ollama-chat.json", (Some(26), Some(3), None), (0, Some("stop"), false), None),
    ("ollama-embed.json", (Some(8), None, None), (0, None, false), None),
    ("rerank-cohere.json", (Some(38), Some(0), None), (0, None, false), None),
    ("rerank-jina.json", (Some(38), None, None), (0, None, false), None),
    ("rerank-tei.json", (None, None, None), (0, None, false), None),
    ("transcription.json", (None, None, None), (0, None, false), None),
    ("vllm-chat.json", (Some(12), Some(3), Some(8)), (0, Some("stop"), false), None),
];

fn check(kind: &str, form: Form, told: &[Told]) {
    let answers = files(kind);
    assert_eq!(answers.len(), told.len());
    for ((name, answer), told) in answers.iter().zip(told) {
        let (_, watch) = fed(form, false, answer, &[]);
        let seen = watch.seen();
        let counts = (seen.counts.tokens_in, seen.counts.tokens_out, seen.counts.cached);
        let end = (seen.chunks, seen.finish.as_deref(), seen.complete);
        assert_eq!((name.as_str(), counts, end, seen.error.as_deref()), *told);
    }
}

#[test]
fn each_stored_answer_is_counted() {
    check("streams", Form::Events, &STREAMS);
    check("lines", Form::Lines, &LINES);
    check("answers", Form::Whole, &ANSWERS);
}
