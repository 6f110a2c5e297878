//! One question to several models at once (DE4).

use http_body_util::BodyExt as _;
use plimsoll_gateway::route::Backend;
use plimsoll_sim::server::{Fault, Handle, Planned};
use serde_json::{Value, json};

use crate::house::{CHAT, House, backend, double, options, room, until};

fn named(id: &str, double: &Handle) -> Backend {
    Backend { models: vec![id.into()], ..backend(id, &double.url()) }
}

fn ask(model: &str, stream: bool, tokens: u32) -> String {
    json!({
        "model": model, "stream": stream, "max_tokens": tokens,
        "messages": [{ "role": "user", "content": "Hello" }],
    })
    .to_string()
}

fn chunks(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[tokio::test]
async fn several_models_answer_one_question_each_with_a_choice_of_its_own() {
    let (a, b) = (double(2, 3, 0.0).await, double(2, 3, 0.0).await);
    let house = House::open(vec![named("a", &a), named("b", &b)], room(2), options()).await;
    let mut client = house.client().await;
    let reply = client.post(CHAT, ask("consult:a,b", false, 3)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let choices = reply.json()["choices"].clone();
    assert_eq!((&choices[0]["model"], &choices[1]["model"]), (&json!("a"), &json!("b")));
    assert!(choices.as_array().unwrap().iter().all(|c| c["message"]["content"].is_string()));

    let reply = client.post(CHAT, ask("consult:a,b", true, 3)).await;
    assert!(reply.text().ends_with("data: [DONE]\n\n"), "{}", reply.text());
    for at in 0..2 {
        let said = chunks(reply.text())
            .iter()
            .filter(|chunk| {
                let choice = &chunk["choices"][0];
                choice["index"] == at && choice["delta"]["content"].is_string()
            })
            .count();
        assert_eq!(said, 3, "choice {at}: {}", reply.text());
    }
    // Each is a request of its own in the log.
    let rows = || house.records.recent();
    until(|| rows().len() == 4).await;
    let mut models: Vec<_> = rows().iter().map(|row| row.model.clone()).collect();
    models.sort();
    assert_eq!(models, ["a", "a", "b", "b"]);
}

#[tokio::test]
async fn a_model_that_fails_does_not_fail_the_rest() {
    let (a, b) = (double(2, 3, 0.0).await, double(2, 3, 0.0).await);
    b.set_fault(Planned::new(Fault::Answers { status: 500, retry_after_s: None }));
    let house = House::open(vec![named("a", &a), named("b", &b)], room(2), options()).await;
    let reply = house.client().await.post(CHAT, ask("consult:b,a,nobody", true, 3)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let all = chunks(reply.text());
    let failed = |at: u64| {
        all.iter()
            .any(|c| c["choices"][0]["index"] == at && c["choices"][0]["finish_reason"] == "error")
    };
    assert!(failed(0) && failed(2) && !failed(1), "{}", reply.text());
    let said = all.iter().filter(|c| c["choices"][0]["delta"]["content"].is_string()).count();
    assert_eq!(said, 3);

    let reply = house.client().await.post(CHAT, ask("consult:b,nobody", true, 3)).await;
    assert!(reply.status >= 400, "{}", reply.text());
    assert!(reply.text().contains("None of the models answered"), "{}", reply.text());
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_work_of_all() {
    let (a, b) = (double(2, 1_000_000, 5.0).await, double(2, 1_000_000, 5.0).await);
    let house = House::open(vec![named("a", &a), named("b", &b)], room(2), options()).await;
    let mut client = house.client().await;
    let request = client.request(CHAT, ask("consult:a,b", true, 1_000_000));
    let mut response = client.begin(request).await.unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    until(|| a.stats().running == 1 && b.stats().running == 1).await;
    drop((response, client));
    until(|| a.stats().running == 0 && b.stats().running == 0).await;
    house.until(|flying, waiting| (flying, waiting) == (0, 0)).await;
}

#[tokio::test]
async fn models_of_one_service_answer_one_after_another_within_its_room() {
    let double = double(4, 3, 0.0).await;
    let mut both = backend("one", &double.url());
    both.models = vec!["a".into(), "b".into(), "c".into()];
    let house = House::open(vec![both], room(1), options()).await;
    let reply = house.client().await.post(CHAT, ask("consult:a,b,c", false, 3)).await;
    assert_eq!(reply.json()["choices"].as_array().unwrap().len(), 3, "{}", reply.text());
    assert_eq!(double.stats().most_in_flight, 1);
}

#[tokio::test]
async fn more_models_than_are_allowed_are_refused_before_any_is_asked() {
    let a = double(2, 3, 0.0).await;
    let house = House::open(vec![named("a", &a)], room(2), options()).await;
    let reply = house.client().await.post(CHAT, ask("consult:a,b,c,d,e,f", false, 3)).await;
    assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!("model")));
    assert_eq!(a.stats().requests, 0);
}
