//! Clients that the configuration names, and who must show a key.

use std::{net::IpAddr, sync::Arc};

use plimsoll_core::{
    config::gateway::{AsPriority, ClientEntry, Demand, Gateway, matches},
    request::Priority,
};

use super::{Key, Peer};

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

    /// Beyond loopback always; a container's bridge is beyond it.
    pub fn wants_key(&self, peer: &Peer) -> bool {
        self.always_key || !is_loopback(peer.here.ip()) || !is_loopback(peer.address.ip())
    }

    pub fn of(&self, program: Option<&str>, agent: &str, key: Option<&Key>) -> Option<&Rule> {
        self.entries.iter().find(|rule| rule.is(program, agent, key))
    }
}

// === impl Rule ===

impl Rule {
    fn new(id: &str, entry: &ClientEntry) -> Self {
        let priority = match entry.priority {
            AsPriority::AsAsked => None,
            AsPriority::Interactive => Some(Priority::Interactive),
            AsPriority::Batch => Some(Priority::Batch),
        };
        Self {
            name: id.into(),
            priority,
            program: entry.program.clone(),
            agent: entry.agent.clone(),
            key: entry.key.clone(),
        }
    }

    /// An entry that asks for something that is not known is not meant.
    fn is(&self, program: Option<&str>, agent: &str, key: Option<&Key>) -> bool {
        let fits = |pattern: &str, text: Option<&str>| {
            pattern.is_empty() || text.is_some_and(|text| matches(pattern, text))
        };
        fits(&self.program, program)
            && fits(&self.agent, Some(agent))
            && fits(&self.key, key.map(|key| &*key.name))
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
