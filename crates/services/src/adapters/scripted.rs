//! The server of the tests with answers that a test may change as it goes, and
//! with paths that want a key. An adapter that asks for more than it should is
//! found out here.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use plimsoll_core::metric::Metric;

use super::peer::{Peer, Reply};
use crate::{
    adapter::{Adapter, Buckets, FigureValue, Memory, Probe, Scrape},
    client::{Bounds, CallError, Client, Limits, Target},
};

/// The key that a locked path wants.
pub(super) const KEY: &str = "sk-of-the-test";

/// A server on this machine, for as long as the test's runtime lives.
pub(super) struct Scripted {
    peer: Peer,
    script: Arc<Mutex<Script>>,
    /// Requests that were told to the test already.
    told: Mutex<usize>,
}

#[derive(Default)]
struct Script {
    /// Answers by `GET /path`, in turn; the last one stays.
    answers: BTreeMap<String, VecDeque<(u16, String)>>,
    /// Answer to everything else; `{}` stands for what was asked, e.g. `GET /path`.
    otherwise: Option<(u16, String)>,
    /// Beginnings of paths that want the key.
    locked: Vec<String>,
}

/// A place where nobody listens any more.
pub(super) async fn nobody() -> Target {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = Client::new(Limits::of(2, false)).unwrap();
    Target::new(&client, &url, None, Bounds::default()).unwrap()
}

/// What it told of a metric, once.
pub(super) fn value(scrape: &Scrape, metric: Metric) -> &FigureValue {
    let mut told = scrape.figures.iter().filter(|figure| figure.metric == metric);
    let one = told.next().unwrap_or_else(|| panic!("no {metric:?}"));
    assert_eq!(told.next(), None, "{metric:?} is told once");
    &one.value
}

pub(super) fn assert_totals(scrape: &Scrape, totals: &[(Metric, f64)]) {
    for &(metric, expected) in totals {
        assert_eq!(value(scrape, metric), &FigureValue::Total(expected), "{metric:?}");
    }
}

/// Two buckets: upper bound in ms, and the count up to it.
pub(super) fn buckets(bounds: [(f64, f64); 2]) -> FigureValue {
    FigureValue::Buckets(Buckets { cumulative: bounds.to_vec() })
}

// === impl Scripted ===

impl Scripted {
    pub async fn start() -> Self {
        let script = Arc::new(Mutex::new(Script::default()));
        let shared = script.clone();
        let peer = Peer::http(move |asked| {
            let keyed = asked.head.contains(&format!("authorization: bearer {KEY}"));
            let (status, body) = shared.lock().unwrap().answer(&asked.line(), &asked.path, keyed);
            let json = body.starts_with(['{', '[']);
            if json { Reply::json(status, &body) } else { Reply::text(status, &body) }
        })
        .await;
        Self { peer, script, told: Mutex::new(0) }
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// Answers `what`, e.g. `GET /health`, with this from now on.
    pub fn on(&self, what: &str, status: u16, body: impl Into<String>) -> &Self {
        self.on_each(what, [(status, body.into())])
    }

    /// Answers `what` with these in turn; the last one stays.
    pub fn on_each(&self, what: &str, answers: impl IntoIterator<Item = (u16, String)>) -> &Self {
        self.script().answers.insert(what.into(), answers.into_iter().collect());
        self
    }

    /// Answers what nothing else was said of; 404 without this.
    pub fn otherwise(&self, status: u16, body: &str) -> &Self {
        self.script().otherwise = Some((status, body.into()));
        self
    }

    /// Answers 401 to paths that begin so, unless [`KEY`] is sent.
    pub fn lock(&self, beginning: &str) -> &Self {
        self.script().locked.push(beginning.into());
        self
    }

    /// What it was asked since this was called last, sorted, e.g. `GET /health`.
    pub fn asked(&self) -> Vec<String> {
        let all = self.peer.asked();
        let mut told = self.told.lock().unwrap();
        let mut new = all[*told..].to_vec();
        *told = all.len();
        new.sort();
        new
    }

    /// The bodies that were sent with `what`, as JSON, in order.
    pub fn sent(&self, what: &str) -> Vec<serde_json::Value> {
        let all = self.peer.requests();
        let sent = all.iter().filter(|asked| asked.line() == what);
        sent.map(|asked| serde_json::from_str(&asked.body).unwrap()).collect()
    }

    pub fn target(&self) -> Target {
        self.peer.target()
    }

    pub fn target_with_key(&self) -> Target {
        self.peer.target_with(KEY)
    }

    pub fn probe(&self) -> Probe {
        self.peer.probe()
    }

    /// One look without anything remembered.
    pub async fn look(&self, adapter: &dyn Adapter) -> Result<Scrape, CallError> {
        adapter.scrape(&self.target(), &mut Memory::default()).await
    }
}

// === impl Script ===

impl Script {
    fn answer(&mut self, what: &str, path: &str, keyed: bool) -> (u16, String) {
        if !keyed && self.locked.iter().any(|beginning| path.starts_with(beginning.as_str())) {
            return (401, "{\"error\":\"Unauthorized\"}".into());
        }
        if let Some(answers) = self.answers.get_mut(what) {
            let last = answers.len() <= 1;
            let answer = if last { answers.front().cloned() } else { answers.pop_front() };
            return answer.unwrap_or((500, String::new()));
        }
        let (status, body) =
            self.otherwise.clone().unwrap_or((404, "{\"detail\":\"Not Found\"}".into()));
        (status, body.replace("{}", what))
    }
}
