//! Services in words: a line each, or everything that is known of one.

use plimsoll_services::{
    kind::ServiceKind,
    service::{
        Basis, Figures, Holder, Latency, Loaded, Model, Origin, Run, RunState, Service,
        ServiceState, Slots,
    },
};

use crate::words;

pub fn row(service: &Service, now_ms: i64) -> Vec<String> {
    if service.origin == Origin::Proposed {
        let how = format!("found; {}", accepted_by(&service.id));
        return vec![
            service.id.clone(),
            "proposed".into(),
            what(service),
            service.url.clone(),
            how,
        ];
    }
    // Of one that Plimsoll does not let run now, that it is down is no news.
    if let Some(run) = service.run.as_ref().filter(|run| run.state != RunState::Running) {
        let lasting = words::lasting(now_ms - run.since_ms);
        let state = format!("{} for {lasting}", run_state(run.state));
        let id = service.id.clone();
        return vec![id, state, what(service), service.url.clone(), run.reason.clone()];
    }
    let mut state = state(service.state).to_owned();
    if service.checked_ms.is_some() {
        state.push_str(&format!(" for {}", words::lasting(now_ms - service.since_ms)));
    }
    vec![service.id.clone(), state, what(service), service.url.clone(), gist(service)]
}

fn accepted_by(id: &str) -> String {
    format!("`plimsoll services accept {id}` watches it")
}

/// Its kind and version.
fn what(service: &Service) -> String {
    let mut what = service.kind.map_or("not known yet", ServiceKind::label).to_owned();
    if let Some(version) = &service.version {
        what.push(' ');
        what.push_str(version);
    }
    what
}

/// Why it is not well, or what it does.
fn gist(service: &Service) -> String {
    if !service.reason.is_empty() {
        return service.reason.clone();
    }
    let loaded: Vec<&str> = service
        .models
        .iter()
        .filter(|model| model.loaded == Loaded::Loaded)
        .map(|model| model.name.as_str())
        .collect();
    let mut parts = Vec::new();
    match loaded[..] {
        [] => {}
        [one] => parts.push(one.to_owned()),
        _ => parts.push(format!("{} models", loaded.len())),
    }
    parts.extend(service.slots.and_then(|slots| busy(&slots)));
    parts.join(", ")
}

/// `2 of 4 slots busy, 1 waiting`; `None` where none of it is known.
fn busy(slots: &Slots) -> Option<String> {
    let mut parts = Vec::new();
    match (slots.busy, slots.total) {
        (Some(busy), Some(total)) => parts.push(format!("{busy} of {total} slots busy")),
        (Some(busy), None) => parts.push(format!("{busy} running")),
        (None, Some(total)) => parts.push(format!("{total} slots")),
        (None, None) => {}
    }
    parts.extend(slots.waiting.map(|waiting| format!("{waiting} waiting")));
    if parts.is_empty() {
        return None;
    }
    if slots.basis == Basis::Assumed {
        parts.push("assumed".into());
    }
    Some(parts.join(", "))
}

pub fn detail(service: &Service) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
    row("service", service.id.clone());
    if service.name != service.id {
        row("name", service.name.clone());
    }
    row("kind", what(service));
    row("address", service.url.clone());
    match service.origin {
        Origin::Configured => {}
        Origin::Accepted => row("known from", "found on this machine, and accepted".into()),
        Origin::Proposed => row("known from", format!("found; {}", accepted_by(&service.id))),
    }
    let mut how = state(service.state).to_owned();
    if service.checked_ms.is_some() {
        how.push_str(&format!(" since {}", words::moment(service.since_ms)));
    }
    if !service.reason.is_empty() {
        how.push_str(&format!(": {}", service.reason));
    }
    row("state", how);
    if let Some(run) = &service.run {
        row("run", ran(run));
        row("command", run.command.join(" "));
    }
    if let (Some(at), Some(took)) = (service.checked_ms, service.scrape_ms) {
        row("looked at", format!("{}, within {took:.1} ms", words::moment(at)));
    }
    if let Some(busy) = service.slots.as_ref().and_then(busy) {
        row("requests", busy);
    }
    for (name, value) in figures(&service.figures) {
        row(name, value);
    }
    for of in &service.models {
        row("model", model(of));
    }
    if let Some(holder) = &service.holder {
        row("runs as", held(holder));
    }
    for hint in &service.hints {
        row("hint", format!("{} {}", hint.text, hint.advice));
    }
    rows
}

/// How it does that Plimsoll starts: `running since …, process 123, 2 restarts`.
fn ran(run: &Run) -> String {
    let mut parts = vec![format!("{} since {}", run_state(run.state), words::moment(run.since_ms))];
    parts.extend(run.pid.map(|pid| format!("process {pid}")));
    match run.restarts {
        0 => {}
        1 => parts.push("1 restart".into()),
        restarts => parts.push(format!("{restarts} restarts")),
    }
    parts.extend(
        run.planned_vram_bytes.map(|bytes| format!("{} planned", words::whole_bytes(bytes))),
    );
    let mut said = parts.join(", ");
    if !run.reason.is_empty() {
        said.push_str(&format!(": {}", run.reason));
    }
    said
}

fn run_state(state: RunState) -> &'static str {
    match state {
        RunState::Stopped => "stopped",
        RunState::Waiting => "waiting",
        RunState::Starting => "starting",
        RunState::Running => "running",
        RunState::Stopping => "stopping",
        RunState::Restarting => "ended, starts again",
        RunState::Failed => "failed",
    }
}

/// The figures that are known.
fn figures(figures: &Figures) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    let mut number = |name, value: Option<f64>, digits: usize, unit: &str| {
        rows.extend(value.map(|value| (name, format!("{value:.digits$}{unit}"))));
    };
    number("running", figures.running, 0, "");
    number("waiting", figures.waiting, 0, "");
    number("finished", figures.finished_per_s, 2, "/s");
    number("prompt", figures.prompt_tokens_per_s, 1, " tokens/s");
    number("generated", figures.generated_tokens_per_s, 1, " tokens/s");
    number("KV cache", figures.kv_used_percent, 1, " % used");
    number("preemptions", figures.preemptions_per_s, 2, "/s");
    number("prefix cache", figures.prefix_hit_percent, 1, " % found");
    if let Some(redis) = &figures.redis {
        number("found", redis.hit_percent, 1, " % of the look-ups");
        number("evicted", redis.evicted_per_s, 2, "/s");
        number("commands", redis.ops_per_s, 1, "/s");
        number("clients", redis.clients, 0, "");
        number("blocked", redis.blocked, 0, " clients");
    }
    if let Some(store) = &figures.store {
        number("collections", store.collections, 0, "");
        number("points", store.points, 0, "");
        number("asked", store.requests_per_s, 1, "/s");
    }
    if let Some(redis) = &figures.redis
        && let Some(used) = redis.memory_used_bytes
    {
        let limit = match redis.memory_limit_bytes {
            Some(limit) => format!(" of at most {}", words::bytes(limit)),
            None => ", no limit".into(),
        };
        rows.push(("memory", format!("{}{limit}", words::bytes(used))));
        let more = [("held", redis.memory_rss_bytes), ("fragmentation", redis.fragmentation_bytes)];
        rows.extend(more.into_iter().filter_map(|(name, v)| Some((name, words::bytes(v?)))));
    }
    let latencies = [
        ("first token", &figures.ttft),
        ("each token", &figures.itl),
        ("in its queue", &figures.queue),
        ("a request", &figures.e2e),
    ];
    rows.extend(latencies.into_iter().filter_map(|(name, of)| Some((name, latency(of.as_ref()?)))));
    rows
}

fn latency(latency: &Latency) -> String {
    let p99 = latency.p99_ms.map_or_else(String::new, |ms| format!(", p99 {ms:.1} ms"));
    format!(
        "p50 {:.1} ms, p95 {:.1} ms{p99} of {} in {}",
        latency.p50_ms,
        latency.p95_ms,
        latency.count,
        words::lasting(latency.window_ms)
    )
}

pub fn model(model: &Model) -> String {
    let mut parts = Vec::new();
    match model.loaded {
        Loaded::Loaded => parts.push("loaded".into()),
        Loaded::Loading => parts.push("loading".into()),
        Loaded::Unloaded => parts.push("not loaded".into()),
        Loaded::Unknown => {}
    }
    parts.extend(model.quantization.clone());
    parts.extend(model.context_tokens.map(|tokens| format!("{tokens} tokens of context")));
    parts.extend(model.size_bytes.map(words::whole_bytes));
    parts.extend(model.gpu_share.map(|share| format!("{:.0} % on the GPU", share * 100.0)));
    if parts.is_empty() {
        model.name.clone()
    } else {
        format!("{}: {}", model.name, parts.join(", "))
    }
}

fn held(holder: &Holder) -> String {
    let mut parts = vec![match holder.pids.first() {
        Some(pid) => format!("{} (process {pid})", holder.name),
        None => holder.name.clone(),
    }];
    parts.extend(holder.container.as_ref().map(|name| match &holder.image {
        Some(image) => format!("container {name} of {image}"),
        None => format!("container {name}"),
    }));
    parts.extend(holder.cpu_percent.map(|cpu| format!("{cpu:.1} % of one core")));
    parts.push(format!("{} of memory", words::whole_bytes(holder.rss_bytes)));
    parts.extend(
        holder.container_bytes.map(|all| format!("{} in its container", words::whole_bytes(all))),
    );
    parts.extend(holder.vram_bytes.map(|vram| format!("{} of VRAM", words::whole_bytes(vram))));
    parts.join(", ")
}

fn state(state: ServiceState) -> &'static str {
    match state {
        ServiceState::Starting => "starting",
        ServiceState::Healthy => "healthy",
        ServiceState::Degraded => "degraded",
        ServiceState::Down => "down",
        ServiceState::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_services::service::RedisFigures;

    use super::*;

    fn service() -> Service {
        Service {
            state: ServiceState::Healthy,
            since_ms: 1000,
            version: Some("b4567".into()),
            models: vec![Model::named("tiny", Loaded::Loaded).sized(Some(200), Some(50))],
            slots: Some(Slots {
                total: Some(4),
                busy: Some(2),
                waiting: Some(1),
                basis: Basis::Told,
            }),
            checked_ms: Some(60_000),
            scrape_ms: Some(1.25),
            ..Service::new(
                "llama",
                "llama",
                Some(ServiceKind::LlamaCpp),
                "http://127.0.0.1:8080",
                Origin::Configured,
            )
        }
    }

    #[test]
    fn a_line_says_how_it_is_and_what_it_does_or_why_it_does_not() {
        let mut service = service();
        let said = |service: &Service| row(service, 181_000).join(" | ");
        assert_eq!(
            said(&service),
            "llama | healthy for 3 min | llama.cpp b4567 | http://127.0.0.1:8080 | tiny, 2 of 4 \
             slots busy, 1 waiting"
        );
        service.state = ServiceState::Down;
        service.reason = "refused on 127.0.0.1:8080".into();
        assert!(said(&service).ends_with("| refused on 127.0.0.1:8080"));
        // Nobody looked: there is no span to tell.
        service.state = ServiceState::Unknown;
        service.checked_ms = None;
        service.kind = None;
        service.version = None;
        assert!(said(&service).starts_with("llama | unknown | not known yet |"));
    }

    #[test]
    fn one_that_waits_for_a_word_says_which() {
        let mut found = service();
        found.origin = Origin::Proposed;
        found.checked_ms = None;
        assert_eq!(
            row(&found, 0).join(" | "),
            "llama | proposed | llama.cpp b4567 | http://127.0.0.1:8080 | found; \
             `plimsoll services accept llama` watches it"
        );
        let known_from = |of: &Service| {
            let rows = detail(of);
            rows.into_iter().find(|row| row[0] == "known from").map(|row| row[1].clone())
        };
        assert!(known_from(&found).unwrap().contains("services accept llama"));
        found.origin = Origin::Configured;
        assert_eq!(known_from(&found), None);
    }

    #[test]
    fn what_is_not_known_has_no_line_and_no_zero() {
        assert_eq!(figures(&Figures::default()), []);
        let redis = RedisFigures { memory_used_bytes: Some(1024.0), ..RedisFigures::default() };
        let known = Figures { redis: Some(redis), running: Some(0.0), ..Figures::default() };
        let rows = [("running", "0".to_owned()), ("memory", "1.00 KiB, no limit".to_owned())];
        assert_eq!(figures(&known), rows);
        let nothing = Slots { total: None, busy: None, waiting: None, basis: Basis::Told };
        assert_eq!(busy(&nothing), None);
        assert_eq!(model(&Model::named("tiny", Loaded::Unknown)), "tiny");
        let sized = Model::named("tiny", Loaded::Loaded).sized(Some(2048), Some(512));
        assert_eq!(model(&sized), "tiny: loaded, 2.00 KiB, 25 % on the GPU");
    }
}
