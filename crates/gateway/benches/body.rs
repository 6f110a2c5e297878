//! What it costs to understand a body, to write it anew, and to watch a stream, beside
//! reading the same bytes with `serde_json::Value`.

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use plimsoll_core::request::Endpoint;
use plimsoll_gateway::{
    request::{outgoing, question, understand},
    sse::{Form, Watch},
};

/// A chat of about so many bytes, as the clients of OpenAI write it.
fn chat(bytes: usize) -> String {
    let head = r#"{"model":"qwen3-8b","messages":[{"role":"system","content":"You are terse."}"#;
    let tail = r#"],"temperature":0.7,"max_tokens":256,"stream":true}"#;
    let mut body = head.to_owned();
    let mut turn = 0;
    while body.len() + tail.len() < bytes {
        let role = if turn % 2 == 0 { "user" } else { "assistant" };
        body += &format!(
            r#",{{"role":"{role}","content":"The ship is loaded to her line,\nand no further: turn {turn}, while cargo waits on the quay until the tide turns."}}"#
        );
        turn += 1;
    }
    body + tail
}

fn bodies(c: &mut Criterion) {
    for (name, bytes) in [("1KB", 1 << 10), ("64KB", 64 << 10)] {
        let body = chat(bytes);
        let mut group = c.benchmark_group(format!("body/{name}"));
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function("understand", |b| {
            b.iter(|| understand(Endpoint::Chat, black_box(body.as_bytes()), None));
        });
        group.bench_function("serde_json::Value", |b| {
            b.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(body.as_bytes())));
        });
        let read = understand(Endpoint::Chat, body.as_bytes(), None);
        let Ok(read) = read else { continue };
        let bytes = Bytes::from(body.clone());
        group.bench_function("outgoing, as it came", |b| {
            b.iter(|| outgoing(&read, black_box(bytes.clone()), None, false));
        });
        group.bench_function("outgoing, another model and usage", |b| {
            b.iter(|| outgoing(&read, black_box(bytes.clone()), Some("qwen3:8b"), true));
        });
        group.bench_function("question", |b| {
            b.iter(|| question(&read, black_box(body.as_bytes())));
        });
        group.finish();
    }
}

/// Events as vLLM writes them.
fn event(token: usize) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-0123456789abcdef0123456789abcdef\",\"object\":\
         \"chat.completion.chunk\",\"created\":1760000000,\"model\":\"qwen3-8b\",\"choices\":\
         [{{\"index\":0,\"delta\":{{\"content\":\" word{token}\"}},\"logprobs\":null,\
         \"finish_reason\":null}}]}}\n\n"
    )
}

fn streams(c: &mut Criterion) {
    const TOKENS: usize = 256;
    let events: Vec<Bytes> = (0..TOKENS).map(|token| event(token).into()).collect();
    let joined = Bytes::from(events.concat());
    let pieces: Vec<Bytes> = (0..joined.len())
        .step_by(100)
        .map(|from| joined.slice(from..joined.len().min(from + 100)))
        .collect();
    let mut group = c.benchmark_group("stream/256 events");
    group.throughput(Throughput::Elements(TOKENS as u64));
    for (name, chunks, cuts) in [
        ("an event a chunk", &events, false),
        ("an event a chunk, usage to be taken out", &events, true),
        ("cut every 100 bytes, usage to be taken out", &pieces, true),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut watch = Watch::new(Endpoint::Chat, Form::Events, cuts);
                let mut passed = 0;
                for (now, chunk) in chunks.iter().enumerate() {
                    for bytes in watch.feed(chunk.clone(), now as u64 * 20_000) {
                        passed += black_box(bytes).len();
                    }
                }
                passed
            });
        });
    }
    group.bench_function("serde_json::Value of each event", |b| {
        b.iter(|| {
            for chunk in &events {
                let json = &chunk[6..chunk.len() - 2];
                let _ = black_box(serde_json::from_slice::<serde_json::Value>(json));
            }
        });
    });
    group.finish();
}

criterion_group! {
    name = all;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = bodies, streams
}
criterion_main!(all);
