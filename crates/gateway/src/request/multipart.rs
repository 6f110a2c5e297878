//! Reading a form: the model's name, beside a sound.
//!
//! Only the parts' heads and the few short fields are looked at; the sound is skipped to
//! its end.

use memchr::memmem;
use plimsoll_core::request::Endpoint;

use super::{End, MODEL_MOST, Misread, Places, Understood, meter::TOKEN_BYTES};

/// Most parts of a form.
const PARTS_MOST: usize = 256;
/// Longest head of a part.
const HEAD_MOST: usize = 8 << 10;
/// Longest boundary, as RFC 2046 has it.
const BOUNDARY_MOST: usize = 70;

/// Whether a content type says that the body is a form.
pub fn is_form(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("multipart/form-data")
}

pub fn understand(
    endpoint: Endpoint,
    body: &[u8],
    content_type: &str,
) -> Result<Understood, Misread> {
    let wrong = |reason, at| Misread::Form { reason, at };
    let boundary = params(content_type)
        .find_map(|(name, value)| name.eq_ignore_ascii_case("boundary").then_some(value))
        .filter(|boundary| !boundary.is_empty() && boundary.len() <= BOUNDARY_MOST)
        .ok_or(wrong("the content type names no boundary", 0))?;
    let opening = format!("--{boundary}");
    let between = format!("\r\n--{boundary}");

    let mut places = Places { len: body.len(), ..Places::default() };
    let mut said = Said::default();
    let begin = if body.starts_with(opening.as_bytes()) {
        0
    } else {
        // What stands before the first boundary belongs to nobody.
        memmem::find(body, between.as_bytes()).ok_or(wrong("its boundary never comes", 0))? + 2
    };
    let ends = memmem::Finder::new(between.as_bytes());
    let mut at = begin + opening.len();
    let mut parts = 0;
    loop {
        let rest = body.get(at..).unwrap_or_default();
        if rest.starts_with(b"--") {
            break;
        }
        // Blanks may stand behind a boundary.
        let line = rest
            .iter()
            .position(|byte| !matches!(byte, b' ' | b'\t'))
            .filter(|blanks| rest[*blanks..].starts_with(b"\r\n"))
            .ok_or(wrong("a boundary is followed by something else", at))?;
        parts += 1;
        if parts > PARTS_MOST {
            return Err(wrong("it has more than 256 parts", at));
        }
        // From the line's own end on: a part may have no heads at all.
        let head = at + line;
        let look = &body[head..body.len().min(head + HEAD_MOST)];
        let head_len =
            memmem::find(look, b"\r\n\r\n").ok_or(wrong("a part's head does not end", head))?;
        let value = head + head_len + 4;
        if body.get(value - 2..).is_some_and(|rest| rest.starts_with(between.as_bytes())) {
            return Err(wrong("a part ends with its head", value));
        }
        let found = ends
            .find(body.get(value..).unwrap_or_default())
            .ok_or(wrong("its last boundary is missing", value))?;
        let end = value + found;
        let head_text = String::from_utf8_lossy(&body[head..head + head_len]);
        if let Some(name) = name_of(&head_text) {
            said.take(&name, body, (value, end), &mut places)?;
        }
        at = end + between.len();
    }
    places.end = Some(End::Form { at: begin, boundary: boundary.clone() });
    Ok(Understood {
        endpoint,
        model: said.model,
        stream: said.stream,
        usage_wanted: false,
        prompt_tokens: said.prompt,
        max_tokens: None,
        deterministic: false,
        prefix: 0,
        places,
    })
}

/// What the form's fields say.
#[derive(Default)]
struct Said {
    model: Option<String>,
    stream: bool,
    prompt: u32,
}

// === impl Said ===

impl Said {
    fn take(
        &mut self,
        name: &str,
        body: &[u8],
        span: (usize, usize),
        places: &mut Places,
    ) -> Result<(), Misread> {
        let value = &body[span.0..span.1];
        match name {
            "stream" => self.stream = value.eq_ignore_ascii_case(b"true") || value == b"1",
            "prompt" => {
                self.prompt = u32::try_from(value.len().div_ceil(TOKEN_BYTES)).unwrap_or(u32::MAX);
            }
            _ if name.eq_ignore_ascii_case("model") => {
                let (length, most) = (value.len(), MODEL_MOST);
                if length > most {
                    return Err(Misread::LongModel { length, most });
                }
                let model = std::str::from_utf8(value)
                    .map_err(|_| Misread::Model { found: "something else", at: span.0 })?;
                places.names(span);
                if model.is_empty() {
                    return Ok(());
                }
                match &self.model {
                    Some(first) if first != model => {
                        let (first, second) = (first.clone(), model.to_owned());
                        return Err(Misread::TwoModels { first, second, at: span.0 });
                    }
                    _ => self.model = Some(model.to_owned()),
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// The name of a part, by its head.
fn name_of(head: &str) -> Option<String> {
    head.split("\r\n").find_map(|line| {
        let (header, value) = line.split_once(':')?;
        if !header.trim().eq_ignore_ascii_case("content-disposition") {
            return None;
        }
        params(value).find_map(|(name, value)| name.eq_ignore_ascii_case("name").then_some(value))
    })
}

/// The parameters of a header's value: behind each `;`, a name and a value, quoted or not.
fn params(value: &str) -> impl Iterator<Item = (&str, String)> {
    let mut rest = value.find(';').map_or("", |at| &value[at..]);
    std::iter::from_fn(move || {
        let (name, behind) = rest.strip_prefix(';')?.split_once('=')?;
        let behind = behind.trim_start();
        let value = if let Some(quoted) = behind.strip_prefix('"') {
            let (value, after) = unquote(quoted);
            rest = after.find(';').map_or("", |at| &after[at..]);
            value
        } else {
            let end = behind.find(';').unwrap_or(behind.len());
            rest = &behind[end..];
            behind[..end].trim().to_owned()
        };
        Some((name.trim(), value))
    })
}

/// A quoted text without its quotes, and what comes behind it.
fn unquote(quoted: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => {
                // Browsers write `\` of a file's name as it is.
                match chars.clone().next() {
                    Some((_, next @ ('"' | '\\'))) => {
                        value.push(next);
                        chars.next();
                    }
                    _ => value.push('\\'),
                }
            }
            _ => value.push(c),
        }
    }
    (value, "")
}
