//! What the candidates speak: asked once, gently, and remembered.
//!
//! A port is asked by every adapter in turn until one knows it (see
//! [`crate::adapter::identify`]). The answer holds for as long as the same process
//! listens: a program that starts again is asked again. A port that speaks neither
//! HTTP nor Redis is never spoken to twice. One that takes the connection and says
//! nothing, or says that it is not ready, may be a model server that loads for
//! minutes: it is asked again, less and less often, and then left alone, too.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use futures::FutureExt;

use super::candidates::{Candidate, Key, MAX_CANDIDATES, Place};
use crate::{
    adapter::{Adapter, Identity, Probe, identify},
    client::{Bounds, CallError, Client, Target},
};

/// Ports that are asked at the same time.
pub const AT_ONCE: usize = 4;
/// Of one question to an unknown port.
pub const QUESTION: Bounds =
    Bounds { budget: Duration::from_secs(1), max_body: 1 << 20, connections: Some(1) };
/// Of all questions to one port.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Pauses before a port that was not ready is asked again: half an hour in all,
/// which is longer than the largest models take to load.
const PAUSES_S: [i64; 10] = [3, 5, 10, 20, 40, 80, 160, 300, 600, 600];
/// Answers that are remembered of ports nobody listens on any more: a process may
/// be missing in one scan and be there in the next.
const KEPT_FOR_MS: i64 = 10 * 60 * 1000;
const MAX_KEPT: usize = 4 * MAX_CANDIDATES;

/// What came of asking a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Known, and where it answered.
    Found(Identity, SocketAddr),
    /// It speaks HTTP, and is nothing that we know.
    Stranger,
    /// It speaks neither HTTP nor Redis.
    Foreign,
    /// It says nothing, or that it is not ready yet, or it is gone: too early to say.
    NotYet,
}

/// A service that is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    pub candidate: Candidate,
    pub identity: Identity,
    /// Where it answered.
    pub address: SocketAddr,
}

/// What was asked, and what came of it. Pure: whoever holds it does the asking.
#[derive(Debug, Default)]
pub struct Asked {
    ports: BTreeMap<Key, Port>,
}

#[derive(Clone, Debug)]
struct Port {
    state: State,
    inode: u64,
    /// Questions that were not answered yet for good.
    tries: usize,
    seen_ms: i64,
}

#[derive(Clone, Debug)]
enum State {
    Asking,
    Waiting { until_ms: i64 },
    Known(Outcome),
}

/// Asks one candidate, at each of its addresses until somebody is there.
pub async fn ask(
    adapters: &[Arc<dyn Adapter>],
    client: &Client,
    candidate: &Candidate,
    bounds: Bounds,
    patience: Duration,
) -> Outcome {
    let mut outcome = Outcome::NotYet;
    for &address in &candidate.addresses {
        let Ok(target) = Target::new(client, &format!("http://{address}"), None, bounds) else {
            continue;
        };
        outcome = ask_at(adapters, target, address, candidate, patience).await;
        // Nobody is there in this family; perhaps in the other.
        if outcome != Outcome::NotYet {
            break;
        }
    }
    outcome
}

async fn ask_at(
    adapters: &[Arc<dyn Adapter>],
    target: Target,
    address: SocketAddr,
    candidate: &Candidate,
    patience: Duration,
) -> Outcome {
    let probe = Probe::new(target);
    let asking = AssertUnwindSafe(async {
        if let Some(identity) = identify(adapters, &probe, candidate.likely, patience).await {
            return Outcome::Found(identity, address);
        }
        // As a rule somebody asked this already, and then it is not sent again. Its
        // health is not asked: for that SGLang generates a token.
        match probe.get("/").await {
            // A server that begins says so at one path or another.
            Ok(_) if probe.was_told(503).await => Outcome::NotYet,
            Ok(_) => Outcome::Stranger,
            // The proxy before a container takes the connection and hangs up for as long as
            // nobody listens inside: a server that loads for minutes begins so.
            Err(CallError::Closed { .. }) if candidate.container.is_some() => Outcome::NotYet,
            // A TLS server hangs up when it is spoken to in HTTP, and so do many others.
            Err(CallError::NotHttp { .. } | CallError::Closed { .. }) => Outcome::Foreign,
            Err(error) if error.is_absent() => Outcome::NotYet,
            Err(_) => Outcome::Stranger,
        }
    });
    // The last question has a budget of its own.
    let patience = patience + QUESTION.budget;
    match tokio::time::timeout(patience, asking.catch_unwind()).await {
        Ok(Ok(outcome)) => outcome,
        // Whatever it said, it is nothing that can be watched.
        Ok(Err(_)) => Outcome::Stranger,
        Err(_) => Outcome::NotYet,
    }
}

// === impl Asked ===

impl Asked {
    /// Those of the candidates that are to be asked now, new ones first. They count
    /// as being asked until [`Asked::took`].
    pub fn due(&mut self, candidates: &[Candidate], now_ms: i64) -> Vec<Candidate> {
        let mut due = Vec::new();
        for candidate in candidates {
            let heir = self.heir_of(candidate);
            let port = self.ports.entry(candidate.key).or_insert_with(|| {
                heir.unwrap_or(Port {
                    state: State::Waiting { until_ms: i64::MIN },
                    inode: candidate.inode,
                    tries: 0,
                    seen_ms: now_ms,
                })
            });
            port.seen_ms = now_ms;
            if matches!(port.state, State::Waiting { until_ms } if until_ms <= now_ms) {
                port.state = State::Asking;
                due.push((port.tries, candidate.clone()));
            }
        }
        self.forget(now_ms);
        due.sort_by_key(|(tries, _)| *tries);
        due.into_iter().map(|(_, candidate)| candidate).collect()
    }

    /// What is known of the same socket from a time when its process was not, or was
    /// no longer, known.
    fn heir_of(&self, candidate: &Candidate) -> Option<Port> {
        let (key, inode) = (candidate.key, candidate.inode);
        if inode == 0 || self.ports.contains_key(&key) {
            return None;
        }
        let known = self.ports.iter().find(|(old, port)| {
            old.port == key.port
                && port.inode == inode
                && (old.pid == 0) != (key.pid == 0)
                && !matches!(port.state, State::Asking)
        });
        known.map(|(_, port)| port.clone())
    }

    /// What came of asking; `now_ms` is monotonic, as everywhere here.
    pub fn took(&mut self, key: Key, outcome: Outcome, now_ms: i64) {
        let Some(port) = self.ports.get_mut(&key) else { return };
        port.state = match (outcome, PAUSES_S.get(port.tries)) {
            (Outcome::NotYet, Some(pause_s)) => {
                port.tries += 1;
                State::Waiting { until_ms: now_ms + pause_s * 1000 }
            }
            (outcome, _) => State::Known(outcome),
        };
    }

    /// The services among the candidates. A process is one service of a kind: of
    /// several ports the one that is usual for the kind, else the lowest.
    pub fn found(&self, candidates: &[Candidate]) -> Vec<Sighting> {
        let mut found: Vec<Sighting> = candidates
            .iter()
            .filter_map(|candidate| match &self.ports.get(&candidate.key)?.state {
                State::Known(Outcome::Found(identity, address)) => Some(Sighting {
                    candidate: candidate.clone(),
                    identity: identity.clone(),
                    address: *address,
                }),
                _ => None,
            })
            .collect();
        let port = |s: &Sighting| s.candidate.key.port;
        found.sort_by_key(|s| {
            let inner = s.candidate.container.as_ref().map_or(port(s), |within| within.inner_port);
            (s.identity.kind.usual_port() != Some(inner), port(s))
        });
        let mut seen = BTreeSet::new();
        found.retain(|s| {
            let key = s.candidate.key;
            key.pid == 0 || seen.insert((key.pid, key.started, s.identity.kind))
        });
        found.sort_by_key(port);
        found
    }

    /// The places of which it is not known yet what stands there.
    pub fn undecided(&self, candidates: &[Candidate]) -> BTreeSet<Place> {
        let open = |key: &Key| {
            let state = self.ports.get(key).map(|port| &port.state);
            !matches!(state, Some(State::Known(_)))
        };
        candidates.iter().filter(|c| open(&c.key)).map(Candidate::place).collect()
    }

    /// When the next of the candidates is due; `None` where nothing waits.
    pub fn next_ms(&self, candidates: &[Candidate]) -> Option<i64> {
        let waits =
            candidates.iter().filter_map(|candidate| match self.ports.get(&candidate.key)?.state {
                State::Waiting { until_ms } => Some(until_ms),
                _ => None,
            });
        waits.min()
    }

    /// Whether a port was never to be asked so far.
    pub fn is_new(&self, key: &Key) -> bool {
        !self.ports.contains_key(key)
    }

    fn forget(&mut self, now_ms: i64) {
        let asking = |port: &Port| matches!(port.state, State::Asking);
        self.ports.retain(|_, p| asking(p) || now_ms - p.seen_ms < KEPT_FOR_MS);
        if self.ports.len() > MAX_KEPT {
            let mut ages: Vec<(i64, Key)> =
                self.ports.iter().map(|(k, p)| (p.seen_ms, *k)).collect();
            ages.sort_unstable();
            for (_, key) in &ages[..self.ports.len() - MAX_KEPT] {
                self.ports.remove(key);
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
