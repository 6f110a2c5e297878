//! One JSON object of an answer, whatever its dialect: a chunk of a stream, a line, or the
//! whole answer.
//!
//! One reader for all of them, because their names do not collide: a text under `content`,
//! `text` or `delta` is a token, `usage` and `timings` count, whatever is not known is
//! skipped. Nothing of it is kept but what [`Frame`] has.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::counts::{Counts, Reader, Timings, Usage};
use crate::scan::{Name, ignore_scalars};

/// Longest reason or error that is kept.
const WORDS_MOST: usize = 300;

/// What one object says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// A piece of text, of thought or of a call came with it.
    pub text: bool,
    pub counts: Counts,
    /// `usage` is there and is an object.
    pub usage: bool,
    /// Length of `choices`, where there are any.
    pub choices: Option<u32>,
    /// It says why it ended: `stop`, `length`, `tool_calls` …
    pub ends: bool,
    pub error: Option<Box<str>>,
    /// The status told with it.
    pub error_status: Option<u16>,
    pub kind: Kind,
    /// Ollama's last line.
    pub done: bool,
}

/// What `type` says of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    None,
    /// Text in it comes for the first time.
    Delta,
    /// Text in it was there before.
    Other,
    /// The last one of its stream.
    Last,
    /// The last one, and it says that it failed.
    Failed,
}

// === impl Kind ===

impl Kind {
    pub fn of(name: &str) -> Self {
        match name {
            "message_stop"
            | "response.completed"
            | "response.incomplete"
            | "transcript.text.done"
            | "speech.audio.done" => Self::Last,
            "error" | "response.failed" => Self::Failed,
            "content_block_delta" | "message_delta" => Self::Delta,
            _ if name.ends_with(".delta") => Self::Delta,
            _ => Self::Other,
        }
    }
}

// === impl Frame ===

impl Frame {
    /// `None` where it is no object, or broken.
    pub fn read(json: &[u8]) -> Option<Self> {
        let mut reading = Reading::default();
        let mut from = serde_json::Deserializer::from_slice(json);
        Object { to: &mut reading, top: true }.deserialize(&mut from).ok()?;
        from.end().ok()?;
        if reading.is_error && reading.frame.error.is_none() {
            // As vLLM tells of errors: the object itself is one.
            let (error, status) = std::str::from_utf8(json).map(told_of).unwrap_or_default();
            reading.frame.error = error;
            reading.frame.error_status = status;
        }
        reading.object.then(|| reading.into_frame())
    }
}

/// What was read so far.
#[derive(Default)]
struct Reading<'de> {
    frame: Frame,
    object: bool,
    /// `object` says `error`.
    is_error: bool,
    timings: Option<&'de RawValue>,
}

// === impl Reading ===

impl Reading<'_> {
    fn into_frame(self) -> Frame {
        let Self { mut frame, timings, .. } = self;
        // `usage` is the better count where both are there: most often there is nothing more
        // to learn from llama.cpp's longer list.
        if !frame.counts.are_all()
            && let Some(timings) = timings
        {
            frame.counts = frame.counts.or(Timings::read(timings.get()).into());
        }
        // What has another type than a piece repeats what was there.
        if matches!(frame.kind, Kind::Other | Kind::Last | Kind::Failed) {
            frame.text = false;
        }
        frame
    }
}

/// An object that may say something, at any of the places where dialects put them.
struct Object<'a, 'de> {
    to: &'a mut Reading<'de>,
    top: bool,
}

// === impl Object ===

impl<'de> DeserializeSeed<'de> for Object<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { to, top } = self;
        to.object |= top;
        while let Some(name) = map.next_key_seed(Name::lenient(Member::of))? {
            let inner = Object { to: &mut *to, top: false };
            match name {
                Member::Inner => map.next_value_seed(inner)?,
                Member::Arguments => {
                    // Anybody's own names stand in them: they are not looked into.
                    let raw: &RawValue = map.next_value()?;
                    to.frame.text |= !matches!(raw.get(), "\"\"" | "null" | "{}");
                }
                Member::Choices => {
                    let count = map.next_value_seed(Choices(&mut *to))?;
                    to.frame.choices = count;
                }
                Member::Usage => {
                    let mut usage = Usage::default();
                    to.frame.usage |= map.next_value_seed(Reader(&mut usage))?;
                    to.frame.counts.update(usage.into());
                }
                Member::Timings => to.timings = Some(map.next_value()?),
                Member::Finish => {
                    let raw: &RawValue = map.next_value()?;
                    to.frame.ends |= raw.get().starts_with('"') && raw.get() != "\"\"";
                }
                Member::Error => {
                    if let Some((error, status)) = fault(map.next_value()?) {
                        to.frame.error = Some(error);
                        to.frame.error_status = status;
                    }
                }
                Member::Object if top => {
                    to.is_error = map.next_value::<&RawValue>()?.get() == "\"error\"";
                }
                Member::Type if top => {
                    let raw: &RawValue = map.next_value()?;
                    to.frame.kind = Kind::of(raw.get().trim_matches('"'));
                }
                Member::Done if top => {
                    to.frame.done = map.next_value::<&RawValue>()?.get() == "true";
                }
                Member::Read if top => {
                    to.frame.counts.tokens_in = number(map.next_value()?);
                }
                Member::Wrote if top => {
                    to.frame.counts.tokens_out = number(map.next_value()?);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Object { to: &mut *self.to, top: false })?.is_some() {}
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.to.frame.text |= !text.is_empty();
        Ok(())
    }

    fn visit_bytes<E: Error>(self, text: &[u8]) -> Result<(), E> {
        self.to.frame.text |= !text.is_empty();
        Ok(())
    }

    ignore_scalars!();
}

/// `choices`: how many; what they say goes where the rest goes.
struct Choices<'a, 'de>(&'a mut Reading<'de>);

// === impl Choices ===

impl<'de> DeserializeSeed<'de> for Choices<'_, 'de> {
    type Value = Option<u32>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Choices<'_, 'de> {
    type Value = Option<u32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("choices")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut count: u32 = 0;
        while seq.next_element_seed(Object { to: &mut *self.0, top: false })?.is_some() {
            count = count.saturating_add(1);
        }
        Ok(Some(count))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

fn number(raw: &RawValue) -> Option<u32> {
    raw.get().parse().ok()
}

/// A short text.
fn words(raw: &RawValue) -> Option<Box<str>> {
    // Mostly `null`: an error would be built only to be thrown away.
    if !raw.get().starts_with('"') {
        return None;
    }
    let text: String = serde_json::from_str(raw.get()).ok()?;
    Some(shortened(&text)).filter(|text| !text.is_empty())
}

/// What an error says, or all of it; and its status. `null` is none.
fn fault(raw: &RawValue) -> Option<(Box<str>, Option<u16>)> {
    if matches!(raw.get(), "null" | "false") {
        return None;
    }
    let (message, status) = told_of(raw.get());
    let message = message.or_else(|| words(raw)).unwrap_or_else(|| shortened(raw.get()));
    Some((message, status))
}

/// Message and status of an object that is an error.
pub fn told_of(json: &str) -> (Option<Box<str>>, Option<u16>) {
    #[derive(Default, Deserialize)]
    struct Said<'a> {
        #[serde(borrow)]
        message: Option<&'a RawValue>,
        #[serde(borrow)]
        code: Option<&'a RawValue>,
    }
    let said: Said<'_> = serde_json::from_str(json).unwrap_or_default();
    let status = said.code.and_then(|code| code.get().trim_matches('"').parse().ok());
    (said.message.and_then(words), status.filter(|status| (400..600).contains(status)))
}

fn shortened(text: &str) -> Box<str> {
    let mut end = text.len().min(WORDS_MOST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].into()
}

/// What a member is to us.
enum Member {
    /// A text is a token; in an object or a list, what stands in it.
    Inner,
    Arguments,
    Choices,
    Usage,
    Timings,
    Finish,
    Error,
    Object,
    Type,
    Done,
    Read,
    Wrote,
    Other,
}

// === impl Member ===

impl Member {
    fn of(name: &[u8]) -> Self {
        match name {
            b"content" | b"text" | b"reasoning_content" | b"reasoning" | b"thinking"
            | b"partial_json" | b"refusal" | b"name" | b"audio" | b"transcript" | b"delta"
            | b"message" | b"response" | b"tool_calls" | b"function" | b"function_call"
            | b"meta" => Self::Inner,
            b"arguments" => Self::Arguments,
            b"object" => Self::Object,
            b"choices" => Self::Choices,
            // Cohere's are in `meta`.
            b"usage" | b"tokens" => Self::Usage,
            b"timings" => Self::Timings,
            b"finish_reason" | b"stop_reason" | b"done_reason" => Self::Finish,
            b"error" => Self::Error,
            b"type" => Self::Type,
            b"done" => Self::Done,
            b"prompt_eval_count" => Self::Read,
            b"eval_count" => Self::Wrote,
            _ => Self::Other,
        }
    }
}
