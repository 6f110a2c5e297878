//! The shapes of answers, and how many are worked on at once.

use plimsoll_sim::server::{Double, Handle, Spec};
use serde_json::json;
use tokio::time::Instant;

use super::wire::{Wire, ask, chat};

pub async fn double(name: &str) -> Handle {
    Double::start(Spec::named(name).unwrap()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_llama_cpp_begins_with_null_and_ends_with_usage_without_choices() {
    let double = double("llama-cpp").await;
    let mut wire = Wire::to(double.address()).await;
    let reply = wire.ask("POST", "/v1/chat/completions", &chat(true, 3)).await.unwrap();
    assert_eq!(reply.status, 200);
    assert!(reply.head.contains("content-type: text/event-stream"), "{}", reply.head);
    assert!(reply.head.contains("server: llama.cpp"), "{}", reply.head);
    assert!(reply.text().ends_with("data: [DONE]\n\n"));
    let events = reply.events();
    assert_eq!(events.len(), 1 + 3 + 1 + 1);
    let delta = &events[0]["choices"][0]["delta"];
    assert_eq!(*delta, json!({ "role": "assistant", "content": null }));
    let last = &events[4]["choices"][0];
    assert_eq!((&last["finish_reason"], &last["delta"]), (&json!("length"), &json!({})));
    let usage = &events[5];
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["completion_tokens"], 3);
    assert_eq!(usage["timings"]["predicted_n"], 3);
    assert_eq!(usage["timings"]["predicted_ms"], 28.0);
    let slots = ask(double.address(), "GET", "/slots", "").await.unwrap().json();
    let (first, other) = (&slots[0], &slots[1]);
    assert_eq!((&first["is_processing"], &first["id_task"]), (&json!(false), &json!(1)));
    assert_eq!(other["id_task"], json!(null));
    let said: String = events[1..4]
        .iter()
        .map(|event| event["choices"][0]["delta"]["content"].as_str().unwrap())
        .collect();
    let whole = ask(double.address(), "POST", "/v1/chat/completions", &chat(false, 3)).await;
    let whole = whole.unwrap().json();
    assert_eq!(whole["choices"][0]["message"]["content"], *said, "the same words in one piece");
    assert_eq!(whole["usage"]["total_tokens"], usage["usage"]["total_tokens"]);
}

#[tokio::test(start_paused = true)]
async fn a_completion_of_llama_cpp_has_its_usage_in_the_last_chunk_unasked() {
    let double = double("llama-cpp").await;
    let body = r#"{"prompt":"What is a load line?","max_tokens":2,"stream":true}"#;
    let reply = ask(double.address(), "POST", "/v1/completions", body).await.unwrap();
    let events = reply.events();
    assert_eq!(events.len(), 3);
    assert!(events[0]["choices"][0]["text"].is_string());
    let last = &events[2];
    assert_eq!(last["choices"][0]["finish_reason"], "length");
    assert_eq!(
        (&last["usage"]["completion_tokens"], &last["object"]),
        (&json!(2), &json!("text_completion"))
    );
    assert_eq!(last["timings"]["predicted_n"], 2);
    let reply = ask(double.address(), "POST", "/v1/completions", "{bad").await.unwrap();
    assert_eq!(reply.status, 500, "as the real one does");
}

#[tokio::test(start_paused = true)]
async fn llama_cpp_closes_after_a_stream_without_a_word_and_keeps_the_rest_until_the_hundredth() {
    let double = double("llama-cpp").await;
    let mut wire = Wire::to(double.address()).await;
    for _ in 0..3 {
        let reply = wire.ask("POST", "/v1/chat/completions", &chat(false, 1)).await.unwrap();
        assert!(reply.head.contains("keep-alive: timeout=5, max=100"));
    }
    let reply = wire.ask("POST", "/v1/chat/completions", &chat(true, 1)).await.unwrap();
    assert!(reply.whole && !reply.head.contains("connection: close"), "{}", reply.head);
    assert!(wire.ends().await);

    let mut wire = Wire::to(double.address()).await;
    for n in 1..=100 {
        let reply = wire.ask("GET", "/health", "").await.unwrap();
        assert_eq!(reply.head.contains("connection: close"), n == 100, "{n}");
    }
    assert!(wire.ends().await);
}

#[tokio::test(start_paused = true)]
async fn vllm_and_ollama_keep_the_connection_after_a_stream() {
    for (name, model) in [("vllm", "Qwen/Qwen2.5-7B-Instruct-AWQ"), ("ollama", "llama3.2:1b")] {
        let double = double(name).await;
        let mut wire = Wire::to(double.address()).await;
        let body = chat(true, 4).replace("\"m\"", &format!("\"{model}\""));
        for _ in 0..2 {
            let reply = wire.ask("POST", "/v1/chat/completions", &body).await.unwrap();
            let events = reply.events();
            assert!(reply.whole, "{name}");
            assert_eq!(events.last().unwrap()["usage"]["completion_tokens"], 4, "{name}");
            assert!(events[0]["choices"][0]["delta"]["content"].is_string(), "{name}");
        }
        assert_eq!(double.stats().connections_in_all, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn ollama_speaks_in_lines_with_nanoseconds_and_loads_what_is_asked_for() {
    let double = double("ollama").await;
    let body = r#"{"model":"qwen3:8b","prompt":"Why?","options":{"num_predict":3}}"#;
    let began = Instant::now();
    let reply = ask(double.address(), "POST", "/api/generate", body).await.unwrap();
    assert!(began.elapsed().as_millis() >= 4000, "it loads first");
    assert!(reply.head.contains("application/x-ndjson"));
    let lines: Vec<serde_json::Value> =
        reply.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0]["done"], false);
    let last = &lines[3];
    assert_eq!((&last["done"], &last["done_reason"]), (&json!(true), &json!("length")));
    assert_eq!(last["eval_count"], 3);
    assert_eq!(last["eval_duration"], 124_000_000);
    assert_eq!(last["load_duration"], 4_000_000_000_u64);
    assert!(last["total_duration"].as_u64().unwrap() > 4_124_000_000);
    let unknown = r#"{"model":"gpt-6","prompt":"Why?"}"#;
    let reply = ask(double.address(), "POST", "/api/generate", unknown).await.unwrap();
    assert_eq!((reply.status, &*reply.text()), (404, r#"{"error":"model 'gpt-6' not found"}"#));
}

#[tokio::test(start_paused = true)]
async fn embeddings_are_the_same_for_the_same_text_in_both_forms() {
    let double = double("ollama").await;
    let body = r#"{"model":"nomic-embed-text","input":["a load line","a crate","a load line"]}"#;
    let reply = ask(double.address(), "POST", "/v1/embeddings", body).await.unwrap().json();
    let vector = |n: usize| reply["data"][n]["embedding"].as_array().unwrap();
    assert_eq!(vector(0).len(), 768);
    assert_eq!(vector(0), vector(2));
    assert_ne!(vector(0), vector(1));
    let packed = body.replace("}", r#","encoding_format":"base64"}"#);
    let packed = ask(double.address(), "POST", "/v1/embeddings", &packed).await.unwrap().json();
    assert_eq!(packed["data"][1]["embedding"].as_str().unwrap().len(), 768 * 4 / 3 * 4);
    let native = ask(double.address(), "POST", "/api/embed", body).await.unwrap().json();
    assert_eq!(native["embeddings"][0], reply["data"][0]["embedding"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_longer_than_the_context_is_a_400_and_nothing_is_computed() {
    let double = double("llama-cpp").await;
    let long = chat(false, 1).replace("load line", &"load line ".repeat(4000));
    let reply = ask(double.address(), "POST", "/v1/chat/completions", &long).await.unwrap();
    assert_eq!(reply.status, 400);
    let error = &reply.json()["error"];
    assert_eq!(
        (&error["type"], &error["n_ctx"]),
        (&json!("exceed_context_size_error"), &json!(8192))
    );
    let stats = double.stats();
    assert_eq!((stats.refused, stats.tokens, stats.in_flight), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn ten_at_once_before_four_slots_wait_inside_and_the_most_is_counted() {
    let double = double("llama-cpp").await;
    let address = double.address();
    let body = chat(true, 20);
    let asked: Vec<_> = (0..10)
        .map(|_| {
            let body = body.clone();
            tokio::spawn(async move { ask(address, "POST", "/v1/chat/completions", &body).await })
        })
        .collect();
    double.until(|stats| stats.in_flight == 10).await;
    let metrics = ask(address, "GET", "/metrics", "").await.unwrap().text();
    assert!(metrics.contains("llamacpp:requests_processing 4\n"), "{metrics}");
    assert!(metrics.contains("llamacpp:requests_deferred 6\n"), "{metrics}");
    let slots = ask(address, "GET", "/slots", "").await.unwrap().json();
    assert_eq!(slots.as_array().unwrap().iter().filter(|s| s["is_processing"] == true).count(), 4);
    for one in asked {
        assert!(one.await.unwrap().unwrap().whole);
    }
    let stats = double.until(|stats| stats.in_flight == 0).await;
    assert_eq!((stats.requests, stats.streams, stats.finished), (10, 10, 10));
    assert_eq!((stats.most_in_flight, stats.most_running, stats.most_waiting), (10, 4, 6));
    assert_eq!((stats.tokens, stats.cancelled), (200, 0));
    let told = ask(address, "GET", "/double/stats", "").await.unwrap().json();
    assert_eq!(told["most_in_flight"], 10);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_frees_its_slot_at_every_stage() {
    let mut spec = Spec::named("llama-cpp").unwrap();
    spec.models[0].slots = 1;
    let double = Double::start(spec).await.unwrap();
    let address = double.address();
    let mut first = Wire::to(address).await;
    first.send("POST", "/v1/chat/completions", &chat(true, 4000)).await;
    first.head().await.unwrap();
    first.chunk().await.unwrap();
    // One waits inside, and one waits for an answer in one piece.
    let mut second = Wire::to(address).await;
    second.send("POST", "/v1/chat/completions", &chat(true, 4000)).await;
    let mut third = Wire::to(address).await;
    third.send("POST", "/v1/chat/completions", &chat(false, 4000)).await;
    double.until(|stats| stats.waiting == 2).await;
    drop(second);
    let stats = double.until(|stats| stats.cancelled == 1).await;
    assert_eq!((stats.running, stats.waiting), (1, 1));
    drop(first);
    double.until(|stats| stats.cancelled == 2).await;
    drop(third);
    let stats = double.until(|stats| stats.cancelled == 3 && stats.in_flight == 0).await;
    assert_eq!((stats.running, stats.waiting, stats.orphans, stats.finished), (0, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_orphan_runs_on_where_that_is_wanted() {
    let mut spec = Spec::named("llama-cpp").unwrap();
    spec.orphans_run_on = true;
    let double = Double::start(spec).await.unwrap();
    let mut wire = Wire::to(double.address()).await;
    wire.send("POST", "/v1/chat/completions", &chat(true, 50)).await;
    wire.head().await.unwrap();
    wire.chunk().await.unwrap();
    drop(wire);
    let stats = double.until(|stats| stats.orphans == 1).await;
    assert_eq!((stats.in_flight, stats.running, stats.cancelled), (0, 1, 1));
    let stats = double.until(|stats| stats.running == 0).await;
    assert_eq!(stats.tokens, 50);
    assert!(stats.tokens_unheard >= 40, "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn ollama_refuses_more_than_may_wait() {
    let mut spec = Spec::named("ollama").unwrap();
    spec.most_waiting = Some(1);
    let double = Double::start(spec).await.unwrap();
    let body = r#"{"model":"llama3.2:1b","prompt":"Why?","options":{"num_predict":500}}"#;
    let mut wires = Vec::new();
    for waiting in 0..2 {
        let mut wire = Wire::to(double.address()).await;
        wire.send("POST", "/api/generate", body).await;
        double.until(|stats| stats.running + stats.waiting == waiting + 1).await;
        if waiting == 0 {
            double.until(|stats| stats.running == 1).await;
        }
        wires.push(wire);
    }
    let reply = ask(double.address(), "POST", "/api/generate", body).await.unwrap();
    assert_eq!(reply.status, 503);
    assert!(reply.text().contains("maximum pending requests exceeded"));
}

#[tokio::test(start_paused = true)]
async fn an_instant_double_answers_without_any_time_passing() {
    let double = double("instant").await;
    let mut wire = Wire::to(double.address()).await;
    let began = Instant::now();
    for _ in 0..50 {
        let reply = wire.ask("POST", "/v1/chat/completions", &chat(false, 16)).await.unwrap();
        assert_eq!(reply.json()["usage"]["completion_tokens"], 16);
    }
    assert_eq!(began.elapsed().as_millis(), 0);
    assert_eq!(double.stats().finished, 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_of_which_many_leave_never_pass_the_slots_and_leave_nothing_behind() {
    let mut spec = Spec::named("vllm").unwrap();
    let model = &mut spec.models[0];
    (model.slots, model.token_ms, model.token_ms_more) = (8, 1.0, 0.0);
    (model.context, model.kv_blocks) = (512, Some(64));
    let double = Double::start(spec).await.unwrap();
    let address = double.address();
    let asked: Vec<_> = (0..200)
        .map(|n| {
            let body = chat(n % 2 == 0, 20).replace("\"model\":\"m\",", "");
            tokio::spawn(async move {
                let mut wire = Wire::to(address).await;
                wire.send("POST", "/v1/chat/completions", &body).await;
                if n % 3 == 0 {
                    // Leaves before, or within, its answer.
                    if n % 2 == 0 {
                        wire.head().await;
                    }
                    return true;
                }
                wire.reply().await.is_some_and(|reply| reply.whole)
            })
        })
        .collect();
    for one in asked {
        assert!(one.await.unwrap(), "who stays is answered to the end");
    }
    let stats = double.until(|stats| stats.in_flight == 0 && stats.connections == 0).await;
    assert_eq!((stats.running, stats.waiting), (0, 0), "{stats:?}");
    assert_eq!(stats.most_running, 8);
    assert!(
        stats.finished >= 133 && stats.finished + stats.cancelled <= stats.requests,
        "{stats:?}"
    );
    let metrics = ask(address, "GET", "/metrics", "").await.unwrap().text();
    assert!(metrics.contains(
        "kv_cache_usage_perc{engine=\"0\",model_name=\"Qwen/Qwen2.5-7B-Instruct-AWQ\"} 0.0\n"
    ));
}

#[tokio::test(start_paused = true)]
async fn llama_cpp_answers_responses_and_messages_in_their_own_forms() {
    let double = double("llama-cpp").await;
    for (path, body, last, tokens) in [
        (
            "/v1/responses",
            r#"{"input":"What is a load line?","max_output_tokens":3"#,
            "response.completed",
            "/response/usage/output_tokens",
        ),
        (
            "/v1/messages",
            r#"{"messages":[{"role":"user","content":"What is a load line?"}],"max_tokens":3"#,
            "message_stop",
            "/usage/output_tokens",
        ),
    ] {
        let whole = ask(double.address(), "POST", path, &format!("{body}}}")).await.unwrap().json();
        let streamed = format!("{body},\"stream\":true}}");
        let text = ask(double.address(), "POST", path, &streamed).await.unwrap().text();
        let events: Vec<serde_json::Value> = text
            .split_terminator("\n\n")
            .map(|event| {
                let (name, data) = event.split_once("\ndata: ").unwrap();
                let data: serde_json::Value = serde_json::from_str(data).unwrap();
                assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
                data
            })
            .collect();
        assert_eq!(events.last().unwrap()["type"], last);
        let counted = events.iter().rev().find_map(|event| event.pointer(tokens)).unwrap();
        assert_eq!((counted, &whole["usage"]["output_tokens"]), (&json!(3), &json!(3)), "{path}");
        let said: String = events
            .iter()
            .filter(|event| event["type"].as_str().unwrap().ends_with("delta"))
            .filter_map(|event| event["delta"].as_str().or(event["delta"]["text"].as_str()))
            .collect();
        let content = if path == "/v1/responses" {
            &whole["output"][0]["content"]
        } else {
            &whole["content"]
        };
        assert_eq!(content[0]["text"], *said, "{path}");
    }
}
