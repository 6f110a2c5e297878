//! Tokens, as the backend counted them.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::scan::{Name, ignore_scalars};

/// What a backend said it read and wrote. Never guessed from chunks: what it did not say
/// is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Of the prompt, the part that was known from before included.
    pub tokens_in: Option<u32>,
    pub tokens_out: Option<u32>,
    /// The part of the prompt that was known from before.
    pub cached: Option<u32>,
}

/// Counts of one answer, added up as they come.
///
/// Most tell them once. llama.cpp tells them once for each choice, and vLLM, when asked,
/// in each chunk from the beginning.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    running: Counts,
    /// Told with the ends of choices, added up.
    choices: Option<u32>,
    /// Told behind the choices, added up.
    after: Option<u32>,
}

/// Where counts stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// In the chunk that ends a choice.
    Choice,
    /// In a chunk without choices.
    After,
    Elsewhere,
}

/// A number of tokens, as lenient as JSON is; what is none is `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count(Option<u32>);

// === impl Counts ===

impl Counts {
    /// A later word of the same answer. All of them count from its beginning, so that the
    /// greater one is the later one; a zero and silence take nothing back.
    pub fn update(&mut self, later: Self) {
        self.tokens_in = later.tokens_in.max(self.tokens_in);
        self.tokens_out = later.tokens_out.max(self.tokens_out);
        self.cached = later.cached.max(self.cached);
    }

    /// None of them is missing.
    pub fn are_all(&self) -> bool {
        self.tokens_in.is_some() && self.tokens_out.is_some() && self.cached.is_some()
    }

    /// Where these are silent, the others count.
    pub fn or(self, others: Self) -> Self {
        Self {
            tokens_in: self.tokens_in.or(others.tokens_in),
            tokens_out: self.tokens_out.or(others.tokens_out),
            cached: self.cached.or(others.cached),
        }
    }
}

// === impl Tally ===

impl Tally {
    pub fn add(&mut self, counts: Counts, told: Told) {
        self.running.update(counts);
        let sum = match told {
            Told::Choice => &mut self.choices,
            Told::After => &mut self.after,
            Told::Elsewhere => return,
        };
        if let Some(more) = counts.tokens_out {
            *sum = Some(sum.unwrap_or(0).saturating_add(more));
        }
    }

    pub fn counts(&self) -> Counts {
        let tokens_out = self.after.or(self.choices).or(self.running.tokens_out);
        Counts { tokens_out, ..self.running }
    }
}

// === impl Count ===

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Self(None))
    }
}

/// Any value; what is none is left out.
impl<'de> Visitor<'de> for Count {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self, E> {
        Ok(Self(Some(u32::try_from(number).unwrap_or(u32::MAX))))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self, E> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let count = |number: f64| (number >= 0.0 && number.is_finite()).then_some(number as u32);
        Ok(Self(count(number)))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self, A::Error> {
        IgnoredAny.visit_seq(seq)?;
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self, A::Error> {
        IgnoredAny.visit_map(map)?;
        Ok(self)
    }
}

/// `usage` as OpenAI (both its ways) and Anthropic write it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    prompt: Count,
    completion: Count,
    input: Count,
    output: Count,
    total: Count,
    /// Anthropic counts these beside `input_tokens`.
    cache_read: Count,
    cache_creation: Count,
    /// OpenAI's word for it, in an object of its own.
    cached: Count,
    /// DeepSeek's word for it.
    cache_hit: Count,
}

/// llama.cpp's `timings`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timings {
    cache: Count,
    prompt: Count,
    predicted: Count,
}

/// What a member of an object with counts holds.
pub enum Holds<'a> {
    Count(&'a mut Count),
    /// More of them.
    Counts,
    Other,
}

/// An object with counts.
pub trait Counted {
    fn member(&mut self, name: &[u8]) -> Holds<'_>;
}

/// Reads one, in the same pass as what it stands in. Whether it was an object: what else it
/// may be says nothing, and is no error.
pub struct Reader<'a, T>(pub &'a mut T);

// === impl Usage ===

impl<'de> Deserialize<'de> for Usage {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut usage = Self::default();
        Reader(&mut usage).deserialize(from).map(|_| usage)
    }
}

impl Counted for Usage {
    fn member(&mut self, name: &[u8]) -> Holds<'_> {
        Holds::Count(match name {
            b"prompt_tokens" => &mut self.prompt,
            b"completion_tokens" => &mut self.completion,
            b"input_tokens" => &mut self.input,
            b"output_tokens" => &mut self.output,
            b"total_tokens" => &mut self.total,
            b"cache_read_input_tokens" => &mut self.cache_read,
            b"cache_creation_input_tokens" => &mut self.cache_creation,
            b"cached_tokens" => &mut self.cached,
            b"prompt_cache_hit_tokens" => &mut self.cache_hit,
            b"prompt_tokens_details" | b"input_tokens_details" => return Holds::Counts,
            _ => return Holds::Other,
        })
    }
}

impl From<Usage> for Counts {
    fn from(usage: Usage) -> Self {
        let read = usage.cache_read.0;
        let made = usage.cache_creation.0;
        let beside = read.unwrap_or(0).saturating_add(made.unwrap_or(0));
        let input = usage.input.0.map(|input| input.saturating_add(beside));
        let written = usage.completion.0.or(usage.output.0);
        Self {
            // Rerankers tell the sum alone, and write nothing.
            tokens_in: (usage.prompt.0.or(input)).or(usage.total.0.filter(|_| written.is_none())),
            tokens_out: written,
            cached: usage.cached.0.or(read).or(usage.cache_hit.0),
        }
    }
}

// === impl Timings ===

impl Timings {
    /// What is none says nothing.
    pub fn read(json: &str) -> Self {
        let mut timings = Self::default();
        let read = Reader(&mut timings).deserialize(&mut serde_json::Deserializer::from_str(json));
        if read.is_ok() { timings } else { Self::default() }
    }
}

impl Counted for Timings {
    fn member(&mut self, name: &[u8]) -> Holds<'_> {
        Holds::Count(match name {
            b"cache_n" => &mut self.cache,
            b"prompt_n" => &mut self.prompt,
            b"predicted_n" => &mut self.predicted,
            _ => return Holds::Other,
        })
    }
}

impl From<Timings> for Counts {
    fn from(timings: Timings) -> Self {
        let cached = timings.cache.0;
        let prompt = timings.prompt.0.map(|n| n.saturating_add(cached.unwrap_or(0)));
        Self { tokens_in: prompt, tokens_out: timings.predicted.0, cached }
    }
}

// === impl Reader ===

impl<'de, T: Counted> DeserializeSeed<'de> for Reader<'_, T> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, T: Counted> Visitor<'de> for Reader<'_, T> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let Self(of) = self;
        while let Some(holds) = map.next_key_seed(Name::lenient(|name: &[u8]| of.member(name)))? {
            match holds {
                // Said twice, what is none takes nothing back.
                Holds::Count(count) => {
                    let told: Count = map.next_value()?;
                    if told.0.is_some() {
                        *count = told;
                    }
                }
                Holds::Counts => map.next_value_seed(Reader(&mut *of)).map(|_| ())?,
                Holds::Other => map.next_value::<IgnoredAny>().map(|_| ())?,
            }
        }
        Ok(true)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<bool, A::Error> {
        IgnoredAny.visit_seq(seq).map(|_| false)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    ignore_scalars!(false);
}
