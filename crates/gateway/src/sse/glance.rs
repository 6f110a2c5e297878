//! What need not be read is told by a glance: chunks of text and nothing else, which nearly
//! all are; and by its two ends what is too long, as servers write `usage` first or last.
//!
//! In JSON a quote within a text is escaped, so that `"usage":` in raw bytes is always the
//! name of a member, never somebody's words.

use std::sync::LazyLock;

use memchr::memmem::{self, Finder, FinderRev};

use super::{
    counts::{Counts, Usage},
    frame::{Frame, Kind},
};

/// So much of the end is kept of what is too long.
pub const TAIL: usize = 4 << 10;
/// Where a `type` would stand.
const BEGIN: usize = 256;

/// A piece of text in an OpenAI chunk, and what makes it more than that.
static TEXT: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [Finder::new("\"content\":\""), Finder::new("\"text\":\"")]);
static MORE: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| ["\"finish_reason\":\"", "\"error\""].map(Finder::new));
static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\""));
static LAST_USAGE: LazyLock<FinderRev<'static>> = LazyLock::new(|| FinderRev::new("\"usage\""));
static TIMINGS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"timings\""));

/// Whether a chunk of a chat or a completion brings text and says nothing else: five quick
/// looks instead of a reading. What is written with blanks between is read.
pub fn is_text_alone(chunk: &[u8], chat: bool) -> bool {
    let text = &TEXT[usize::from(!chat)];
    let Some(at) = text.find(chunk) else { return false };
    let first = chunk.get(at + text.needle().len());
    // OpenAI's own servers write `null` into each chunk but the last.
    let usage = || USAGE.find(chunk).is_none_or(|at| chunk[at + 7..].starts_with(b":null"));
    first.is_some_and(|byte| *byte != b'"')
        && usage()
        && MORE.iter().chain([&*TIMINGS]).all(|more| more.find(chunk).is_none())
}

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

/// The counts of a whole answer, where its `usage` stands at its end as most servers write it;
/// `None`: all of it has to be read. Behind it only the answer itself is still open, so it is
/// the answer's own and no inner object's.
pub fn counts_at_end(answer: &[u8]) -> Option<Counts> {
    let rest = colon(&answer[LAST_USAGE.rfind(answer)? + 7..])?;
    let mut from = serde_json::Deserializer::from_slice(rest).into_iter::<Usage>();
    let counts = Counts::from(from.next()?.ok()?);
    let (last, between) = rest[from.byte_offset()..].trim_ascii_end().split_last()?;
    let own =
        *last == b'}' && !between.iter().any(|byte| matches!(byte, b'{' | b'}' | b'[' | b']'));
    let known = counts.tokens_in.is_some() && counts.tokens_out.is_some();
    // llama.cpp tells what it kept there, where its `usage` does not.
    let all = counts.cached.is_some() || TIMINGS.find(answer).is_none();
    (own && known && all).then_some(counts)
}

fn last_usage(part: &[u8]) -> Option<Counts> {
    let rest = colon(&part[LAST_USAGE.rfind(part)? + 7..])?;
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
