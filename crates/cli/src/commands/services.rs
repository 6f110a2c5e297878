//! `services`: what runs beside Plimsoll, and how it is.

use plimsoll_app::{
    api::{About, Command, Nothing, ServiceId, ServiceTest, ServiceTested},
    offline,
    services::no_such,
    session::Session,
};
use plimsoll_core::clock::{Clock, SystemClock};
use plimsoll_services::{
    kind::ServiceKind,
    service::{Basis, Figures, Holder, Latency, Loaded, Model, Service, ServiceState, Slots},
};

use crate::{
    args::{Global, ServiceAction, Services},
    commands::{attach, options},
    out::{self, Outcome},
    words,
};

pub async fn run(global: &Global, args: Services) -> Outcome {
    match args.action {
        None | Some(ServiceAction::List) => list(global).await,
        Some(ServiceAction::Show { id }) => show(global, &id).await,
        Some(ServiceAction::Test { target }) => test(global, target).await,
    }
}

async fn list(global: &Global) -> Outcome {
    let (services, simulated) = match attach(global).await? {
        Some(session) => {
            let about: About = session.call(Command::About(Nothing {})).await?;
            (session.call(Command::Services(Nothing {})).await?, about.simulated)
        }
        None => (configured(global).await?, global.demo),
    };
    if global.json {
        return out::json(&services);
    }
    if services.is_empty() {
        return out::line(if simulated {
            "None simulated yet: the demo's workstation has no services."
        } else {
            "No service is configured: `plimsoll config set services.NAME.url=http://127.0.0.1:8080`."
        });
    }
    let now_ms = SystemClock.now().wall_ms;
    let rows: Vec<Vec<String>> = services.iter().map(|service| row(service, now_ms)).collect();
    out::table(&rows)
}

async fn show(global: &Global, id: &str) -> Outcome {
    let service: Service = match attach(global).await? {
        Some(session) => shown(&session, id).await?,
        None => {
            let services = configured(global).await?;
            let known = services.iter().find(|service| service.id == id).cloned();
            known.ok_or_else(|| no_such(id, services.iter().map(|service| &*service.id)))?
        }
    };
    if global.json {
        return out::json(&service);
    }
    out::table(&detail(&service))
}

async fn shown(session: &Session, id: &str) -> Result<Service, plimsoll_app::api::Fault> {
    session.call(Command::ServiceShow(ServiceId { id: id.into() })).await
}

async fn test(global: &Global, target: String) -> Outcome {
    let tested: ServiceTested = match attach(global).await? {
        Some(session) => {
            let test = ServiceTest { target, ..ServiceTest::default() };
            session.call(Command::ServiceTest(test)).await?
        },
        None => offline::test_service(&options(global), &target).await?,
    };
    if global.json {
        return out::json(&tested);
    }
    out::line(&tested.message)?;
    let rows: Vec<_> = tested.models.iter().map(|m| vec![String::new(), model(m)]).collect();
    out::table(&rows)
}

/// Where no Plimsoll runs: what it would watch.
async fn configured(global: &Global) -> Result<Vec<Service>, crate::out::Failure> {
    let (services, problems) = offline::services(&options(global)).await?;
    // On standard error: the list has the same shape either way.
    out::aside("not running; as the configuration has it");
    if !problems.is_empty() {
        out::aside("the configuration has problems: `plimsoll config validate` names them");
    }
    Ok(services)
}

fn row(service: &Service, now_ms: i64) -> Vec<String> {
    let mut state = state(service.state).to_owned();
    if service.checked_ms.is_some() {
        state.push_str(&format!(" for {}", words::lasting(now_ms - service.since_ms)));
    }
    vec![service.id.clone(), state, what(service), service.url.clone(), gist(service)]
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

fn detail(service: &Service) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
    row("service", service.id.clone());
    if service.name != service.id {
        row("name", service.name.clone());
    }
    row("kind", what(service));
    row("address", service.url.clone());
    let mut how = state(service.state).to_owned();
    if service.checked_ms.is_some() {
        how.push_str(&format!(" since {}", words::moment(service.since_ms)));
    }
    if !service.reason.is_empty() {
        how.push_str(&format!(": {}", service.reason));
    }
    row("state", how);
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

fn model(model: &Model) -> String {
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
    parts.extend(holder.container.as_ref().map(|name| format!("container {name}")));
    parts.extend(holder.cpu_percent.map(|cpu| format!("{cpu:.1} % of one core")));
    parts.push(format!("{} of memory", words::whole_bytes(holder.rss_bytes)));
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
    use plimsoll_services::{
        adapter::Actions,
        service::{Origin, RedisFigures},
    };

    use super::*;

    fn service() -> Service {
        Service {
            id: "llama".into(),
            name: "llama".into(),
            kind: Some(ServiceKind::LlamaCpp),
            url: "http://127.0.0.1:8080".into(),
            origin: Origin::Configured,
            state: ServiceState::Healthy,
            reason: String::new(),
            since_ms: 1000,
            version: Some("b4567".into()),
            models: vec![Model::named("tiny", Loaded::Loaded).sized(Some(200), Some(50))],
            slots: Some(Slots {
                total: Some(4),
                busy: Some(2),
                waiting: Some(1),
                basis: Basis::Told,
            }),
            figures: Figures::default(),
            holder: None,
            checked_ms: Some(60_000),
            scrape_ms: Some(1.25),
            hints: Vec::new(),
            actions: Actions::default(),
            vram: None,
            run: None,
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
    fn what_is_not_known_has_no_line_and_no_zero() {
        assert_eq!(figures(&Figures::default()), []);
        let redis = RedisFigures { memory_used_bytes: Some(1024.0), ..RedisFigures::default() };
        let known = Figures { redis: Some(redis), running: Some(0.0), ..Figures::default() };
        let rows = [("running", "0".to_owned()), ("memory", "1.0 KiB, no limit".to_owned())];
        assert_eq!(figures(&known), rows);
        let nothing = Slots { total: None, busy: None, waiting: None, basis: Basis::Told };
        assert_eq!(busy(&nothing), None);
        assert_eq!(model(&Model::named("tiny", Loaded::Unknown)), "tiny");
        let sized = Model::named("tiny", Loaded::Loaded).sized(Some(2048), Some(512));
        assert_eq!(model(&sized), "tiny: loaded, 2.0 KiB, 25 % on the GPU");
    }
}
