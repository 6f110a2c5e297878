//! What tells a conversation from another.

use serde_json::{Value, json};

use super::*;

fn prefix(endpoint: Endpoint, body: &Value) -> u64 {
    read(endpoint, &body.to_string()).prefix
}

fn message(role: &str, content: impl Into<Value>) -> Value {
    json!({ "role": role, "content": content.into() })
}

#[test]
fn a_conversation_keeps_its_prefix_as_it_grows() {
    let mut messages = vec![message("system", "Be brief."), message("user", "What is a ship?")];
    let of = |messages: &[Value]| prefix(Endpoint::Chat, &json!({ "messages": messages }));
    let first = of(&messages);
    for turn in 0..20 {
        messages.push(message("assistant", format!("An answer {turn}")));
        messages.push(message("user", format!("A question {turn}")));
        assert_eq!(of(&messages), first);
    }
}

#[test]
fn other_beginnings_are_other_conversations() {
    let of = |system: &str, user: &str| {
        let messages = json!([message("system", system), message("user", user)]);
        prefix(Endpoint::Chat, &json!({ "messages": messages }))
    };
    let all = [of("Be brief.", "Hi"), of("Be brief.", "Ho"), of("Be long.", "Hi"), of("", "Hi")];
    for (place, one) in all.iter().enumerate() {
        assert!(!all[place + 1..].contains(one), "{place}");
    }
}

#[test]
fn the_role_may_stand_behind_its_text() {
    let one = r#"{"messages":[{"role":"system","content":"S"},{"role":"user","content":"U"}]}"#;
    let two = r#"{"messages":[{"content":"S","role":"system"},{"content":"U","role":"user"}]}"#;
    assert_eq!(chat(one).prefix, chat(two).prefix);
}

#[test]
fn a_moved_cache_mark_and_another_way_to_write_a_text_change_nothing() {
    let block = |text: &str, marked: bool| match marked {
        true => json!([{ "type": "text", "text": text, "cache_control": { "type": "ephemeral" } }]),
        false => json!([{ "type": "text", "text": text }]),
    };
    let of = |messages: Value| {
        let body = json!({ "system": block("Be brief.", true), "messages": messages });
        prefix(Endpoint::Messages, &body)
    };
    let first = of(json!([message("user", block("Hi", true))]));
    assert_eq!(first, of(json!([message("user", "Hi")])));
    let grown = json!([
        message("user", block("Hi", false)),
        message("assistant", "Ho"),
        message("user", block("Then?", true)),
    ]);
    assert_eq!(first, of(grown));
}

#[test]
fn an_input_in_one_text_is_the_same_conversation_as_its_message() {
    let text = json!({ "instructions": "Be brief.", "input": "Hi" });
    let items = json!({
        "input": [message("user", "Hi"), message("assistant", "Ho"), message("user", "Then?")],
        "instructions": "Be brief.",
    });
    assert_eq!(prefix(Endpoint::Responses, &text), prefix(Endpoint::Responses, &items));
}

#[test]
fn a_prompt_that_grows_is_told_by_its_beginning() {
    let long = "The ship is loaded to her line, and no further. ".repeat(10);
    let of = |prompt: &str| prefix(Endpoint::Completions, &json!({ "prompt": prompt }));
    assert_eq!(of(&long), of(&(long.clone() + "Then")));
    assert_ne!(of(&long), of(&long[1..]));
    let tokens: Vec<u32> = (0..200).collect();
    let of = |prompt: &[u32]| prefix(Endpoint::Completions, &json!({ "prompt": prompt }));
    assert_eq!(of(&tokens), of(&tokens[..150]));
    assert_ne!(of(&tokens), of(&tokens[1..]));
}

#[test]
fn a_picture_weighs_what_a_picture_weighs() {
    let picture = format!("data:image/png;base64,{}", "iVBORw0KGgo".repeat(100_000));
    let url = json!({ "type": "image_url", "image_url": { "url": picture } });
    let bare = "iVBORw0KGgo".repeat(1000);
    for content in [
        json!([url]),
        json!([{ "type": "input_image", "image_url": picture }]),
        json!([{ "type": "image", "source": { "type": "base64", "data": bare } }]),
        json!([{ "type": "input_audio", "input_audio": { "data": bare, "format": "wav" } }]),
        json!([{ "type": "file", "file": { "file_data": bare } }]),
    ] {
        let body = json!({ "messages": [message("user", content)] }).to_string();
        let tokens = chat(&body).prompt_tokens;
        assert!((1024..1034).contains(&tokens), "{tokens}");
    }
    let code = "let mut x = 7; ".repeat(1000);
    let body = json!({ "messages": [message("user", code)] }).to_string();
    assert_eq!(chat(&body).prompt_tokens, 3750);
}
