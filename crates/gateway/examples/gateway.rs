//! The gateway alone, in a process of its own: for measuring it beside other proxies.
//!
//! `cargo run --release -p plimsoll-gateway --example gateway -- --listen 127.0.0.1:1876
//! --backend http://127.0.0.1:8080 --model instant --room 64`
//!
//! `--threads 1` (the default) runs it on one core.

use std::{
    error::Error,
    net::SocketAddr,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use plimsoll_core::clock::{Clock, Instant3};
use plimsoll_gateway::{
    Gateway, Parts,
    admission::{BackendLimits, Desk, Limits},
    clients::{Clients, Keys, Rules},
    record::Records,
    route::{Backend, Table},
    serve::{Alone, Bounds, Options},
};
use plimsoll_services::kind::ServiceKind;
use tokio::sync::watch;

/// The time as std tells it: the kernel's clocks are asked by a way that valgrind, which counts
/// the instructions of this process, does not know.
struct StdClock;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let mut listen: SocketAddr = "127.0.0.1:1876".parse()?;
    let (mut backends, mut models) = (Vec::new(), Vec::new());
    let (mut room, mut threads, mut max_body) = (1024, 1, Bounds::default().body_bytes);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} wants a value"))?;
        match word.as_str() {
            "--listen" => listen = value.parse()?,
            "--backend" => backends.push(value),
            "--model" => models.push(value.into()),
            "--room" => room = value.parse()?,
            "--threads" => threads = value.parse()?,
            "--max-body" => max_body = value.parse()?,
            _ => return Err(format!("{word} is not known").into()),
        }
    }
    if backends.is_empty() || models.is_empty() {
        return Err("Which --backend, and which --model does it have?".into());
    }
    let backends = backends.into_iter().enumerate().map(|(n, url)| Backend {
        id: format!("b{n}").into(),
        kind: Some(ServiceKind::LlamaCpp),
        url: url.into(),
        key: None,
        trust: None,
        models: models.clone(),
        loaded: None,
        up: true,
    });
    let table = Table::of(backends);
    let runtime = match threads {
        1 => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        n => tokio::runtime::Builder::new_multi_thread().worker_threads(n).enable_all().build()?,
    };
    let bounds = Bounds { body_bytes: max_body, ..Bounds::default() };
    let options = Options { listen: vec![listen], bounds, ..Options::default() };
    runtime.block_on(run(options, table, room))
}

async fn run(options: Options, table: Table, room: u32) -> Result<(), Box<dyn Error>> {
    let (_options, options) = watch::channel(Arc::new(options));
    let (_table, table) = watch::channel(Arc::new(table));
    let (_keys, keys) = watch::channel(Arc::new(Keys::default()));
    let (_rules, rules) = watch::channel(Arc::new(Rules::default()));
    let backend = BackendLimits { room: Some(room), ..BackendLimits::default() };
    let desk = Desk::new(Limits { backend, ..Limits::default() });
    let gateway = Gateway::start(Parts {
        runtime: tokio::runtime::Handle::current(),
        options,
        table,
        desk,
        records: Records::new(Arc::new(StdClock)),
        clients: Clients::new(keys, rules),
        world: Arc::new(Alone),
    })
    .await?;
    println!("listening at {:?}", gateway.listening().borrow().addresses);
    tokio::signal::ctrl_c().await?;
    let drained = gateway.stop().await;
    println!("stopped after {:?}, {} cut off", drained.took, drained.cut_off);
    Ok(())
}

// === impl StdClock ===

impl Clock for StdClock {
    fn now(&self) -> Instant3 {
        let wall_ms = self.wall_ms();
        Instant3 { wall_ms, monotonic_ms: wall_ms, boottime_ms: wall_ms }
    }

    fn wall_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}
