use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use hyper::{Response, StatusCode, header};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::{
        answer::Answer,
        options::{Consult, Options},
        read::Held,
        refuse::Refused,
    },
    expert::{Asking, Expert},
    judge, models,
    together::Together,
};
use plimsoll_core::request::Endpoint;

fn names(model: &str) -> Option<Vec<String>> {
    Some(models(Endpoint::Chat, model)?.iter().map(ToString::to_string).collect())
}

/// An answer that is there at once.
fn answers(kind: &str, text: &str) -> Result<Response<Answer>, Refused> {
    let mut answer = Response::new(Answer::whole(Bytes::from(text.to_owned())));
    answer.headers_mut().insert(header::CONTENT_TYPE, kind.parse().unwrap());
    Ok(answer)
}

fn streams(text: &str) -> Result<Response<Answer>, Refused> {
    answers("text/event-stream; charset=utf-8", text)
}

fn refuses(message: &str) -> Result<Response<Answer>, Refused> {
    Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, "queue", message))
}

fn together(all: Vec<Result<Response<Answer>, Refused>>, usage: bool, most: usize) -> Together {
    let held = std::sync::Arc::new(Held::default());
    let expert = |(at, answer): (usize, Result<_, _>)| {
        let asking: Asking = Box::pin(std::future::ready(answer));
        Expert::new(format!("m{at}").into(), asking, held.share(), most)
    };
    Together::new(all.into_iter().enumerate().map(expert).collect(), "consult-1".into(), usage)
}

/// All chunks of the stream, the last of which is its end.
fn read(mut together: Together) -> Vec<Value> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut chunks = Vec::new();
    while let Poll::Ready(Some(event)) = together.poll(&mut cx) {
        let text = std::str::from_utf8(&event).unwrap();
        let data = text.strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap();
        chunks.push(serde_json::from_str(data).unwrap_or_else(|_| json!(data)));
    }
    assert_eq!(chunks.pop(), Some(json!("[DONE]")));
    chunks
}

fn whole(mut together: Together) -> Result<Value, Refused> {
    let mut cx = Context::from_waker(Waker::noop());
    match together.poll_whole(&mut cx, "consult:m0,m1") {
        Poll::Ready(answer) => answer.map(|bytes| serde_json::from_slice(&bytes).unwrap()),
        Poll::Pending => panic!("all was there"),
    }
}

fn chunk(text: &str) -> String {
    let choice = json!({ "index": 0, "delta": { "content": text }, "finish_reason": null });
    format!("data: {}\n\n", json!({ "id": "x", "created": 5, "choices": [choice] }))
}

const DONE: &str = "data: [DONE]\n\n";

fn done(text: &str) -> String {
    chunk(text) + DONE
}

const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n";

#[test]
fn the_models_stand_behind_the_word_with_commas_between_each_once() {
    assert_eq!(names("consult:a, b:4b,,a"), Some(vec!["a".into(), "b:4b".into()]));
    assert_eq!(names("consult:"), Some(Vec::new()));
    assert_eq!(names("consultant"), None);
    assert_eq!(models(Endpoint::Embeddings, "consult:a"), None);
}

// DE4
#[test]
fn at_most_five_are_asked_unless_another_number_is_set() {
    let of = |many: usize| (0..many).map(|n| n.to_string().into()).collect::<Vec<_>>();
    let mut options = Options::default();
    assert!(judge(&of(5), &options).is_ok());
    let no = judge(&of(6), &options).unwrap_err();
    assert_eq!(no.status, StatusCode::BAD_REQUEST);
    assert!(no.message.contains("6 models") && no.message.contains("allows 5"), "{}", no.message);
    options.consult = Consult { models: 2, ..options.consult };
    assert!(judge(&of(3), &options).is_err());
    let again = judge(&["a".into(), "consult:b".into()], &options).unwrap_err();
    assert!(again.message.contains("by its own name"), "{}", again.message);
    assert!(judge(&[], &options).unwrap_err().message.contains("names of models"));
}

#[test]
fn each_answer_is_a_choice_of_one_stream() {
    let one = chunk("a1") + &done("a2");
    let chunks = read(together(vec![streams(&one), streams(&done("b1"))], false, 1 << 20));
    let said: Vec<_> = chunks
        .iter()
        .map(|c| (c["choices"][0]["index"].as_u64().unwrap(), &c["choices"][0]["delta"]["content"]))
        .collect();
    assert_eq!(said, [(0, &json!("a1")), (1, &json!("b1")), (0, &json!("a2"))], "by turns");
    assert!(chunks.iter().all(|c| c["id"] == "consult-1" && c["created"] == 5));
    assert_eq!(
        (&chunks[1]["model"], &chunks[1]["choices"][0]["model"]),
        (&json!("m1"), &json!("m1"))
    );
}

// DE4: one failing expert does not fail the rest
#[test]
fn one_that_fails_ends_its_choice_and_the_others_go_on() {
    let broken = chunk("b1") + "data: {\"error\":{\"message\":\"out of memory\"}}\n\n";
    let all = vec![refuses("The queue is full."), streams(&broken), streams(&done("c1"))];
    let chunks = read(together(all, false, 1 << 20));
    assert!(chunks.iter().all(|c| c.get("error").is_none()), "it would end the whole stream");
    let failed: Vec<_> = chunks
        .iter()
        .flat_map(|c| c["choices"].as_array().unwrap())
        .filter(|choice| choice["finish_reason"] == "error")
        .map(|choice| (&choice["index"], &choice["error"]["message"]))
        .collect();
    let want = [(&json!(0), &json!("The queue is full.")), (&json!(1), &json!("out of memory"))];
    assert_eq!(failed, want);
    assert!(chunks.iter().any(|c| c["choices"][0]["delta"]["content"] == "c1"));
}

#[test]
fn tokens_are_told_once_of_all_and_only_where_they_were_asked_for() {
    let counted = |text| streams(&(chunk(text) + USAGE + DONE));
    let all = || vec![counted("a"), counted("b")];
    let last = read(together(all(), true, 1 << 20)).pop().unwrap();
    assert_eq!(last["choices"], json!([]));
    let sum = json!({ "prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10 });
    assert_eq!(last["usage"], sum);
    let chunks = read(together(all(), false, 1 << 20));
    assert!(chunks.len() == 2 && chunks.iter().all(|c| c.get("usage").is_none()));
}

#[test]
fn without_a_stream_all_choices_come_in_one_answer_in_their_order() {
    let text = r#"{"created":7,"choices":[{"index":0,"message":{"content":"a"}}],
                   "usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    let answer = || answers("application/json", text);
    let told = whole(together(vec![refuses("No."), answer(), answer()], false, 1 << 20)).unwrap();
    assert_eq!((&told["object"], &told["created"]), (&json!("chat.completion"), &json!(7)));
    let choices = told["choices"].as_array().unwrap();
    let seen: Vec<_> = choices.iter().map(|c| (&c["index"], &c["message"]["content"])).collect();
    let a = json!("a");
    assert_eq!(seen, [(&json!(0), &Value::Null), (&json!(1), &a), (&json!(2), &a)]);
    assert_eq!(choices[0]["error"]["code"], "queue");
    assert_eq!(told["usage"]["total_tokens"], 6);
}

#[test]
fn where_all_fail_the_request_does_with_what_each_said() {
    let error = whole(together(vec![refuses("A."), refuses("B.")], false, 1 << 20)).unwrap_err();
    assert_eq!(error.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(error.message, "None of the models answered. m0: A. m1: B.");
    let nonsense = answers("application/json", "[1,2");
    let error = whole(together(vec![refuses("A."), nonsense], false, 1 << 20)).unwrap_err();
    assert_eq!(error.status, StatusCode::BAD_GATEWAY, "they do not agree");
    let mut none = together(vec![refuses("A.")], false, 1 << 20);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(none.poll_begun(&mut cx), Poll::Ready(Err(_))));
}

#[test]
fn a_server_that_does_not_stream_gives_its_answer_as_one_piece() {
    let text = r#"{"choices":[{"index":0,"message":{"content":"all"},"finish_reason":"stop"}]}"#;
    let chunks = read(together(vec![answers("application/json", text)], false, 1 << 20));
    assert_eq!(chunks[0]["choices"][0]["delta"]["content"], "all");
    assert_eq!(chunks[0]["object"], "chat.completion.chunk");
}

#[test]
fn a_stream_that_ends_without_its_end_is_no_whole_answer() {
    let stop = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    // Broken off; ended by its reason alone, on a line that has no end; and without a word.
    let all = vec![streams(&chunk("a")), streams(&(chunk("b") + stop)), streams(DONE)];
    let chunks = read(together(all, false, 1 << 20));
    let ends: Vec<_> = chunks
        .iter()
        .map(|chunk| &chunk["choices"][0])
        .filter(|choice| choice["finish_reason"].is_string())
        .map(|choice| {
            (choice["index"].as_u64(), &choice["finish_reason"], &choice["error"]["code"])
        })
        .collect();
    let (error, none) = (json!("error"), Value::Null);
    let (broke, empty) = (json!("backend_broke_off"), json!("unreadable_answer"));
    assert_eq!(ends.len(), 3, "{chunks:?}");
    for end in
        [(Some(0), &error, &broke), (Some(1), &json!("stop"), &none), (Some(2), &error, &empty)]
    {
        assert!(ends.contains(&end), "{end:?} in {ends:?}");
    }
}

#[test]
fn what_plimsoll_itself_says_of_a_broken_stream_keeps_its_code() {
    let said = r#"data: {"error":{"message":"It broke off.","code":"backend_broke_off"}}"#;
    let chunks = read(together(vec![streams(&(chunk("a") + said + "\n\n"))], false, 1 << 20));
    assert_eq!(chunks[1]["choices"][0]["error"]["code"], "backend_broke_off");
}

#[test]
fn an_answer_without_a_choice_is_told_in_its_place_and_every_answer_says_when_it_began() {
    let empty = answers("application/json", r#"{"choices":[]}"#);
    let text = r#"{"created":null,"choices":[{"index":0,"message":{"content":"a"}}]}"#;
    let all = vec![empty, answers("application/json", text)];
    let told = whole(together(all, false, 1 << 20)).unwrap();
    assert_eq!(told["created"], 0);
    let choices = told["choices"].as_array().unwrap();
    assert_eq!((choices.len(), &choices[0]["finish_reason"]), (2, &json!("error")));
    assert_eq!(choices[0]["error"]["message"], "The service answered without a choice.");
    assert_eq!(choices[1]["message"]["content"], "a");
    let chunks = read(together(vec![answers("application/json", text)], false, 1 << 20));
    assert_eq!(chunks[0]["created"], 0);
}

// DE4: 512 MB for all answers
#[test]
fn an_answer_beyond_the_budget_fails_alone_and_gives_back_what_it_held() {
    let held = std::sync::Arc::new(Held::default());
    let text =
        |n: usize| format!("{{\"choices\":[{{\"index\":0,\"message\":\"{}\"}}]}}", "x".repeat(n));
    let expert = |n: usize| {
        let asking: Asking = Box::pin(std::future::ready(answers("application/json", &text(n))));
        Expert::new("m".into(), asking, held.share(), 1000)
    };
    let mut together = Together::new(vec![expert(5000), expert(100)], "c".into(), false);
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(bytes)) = together.poll_whole(&mut cx, "m") else { panic!("no answer") };
    let told: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(told["choices"][0]["error"]["code"], "consult_memory");
    assert_eq!(told["choices"][1]["message"].as_str().map(str::len), Some(100));
    assert_eq!(held.bytes(), text(100).len(), "what is answered with is held until it is given");
    drop(together);
    assert_eq!(held.bytes(), 0);
}

proptest! {
    /// Whatever servers send, the stream of all stays one of JSON and ends.
    #[test]
    fn nothing_that_a_server_sends_breaks_the_stream(
        texts in prop::collection::vec("(data: )?(\\{\"choices\":(\\[\\]|null|[0-9]|\\[\\{\"index\":\"x\"\\}\\])\\}|\\PC{0,20}|\n){0,3}\n{0,2}", 1..4),
    ) {
        let all = texts.iter().map(|text| streams(text)).collect();
        for chunk in read(together(all, true, 1 << 20)) {
            prop_assert!(chunk.is_object());
        }
        let all = texts.iter().map(|text| answers("application/json", text)).collect();
        let _ = whole(together(all, true, 1 << 20));
    }
}
