//! Clients that the configuration names, and who must show a key.

use std::{net::IpAddr, sync::Arc};

use hyper::header::{self, HeaderMap, HeaderName};
use plimsoll_core::{
    config::gateway::{ClientEntry, Demand, Gateway, matches},
    request::Priority,
};

use super::{Key, Peer};

/// With one of them somebody else stands behind who connected: a proxy on this machine, or a
/// tunnel that ends here.
static OF_ANOTHER: [HeaderName; 4] = [
    header::FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
    header::VIA,
];

/// The configuration's word on clients.
#[derive(Debug, Default)]
pub struct Rules {
    always_key: bool,
    /// By id: the first that fits counts.
    entries: Vec<Rule>,
}

/// A client that is named by the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub name: Arc<str>,
    pub priority: Option<Priority>,
    /// Patterns; empty: any.
    program: String,
    agent: String,
    key: String,
}

// === impl Rules ===

impl Rules {
    pub fn new(gateway: &Gateway) -> Self {
        let entries = gateway.clients.entries.iter().map(|(id, entry)| Rule::new(id, entry));
        Self { always_key: gateway.keys == Demand::Always, entries: entries.collect() }
    }

    /// Beyond loopback always; a container's bridge is beyond it. So is who asks through
    /// another: the words of a proxy only ever make this stricter.
    pub fn wants_key(&self, peer: &Peer, forwarded: bool) -> bool {
        self.always_key
            || forwarded
            || !is_loopback(peer.here.ip())
            || !is_loopback(peer.address.ip())
    }

    /// Who asks without a key.
    pub fn of(&self, program: Option<&str>, agent: &str) -> Option<&Rule> {
        self.entries.iter().find(|rule| rule.key.is_empty() && rule.fits(program, agent))
    }

    /// The person's own word for a key: the first entry that names it, and nothing beside it.
    pub fn of_key(&self, key: &Key) -> Option<&Rule> {
        let is = |rule: &&Rule| {
            rule.key == *key.name && rule.program.is_empty() && rule.agent.is_empty()
        };
        self.entries.iter().find(is)
    }

    /// Whether any entry for this key, used by this program, holds it behind the others. What
    /// a client says of itself never puts it before them.
    pub fn holds_back(&self, program: Option<&str>, agent: &str, key: &Key) -> bool {
        self.entries.iter().any(|rule| {
            rule.priority == Some(Priority::Batch)
                && !rule.key.is_empty()
                && matches(&rule.key, &key.name)
                && rule.fits(program, agent)
        })
    }
}

/// Whether the entry is the person's own word for the key of that name.
pub fn is_word_for(entry: &ClientEntry, key: &str) -> bool {
    entry.key == key && entry.program.is_empty() && entry.agent.is_empty()
}

/// Whether the entry narrows the key of that name, among others, whoever uses it.
pub fn narrows(entry: &ClientEntry, key: &str) -> bool {
    let whoever = entry.program.is_empty() && entry.agent.is_empty();
    whoever && !entry.key.is_empty() && entry.key != key && matches(&entry.key, key)
}

/// Whether somebody passed the request on for another.
pub fn is_forwarded(headers: &HeaderMap) -> bool {
    // A request has a handful of headers: to look at each is cheaper than to look for four.
    headers.keys().any(|name| OF_ANOTHER.contains(name))
}

// === impl Rule ===

impl Rule {
    fn new(id: &str, entry: &ClientEntry) -> Self {
        Self {
            name: id.into(),
            priority: entry.priority.priority(),
            program: entry.program.clone(),
            agent: entry.agent.clone(),
            key: entry.key.clone(),
        }
    }

    /// An entry that asks for something that is not known is not meant.
    fn fits(&self, program: Option<&str>, agent: &str) -> bool {
        let fits = |pattern: &str, text: Option<&str>| {
            pattern.is_empty() || text.is_some_and(|text| matches(pattern, text))
        };
        fits(&self.program, program) && fits(&self.agent, Some(agent))
    }
}

fn is_loopback(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => {
            ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback())
        }
    }
}
