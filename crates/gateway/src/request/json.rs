//! Reading a JSON body.
//!
//! In one pass, and nothing is built: of each top-level member either a few bytes are kept
//! where they stand, or its texts are counted. A body that is read otherwise by one server
//! than by another (a member twice) is read as they do: the last one counts. The one
//! exception is the model, which must be beyond doubt.

use std::{borrow::Cow, fmt};

use plimsoll_core::request::Endpoint;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{error::Category, value::RawValue};

use super::{
    End, MODEL_MOST, Misread, Places, Span, Understood,
    meter::{Measure, Meter, Part},
};
use crate::scan::{Name, each_member};

/// `llama.cpp` and Ollama draw a seed of their own where this one is given.
const DRAWN_SEED: f64 = 4_294_967_295.0;

pub fn understand(endpoint: Endpoint, body: &[u8]) -> Result<Understood, Misread> {
    let text =
        std::str::from_utf8(body).map_err(|wrong| Misread::Utf8 { at: wrong.valid_up_to() })?;
    let fields = match read(endpoint, text, false) {
        Ok(fields) => fields,
        // Half a surrogate in a text, or very deep nesting: JSON all the same.
        Err(_) => read(endpoint, text, true).map_err(|wrong| misread(&wrong, text))?,
    };
    fields.into_understood(endpoint, text)
}

fn read(endpoint: Endpoint, text: &str, careful: bool) -> serde_json::Result<Fields<'_>> {
    let mut from = serde_json::Deserializer::from_str(text);
    let fields = Fields { careful, ..Fields::new(endpoint) };
    let fields = from.deserialize_map(fields)?;
    from.end()?;
    Ok(fields)
}

fn misread(wrong: &serde_json::Error, text: &str) -> Misread {
    if wrong.classify() == Category::Data {
        return Misread::NoObject { found: kind_of(text.trim_start()) };
    }
    let (line, column) = (wrong.line(), wrong.column());
    let mut reason = wrong.to_string();
    if let Some(at) = reason.rfind(" at line ") {
        reason.truncate(at);
    }
    Misread::Json { reason, line, column }
}

/// What a value is, by its first byte.
fn kind_of(raw: &str) -> &'static str {
    match raw.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// The members that matter, as they stand in the body.
struct Fields<'de> {
    endpoint: Endpoint,
    /// Every value is taken raw: slower, and nothing in it can be wrong.
    careful: bool,
    any: bool,
    model: Option<&'de RawValue>,
    models: Vec<&'de RawValue>,
    stream: Option<&'de RawValue>,
    stream_options: Option<&'de RawValue>,
    options: Option<&'de RawValue>,
    most: [Option<&'de RawValue>; 3],
    choices: Option<&'de RawValue>,
    temperature: Option<&'de RawValue>,
    seed: Option<&'de RawValue>,
    /// It hangs on what a server remembers, or does more than answer.
    stateful: bool,
    meter: Meter,
}

/// A top-level member.
#[derive(Clone, Copy)]
enum Field {
    Model,
    Stream,
    StreamOptions,
    Options,
    /// By precedence.
    Most(usize),
    Choices,
    Temperature,
    Seed,
    Stateful,
    Texts(Part),
    /// Schemas: their names and marks reach the model, too.
    Raw,
    Other,
}

fn field(endpoint: Endpoint, name: &[u8]) -> Field {
    let responses = endpoint == Endpoint::Responses;
    match name {
        b"model" => Field::Model,
        b"messages" => Field::Texts(Part::Messages),
        b"stream" => Field::Stream,
        b"stream_options" => Field::StreamOptions,
        b"options" => Field::Options,
        b"max_completion_tokens" | b"max_output_tokens" => Field::Most(0),
        b"max_tokens" => Field::Most(1),
        b"n_predict" => Field::Most(2),
        b"n" => Field::Choices,
        b"temperature" => Field::Temperature,
        b"seed" => Field::Seed,
        b"input" if responses => Field::Texts(Part::Messages),
        b"input" | b"prompt" => Field::Texts(Part::Prompt),
        b"system" | b"instructions" => Field::Texts(Part::System),
        b"suffix" | b"query" | b"documents" | b"texts" | b"images" => Field::Texts(Part::Plain),
        b"tools" | b"functions" => Field::Raw,
        b"previous_response_id" | b"conversation" | b"background" if responses => Field::Stateful,
        // Ollama's own reader, as all of Go's, takes `Model` for `model`.
        _ if name.eq_ignore_ascii_case(b"model") => Field::Model,
        _ => Field::Other,
    }
}

/// By a name as it is written. Half a surrogate makes it none of ours.
fn careful_field(endpoint: Endpoint, raw: &str) -> Field {
    match serde_json::from_str::<String>(raw) {
        Ok(name) => field(endpoint, name.as_bytes()),
        Err(_) => Field::Other,
    }
}

// === impl Fields ===

impl<'de> Visitor<'de> for Fields<'de> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        loop {
            let field = if self.careful {
                let raw = map.next_key::<&RawValue>()?;
                raw.map(|raw| careful_field(self.endpoint, raw.get()))
            } else {
                map.next_key_seed(Name::strict(|name: &[u8]| field(self.endpoint, name)))?
            };
            let Some(field) = field else { break };
            self.any = true;
            match field {
                Field::Other => map.next_value::<IgnoredAny>().map(|_| ())?,
                Field::Texts(part) if !self.careful => {
                    map.next_value_seed(Measure { meter: &mut self.meter, part })?;
                }
                _ => self.keep(field, map.next_value()?),
            }
        }
        Ok(self)
    }
}

impl<'de> Fields<'de> {
    fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            careful: false,
            any: false,
            model: None,
            models: Vec::new(),
            stream: None,
            stream_options: None,
            options: None,
            most: [None; 3],
            choices: None,
            temperature: None,
            seed: None,
            stateful: false,
            meter: Meter::default(),
        }
    }

    fn keep(&mut self, field: Field, raw: &'de RawValue) {
        match field {
            Field::Model => match self.model {
                None => self.model = Some(raw),
                Some(_) => self.models.push(raw),
            },
            Field::Stream => self.stream = Some(raw),
            Field::StreamOptions => self.stream_options = Some(raw),
            Field::Options => self.options = Some(raw),
            Field::Most(place) => self.most[place] = Some(raw),
            Field::Choices => self.choices = Some(raw),
            Field::Temperature => self.temperature = Some(raw),
            Field::Seed => self.seed = Some(raw),
            Field::Stateful => self.stateful |= !matches!(raw.get(), "null" | "false"),
            Field::Texts(_) => self.meter.raw(raw.get()),
            Field::Raw => self.meter.add(raw.get().len()),
            Field::Other => {}
        }
    }

    fn into_understood(self, endpoint: Endpoint, text: &str) -> Result<Understood, Misread> {
        let mut places = Places { len: text.len(), ..Places::default() };
        let model = self.model(text, &mut places)?;
        let end = text.trim_end().len().saturating_sub(1);
        places.end = Some(End::Object { at: end, members: self.any });

        let stream = match self.stream.map(RawValue::get) {
            Some(said) => said == "true",
            None => matches!(endpoint, Endpoint::OllamaChat | Endpoint::OllamaGenerate),
        };
        let options = self.options.map(options).unwrap_or_default();
        let usage = UsageAsked::of(self.stream_options, text, end);
        let openai = matches!(endpoint, Endpoint::Chat | Endpoint::Completions);
        if openai
            && stream
            && let UsageAsked::Could(edit) = usage
        {
            places.usage = Some(edit);
        }
        let temperature = self.temperature.and_then(number).or(options.temperature);
        let seed = self.seed.and_then(number).or(options.seed);
        let ollama = matches!(endpoint, Endpoint::OllamaChat | Endpoint::OllamaGenerate);
        let most = if ollama {
            options.num_predict
        } else {
            self.most.iter().flatten().find_map(|raw| number(raw))
        };
        Ok(Understood {
            endpoint,
            model,
            stream,
            usage_wanted: matches!(usage, UsageAsked::Yes),
            prompt_tokens: self.meter.tokens(),
            max_tokens: most.and_then(count).map(|most| most.saturating_mul(self.answers())),
            deterministic: match endpoint {
                Endpoint::Embeddings | Endpoint::Rerank | Endpoint::OllamaEmbed => true,
                Endpoint::Chat
                | Endpoint::Completions
                | Endpoint::Responses
                | Endpoint::Messages
                | Endpoint::OllamaChat
                | Endpoint::OllamaGenerate => {
                    !self.stateful
                        && (temperature == Some(0.0)
                            || seed.is_some_and(|seed| seed >= 0.0 && seed != DRAWN_SEED))
                }
                _ => false,
            },
            prefix: self.meter.prefix(),
            places,
        })
    }

    /// Answers that are asked for at once.
    fn answers(&self) -> u32 {
        let choices = self.choices.and_then(number).and_then(count).unwrap_or(1).max(1);
        let prompts = match self.endpoint {
            Endpoint::Completions => self.meter.prompts.max(1),
            _ => 1,
        };
        choices.saturating_mul(prompts)
    }

    fn model(&self, text: &str, places: &mut Places) -> Result<Option<String>, Misread> {
        let mut named: Option<String> = None;
        for raw in self.model.iter().chain(&self.models) {
            let span = span_of(text, raw);
            let Some(model) = name(raw, span)? else {
                places.names(span);
                continue;
            };
            match &named {
                Some(first) if *first != model => {
                    let first = first.clone();
                    let second = model.into_owned();
                    return Err(Misread::TwoModels { first, second, at: span.0 });
                }
                Some(_) => {}
                None => named = Some(model.into_owned()),
            }
            places.names(span);
        }
        Ok(named)
    }
}

/// The name of a model. `None` for `null` and the empty text.
fn name(raw: &RawValue, span: Span) -> Result<Option<Cow<'_, str>>, Misread> {
    let said = raw.get();
    if said == "null" || said == "\"\"" {
        return Ok(None);
    }
    let inner = said.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let model = match inner {
        Some(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
        Some(_) => match serde_json::from_str::<String>(said) {
            Ok(model) => Cow::Owned(model),
            Err(_) => return Err(Misread::Model { found: "half a surrogate", at: span.0 }),
        },
        None => return Err(Misread::Model { found: kind_of(said), at: span.0 }),
    };
    if model.len() > MODEL_MOST {
        return Err(Misread::LongModel { length: model.len(), most: MODEL_MOST });
    }
    Ok(Some(model))
}

/// Where in the body a value stands that was borrowed from it.
fn span_of(text: &str, raw: &RawValue) -> Span {
    let begin = (raw.get().as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
    (begin, begin.wrapping_add(raw.get().len()))
}

fn number(raw: &RawValue) -> Option<f64> {
    raw.get().trim_matches('"').parse().ok()
}

/// A number of tokens; negative means no limit.
fn count(number: f64) -> Option<u32> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    (number >= 0.0).then_some(number as u32)
}

/// What Ollama's `options` say.
#[derive(Default)]
struct Options {
    num_predict: Option<f64>,
    temperature: Option<f64>,
    seed: Option<f64>,
}

fn options(raw: &RawValue) -> Options {
    let mut options = Options::default();
    let _ = each_member(raw, |name, raw| match name {
        "num_predict" => options.num_predict = number(raw),
        "temperature" => options.temperature = number(raw),
        "seed" => options.seed = number(raw),
        _ => {}
    });
    options
}

/// Whether a stream's `usage` is asked for, and how it could be.
enum UsageAsked {
    Yes,
    Could((Span, &'static str)),
    /// Options that are none, or that would put it into every chunk.
    No,
}

// === impl UsageAsked ===

impl UsageAsked {
    fn of(options: Option<&RawValue>, text: &str, end: usize) -> Self {
        let Some(options) = options else {
            return Self::Could(((end, end), r#","stream_options":{"include_usage":true}"#));
        };
        let all = span_of(text, options);
        if options.get() == "null" {
            return Self::Could((all, r#"{"include_usage":true}"#));
        }
        let (mut any, mut include, mut continuous) = (false, None, false);
        let read = each_member(options, |name, raw| {
            any = true;
            match name {
                "include_usage" => include = Some(raw),
                "continuous_usage_stats" => continuous = raw.get() == "true",
                _ => {}
            }
        });
        match include {
            _ if read.is_err() => Self::No,
            Some(raw) if raw.get() == "true" => Self::Yes,
            _ if continuous => Self::No,
            Some(raw) => Self::Could((span_of(text, raw), "true")),
            None if any => {
                let inside = all.0 + 1;
                Self::Could(((inside, inside), r#""include_usage":true,"#))
            }
            None => Self::Could((all, r#"{"include_usage":true}"#)),
        }
    }
}
