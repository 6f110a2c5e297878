//! How the gateway listens, how long it is patient, and how much it holds. Plain
//! values: the configuration is projected onto them, and they may change while it runs.

use std::{net::SocketAddr, time::Duration};

use crate::settings::Sharing;

/// All of it. A change is in force for the next request; for `listen`, at once, and for what a
/// connection is given from its first byte on (its patience, the size of a head), for the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// So many of these, the first ones, are `gateway.address`; the others are `gateway.also`.
    pub of_address: usize,
    /// Names that the header `Host` may say, beside `localhost` and addresses in digits.
    pub hosts: Vec<String>,
    /// Web pages that may ask, as the header `Origin` has them (`http://localhost:3000`);
    /// `*` for all.
    pub origins: Vec<String>,
    /// `usage` is asked for on behalf of clients that stream and do not want it.
    pub ask_usage: bool,
    /// How long a request waits for room that does not say so itself.
    pub wait: Duration,
    /// The same for batch requests.
    pub batch_wait: Duration,
    pub bounds: Bounds,
    pub patience: Patience,
    pub budgets: Budgets,
    pub retry: Retry,
    pub idle: Idle,
    pub consult: Consult,
    /// Which answers serve more than one request.
    pub sharing: Sharing,
    /// How long a backend's slot is looked at after its client left, before what runs on
    /// is told as an orphan.
    pub slot_watch: Duration,
    /// How long what runs may go on when Plimsoll stops.
    pub drain: Duration,
}

/// How much it holds at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections of clients, idle ones included; further ones are closed as they come.
    pub connections: usize,
    /// Of a request's line and headers together.
    pub head_bytes: usize,
    /// Of one request's body.
    pub body_bytes: usize,
    /// Of all bodies that are held at once.
    pub bodies_bytes: usize,
}

/// How long a client may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From the first byte of a request to the end of its headers.
    pub head: Duration,
    /// Between two pieces of its body; for all of it so much and what it takes at 4 KiB a
    /// second, and ten times so much at most.
    pub body: Duration,
    /// Between two requests on one connection.
    pub idle: Duration,
    /// Without taking a byte of what it is sent.
    pub write: Duration,
}

/// How long a backend may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    pub connect: Duration,
    /// From the request to the answer's first byte: a model's cold load takes minutes.
    pub first_byte: Duration,
    /// Between two pieces of an answer.
    pub between: Duration,
    /// From its admission to its end.
    pub total: Duration,
}

/// When a request is tried again, before its first byte (DE2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Executions beyond the first; 0: none.
    pub most: u8,
    /// A larger body is not tried again.
    pub payload_bytes: usize,
    /// Bodies held for another try, of all requests together.
    pub held_bytes: usize,
    /// Before the second execution; doubled for each further one, and jittered.
    pub pause: Duration,
    /// The longest `Retry-After` of a backend that is waited for.
    pub longest_pause: Duration,
}

/// Connections to backends that are kept for the next request (AR3, MV9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    /// For each backend.
    pub most: usize,
    pub life: Duration,
}

/// One question to several models at once (DE4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consult {
    /// Most models for one question.
    pub models: usize,
    /// Of all consulted answers together, held while they are read.
    pub held_bytes: usize,
}

/// The port that clients are pointed at.
pub const PORT: u16 = 1876;

// === impl Options ===

impl Options {
    /// The setting that an address to listen at is from.
    pub fn key_of(&self, asked: SocketAddr) -> &'static str {
        let further = self.listen.iter().skip(self.of_address).any(|at| *at == asked);
        if further { "gateway.also" } else { "gateway.address" }
    }
}

/// What the configuration says where nothing is set.
impl Default for Options {
    fn default() -> Self {
        Self {
            listen: vec![
                SocketAddr::from(([127, 0, 0, 1], PORT)),
                SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], PORT)),
            ],
            of_address: 2,
            hosts: vec!["host.docker.internal".into(), "host.containers.internal".into()],
            origins: Vec::new(),
            ask_usage: true,
            wait: Duration::from_secs(60),
            batch_wait: Duration::from_secs(600),
            bounds: Bounds::default(),
            patience: Patience::default(),
            budgets: Budgets::default(),
            retry: Retry::default(),
            idle: Idle::default(),
            consult: Consult::default(),
            sharing: Sharing::default(),
            slot_watch: Duration::from_secs(10),
            drain: Duration::from_secs(30),
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 16_384,
            head_bytes: 32 << 10,
            body_bytes: 64 << 20,
            bodies_bytes: 512 << 20,
        }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: Duration::from_secs(60),
            idle: Duration::from_secs(90),
            write: Duration::from_secs(60),
        }
    }
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            first_byte: Duration::from_secs(300),
            between: Duration::from_secs(120),
            total: Duration::from_secs(3600),
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            most: 2,
            payload_bytes: 50 << 20,
            held_bytes: 100 << 20,
            pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(10),
        }
    }
}

impl Default for Consult {
    fn default() -> Self {
        Self { models: 5, held_bytes: 512 << 20 }
    }
}

impl Default for Idle {
    fn default() -> Self {
        Self { most: 128, life: Duration::from_secs(30) }
    }
}
