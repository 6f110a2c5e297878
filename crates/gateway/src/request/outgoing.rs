//! The body as it is sent on: the client's own bytes, but for what a rule must change.

use bytes::{Bytes, BytesMut};

use super::{End, Outgoing, Span, Understood};

/// The body for a backend that is asked for `send_as` (`None`: as the client wrote it), and,
/// where its stream would not tell `usage` otherwise, with that asked for. Without either it
/// is the client's body itself, uncopied.
pub fn outgoing(
    understood: &Understood,
    body: Bytes,
    send_as: Option<&str>,
    ask_usage: bool,
) -> Outgoing {
    let places = &understood.places;
    if body.len() != places.len {
        return Outgoing { body, usage_added: false };
    }
    let mut edits: Vec<(Span, String)> = Vec::new();
    if let Some(name) = send_as
        && understood.model.as_deref() != Some(name)
    {
        edits.extend(named(understood, name));
    }
    let mut usage_added = false;
    if ask_usage && let Some((span, with)) = &places.usage {
        edits.push((*span, (*with).to_owned()));
        usage_added = true;
    }
    if edits.is_empty() {
        return Outgoing { body, usage_added };
    }
    // Stable: what is added at one place keeps the order it was added in.
    edits.sort_by_key(|((begin, _), _)| *begin);
    match written(&body, &edits) {
        Some(body) => Outgoing { body, usage_added },
        None => Outgoing { body, usage_added: false },
    }
}

/// What to write for the model to be another.
fn named(understood: &Understood, name: &str) -> Vec<(Span, String)> {
    let places = &understood.places;
    let all = places.model.iter().chain(&places.models);
    match &places.end {
        Some(End::Form { at, boundary }) => {
            let name = one_line(name);
            if places.model.is_none() {
                let part = format!(
                    "--{boundary}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{name}\r\n"
                );
                return vec![((*at, *at), part)];
            }
            all.map(|span| (*span, name.clone())).collect()
        }
        Some(End::Object { at, members }) => {
            let name = serde_json::Value::from(name).to_string();
            if places.model.is_none() {
                let comma = if *members { "," } else { "" };
                return vec![((*at, *at), format!("{comma}\"model\":{name}"))];
            }
            all.map(|span| (*span, name.clone())).collect()
        }
        None => Vec::new(),
    }
}

/// A form's value ends with its line.
fn one_line(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '\r' | '\n')).collect()
}

/// The body with the edits in it; `None` where one lies outside, or in another.
fn written(body: &[u8], edits: &[(Span, String)]) -> Option<Bytes> {
    let more: usize = edits.iter().map(|(_, with)| with.len()).sum();
    let mut out = BytesMut::with_capacity(body.len() + more);
    let mut from = 0;
    for ((begin, end), with) in edits {
        out.extend_from_slice(body.get(from..*begin)?);
        out.extend_from_slice(with.as_bytes());
        from = *end;
    }
    out.extend_from_slice(body.get(from..)?);
    Some(out.freeze())
}
