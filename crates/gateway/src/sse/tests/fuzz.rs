//! However an answer is split, and whatever is in it: the same is seen and the same passes.

use super::*;
use crate::{
    corpus::{Chance, changed, files, long_run, rounds},
    sse::{frame::Frame, glance::TAIL, line::LINE_MOST},
};

/// The events of a stream, each with the blank line that ends it; told apart as the
/// standard says, with nothing in common with the code under test.
fn events(stream: &[u8]) -> Vec<(&[u8], Vec<&[u8]>)> {
    let mut events = Vec::new();
    let (mut lines, mut begin, mut at) = (Vec::new(), 0, 0);
    while at < stream.len() {
        let from = at;
        while at < stream.len() && stream[at] != b'\n' && stream[at] != b'\r' {
            at += 1;
        }
        let line = &stream[from..at];
        let ended = at < stream.len();
        at += match stream[at..] {
            [b'\r', b'\n', ..] => 2,
            [_, ..] => 1,
            [] => 0,
        };
        if line.is_empty() && ended {
            events.push((&stream[begin..at], std::mem::take(&mut lines)));
            begin = at;
        } else {
            lines.push(line);
        }
    }
    events.push((&stream[begin..], lines));
    events
}

/// The chunk that is taken out.
fn is_extra(event: &[u8], lines: &[&[u8]]) -> bool {
    // What is longer than is ever held is not looked at; no test makes one near the bound.
    event.len() <= LINE_MOST
        && lines.iter().any(|line| {
            let data = line.strip_prefix(b"data:").unwrap_or_default();
            let data = data.strip_prefix(b" ").unwrap_or(data);
            Frame::read(data).is_some_and(|frame| frame.usage && frame.choices == Some(0))
        })
}

/// Fed in pieces, with the bounds looked at after each.
fn fed(form: Form, cuts: bool, whole: &Bytes, ends: &[usize]) -> (Vec<u8>, Seen) {
    let mut watch = Watch::new(Endpoint::Chat, form, cuts);
    let mut out = Vec::new();
    let mut from = 0;
    for end in ends.iter().copied().chain([whole.len()]) {
        let piece = whole.slice(from..end);
        watch.feed(piece, 0).for_each(|bytes| out.extend_from_slice(&bytes));
        let (line, tail, held) = watch.gathered();
        assert!(line <= LINE_MOST && tail <= 2 * TAIL && held <= LINE_MOST, "{line} {tail} {held}");
        from = end;
    }
    watch.end(0).for_each(|bytes| out.extend_from_slice(&bytes));
    (out, watch.seen().clone())
}

fn try_stream(stream: &[u8], chance: &mut Chance) {
    let whole = Bytes::copy_from_slice(stream);
    let mut ends: Vec<usize> =
        (0..chance.below(12)).map(|_| chance.below(stream.len() + 1)).collect();
    ends.sort_unstable();
    let each: Vec<usize> = if stream.len() < 2000 { (0..stream.len()).collect() } else { vec![] };
    for form in [Form::Events, Form::Lines, Form::Whole, Form::Unread] {
        let (out, once) = fed(form, false, &whole, &[]);
        assert_eq!(out, stream);
        for ends in [&ends, &each] {
            let (out, seen) = fed(form, false, &whole, ends);
            assert_eq!(out, stream, "{form:?}");
            assert_eq!(seen, once, "{form:?}");
        }
    }
    let wanted: Vec<u8> = events(stream)
        .into_iter()
        .filter(|(event, lines)| !is_extra(event, lines))
        .flat_map(|(event, _)| event.to_vec())
        .collect();
    for ends in [&vec![], &ends, &each] {
        let (out, _) = fed(Form::Events, true, &whole, ends);
        assert_eq!(
            String::from_utf8_lossy(&out),
            String::from_utf8_lossy(&wanted),
            "split at {ends:?}"
        );
    }
}

fn all() -> Vec<(String, Vec<u8>)> {
    ["streams", "lines", "answers"].into_iter().flat_map(files).collect()
}

fn round(files: &[(String, Vec<u8>)], seed: u64) {
    let run = std::panic::catch_unwind(|| {
        let mut chance = Chance::new(seed);
        let stream = changed(files, &mut chance);
        try_stream(&stream, &mut chance);
    });
    if run.is_err() {
        panic!("round {seed} (its words stand above)");
    }
}

#[test]
fn changed_answers_are_seen_alike_however_they_are_split() {
    let files = all();
    for (name, stream) in &files {
        println!("{name}");
        try_stream(stream, &mut Chance::new(1));
    }
    rounds(1000, |seed| round(&files, seed));
}

#[test]
#[ignore = "ten minutes; PLIMSOLL_FUZZ_S says otherwise"]
fn fuzz_answers() {
    let files = all();
    println!("{} rounds", long_run(|seed| round(&files, seed)));
}
