use std::collections::{BTreeMap, BTreeSet};

use plimsoll_core::{
    metric::{CATALOGUE, Metric, SubjectKind},
    process::EndProcess,
    reading::{Reading, Value},
};
use plimsoll_sense::Options;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    time::{Duration, sleep},
};

use super::*;

/// Tuesday 17 November 2026, 14:32 UTC; the day's own clock then says 14:31.
const NOW_MS: i64 = 1_794_925_920_000;
const HOUR_MS: i64 = 3_600_000;
const SECOND_MS: i64 = 1000;

fn at(ms: i64) -> Instant3 {
    Instant3 { wall_ms: NOW_MS + ms, monotonic_ms: 5_000_000 + ms, boottime_ms: 5_000_000 + ms }
}

fn day(cast: &Cast, from_ms: i64) -> Simulation {
    cast.on(Simulation::new("day", 7, 1.0, at(0)).unwrap().since(from_ms))
}

/// The moment of a time of the machine's own day that has passed, e.g. `13:48:10`.
fn moment(hms: (i64, i64, i64)) -> i64 {
    let now = 14 * 3600 + 31 * 60;
    let then = hms.0 * 3600 + hms.1 * 60 + hms.2;
    NOW_MS + (then - now) * SECOND_MS
}

#[test]
fn the_past_tells_services_and_models_in_the_words_of_the_catalogue() {
    let cast = Cast::unheard().unwrap();
    let simulation = day(&cast, NOW_MS - HOUR_MS);
    let mut seen = BTreeSet::new();
    for tick in simulation.past(NOW_MS - HOUR_MS, NOW_MS, 1000).with_services(&cast) {
        let mut names = BTreeSet::new();
        for reading in &tick.readings {
            assert!(names.insert((reading.metric, reading.subject.clone())), "{reading:?} twice");
            assert!(reading.number().is_finite() && reading.number() >= 0.0, "{reading:?}");
        }
        seen.extend(tick.readings.iter().map(|reading| reading.metric.name()));
    }
    for spec in CATALOGUE {
        let wanted = matches!(spec.subject, SubjectKind::Service | SubjectKind::Model)
            // What only an engine that generates can tell; the demo's vLLM embeds.
            && spec.name != Metric::LatencyItl.name()
            // What passes the gateway is measured there.
            && !spec.name.starts_with("gateway.");
        if matches!(spec.subject, SubjectKind::Service | SubjectKind::Model) {
            assert_eq!(seen.contains(spec.name), wanted, "{}", spec.name);
        }
    }
}

#[test]
fn over_a_day_services_follow_the_processes_that_play_them() {
    let cast = Cast::unheard().unwrap();
    let from_ms = NOW_MS - 24 * HOUR_MS;
    let simulation = day(&cast, from_ms);
    let mut busy = BTreeMap::<&str, f64>::new();
    let (mut most, mut waited, mut last) = (0.0f64, false, 0.0);
    let mut past = simulation.past(from_ms, NOW_MS, 10_000).with_services(&cast);
    for tick in past.by_ref() {
        let of = |metric, subject: &str| tick.get(metric, subject);
        let now = tick.at.wall_ms;
        let up = of(Metric::ServiceUp, "chat").unwrap();
        let running = of(Metric::RequestsRunning, "chat");
        if let Some(running) = running {
            assert!(running <= 4.0 && up == 1.0);
            most = most.max(running);
            waited |= of(Metric::RequestsWaiting, "chat").unwrap() > 0.0;
            let told = of(Metric::TokensGenerated, "chat").unwrap();
            assert!(told >= last || told < 4000.0, "only a restart begins anew");
            last = told;
        }
        // It was restarted at 13:47:50, and its model loads for nine seconds from 13:48:02.
        if (moment((13, 47, 55))..moment((13, 48, 10))).contains(&now) {
            assert_eq!((up, running), (0.0, None));
        }
        if (moment((14, 0, 0))..NOW_MS).contains(&now) {
            assert_eq!(up, 1.0);
            *busy.entry("afternoon").or_default() += running.unwrap() / 186.0;
        }
        if (moment((12, 40, 0))..moment((13, 0, 0))).contains(&now) {
            *busy.entry("lunch").or_default() += running.unwrap() / 120.0;
        }
        // Ill from 9:31 on: it says so, and tells no figures.
        if (moment((9, 31, 5))..moment((9, 32, 30))).contains(&now) {
            assert_eq!(of(Metric::ServiceUp, "embed"), Some(1.0));
            assert_eq!(of(Metric::RequestsRunning, "embed"), None);
        }
        if let Some(vram) = of(Metric::ServiceVram, "notes") {
            // It grows while the model is loaded.
            assert!((0.2..0.91).contains(&(vram / crate::world::GIB)), "{vram}");
        }
    }
    let marks = past.marks();
    let titles: Vec<_> = marks.iter().map(|mark| &*mark.title).collect();
    let told = |of: &str| titles.iter().filter(|title| title.starts_with(of)).count();
    assert_eq!(told("embed is degraded: answers /health with 500"), 2, "{titles:?}");
    assert_eq!(told("embed is down: 127.0.0.1:18081 broke"), 1, "{titles:?}");
    // While it is restarted: at midnight, in the morning and after lunch.
    assert_eq!(told("chat is down: refused on 127.0.0.1:18080"), 3, "{titles:?}");
    assert_eq!(told("chat is starting: Loading model"), 3, "{titles:?}");
    assert_eq!(told("chat is healthy"), 3, "{titles:?}");
    let of_chat: Vec<_> = marks.iter().filter(|m| m.title.starts_with("chat is")).collect();
    let short = |of: &[&plimsoll_core::mark::Mark]| of[2].at_ms - of[0].at_ms < 60_000;
    assert!(of_chat.chunks(3).all(short), "it is away for less than a minute");
    assert_eq!(told("embed is up again after"), 1, "{titles:?}");
    assert!(marks.iter().all(|mark| mark.subject.is_some()) && marks.is_sorted_by_key(|m| m.at_ms));
    assert_eq!(most, 4.0);
    assert!(waited, "at times all slots are taken");
    let (lunch, afternoon) = (busy["lunch"], busy["afternoon"]);
    assert!(lunch < 1.6 && afternoon > lunch + 0.8 && afternoon < 4.0, "{busy:?}");
}

#[test]
fn the_past_of_a_service_is_the_same_at_every_step_but_for_what_is_told_between() {
    let cast = Cast::unheard().unwrap();
    let simulation = day(&cast, NOW_MS - HOUR_MS);
    let past = |step| simulation.past(NOW_MS - HOUR_MS, NOW_MS, step).with_services(&cast);
    let fine: Vec<_> = past(1000).collect();
    let mut observed = 0;
    for (n, tick) in past(60_000).enumerate() {
        for reading in &tick.readings {
            if let Value::Histogram(told) = &reading.value {
                let since = (n * 60).saturating_sub(59)..=n * 60;
                let parts = fine[since].iter().flat_map(|tick| &tick.readings);
                let same =
                    parts.filter(|r| r.metric == reading.metric && r.subject == reading.subject);
                let sum: f64 = same.map(Reading::number).sum();
                assert_eq!(sum, reading.number(), "{reading:?}");
                observed += told.count();
            } else {
                assert!(fine[n * 60].readings.contains(reading), "{reading:?}");
            }
        }
    }
    assert!(observed > 1000, "{observed}");
}

async fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let ask = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.ok()?;
    let mut told = String::new();
    stream.read_to_string(&mut told).await.ok()?;
    (!told.is_empty()).then_some(told)
}

#[tokio::test(start_paused = true)]
async fn the_doubles_listen_on_the_ports_of_their_processes_and_are_as_busy_as_these() {
    let mut cast = Cast::bind().unwrap();
    let simulation = day(&cast, NOW_MS - HOUR_MS);
    let mut sources = simulation.sources(watch::channel(Options::default()).1);
    let company = cast.start(&simulation, at(0)).unwrap();
    for source in &mut sources.list {
        source.read(at(0), &mut Vec::new()).unwrap();
    }
    let table = sources.processes.borrow().clone();
    let [chat, embed, notes] = company.handles() else { panic!("three services") };
    for (handle, name) in [(chat, "llama-server"), (embed, "vllm"), (notes, "ollama")] {
        let port = handle.address().port();
        let holder = table.processes.iter().find(|p| p.ports.contains(&port)).unwrap();
        assert_eq!(holder.name, name);
        if name != "ollama" {
            assert!(holder.command.contains(&format!("--port {port}")), "{}", holder.command);
        }
    }
    let mut most = 0;
    for _ in 0..60 {
        sleep(Duration::from_secs(1)).await;
        most = most.max(chat.stats().running);
    }
    assert!((2..=4).contains(&most), "{most}");
    let told = get(chat.address(), "/metrics").await.unwrap();
    assert!(told.contains("llamacpp:requests_processing"), "{told}");
    assert!(get(embed.address(), "/metrics").await.unwrap().contains("vllm:prompt_tokens_total"));
    let ps = get(notes.address(), "/api/ps").await.unwrap();
    assert!(ps.contains("qwen3:4b") && ps.contains("966367641"), "{ps}");
}

#[tokio::test(start_paused = true)]
async fn an_ended_process_closes_its_port_and_an_unloaded_model_frees_its_vram() {
    let mut cast = Cast::bind().unwrap();
    let simulation = day(&cast, NOW_MS - HOUR_MS);
    let mut sources = simulation.sources(watch::channel(Options::default()).1);
    let company = cast.start(&simulation, at(0)).unwrap();
    let mut scan = |ms: i64| {
        let mut readings = Vec::new();
        for source in &mut sources.list {
            source.read(at(ms), &mut readings).unwrap();
        }
        sources.processes.borrow().clone()
    };
    let table = scan(0);
    let runner = |table: &plimsoll_core::process::ProcessTable| {
        let found = table.processes.iter().find(|p| p.pid == 24107);
        found.map(|p| p.vram_bytes.unwrap())
    };
    assert!(runner(&table).unwrap() > 900 << 20);

    let notes = &company.handles()[2];
    let body = r#"{"model":"qwen3:4b","keep_alive":0}"#;
    let mut stream = TcpStream::connect(notes.address()).await.unwrap();
    let ask = |body: &str| {
        format!(
            "POST /api/generate HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    stream.write_all(ask(body).as_bytes()).await.unwrap();
    let mut buffer = [0; 4096];
    let n = stream.read(&mut buffer).await.unwrap();
    assert!(String::from_utf8_lossy(&buffer[..n]).contains("\"done_reason\":\"unload\""));
    sleep(Duration::from_secs(2)).await;
    assert!(!get(notes.address(), "/api/ps").await.unwrap().contains("qwen3:4b"));
    assert_eq!(runner(&scan(5000)), None);

    // Loaded again, it takes its seconds, and holds its VRAM again.
    stream.write_all(ask(r#"{"model":"qwen3:4b"}"#).as_bytes()).await.unwrap();
    let n = stream.read(&mut buffer).await.unwrap();
    assert!(String::from_utf8_lossy(&buffer[..n]).contains("\"done_reason\":\"load\""));
    assert!(get(notes.address(), "/api/ps").await.unwrap().contains("qwen3:4b"));
    assert!(runner(&scan(20_000)).unwrap() > 900 << 20);

    let chat = company.handles()[0].address();
    let server = table.processes.iter().find(|p| p.pid == 21734).unwrap();
    let request = EndProcess { pid: 21734, started_ms: server.started_ms, kill: false };
    assert!(get(chat, "/health").await.unwrap().contains("ok"));
    sources.inspect.end(&request).unwrap();
    sleep(Duration::from_secs(30)).await;
    assert!(TcpStream::connect(chat).await.is_err(), "nobody listens");
}

#[tokio::test(start_paused = true)]
async fn one_of_them_falls_ill_and_gets_well_again() {
    let mut cast = Cast::bind().unwrap();
    let simulation = day(&cast, NOW_MS - HOUR_MS);
    let company = cast.start(&simulation, at(0)).unwrap();
    let embed = company.handles()[1].address();
    let mut heard = Vec::new();
    // From 14:31 on, a question each ten seconds.
    for _ in 0..64 {
        heard.push(get(embed, "/health").await.is_some());
        sleep(Duration::from_secs(10)).await;
    }
    let ill = heard.iter().filter(|well| !**well).count();
    assert!((4..=6).contains(&ill), "50 s of them: {heard:?}");
    assert!(heard[0] && heard[63]);
}
