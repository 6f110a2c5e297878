//! What it costs to watch twenty engines every second: `cargo bench -p plimsoll-services`.
//!
//! The engines are doubles of vLLM in a process of their own, with as many series as a
//! real one has; only the watcher's CPU is counted. A second line tells the same with
//! one of the twenty hanging, and how many looks the other nineteen had.

#![expect(clippy::expect_used, reason = "a measurement that cannot begin ends with the reason")]

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use plimsoll_core::{
    clock::{Clock, SystemClock},
    process::ProcessTable,
    record::Nowhere,
    source::Source,
};
use plimsoll_services::{
    adapters,
    client::{Client, Limits},
    fleet::{Fleet, Pace, Parts, Wanted, Watched},
    kind::ServiceKind,
    service::{Origin, ServiceState},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

const SERVICES: usize = 20;
const SECONDS: u64 = 30;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if std::env::args().any(|argument| argument == "--serve") {
        return runtime.block_on(serve());
    }
    let this = std::env::current_exe().expect("a path of its own");
    let mut peer =
        Command::new(this).arg("--serve").stdout(Stdio::piped()).spawn().expect("a peer");
    let lines = BufReader::new(peer.stdout.take().expect("its output")).lines();
    let urls: Vec<String> = lines.take(SERVICES + 1).map(|line| line.expect("a line")).collect();
    let (well, hung) = urls.split_at(SERVICES);
    runtime.block_on(async {
        println!("idle runtime           {:.2} % of a core", measure(&[]).await.0);
        let (cpu, looks) = measure(well).await;
        println!("{SERVICES} engines at 1 s      {cpu:.2} % of a core, {looks} looks");
        let mixed: Vec<String> = well[1..].iter().chain(hung).cloned().collect();
        let (cpu, looks) = measure(&mixed).await;
        println!("one of them hangs      {cpu:.2} % of a core, {looks} looks of the others");
    });
    let _ = peer.kill();
    let _ = peer.wait();
}

/// CPU in percent of one core, and looks that found a service well.
async fn measure(urls: &[String]) -> (f64, u64) {
    let watched = urls.iter().enumerate().map(|(i, url)| {
        Watched::new(&format!("s{i}"), Some(ServiceKind::Vllm), url, Origin::Configured)
    });
    let wanted = Wanted { watched: watched.collect(), proposed: Vec::new() };
    let (_wanted, wanted) = watch::channel(Arc::new(wanted));
    let (_processes, processes) = watch::channel(Arc::new(ProcessTable::default()));
    let (_pace, pace) = watch::channel(Pace::default());
    let fleet = Fleet::start(Parts {
        adapters: adapters::all(),
        client: Client::new(Limits::here()).expect("a client"),
        clock: Arc::new(SystemClock),
        record: Arc::new(Nowhere),
        wanted,
        processes,
        pace,
    });
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (mut source, mut view) = (fleet.source(), fleet.view());
    let (before, began) = (cpu_ms(), Instant::now());
    let mut seen = std::collections::BTreeSet::new();
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    while began.elapsed() < Duration::from_secs(SECONDS) {
        tokio::select! {
            _ = tick.tick() => {
                let mut readings = Vec::new();
                source.read(SystemClock.now(), &mut readings).expect("readings");
            }
            _ = view.changed() => {
                let view = view.borrow_and_update().clone();
                let well = view.services.iter().filter(|s| s.state == ServiceState::Healthy);
                seen.extend(well.filter_map(|s| Some((s.id.clone(), s.checked_ms?))));
            }
        }
    }
    let cpu = (cpu_ms() - before) / began.elapsed().as_secs_f64() / 10.0;
    (cpu, u64::try_from(seen.len()).unwrap_or(0))
}

/// CPU time of this process's threads that are alive, in ms, as the scheduler counts it.
fn cpu_ms() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("the threads of this process");
    let of = |task: std::fs::DirEntry| -> Option<f64> {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        let ns: f64 = text.split_whitespace().next()?.parse().ok()?;
        Some(ns / 1e6)
    };
    tasks.flatten().filter_map(of).sum()
}

/// Serves twenty engines, and one that accepts and never answers; prints where.
async fn serve() {
    let body = Arc::new(metrics());
    for nth in 0..=SERVICES {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("http://{}", listener.local_addr().expect("its address"));
        let body = body.clone();
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                if nth == SERVICES {
                    kept.push(stream);
                } else {
                    tokio::spawn(answer(stream, body.clone()));
                }
            }
        });
    }
    std::future::pending::<()>().await;
}

async fn answer(mut stream: TcpStream, metrics: Arc<String>) {
    let mut head = Vec::new();
    loop {
        let mut part = [0u8; 2048];
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return,
            Ok(n) => head.extend_from_slice(&part[..n]),
        }
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let path = String::from_utf8_lossy(&head);
        let path = path.split(' ').nth(1).unwrap_or_default();
        let body = match path {
            "/metrics" => metrics.as_str(),
            "/version" => "{\"version\":\"0.11.0\"}",
            "/v1/models" => {
                "{\"object\":\"list\",\"data\":[{\"id\":\"m\",\"object\":\"model\",\"owned_by\":\"vllm\",\"max_model_len\":8192}]}"
            }
            _ => "",
        };
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        head.clear();
    }
}

/// Some 700 lines, as vLLM's are.
fn metrics() -> String {
    let mut text = String::new();
    let labels = "engine=\"0\",model_name=\"m\"";
    for name in ["num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"] {
        let _ = write!(text, "# HELP vllm:{name} X.\n# TYPE vllm:{name} gauge\n");
        let _ = writeln!(text, "vllm:{name}{{{labels}}} 0.5");
    }
    for name in ["prompt_tokens", "generation_tokens", "num_preemptions", "prefix_cache_hits"] {
        let _ = write!(text, "# HELP vllm:{name} X.\n# TYPE vllm:{name} counter\n");
        let _ = writeln!(text, "vllm:{name}_total{{{labels}}} 123456.0");
    }
    let histograms = [
        "time_to_first_token_seconds",
        "inter_token_latency_seconds",
        "e2e_request_latency_seconds",
        "request_queue_time_seconds",
        "request_prefill_time_seconds",
        "request_decode_time_seconds",
        "request_inference_time_seconds",
        "request_prompt_tokens",
        "request_generation_tokens",
        "iteration_tokens_total",
        "request_params_n",
        "request_max_num_generation_tokens",
    ];
    for name in histograms {
        let _ = write!(text, "# HELP vllm:{name} X.\n# TYPE vllm:{name} histogram\n");
        for bound in 1..=50 {
            let _ = writeln!(text, "vllm:{name}_bucket{{{labels},le=\"{bound}.0\"}} {bound}.0");
        }
        let _ = writeln!(text, "vllm:{name}_bucket{{{labels},le=\"+Inf\"}} 60.0");
        let _ =
            write!(text, "vllm:{name}_sum{{{labels}}} 99.0\nvllm:{name}_count{{{labels}}} 60\n");
    }
    text
}
