//! What is too long to read is looked at by its two ends.
//!
//! Servers write `usage` first or last. In JSON a quote within a text is escaped, so that
//! `"usage":` in raw bytes is always the name of a member, never somebody's words.

use memchr::memmem;

use super::{
    counts::{Counts, Usage},
    frame::{Frame, Kind},
};

/// So much of the end is kept of what is too long.
pub const TAIL: usize = 4 << 10;
/// Where a `type` would stand.
const BEGIN: usize = 256;

/// What the beginning and the end of a long object say.
pub fn glance(head: &[u8], tail: &[u8]) -> Frame {
    let mut frame = Frame::default();
    for part in [head, tail] {
        if let Some(usage) = last_usage(part) {
            frame.counts.update(usage);
        }
    }
    let begin = &head[..head.len().min(BEGIN)];
    if let Some(kind) = text_after(begin, b"\"type\"") {
        frame.kind = Kind::of(kind);
    }
    let counts = Counts {
        tokens_in: number_after(tail, b"\"prompt_eval_count\""),
        tokens_out: number_after(tail, b"\"eval_count\""),
        cached: None,
    };
    frame.counts.update(counts);
    frame.done = [begin, tail].iter().any(|part| value_after(part, b"\"done\"") == Some(b"true"));
    frame
}

fn last_usage(part: &[u8]) -> Option<Counts> {
    let at = memmem::rfind(part, b"\"usage\"")?;
    let rest = colon(&part[at + 7..])?;
    let mut from = serde_json::Deserializer::from_slice(rest).into_iter::<Usage>();
    from.next()?.ok().map(Counts::from)
}

/// What stands behind a colon and its blanks.
fn colon(rest: &[u8]) -> Option<&[u8]> {
    rest.trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start)
}

fn value_after<'a>(part: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = colon(&part[memmem::rfind(part, name)? + name.len()..])?;
    let end = rest.iter().position(|byte| matches!(byte, b',' | b'}' | b' ' | b'\n' | b'\r'))?;
    Some(&rest[..end])
}

fn number_after(part: &[u8], name: &[u8]) -> Option<u32> {
    std::str::from_utf8(value_after(part, name)?).ok()?.parse().ok()
}

/// The first of that name: of the object itself.
fn text_after<'a>(part: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let rest = colon(&part[memmem::find(part, name)? + name.len()..])?;
    let text = rest.strip_prefix(b"\"")?;
    std::str::from_utf8(&text[..memchr::memchr(b'"', text)?]).ok()
}
