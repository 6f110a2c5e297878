mod corpus;
mod edits;
mod fuzz;
mod prefix;

use super::*;

fn read(endpoint: Endpoint, body: &str) -> Understood {
    understand(endpoint, body.as_bytes(), Some("application/json")).unwrap()
}

fn chat(body: &str) -> Understood {
    read(Endpoint::Chat, body)
}

fn sent(endpoint: Endpoint, body: &str, send_as: Option<&str>, usage: bool) -> String {
    let out = outgoing(&read(endpoint, body), Bytes::from(body.to_owned()), send_as, usage);
    String::from_utf8(out.body.to_vec()).unwrap()
}

#[test]
fn a_chat_is_understood() {
    let body = r#"{"model":"qwen3-8b","messages":[{"role":"user","content":"12345678"}],
        "stream":true,"max_tokens":100,"n":2,"temperature":0}"#;
    let read = chat(body);
    assert_eq!(read.model.as_deref(), Some("qwen3-8b"));
    assert!(read.stream && read.deterministic && !read.usage_wanted);
    assert_eq!((read.prompt_tokens, read.max_tokens), (2, Some(200)));
}

#[test]
fn only_the_models_value_is_written_anew() {
    let body = "{ \"b\" : 1.0e0,\t\"model\"\r\n:\"a\" , \"x\":\"\\u00e9\\/\",\"x\":2 }\n";
    assert_eq!(
        sent(Endpoint::Chat, body, Some("wide \"open\""), true),
        body.replace("\"a\"", r#""wide \"open\"""#)
    );
    let same = Bytes::from(body.to_owned());
    let out = outgoing(&chat(body), same.clone(), Some("a"), true);
    assert_eq!(out.body.as_ptr(), same.as_ptr(), "the same bytes, not a copy of them");
    assert!(!out.usage_added);
}

#[test]
fn usage_is_asked_for_where_a_stream_would_not_tell_it() {
    let ask = |body: &str| {
        let out = outgoing(&chat(body), Bytes::from(body.to_owned()), None, true);
        (String::from_utf8(out.body.to_vec()).unwrap(), out.usage_added)
    };
    for (body, asked) in [
        (r#"{"stream":true }"#, r#"{"stream":true ,"stream_options":{"include_usage":true}}"#),
        (
            r#"{"stream_options": null,"stream":true}"#,
            r#"{"stream_options": {"include_usage":true},"stream":true}"#,
        ),
        (
            r#"{"stream_options":{ },"stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"stream":true}"#,
        ),
        (
            r#"{"stream_options":{ "x":1},"stream":true}"#,
            r#"{"stream_options":{"include_usage":true, "x":1},"stream":true}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage": false}}"#,
            r#"{"stream":true,"stream_options":{"include_usage": true}}"#,
        ),
    ] {
        assert_eq!(ask(body), (asked.to_owned(), true));
        assert!(chat(asked).usage_wanted);
    }
    for body in [
        r#"{"stream":false}"#,
        r#"{"messages":[]}"#,
        r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
        r#"{"stream":true,"stream_options":7}"#,
        r#"{"stream":true,"stream_options":{"continuous_usage_stats":true}}"#,
    ] {
        assert_eq!(ask(body), (body.to_owned(), false));
    }
}
