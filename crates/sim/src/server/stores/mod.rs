//! Doubles of what keeps data beside the models: small ones that say what their real
//! servers say of themselves, and keep nothing. What they count follows the levels of
//! the scenario second by second, so that the same second always looks the same.

mod door;
mod qdrant;
mod redis;
mod resp;
mod speaches;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use plimsoll_core::metric::Metric;
use serde::Deserialize;
use tokio::{net::TcpListener, task::JoinHandle, time::Instant};

use self::{qdrant::Qdrant, redis::Redis, speaches::Speaches};
use super::inside::Seconds;
use crate::{noise::Noise, scenario::Levels};

/// Which store is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Redis,
    Qdrant,
    Speaches,
}

/// What happens to a store, by the second.
pub trait Scene: Send + Sync + 'static {
    /// The second in which the process began that lives now.
    fn born(&self, second: i64) -> Option<i64>;
    fn levels(&self, second: i64) -> Levels;
    /// Resident memory of that process in bytes.
    fn rss(&self, second: i64) -> f64;
    /// The second in which its counts are zero: whoever looks from there on sees the same.
    fn anchor(&self) -> i64;
    /// Somebody loaded its model, or took it out of memory.
    fn hold(&self, second: i64, loaded: bool);
}

/// One store, second by second.
pub struct Store {
    scene: Arc<dyn Scene>,
    noise: Noise,
    second: i64,
    born: Option<i64>,
    goods: Goods,
}

/// What it counts.
enum Goods {
    Redis(Redis),
    Qdrant(Qdrant),
    Speaches(Speaches),
}

/// A store at one second.
struct Moment {
    second: i64,
    /// Since its process began.
    up_s: i64,
    age_s: i64,
    levels: Levels,
    rss: f64,
    noise: Noise,
}

/// One figure, as the watch over the store would read it.
pub enum Told<'s> {
    Level(Metric, f64),
    Total(Metric, u64),
    Times(Metric, &'s Seconds),
}

/// An answer in HTTP.
struct Page {
    status: u16,
    kind: &'static str,
    body: String,
}

/// A store that answers. It ends when this is dropped.
pub struct StoreHandle {
    address: SocketAddr,
    task: JoinHandle<()>,
}

/// What all its connections share.
struct Shop {
    kind: Kind,
    store: Mutex<Store>,
    origin: Instant,
    from_s: i64,
}

// === impl Kind ===

impl Kind {
    /// As the configuration names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Qdrant => "qdrant",
            Self::Speaches => "speaches",
        }
    }

    pub fn scheme(self) -> &'static str {
        if self == Self::Redis { "redis" } else { "http" }
    }
}

// === impl Store ===

impl Store {
    /// A store that has counted since its anchor.
    pub fn new(kind: Kind, scene: Arc<dyn Scene>, noise: Noise) -> Self {
        let goods = match kind {
            Kind::Redis => Goods::Redis(Redis::default()),
            Kind::Qdrant => Goods::Qdrant(Qdrant::default()),
            Kind::Speaches => Goods::Speaches(Speaches::default()),
        };
        let (second, born) = (scene.anchor(), scene.born(scene.anchor()));
        Self { scene, noise, second, born, goods }
    }

    /// Whether its process is there.
    pub fn is_present(&self, second: i64) -> bool {
        self.scene.born(second).is_some()
    }

    /// Works up to that second; a moment that has passed changes nothing.
    pub fn advance(&mut self, second: i64) {
        while self.second < second {
            self.second += 1;
            let born = self.scene.born(self.second);
            if born != self.born {
                self.born = born;
                self.begin();
            }
            if born.is_none() {
                continue;
            }
            let (second, noise) = (self.second, self.noise);
            match &mut self.goods {
                Goods::Redis(redis) => redis.step(second, &self.scene.levels(second), noise),
                Goods::Qdrant(qdrant) => qdrant.step(second, &self.scene.levels(second), noise),
                Goods::Speaches(_) => {}
            }
        }
    }

    /// Another process: it has counted only since it began.
    fn begin(&mut self) {
        match &mut self.goods {
            Goods::Redis(redis) => *redis = Redis::default(),
            Goods::Qdrant(qdrant) => *qdrant = Qdrant::default(),
            Goods::Speaches(speaches) => *speaches = Speaches::default(),
        }
    }

    fn moment(&self) -> Moment {
        let second = self.second;
        Moment {
            second,
            up_s: self.born.map_or(0, |born| second - born),
            age_s: second - self.scene.anchor(),
            levels: self.scene.levels(second),
            rss: self.scene.rss(second),
            noise: self.noise,
        }
    }

    /// What the watch over it would read now.
    pub fn figures(&self) -> Vec<Told<'_>> {
        match &self.goods {
            Goods::Redis(redis) => redis.figures(&self.moment()),
            Goods::Qdrant(qdrant) => qdrant.figures(&self.moment()),
            // It tells nothing but its models.
            Goods::Speaches(_) => Vec::new(),
        }
    }

    /// The reply to a command of Redis; `None`: it hangs up.
    fn reply(&mut self, words: &[String]) -> Option<String> {
        let moment = self.moment();
        match &self.goods {
            Goods::Redis(redis) => redis.reply(words, &moment),
            _ => None,
        }
    }

    /// The answer to a question in HTTP.
    fn page(&mut self, method: &str, path: &str) -> Page {
        let moment = self.moment();
        match &mut self.goods {
            Goods::Redis(_) => Page::missing(""),
            Goods::Qdrant(qdrant) => qdrant.page(method, path, &moment),
            Goods::Speaches(speaches) => {
                let before = speaches.is_loaded();
                let page = speaches.page(method, path, &moment);
                if speaches.is_loaded() != before {
                    self.scene.hold(moment.second, speaches.is_loaded());
                }
                page
            }
        }
    }
}

// === impl Page ===

impl Page {
    fn json(status: u16, body: &serde_json::Value) -> Self {
        Self { status, kind: "application/json", body: body.to_string() }
    }

    fn text(body: impl Into<String>) -> Self {
        Self { status: 200, kind: "text/plain", body: body.into() }
    }

    fn missing(body: &str) -> Self {
        Self { status: 404, kind: "text/plain", body: body.into() }
    }
}

// === impl Shop ===

impl Shop {
    fn second(&self) -> i64 {
        self.from_s + i64::try_from(self.origin.elapsed().as_secs()).unwrap_or(0)
    }

    /// Brings the store to now, then asks it.
    fn with<R>(&self, ask: impl FnOnce(&mut Store) -> R) -> R {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.advance(self.second());
        ask(&mut store)
    }

    fn is_present(&self) -> bool {
        let second = self.second();
        self.store.lock().unwrap_or_else(PoisonError::into_inner).is_present(second)
    }
}

// === impl StoreHandle ===

impl StoreHandle {
    /// Lets a store answer on a listener from that second on, on the current runtime.
    pub fn open(
        listener: TcpListener,
        kind: Kind,
        store: Store,
        from_s: i64,
    ) -> io::Result<StoreHandle> {
        let address = listener.local_addr()?;
        let shop = Shop { kind, store: Mutex::new(store), origin: Instant::now(), from_s };
        let task = tokio::spawn(door::listen(Arc::new(shop), listener, address));
        Ok(Self { address, task })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for StoreHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A number of things that is never below zero.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of floats saturates"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}
