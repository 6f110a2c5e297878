//! Whatever the body: no panic, the verdict of an independent reader, and edits that change
//! what they name and nothing else.

use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::*;
use crate::corpus::{Chance, changed, files, long_run, rounds};

const ENDPOINTS: [Endpoint; 10] = [
    Endpoint::Chat,
    Endpoint::Completions,
    Endpoint::Responses,
    Endpoint::Embeddings,
    Endpoint::Rerank,
    Endpoint::Speech,
    Endpoint::Messages,
    Endpoint::OllamaChat,
    Endpoint::OllamaGenerate,
    Endpoint::Other,
];

pub const FORM: &str = "multipart/form-data; boundary=plimsoll-corpus";

/// Members in their order, each value as it is written; `None` where it is no JSON object.
fn members(body: &[u8]) -> Option<Vec<(Vec<u8>, String)>> {
    struct Members;

    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(Vec<u8>, String)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(name) = map.next_key::<&RawValue>()? {
                let name = name.get().as_bytes().to_vec();
                members.push((name, map.next_value::<Box<RawValue>>()?.get().to_owned()));
            }
            Ok(members)
        }
    }

    let text = std::str::from_utf8(body).ok()?;
    let mut from = serde_json::Deserializer::from_str(text);
    let members = from.deserialize_map(Members).ok()?;
    from.end().ok()?;
    Some(members)
}

fn is_model(name: &[u8]) -> bool {
    serde_json::from_slice::<String>(name).is_ok_and(|name| name.eq_ignore_ascii_case("model"))
}

fn is_options(name: &[u8]) -> bool {
    serde_json::from_slice::<String>(name).is_ok_and(|name| name == "stream_options")
}

/// One JSON body for one endpoint.
fn try_json(endpoint: Endpoint, body: &[u8]) {
    let whole = members(body);
    let read = match understand(endpoint, body, Some("application/json")) {
        Ok(read) => read,
        Err(Misread::Empty) => return assert!(body.is_empty()),
        Err(Misread::Json { .. } | Misread::Utf8 { .. } | Misread::NoObject { .. }) => {
            return assert_eq!(whole, None);
        }
        Err(wrong) => return assert_eq!(wrong.param(), Some("model"), "{wrong}"),
    };
    let Some(whole) = whole else { panic!("not JSON: {}", String::from_utf8_lossy(body)) };
    let body = Bytes::copy_from_slice(body);

    let same = outgoing(&read, body.clone(), None, false);
    assert_eq!((same.body.as_ptr(), same.body.len()), (body.as_ptr(), body.len()));

    let name = "an \"other\"\nname";
    let other = outgoing(&read, body.clone(), Some(name), true);
    let mut left = members(&other.body).expect("what is written is JSON");
    if !whole.iter().any(|(name, _)| is_model(name)) {
        let place = left.len() - 1 - usize::from(left.len() == whole.len() + 2);
        let added = left.remove(place);
        assert_eq!(added, (b"\"model\"".to_vec(), serde_json::to_string(name).unwrap()));
    }
    if other.usage_added && !whole.iter().any(|(name, _)| is_options(name)) {
        let added = left.pop().unwrap();
        let asked = r#"{"include_usage":true}"#.to_owned();
        assert_eq!(added, (b"\"stream_options\"".to_vec(), asked));
    }
    assert_eq!(left.len(), whole.len());
    for ((old_name, old), (new_name, new)) in whole.iter().zip(&left) {
        assert_eq!(old_name, new_name);
        if is_model(old_name) {
            assert_eq!(serde_json::from_str::<String>(new).unwrap(), name);
        } else if !is_options(old_name) {
            assert_eq!(old, new);
        }
    }

    let again = understand(endpoint, &other.body, None).unwrap();
    assert_eq!(again.model.as_deref(), Some(name));
    assert_eq!(again.usage_wanted, read.usage_wanted || other.usage_added);
    let like = |read: &Understood| {
        let counts = (read.prompt_tokens, read.max_tokens);
        (read.stream, counts, read.deterministic, read.prefix)
    };
    assert_eq!(like(&again), like(&read));
}

fn try_form(body: &[u8]) {
    let Ok(read) = understand(Endpoint::Transcriptions, body, Some(FORM)) else { return };
    let body = Bytes::copy_from_slice(body);
    let same = outgoing(&read, body.clone(), None, true);
    assert_eq!((same.body.as_ptr(), same.usage_added), (body.as_ptr(), false));
    let other = outgoing(&read, body.clone(), Some("another"), true);
    let again = understand(Endpoint::Transcriptions, &other.body, Some(FORM)).unwrap();
    assert_eq!(again.model.as_deref(), Some("another"));
    assert_eq!((again.stream, again.prompt_tokens), (read.stream, read.prompt_tokens));
}

fn round(bodies: &[(String, Vec<u8>)], forms: &[(String, Vec<u8>)], seed: u64) {
    let mut chance = Chance::new(seed);
    let run = std::panic::catch_unwind(move || {
        let body = changed(bodies, &mut chance);
        try_json(*chance.one_of(&ENDPOINTS), &body);
        let form = changed(forms, &mut chance);
        try_form(&form);
        let _ = understand(Endpoint::Other, &body, Some(FORM));
    });
    if run.is_err() {
        panic!("round {seed} (its words stand above)");
    }
}

#[test]
fn changed_bodies_are_read_as_an_independent_reader_reads_them() {
    let (bodies, forms) = (files("bodies"), files("forms"));
    for (name, body) in &bodies {
        for endpoint in ENDPOINTS {
            println!("{name}");
            try_json(endpoint, body);
        }
    }
    forms.iter().for_each(|(_, form)| try_form(form));
    rounds(5000, |seed| round(&bodies, &forms, seed));
}

#[test]
#[ignore = "ten minutes; PLIMSOLL_FUZZ_S says otherwise"]
fn fuzz_bodies() {
    let (bodies, forms) = (files("bodies"), files("forms"));
    let rounds = long_run(|seed| round(&bodies, &forms, seed));
    println!("{rounds} rounds");
}
