//! Edits are right to the byte, whatever stands around them.

use proptest::prelude::*;

use super::*;

fn blanks() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,3}"
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("-1.5e+07".to_owned()),
        Just(r#"{"model":"inner","stream_options":{}}"#.to_owned()),
        Just(r#"[ "model" , {"a":[[]]} ]"#.to_owned()),
        r#"(\\u00e9|\\"|\\\\|[a-zé:,{}\[\]]){0,12}"#.prop_map(|text| format!("\"{text}\"")),
    ]
}

/// Members whose names mean nothing here.
fn others() -> impl Strategy<Value = Vec<String>> {
    let member = ("x[a-z]{0,6}", blanks(), blanks(), value(), blanks())
        .prop_map(|(name, a, b, value, c)| format!("{a}\"{name}\"{b}:{value}{c}"));
    prop::collection::vec(member, 0..6)
}

const STREAM: &str = r#" "stream" : true"#;

proptest! {
    #[test]
    fn the_model_alone_is_another(
        before in others(), after in others(), around in (blanks(), blanks(), blanks(), blanks()),
        name in ".{0,20}", ends in (blanks(), blanks()),
    ) {
        let body = |model: &str| {
            let model = format!("{}\"model\"{}:{}{model}{}", around.0, around.1, around.2, around.3);
            let members: Vec<String> =
                before.iter().cloned().chain([model]).chain(after.iter().cloned()).collect();
            format!("{}{{{}}}{}", ends.0, members.join(","), ends.1)
        };
        let sent = sent(Endpoint::Chat, &body("\"m\\u00e9\""), Some(&name), true);
        prop_assert_eq!(sent, body(&serde_json::to_string(&name).unwrap()));
    }

    #[test]
    fn what_is_missing_comes_last(members in others(), end in blanks(), name in "[a-z]{1,9}") {
        let all: Vec<String> = members.iter().cloned().chain([STREAM.to_owned()]).collect();
        let inner = all.join(",");
        let sent = sent(Endpoint::Chat, &format!("{{{inner}{end}}}\n"), Some(&name), true);
        let model = format!(r#","model":"{name}""#);
        let options = r#","stream_options":{"include_usage":true}"#;
        prop_assert_eq!(sent, format!("{{{inner}{end}{model}{options}}}\n"));
    }

    #[test]
    fn options_keep_what_else_they_say(before in others(), inner in others(), after in others()) {
        let body = |options: &str| {
            let member = format!("\"stream_options\":{options}");
            let all: Vec<String> = (before.iter().cloned())
                .chain([member, STREAM.to_owned()])
                .chain(after.iter().cloned())
                .collect();
            format!("{{{}}}", all.join(","))
        };
        let inner = inner.join(",");
        let wanted = match inner.as_str() {
            "" => r#"{"include_usage":true}"#.to_owned(),
            inner => format!(r#"{{"include_usage":true,{inner}}}"#),
        };
        let sent = sent(Endpoint::Chat, &body(&format!("{{{inner}}}")), None, true);
        prop_assert_eq!(sent, body(&wanted));
    }

    #[test]
    fn a_form_keeps_its_sound(
        sound in prop::collection::vec(any::<u8>(), 0..400), model in "[a-z]{0,9}",
        name in "[a-z0-9:/. -]{1,20}", first in any::<bool>(),
    ) {
        let form = |model: &str| {
            let part = |head: &str, value: &[u8]| {
                let head = format!("--bound ary\r\nContent-Disposition: form-data; {head}\r\n\r\n");
                [head.as_bytes(), value, b"\r\n"].concat()
            };
            let model = part("name=\"model\"", model.as_bytes());
            let file = part("name=\"file\"; filename=\"a;b.wav\"", &sound);
            let parts = if first { [model, file] } else { [file, model] };
            [parts.concat(), b"--bound ary--\r\n".to_vec()].concat()
        };
        let kind = "Multipart/Form-Data; charset=x; boundary=\"bound ary\"";
        let body = form(&model);
        let read = understand(Endpoint::Transcriptions, &body, Some(kind)).unwrap();
        prop_assert_eq!(read.model.clone().unwrap_or_default(), model);
        let out = outgoing(&read, body.into(), Some(&name), true);
        prop_assert_eq!(out.body.to_vec(), form(&name));
    }
}

#[test]
fn a_form_without_a_model_gets_one() {
    let form = "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nsound\r\n--b--\r\n";
    let kind = "multipart/form-data; boundary=b";
    let read = understand(Endpoint::Transcriptions, form.as_bytes(), Some(kind)).unwrap();
    let out = outgoing(&read, form.into(), Some("whisper\r\n--b--"), false);
    let part = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper--b--\r\n";
    assert_eq!(String::from_utf8(out.body.to_vec()).unwrap(), format!("{part}{form}"));
}

#[test]
fn a_sound_is_no_json() {
    let wrong = understand(Endpoint::Transcriptions, b"{}", Some("application/json"));
    assert_eq!(wrong, Err(Misread::NoForm));
    let wrong = understand(Endpoint::Transcriptions, b"x", Some("multipart/form-data"));
    assert!(matches!(wrong, Err(Misread::Form { .. })));
}

#[test]
fn another_body_than_was_read_is_left_alone() {
    let read = chat(r#"{"model":"a"}"#);
    let other = Bytes::from_static(br#"{"model":"ab"}"#);
    assert_eq!(outgoing(&read, other.clone(), Some("c"), true).body, other);
}

#[test]
fn equal_questions_have_equal_marks() {
    let mark = |endpoint, body: &str| question(&read(endpoint, body), body.as_bytes());
    let body = r#"{"model":"m","input":"a"}"#;
    assert_eq!(mark(Endpoint::Embeddings, body), mark(Endpoint::Embeddings, body));
    assert_ne!(mark(Endpoint::Embeddings, body), mark(Endpoint::OllamaEmbed, body));
    assert_ne!(
        mark(Endpoint::Embeddings, body),
        mark(Endpoint::Embeddings, r#"{"model":"m","input":"b"}"#)
    );
}

#[test]
fn the_same_question_has_the_same_answer_only_where_nothing_is_drawn() {
    let is = |endpoint, body: &str| read(endpoint, body).deterministic;
    for (body, yes) in [
        (r#"{"temperature":0}"#, true),
        (r#"{"temperature":0.0,"seed":-1}"#, true),
        (r#"{"seed":7}"#, true),
        (r#"{"seed":0,"temperature":1}"#, true),
        (r#"{"seed":-1}"#, false),
        (r#"{"seed":4294967295}"#, false),
        (r#"{"seed":null,"temperature":0.1}"#, false),
        ("{}", false),
    ] {
        assert_eq!(is(Endpoint::Chat, body), yes, "{body}");
        let ollama = format!("{{\"options\":{body}}}");
        assert_eq!(is(Endpoint::OllamaChat, &ollama), yes, "{ollama}");
    }
    assert!(is(Endpoint::Embeddings, "{}") && is(Endpoint::Rerank, "{}"));
    assert!(!is(Endpoint::Speech, r#"{"seed":7}"#) && !is(Endpoint::Other, r#"{"seed":7}"#));
    assert!(is(Endpoint::Responses, r#"{"temperature":0,"previous_response_id":null}"#));
    assert!(!is(Endpoint::Responses, r#"{"temperature":0,"previous_response_id":"r"}"#));
}

#[test]
fn the_most_it_may_generate_is_told_by_each_dialect() {
    let most = |endpoint, body: &str| read(endpoint, body).max_tokens;
    for (endpoint, body, right) in [
        (Endpoint::Chat, r#"{"max_tokens":5,"max_completion_tokens":7}"#, Some(7)),
        (Endpoint::Chat, r#"{"max_tokens":5,"max_completion_tokens":null}"#, Some(5)),
        (Endpoint::Chat, r#"{"max_tokens":-1}"#, None),
        (Endpoint::Chat, r#"{"max_tokens":5000000000,"n":9}"#, Some(u32::MAX)),
        (Endpoint::Completions, r#"{"n_predict":3}"#, Some(3)),
        (Endpoint::Completions, r#"{"max_tokens":3,"prompt":["a","b"],"n":2}"#, Some(12)),
        (Endpoint::Completions, r#"{"max_tokens":3,"prompt":[1,2,3]}"#, Some(3)),
        (Endpoint::Completions, r#"{"max_tokens":3,"prompt":[[1],[2,3]]}"#, Some(6)),
        (Endpoint::Responses, r#"{"max_output_tokens":9}"#, Some(9)),
        (Endpoint::Messages, r#"{"max_tokens":9}"#, Some(9)),
        (Endpoint::OllamaChat, r#"{"options":{"num_predict":4},"max_tokens":9}"#, Some(4)),
        (Endpoint::OllamaGenerate, r#"{"options":{"num_predict":-2}}"#, None),
    ] {
        assert_eq!(most(endpoint, body), right, "{body}");
    }
}

#[test]
fn deep_nesting_takes_no_stack() {
    let deep =
        format!(r#"{{"messages":{}1{},"model":"m"}}"#, "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(chat(&deep).model.as_deref(), Some("m"));
    let broken = format!(r#"{{"messages":{}"#, "[".repeat(200_000));
    let wrong = understand(Endpoint::Chat, broken.as_bytes(), None);
    assert!(matches!(wrong, Err(Misread::Json { .. })));
}
