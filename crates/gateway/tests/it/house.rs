//! A gateway with doubles behind it, and a client before it.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Request, Response,
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use plimsoll_core::{
    alert::AlertRow, clock::SystemClock, log::LogEntry, mark::Mark, reading::Tick, record::Record,
    request::RequestRow,
};
use plimsoll_gateway::{
    Drained, Gateway, Parts,
    admission::{BackendId, BackendLimits, Desk, Limits},
    clients::{Clients, Keys, Rules},
    record::{Pump, Records},
    route::{Backend, Table},
    serve::{Budgets, Options, Orphan, OwnFigures, Patience, Sought, World},
};
use plimsoll_services::{client::Secret, kind::ServiceKind};
use plimsoll_sim::server::{Double, Handle, Spec};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};

/// Longest time that a request may wait in line.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// So many looks a test takes at what has to come. They are counted, and not the time: a machine
/// that stands still for a while takes none, and everything else goes on between two of them.
const LOOKS: u32 = 15_000;
const LOOK_EVERY: Duration = Duration::from_millis(2);

pub struct House {
    pub gateway: Gateway,
    pub address: SocketAddr,
    pub options: watch::Sender<Arc<Options>>,
    pub table: watch::Sender<Arc<Table>>,
    pub desk: Desk,
    pub records: Records,
    pub world: Arc<Watching>,
    /// What came to the log.
    pub log: Arc<Log>,
    pub keys: watch::Sender<Arc<Keys>>,
    _rules: watch::Sender<Arc<Rules>>,
    pump: Pump,
}

/// The rows that came to the log, in their order.
#[derive(Default)]
pub struct Log(pub Mutex<Vec<Arc<RequestRow>>>);

impl Record for Log {
    fn tick(&self, _: Arc<Tick>) {}
    fn mark(&self, _: Mark) {}
    fn alert(&self, _: AlertRow) {}
    fn log(&self, _: Vec<LogEntry>) {}
    fn requests(&self, rows: Vec<Arc<RequestRow>>) {
        self.0.lock().unwrap().extend(rows);
    }
    fn queue_len(&self) -> usize {
        0
    }
    fn dropped(&self) -> u64 {
        0
    }
}

/// Asks the doubles themselves what they run.
#[derive(Default)]
pub struct Watching {
    pub doubles: Mutex<Vec<(BackendId, Arc<Handle>)>>,
    pub orphans: Mutex<Vec<Orphan>>,
    /// The house's own clients. Others come, too: whatever looks on this machine for model
    /// servers asks all that listens.
    guests: Mutex<Vec<SocketAddr>>,
    /// What looks for a guest's program come to, one after the other; `None`: no end. After
    /// these it is the same program each time, or `nobody`.
    pub sought: Mutex<VecDeque<Option<Sought>>>,
    pub nobody: AtomicBool,
    /// Looks for a guest's program so far.
    pub seeks: AtomicU32,
    /// So many looks at a backend fail from here on.
    pub fails: AtomicU32,
    /// Looks at a backend so far.
    pub looks: AtomicU32,
}

impl World for Watching {
    fn program(&self, peer: SocketAddr, _: SocketAddr) -> BoxFuture<'static, Sought> {
        let is_guest = self.guests.lock().unwrap().contains(&peer);
        self.seeks.fetch_add(u32::from(is_guest), Relaxed);
        let sought = is_guest.then(|| self.sought.lock().unwrap().pop_front()).flatten();
        match sought {
            Some(Some(sought)) => Box::pin(std::future::ready(sought)),
            Some(None) => Box::pin(std::future::pending()),
            None if self.nobody.load(Relaxed) => Box::pin(std::future::ready(Sought::Nobody)),
            None => Box::pin(std::future::ready(Sought::Found("python3".into()))),
        }
    }

    fn running(&self, backend: &BackendId) -> BoxFuture<'static, Option<u32>> {
        self.looks.fetch_add(1, Relaxed);
        if self.fails.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
            return Box::pin(std::future::ready(None));
        }
        let doubles = self.doubles.lock().unwrap();
        let running = doubles.iter().find(|(id, _)| id == backend).map(|(_, double)| {
            let stats = double.stats();
            u32::try_from(stats.running + stats.waiting).unwrap()
        });
        Box::pin(std::future::ready(running))
    }

    fn orphaned(&self, orphan: Orphan) {
        self.orphans.lock().unwrap().push(orphan);
    }

    fn metrics(&self, _own: &OwnFigures) -> Option<String> {
        Some("plimsoll_up 1\n".into())
    }
}

/// A double with one model that answers `tokens` tokens, one each `token_ms`.
pub async fn double(slots: usize, tokens: u32, token_ms: f64) -> Handle {
    Double::start(spec(slots, tokens, token_ms)).await.unwrap()
}

pub fn spec(slots: usize, tokens: u32, token_ms: f64) -> Spec {
    let mut spec = Spec::named("instant").unwrap();
    spec.models[0].slots = slots;
    spec.models[0].answer_tokens = tokens;
    spec.models[0].token_ms = token_ms;
    spec
}

pub fn backend(id: &str, url: &str) -> Backend {
    Backend {
        id: id.into(),
        kind: Some(ServiceKind::LlamaCpp),
        url: url.into(),
        key: None,
        trust: None,
        models: vec!["instant".into()],
        loaded: None,
        up: true,
    }
}

pub fn with_key(backend: Backend, key: &str) -> Backend {
    Backend { key: Some(Secret::new(key)), ..backend }
}

/// Everybody may take an hour for what a test does not want to be slow.
pub fn options() -> Options {
    let hour = Duration::from_secs(3600);
    let patience = Patience { head: hour, body: hour, idle: hour, write: hour };
    let budgets = Budgets { connect: hour, ..Budgets::default() };
    let listen = vec![([127, 0, 0, 1], 0).into()];
    Options { listen, patience, budgets, ..Options::default() }
}

/// So much room at each backend.
pub fn room(room: u32) -> Limits {
    let backend = BackendLimits { room: Some(room), ..BackendLimits::default() };
    Limits { backend, ..Limits::default() }
}

impl House {
    pub async fn open(backends: Vec<Backend>, limits: Limits, options: Options) -> Self {
        let here = tokio::runtime::Handle::current();
        Self::open_on(here, backends, limits, options).await
    }

    /// With the tasks of its gateway, and no others, on this runtime.
    pub async fn open_on(
        runtime: tokio::runtime::Handle,
        backends: Vec<Backend>,
        limits: Limits,
        options: Options,
    ) -> Self {
        let (options, options_seen) = watch::channel(Arc::new(options));
        let (table, table_seen) = watch::channel(Arc::new(Table::of(backends)));
        let (keys, keys_seen) = watch::channel(Arc::new(Keys::default()));
        let (_rules, rules) = watch::channel(Arc::new(Rules::default()));
        let desk = Desk::new(limits);
        let log = Arc::new(Log::default());
        let (records, pump) = Records::start(Arc::new(SystemClock), log.clone());
        let world = Arc::new(Watching::default());
        let gateway = Gateway::start(Parts {
            runtime,
            options: options_seen,
            table: table_seen,
            desk: desk.clone(),
            records: records.clone(),
            clients: Clients::new(keys_seen, rules),
            world: world.clone(),
        })
        .await
        .unwrap();
        let address = gateway.address().unwrap();
        Self { gateway, address, options, table, desk, records, world, log, keys, _rules, pump }
    }

    /// One double behind a gateway with as much room as it has slots.
    pub async fn before(double: &Handle, limits: Limits) -> Self {
        Self::open(vec![backend("one", &double.url())], limits, options()).await
    }

    pub fn watches(&self, id: &str, double: &Arc<Handle>) {
        self.world.doubles.lock().unwrap().push((id.into(), double.clone()));
    }

    pub async fn client(&self) -> Client {
        let client = Client::to(self.address).await;
        self.world.guests.lock().unwrap().push(client.from);
        client
    }

    /// Until so many are in flight and wait.
    pub async fn until(&self, what: impl Fn(u32, u32) -> bool) {
        until(|| {
            let seen = self.desk.snapshot();
            what(seen.in_flight, seen.queued)
        })
        .await;
    }

    /// As Plimsoll does: what is not in the log after it never comes there.
    pub async fn stop(self) -> Drained {
        let stopped = patiently(self.gateway.stop()).await;
        self.pump.close().await;
        stopped
    }
}

/// Looks every few milliseconds until it is so.
pub async fn until(mut what: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if what() {
            return;
        }
        sleep(LOOK_EVERY).await;
    }
    panic!("it never came to be so");
}

/// Waits for it as patiently.
pub async fn patiently<T>(what: impl Future<Output = T>) -> T {
    let mut what = pin!(what);
    for _ in 0..LOOKS / 10 {
        // It is looked at once more after each wait, however long that was.
        if let Ok(done) = timeout(LOOK_EVERY * 10, what.as_mut()).await {
            return done;
        }
    }
    panic!("it never came");
}

/// One connection to the gateway.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
    from: SocketAddr,
}

pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Client {
    pub async fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let from = stream.local_addr().unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Self { sender, address, from }
    }

    pub async fn begin(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        self.sender.ready().await?;
        patiently(self.sender.send_request(request)).await
    }

    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Reply> {
        Reply::of(self.begin(request).await?).await
    }

    pub async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> Reply {
        let request = self.request(path, body);
        self.send(request).await.unwrap()
    }

    pub async fn get(&mut self, path: &str) -> Reply {
        let request = Request::get(path)
            .header("host", self.address.to_string())
            .body(Full::default())
            .unwrap();
        self.send(request).await.unwrap()
    }

    pub fn request(&self, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
        Request::post(path)
            .header("host", self.address.to_string())
            .header("content-type", "application/json")
            .body(Full::new(body.into()))
            .unwrap()
    }
}

impl Reply {
    pub async fn of(response: Response<Incoming>) -> hyper::Result<Self> {
        let (head, body) = response.into_parts();
        let body = patiently(body.collect()).await?;
        Ok(Self { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes() })
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub const CHAT: &str = "/v1/chat/completions";

pub fn chat(stream: bool, tokens: u32) -> String {
    format!(
        r#"{{"model":"instant","stream":{stream},"max_tokens":{tokens},"messages":[{{"role":"user","content":"Hello"}}]}}"#
    )
}

/// Chunks of a stream that bear text.
pub fn tokens_of(text: &str) -> usize {
    text.matches(r#""content":""#).count()
}

pub async fn row(records: &Records, what: impl Fn(&RequestRow) -> bool) -> Arc<RequestRow> {
    let mut found = None;
    until(|| {
        found = records.recent().into_iter().rev().find(|row| what(row));
        found.is_some()
    })
    .await;
    found.unwrap()
}
