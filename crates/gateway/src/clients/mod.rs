//! Who asks: by its key, else on this machine by the program at the other end of the
//! connection, else by what it says of itself. Limits and figures go by this name.

mod key;
mod peer;
mod rules;

use std::sync::{Arc, PoisonError};

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use plimsoll_core::{
    request::Priority,
    traffic::{ClientBasis, Scope},
};
use tokio::sync::watch;

use self::rules::is_forwarded;
pub use self::{
    key::{Fresh, Kept, Key, Keys, MAX_KEYS, NoRandomness, PREFIX},
    peer::Peer,
    rules::{Rule, Rules, is_word_for, narrows},
};

/// Where a key can stand; the first that holds one counts.
static BEARERS: [HeaderName; 3] = [
    header::AUTHORIZATION,
    // Anthropic's clients, and Azure's.
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
];
/// Longest name that is taken from what a client says of itself.
const MAX_NAME: usize = 64;

/// Who asks.
#[derive(Clone, Debug)]
pub struct Client {
    pub name: Arc<str>,
    pub basis: ClientBasis,
    /// Unless the request or its route says another.
    pub priority: Option<Priority>,
    pub key: Option<Arc<Key>>,
    /// The configuration names it: all whom that entry means are one client.
    pub named: bool,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    #[error(
        "A key is wanted here. Make one in Plimsoll under Traffic, or with `plimsoll keys add`."
    )]
    NoKey,
    #[error("This key is not known, or was revoked.")]
    WrongKey,
}

/// Tells clients apart. Cheap to clone.
#[derive(Clone)]
pub struct Clients {
    keys: watch::Receiver<Arc<Keys>>,
    rules: watch::Receiver<Arc<Rules>>,
}

/// What was said on a connection, and who it was: nearly always the same again.
#[derive(Debug)]
struct Known {
    keys: Arc<Keys>,
    rules: Arc<Rules>,
    said: [Option<HeaderValue>; 3],
    forwarded: bool,
    agent: Option<HeaderValue>,
    program: Option<Arc<str>>,
    client: Arc<Client>,
}

// === impl Clients ===

impl Clients {
    pub fn new(keys: watch::Receiver<Arc<Keys>>, rules: watch::Receiver<Arc<Rules>>) -> Self {
        Self { keys, rules }
    }

    /// Who asks on this connection. `now_ms` is when, for the key's last use.
    pub fn who(
        &self,
        headers: &HeaderMap,
        peer: &Peer,
        now_ms: i64,
    ) -> Result<Arc<Client>, Stranger> {
        let (keys, rules) = (self.keys.borrow().clone(), self.rules.borrow().clone());
        let program = peer.program();
        let mut known = peer.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known
            && known.is(headers, &keys, &rules, program.as_ref())
        {
            if let Some(key) = &known.client.key {
                key.use_at(now_ms);
            }
            return Ok(known.client.clone());
        }
        let agent = headers.get(header::USER_AGENT);
        let client = Arc::new(tell(headers, peer, &keys, &rules, program.clone(), agent)?);
        if let Some(key) = &client.key {
            key.use_at(now_ms);
        }
        let said = [0, 1, 2].map(|place: usize| headers.get(&BEARERS[place]).cloned());
        let forwarded = is_forwarded(headers);
        let agent = agent.cloned();
        let (kept, client) = (client.clone(), client);
        *known = Some(Known { keys, rules, said, forwarded, agent, program, client: kept });
        Ok(client)
    }
}

/// The headers in which a key can stand: they are for Plimsoll and go no further.
pub fn bearers() -> &'static [HeaderName] {
    &BEARERS
}

// === impl Client ===

impl Client {
    /// Whether its key has that scope; without a key it has none.
    pub fn may(&self, scope: Scope) -> bool {
        self.key.as_ref().is_some_and(|key| key.may(scope))
    }

    /// It is told from all others by more than its own word for itself.
    pub fn is_known(&self) -> bool {
        self.named || matches!(self.basis, ClientBasis::Key | ClientBasis::Program)
    }
}

// === impl Known ===

impl Known {
    fn is(
        &self,
        headers: &HeaderMap,
        keys: &Arc<Keys>,
        rules: &Arc<Rules>,
        program: Option<&Arc<str>>,
    ) -> bool {
        Arc::ptr_eq(&self.keys, keys)
            && Arc::ptr_eq(&self.rules, rules)
            && self.program.as_ref() == program
            && self.forwarded == is_forwarded(headers)
            && self.agent.as_ref() == headers.get(header::USER_AGENT)
            && self.said.iter().zip(&BEARERS).all(|(said, name)| said.as_ref() == headers.get(name))
    }
}

fn tell(
    headers: &HeaderMap,
    peer: &Peer,
    keys: &Keys,
    rules: &Rules,
    program: Option<Arc<str>>,
    agent: Option<&HeaderValue>,
) -> Result<Client, Stranger> {
    let wants_key = rules.wants_key(peer, is_forwarded(headers));
    let key = match said(headers) {
        Some(text) => match keys.find(text) {
            Some(key) => Some(key.clone()),
            // Many programs must be given some key: on this machine another's is no key.
            None if text.starts_with(PREFIX) || wants_key => {
                return Err(Stranger::WrongKey);
            }
            None => None,
        },
        None => None,
    };
    if key.is_none() && wants_key {
        return Err(Stranger::NoKey);
    }
    let agent = agent.and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    if let Some(key) = key {
        // Neither its limits nor its place behind others are shed with another user agent.
        let own = rules.of_key(&key);
        let name = own.map_or(&key.name, |rule| &rule.name).clone();
        let held = || match rules.holds_back(program.as_deref(), agent, &key) {
            true => Priority::Batch,
            false => key.kept.priority,
        };
        let priority = own.and_then(|rule| rule.priority).unwrap_or_else(held);
        let (basis, priority) = (ClientBasis::Key, Some(priority));
        let named = own.is_some();
        return Ok(Client { name, basis, priority, key: Some(key), named });
    }
    if let Some(rule) = rules.of(program.as_deref(), agent) {
        let basis = match program {
            Some(_) => ClientBasis::Program,
            None => ClientBasis::UserAgent,
        };
        let (name, priority) = (rule.name.clone(), rule.priority);
        return Ok(Client { name, basis, priority, key: None, named: true });
    }
    let (name, basis) = match (program, short(agent)) {
        (Some(program), _) => (program, ClientBasis::Program),
        (None, Some(agent)) => (agent.into(), ClientBasis::UserAgent),
        (None, None) => ("unknown".into(), ClientBasis::Unknown),
    };
    Ok(Client { name, basis, priority: None, key: None, named: false })
}

/// The text of a key, wherever it stands.
fn said(headers: &HeaderMap) -> Option<&str> {
    let mut texts = BEARERS.iter().filter_map(|name| headers.get(name)?.to_str().ok());
    texts.find_map(|text| {
        let text = text.trim();
        let text = match text.split_once(' ') {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
            // Another scheme is meant for somebody else.
            Some(_) => return None,
            None => text,
        };
        (!text.is_empty()).then_some(text)
    })
}

/// `OpenAI/Python 1.50.0` is `OpenAI/Python`: a version is no other client.
fn short(agent: &str) -> Option<String> {
    let first = agent.split(' ').next().unwrap_or_default();
    let name = match first.split_once('/') {
        Some((name, version)) if version.starts_with(|c: char| c.is_ascii_digit()) => name,
        _ => first,
    };
    let name: String = name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests;
