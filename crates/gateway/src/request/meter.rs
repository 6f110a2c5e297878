//! How long a prompt is, and how it begins.
//!
//! Counted while the JSON is read, without building it: the bytes of its texts, apart from
//! names of roles and types. Pictures and sounds within it are told by their looks (a
//! `data:` address, or a long text of the base64 alphabet alone) and weigh a fixed number of
//! tokens: a megabyte of base64 is not a quarter of a million of them.

use std::{fmt, hash::Hasher as _};

use rustc_hash::FxHasher;
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::scan::{Name, ignore_scalars};

/// What an image or a sound weighs. Engines take from 256 to about 1600 for one picture.
pub const MEDIA_TOKENS: u32 = 1024;
/// Bytes of text that make a token.
pub const TOKEN_BYTES: usize = 4;
/// Shorter texts are taken for text, whatever they look like.
const MEDIA_FROM: usize = 512;
/// How much of a media's beginning is looked at.
const MEDIA_LOOK: usize = 128;
/// A prompt that grows is told by so many bytes of its beginning.
const PROMPT_BEGINS: usize = 256;

/// What was counted so far.
#[derive(Default)]
pub struct Meter {
    text: usize,
    tokens: usize,
    media: u32,
    /// Prompts in a list.
    pub prompts: u32,
    /// Of what stands apart from the messages: `system`, `instructions`.
    system: FxHasher,
    /// Of the messages up to the first that is not the system's.
    begin: FxHasher,
    begun: bool,
}

/// What is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A list of messages, or one text in place of it.
    Messages,
    /// A text that continues itself, or a list of such, or of token numbers.
    Prompt,
    System,
    /// Counts, and says nothing of the conversation.
    Plain,
}

// === impl Meter ===

impl Meter {
    /// Estimated tokens.
    pub fn tokens(&self) -> u32 {
        let text = self.text.div_ceil(TOKEN_BYTES).saturating_add(self.tokens);
        let media = self.media.saturating_mul(MEDIA_TOKENS);
        u32::try_from(text).unwrap_or(u32::MAX).saturating_add(media)
    }

    /// Of the conversation's beginning.
    pub fn prefix(&self) -> u64 {
        let mut both = FxHasher::default();
        both.write_u64(self.system.finish());
        both.write_u64(self.begin.finish());
        both.finish()
    }

    /// So many bytes of text more, unseen.
    pub fn add(&mut self, bytes: usize) {
        self.text += bytes;
    }

    /// What could be read no better: by its raw bytes.
    pub fn raw(&mut self, raw: &str) {
        self.text += raw.len();
        if !self.begun {
            self.begin.write(head(raw.as_bytes()));
            self.begun = true;
        }
    }

    fn take(&mut self, text: &[u8], part: Part) {
        if looks_like_media(text) {
            self.media = self.media.saturating_add(1);
        } else {
            self.text += text.len();
        }
        match part {
            Part::System => self.system.write(text),
            Part::Messages if !self.begun => self.begin.write(text),
            Part::Prompt if !self.begun => {
                self.begin.write(head(text));
                self.begun = true;
            }
            _ => {}
        }
    }

    fn number(&mut self, bits: u64, part: Part) {
        self.tokens += 1;
        if part == Part::Prompt && !self.begun {
            self.begin.write_u64(bits);
            self.begun = self.tokens >= PROMPT_BEGINS / TOKEN_BYTES;
        }
    }
}

fn head(text: &[u8]) -> &[u8] {
    &text[..text.len().min(PROMPT_BEGINS)]
}

fn looks_like_media(text: &[u8]) -> bool {
    text.len() >= MEDIA_FROM
        && (text.starts_with(b"data:")
            || text[..MEDIA_LOOK].iter().all(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
            }))
}

/// Reads one value into the meter.
pub struct Measure<'a> {
    pub meter: &'a mut Meter,
    pub part: Part,
}

// === impl Measure ===

impl<'de> DeserializeSeed<'de> for Measure<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        let Self { meter, part } = self;
        match part {
            Part::Messages => from.deserialize_any(Messages(meter)),
            _ => from.deserialize_any(Texts { meter, part, top: true }),
        }
    }
}

/// A list of messages.
struct Messages<'a>(&'a mut Meter);

// === impl Messages ===

impl<'de> Visitor<'de> for Messages<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Message(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.take(text.as_bytes(), Part::Messages);
        self.0.begun = true;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        Texts { meter: self.0, part: Part::Messages, top: false }.visit_map(map)
    }

    ignore_scalars!();
}

/// One of them.
struct Message<'a>(&'a mut Meter);

// === impl Message ===

impl<'de> DeserializeSeed<'de> for Message<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Message<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(meter) = self;
        // Its role may stand behind its text: all of it counts as the beginning until then.
        let mut of_system = false;
        while let Some(key) = map.next_key_seed(Name::strict(Key::of))? {
            match key {
                Key::Role => {
                    let role = map.next_value::<&RawValue>()?.get();
                    of_system = matches!(role, r#""system""# | r#""developer""#);
                }
                Key::Skip => map.next_value::<IgnoredAny>().map(|_| ())?,
                Key::Media => {
                    meter.media = meter.media.saturating_add(1);
                    map.next_value::<IgnoredAny>()?;
                }
                Key::Other => {
                    let part = Part::Messages;
                    map.next_value_seed(Texts { meter: &mut *meter, part, top: false })?;
                }
            }
        }
        if !of_system {
            meter.begun = true;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        Texts { meter: self.0, part: Part::Messages, top: false }.visit_seq(seq)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.take(text.as_bytes(), Part::Messages);
        self.0.begun = true;
        Ok(())
    }

    ignore_scalars!();
}

/// Any value: its texts count.
struct Texts<'a> {
    meter: &'a mut Meter,
    part: Part,
    /// The value of the member itself, rather than one within it.
    top: bool,
}

// === impl Texts ===

impl<'de> DeserializeSeed<'de> for Texts<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Texts<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.meter.take(text.as_bytes(), self.part);
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.meter.number(number, self.part);
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.meter.number(number.unsigned_abs(), self.part);
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.meter.number(number.to_bits(), self.part);
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { meter, part, top } = self;
        let numbers = meter.tokens;
        let mut items: u32 = 0;
        while seq.next_element_seed(Texts { meter: &mut *meter, part, top: false })?.is_some() {
            items = items.saturating_add(1);
        }
        if top && part == Part::Prompt {
            // A list of numbers is one prompt; of texts, or of lists, many.
            let plain = meter.tokens - numbers == items as usize;
            meter.prompts = if plain { 1 } else { items };
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { meter, part, .. } = self;
        while let Some(key) = map.next_key_seed(Name::strict(Key::of))? {
            match key {
                Key::Role | Key::Skip => map.next_value::<IgnoredAny>().map(|_| ())?,
                Key::Media => {
                    meter.media = meter.media.saturating_add(1);
                    map.next_value::<IgnoredAny>()?;
                }
                Key::Other => {
                    map.next_value_seed(Texts { meter: &mut *meter, part, top: false })?;
                }
            }
        }
        Ok(())
    }
}

/// What a member of a message is to us.
enum Key {
    Role,
    /// No text of the prompt.
    Skip,
    Media,
    Other,
}

// === impl Key ===

impl Key {
    fn of(name: &[u8]) -> Self {
        match name {
            b"role" => Self::Role,
            b"type" | b"id" | b"call_id" | b"tool_call_id" | b"tool_use_id" | b"cache_control"
            | b"signature" | b"encrypted_content" | b"detail" | b"media_type" | b"status" => {
                Self::Skip
            }
            b"image_url" | b"video_url" | b"audio_url" | b"input_audio" => Self::Media,
            _ => Self::Other,
        }
    }
}
