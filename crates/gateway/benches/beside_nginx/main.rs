//! The gateway beside nginx as a plain proxy, in one run, the same double behind both:
//! `./bench.sh gateway`. Each of them is a process of its own, and what is told of a core
//! is counted in that process's own CPU time: generator and backend share the machine.
//!
//! nginx passes requests on and does nothing else; the gateway reads each body, admits
//! it, and writes it into the history.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a measurement ends with the reason")]

mod load;
mod peers;
mod usage;
mod wire;

use std::{net::SocketAddr, time::Duration};

use load::Streams;
use peers::{Double, Gateway, Nginx};

/// Connections that ask without a pause.
const CLIENTS: usize = 64;
const STREAMS: usize = 256;
const TOKENS_PER_S: f64 = 50.0;
const IDLE: usize = 10_000;
const SPAN: Duration = Duration::from_secs(5);
/// In turn: what else the machine does would favour one of them. The middle one counts.
const ROUNDS: usize = 7;

fn main() {
    if std::env::args().any(|word| word == "--double") {
        return peers::double();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(run());
}

async fn run() {
    let instant = Double::start("instant");
    let paced = Double::start("paced");
    let nginx = Nginx::start(instant.address, paced.address);
    let gateway = Gateway::start(instant.address, paced.address);
    let span = SPAN.as_secs();
    println!("1 KB chat, not streamed, {CLIENTS} connections, {ROUNDS} rounds of {span} s");
    println!("{:12} {:>10} {:>12} {:>9} {:>9}", "", "requests/s", "per core", "p50 ms", "p99 ms");
    let (mut most, mut shares) = ([0.0_f64; 2], [0.0; ROUNDS]);
    for share in &mut shares {
        let mut cores = [0.0; 2];
        for (place, (name, at, pid)) in
            [("nginx", nginx.instant, nginx.pid()), ("plimsoll", gateway.address, gateway.pid())]
                .into_iter()
                .enumerate()
        {
            let before = usage::cpu(pid);
            let times = load::closed(at, "instant", CLIENTS, SPAN).await;
            let cpu = usage::cpu(pid) - before;
            let per_core = times.count() as f64 / cpu;
            cores[place] = per_core;
            most[place] = most[place].max(times.per_s());
            println!(
                "{name:12} {:>10.0} {per_core:>12.0} {:>9.3} {:>9.3}",
                times.per_s(),
                times.ms(0.5),
                times.ms(0.99)
            );
            assert_eq!(times.failed, 0, "{name}: {} requests failed", times.failed);
        }
        *share = cores[1] / cores[0];
    }
    println!("per core, of what nginx does: {:.3}, of {shares:.2?}", middle(&mut shares.clone()));

    println!("\nin sequence, one connection");
    let mut alone = Vec::new();
    for (name, at) in
        [("direct", instant.address), ("nginx", nginx.instant), ("plimsoll", gateway.address)]
    {
        let times = load::closed(at, "instant", 1, SPAN).await;
        println!("{name:12} p50 {:.3} ms, p99 {:.3} ms", times.ms(0.5), times.ms(0.99));
        alone.push(times.ms(0.5));
    }
    println!(
        "added p50: nginx {:.3} ms, plimsoll {:.3} ms",
        alone[1] - alone[0],
        alone[2] - alone[0]
    );

    println!("\nat half of its own most, {ROUNDS} rounds of {span} s");
    let mut above = [0.0; ROUNDS];
    for above in &mut above {
        let mut tails = [0.0; 2];
        for (place, (name, at)) in
            [("nginx", nginx.instant), ("plimsoll", gateway.address)].into_iter().enumerate()
        {
            let times = load::open(at, "instant", CLIENTS, most[place] / 2.0, SPAN).await;
            println!("{name:12} {:.0} requests/s: p99 {:.3} ms", times.per_s(), times.ms(0.99));
            tails[place] = times.ms(0.99);
        }
        *above = tails[1] - tails[0];
    }
    println!("p99 above nginx: {:.2} ms, of {above:.1?}", middle(&mut above.clone()));

    println!("\n{STREAMS} streams at {TOKENS_PER_S} tokens/s each");
    let mut delays = Vec::new();
    for (name, at) in
        [("direct", paced.address), ("nginx", nginx.paced), ("plimsoll", gateway.address)]
    {
        let Streams { gaps, failed } = load::streams(at, "paced", STREAMS).await;
        let delay = |q: f64| gaps.ms(q) - 1000.0 / TOKENS_PER_S;
        println!(
            "{name:12} {} tokens, delay p50 {:.2} ms, p99 {:.2} ms, {failed} failed",
            gaps.count(),
            delay(0.5),
            delay(0.99)
        );
        delays.push(delay(0.99));
    }
    println!("p99 above nginx: {:.2} ms", delays[2] - delays[1]);
    println!("RSS of plimsoll after that load: {:.1} MB", usage::rss_mb(gateway.pid()));

    let (held, at_once) = load::idle(gateway.address, IDLE).await;
    let opened = usage::rss_mb(gateway.pid());
    // What rests gives its memory back after half a second.
    tokio::time::sleep(Duration::from_secs(2)).await;
    println!(
        "\n{} idle connections: RSS {:.1} MB, {opened:.1} MB as the last was opened",
        held.len(),
        usage::rss_mb(gateway.pid())
    );
    assert!(at_once, "a request was not answered beside them");
    drop(held);
}

/// The one that as many are below as above.
fn middle(all: &mut [f64; ROUNDS]) -> f64 {
    all.sort_by(f64::total_cmp);
    all[ROUNDS / 2]
}

/// What a client sends: some 1 KB of chat.
fn request(model: &str, stream: bool, host: SocketAddr) -> Vec<u8> {
    let text = "What does the mark on a ship's hull say? ".repeat(20);
    let body = format!(
        r#"{{"model":"{model}","stream":{stream},"max_tokens":{},"messages":[{{"role":"system","content":"You are brief."}},{{"role":"user","content":"{text}"}}]}}"#,
        if stream { 500 } else { 1 },
    );
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nuser-agent: bench/1\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
