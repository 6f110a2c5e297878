//! What is long goes by without being kept; what passes is not copied.

use super::*;
use crate::sse::line::LINE_MOST;

fn chunk(text: &str) -> String {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
}

const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n";

/// Fed in pieces of so many bytes.
fn by(size: usize, form: Form, cuts: bool, whole: &str) -> (Vec<u8>, Watch) {
    let ends: Vec<usize> = (0..whole.len()).step_by(size).collect();
    fed(form, cuts, whole.as_bytes(), &ends)
}

#[test]
fn chunks_pass_as_the_very_bytes_that_came() {
    for cuts in [false, true] {
        let mut watch = Watch::new(Endpoint::Chat, Form::Events, cuts);
        for text in ["a", "b", "c"] {
            let came = Bytes::from(chunk(text) + &chunk("more"));
            let passed: Vec<Bytes> = watch.feed(came.clone(), 0).collect();
            assert_eq!(passed.len(), 1);
            assert_eq!((passed[0].as_ptr(), passed[0].len()), (came.as_ptr(), came.len()));
        }
    }
}

#[test]
fn what_stands_around_the_chunk_taken_out_is_not_copied_either() {
    let mut watch = Watch::new(Endpoint::Chat, Form::Events, true);
    let (before, after) = (chunk("a"), chunk("b"));
    let came = Bytes::from(format!("{before}{USAGE}{after}"));
    let passed: Vec<Bytes> = watch.feed(came.clone(), 0).collect();
    assert_eq!(passed, [before.as_bytes(), after.as_bytes()]);
    assert_eq!(passed[0].as_ptr(), came.as_ptr());
    assert_eq!(passed[1].as_ptr(), came[before.len() + USAGE.len()..].as_ptr());
}

// MV13
#[test]
fn an_event_in_part_is_held_and_one_that_is_too_long_is_let_go() {
    let mut watch = Watch::new(Endpoint::Chat, Form::Events, true);
    let came = Bytes::from(chunk("a"));
    assert!(watch.feed(came.slice(..20), 0).is_empty());
    let passed: Vec<u8> = watch.feed(came.slice(20..), 0).flatten().collect();
    assert_eq!(passed, came);

    let long = chunk(&"x".repeat(3 * LINE_MOST)) + USAGE + &chunk("b");
    let wanted = long.replace(USAGE, "");
    for size in [1000, 40_000, long.len()] {
        let (out, watch) = by(size, Form::Events, true, &long);
        assert_eq!(String::from_utf8(out).unwrap(), wanted, "in pieces of {size}");
        assert_eq!(watch.seen().counts.tokens_out, Some(2));
    }
}

#[test]
fn the_counts_of_a_long_last_event_are_seen() {
    let output = "A word. ".repeat(40_000);
    let stream = format!(
        "event: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{{\"output\":\
         [\"{output}\"],\"usage\":{{\"input_tokens\":7,\"output_tokens\":90000,\"total_tokens\":\
         90007}},\"user\":null}}}}\n\n"
    );
    for size in [777, 16_384, stream.len()] {
        let (out, watch) = by(size, Form::Events, false, &stream);
        assert_eq!(out, stream.as_bytes());
        let seen = watch.seen();
        let counts = (seen.counts.tokens_in, seen.counts.tokens_out);
        assert_eq!((counts, seen.complete), ((Some(7), Some(90_000)), true));
    }
}

#[test]
fn the_counts_of_ollamas_last_line_are_seen_behind_its_context() {
    let context: Vec<String> = (0..60_000).map(|token: u32| token.to_string()).collect();
    let line = format!(
        "{{\"response\":\"\",\"done\":true,\"context\":[{}],\"prompt_eval_count\":59000,\
         \"eval_count\":1000,\"eval_duration\":3}}\n",
        context.join(",")
    );
    for size in [999, 65_536, line.len()] {
        let (_, watch) = by(size, Form::Lines, false, &line);
        let seen = watch.seen();
        let counts = (seen.counts.tokens_in, seen.counts.tokens_out);
        assert_eq!((counts, seen.complete), ((Some(59_000), Some(1000)), true));
    }
}

#[test]
fn the_counts_of_long_answers_are_seen_first_or_last() {
    let data = format!("\"data\":[{}0]", "0.0123456789,".repeat(100_000));
    let usage = "\"usage\" : {\"prompt_tokens\": 64, \"total_tokens\": 64}";
    for answer in [format!("{{{data}, {usage}}}"), format!("{{{usage}, {data}}}")] {
        for size in [1500, 100_000, answer.len()] {
            let (_, watch) = by(size, Form::Whole, false, &answer);
            assert_eq!(watch.seen().counts.tokens_in, Some(64));
        }
    }
    // Somebody's words are no counts.
    let words = format!(
        "{{\"text\":\"{}\\\"usage\\\":{{\\\"prompt_tokens\\\":9}}\"}}",
        "a".repeat(LINE_MOST)
    );
    let (_, watch) = by(5000, Form::Whole, false, &words);
    assert_eq!(watch.seen().counts, Counts::default());
}

#[test]
fn what_is_compressed_or_no_text_passes_unread() {
    for (kind, encoding, form) in [
        (Some("text/event-stream; charset=utf-8"), None, Form::Events),
        (Some("Text/Event-Stream"), Some("identity"), Form::Events),
        (Some("text/event-stream"), Some("gzip"), Form::Unread),
        (Some("application/x-ndjson"), None, Form::Lines),
        (Some("application/json"), None, Form::Whole),
        (None, None, Form::Whole),
        (Some("audio/mpeg"), None, Form::Unread),
        (Some("text/html"), None, Form::Unread),
    ] {
        assert_eq!(Form::of(kind, encoding), form, "{kind:?} {encoding:?}");
    }
    let (out, watch) = by(3, Form::Unread, true, STREAM);
    assert_eq!(out, STREAM.as_bytes());
    assert_eq!((watch.seen().chunks, watch.seen().bytes), (0, STREAM.len() as u64));
}

#[test]
fn the_first_token_and_the_times_between_are_told() {
    let mut watch = Watch::new(Endpoint::Chat, Form::Events, false);
    let head = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null}}]}\n\n";
    watch.feed(head.into(), 100);
    assert_eq!((watch.seen().first_us, watch.gap_us(0.5)), (None, None));
    let mut now = 5000;
    for token in 0..100 {
        watch.feed(chunk("a").into(), now);
        // Every twentieth takes a second.
        now += if token % 20 == 19 { 1_000_000 } else { 20_000 };
    }
    assert_eq!(watch.seen().first_us, Some(5000));
    let near = |share, right: u64| {
        let us = watch.gap_us(share).unwrap();
        assert!(us.abs_diff(right) * 25 <= right, "{us} for {right}");
    };
    near(0.5, 20_000);
    near(0.95, 20_000);
    near(0.99, 1_000_000);
}

#[test]
fn only_what_was_added_is_taken_out() {
    // Of another endpoint, and where nothing was added, all of it passes.
    let mut watch = Watch::new(Endpoint::Messages, Form::Events, true);
    let passed: Vec<u8> = watch.feed(STREAM.into(), 0).flatten().collect();
    assert_eq!(passed, STREAM.as_bytes());
    // Usage beside choices is the backend's own way, and so is a chunk without either.
    for own in [
        "data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":5}}\n\n",
        "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n",
        "data: {\"choices\":[],\"usage\":null}\n\n",
    ] {
        let (out, _) = fed(Form::Events, true, own.as_bytes(), &[]);
        assert_eq!(out, own.as_bytes());
    }
}

#[test]
fn an_error_in_the_midst_of_a_stream_is_told_with_its_status() {
    let of = |stream: &str| {
        let (_, watch) = fed(Form::Events, false, stream.as_bytes(), &[]);
        let seen = watch.seen().clone();
        (seen.error.map(String::from), seen.error_status, seen.complete)
    };
    let told = |words: &str, status, complete| (Some(words.to_owned()), status, complete);
    for (stream, right) in [
        (
            "data: {\"error\":{\"message\":\"Too long\",\"code\":400}}\n\n",
            ("Too long", Some(400), false),
        ),
        ("data: {\"error\":{\"message\":\"Odd\",\"code\":\"invalid\"}}\n\n", ("Odd", None, false)),
        ("data: {\"error\":\"Plain words\"}\n\n", ("Plain words", None, false)),
        ("data: {\"error\":{\"detail\":7}}\n\n", ("{\"detail\":7}", None, false)),
        ("error: {\"code\":500,\"message\":\"Old way\"}\n\n", ("Old way", Some(500), true)),
        ("event: error\ndata: {\"x\":1}\n\n", ("the backend told of an error", None, true)),
        ("error: nothing known\n\n", ("the backend told of an error", None, true)),
    ] {
        assert_eq!(of(stream), told(right.0, right.1, right.2), "{stream}");
    }
    assert_eq!(of("data: {\"choices\":[],\"error\":null}\n\n"), (None, None, false));
}

#[test]
fn it_is_known_where_something_else_may_follow() {
    let mut watch = Watch::new(Endpoint::Chat, Form::Events, false);
    let mut after = |text: &str| {
        watch.feed(Bytes::from(text.to_owned()), 0);
        watch.is_between()
    };
    assert!(after("data: 1\n\n"));
    assert!(!after("da"));
    assert!(!after("ta: 1\n"));
    assert!(after("\n"));
    // What is held back was not passed on.
    let mut watch = Watch::new(Endpoint::Chat, Form::Events, true);
    watch.feed("da".into(), 0);
    assert!(watch.is_between());
}

#[test]
fn a_glance_at_a_chunk_sees_what_reading_it_sees() {
    use crate::sse::{frame::Frame, glance::is_text_alone};
    let mut alone = 0;
    for (name, stream) in crate::corpus::files("streams") {
        if ["responses", "messages", "anthropic", "transcription"].iter().any(|o| name.contains(o))
        {
            continue; // Written otherwise, and never looked at so.
        }
        let stream = String::from_utf8(stream).unwrap();
        let datas = stream.split(['\n', '\r']).filter_map(|line| line.strip_prefix("data:"));
        for data in datas.map(str::trim) {
            for chat in [true, false] {
                if is_text_alone(data.as_bytes(), chat) {
                    let read = Frame::read(data.as_bytes()).unwrap();
                    let text = Frame { text: true, choices: Some(1), ..Frame::default() };
                    assert_eq!(read, text, "{name}");
                    alone += 1;
                }
            }
        }
    }
    assert!(alone > 40, "{alone}");
}
