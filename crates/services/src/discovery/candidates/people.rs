//! The processes of this machine, by what is asked of them: who listens on a port,
//! who in a container, who probably does, and who is part of another.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use plimsoll_core::process::{Process, ProcessTable};

use super::Within;
use crate::{discovery::docker::Container, fleet::likely_kind, kind::ServiceKind};

/// Programs that say nothing of what they run: two of the same name need not belong together.
const INTERPRETERS: &[&str] =
    &["python", "node", "java", "ruby", "perl", "bash", "sh", "dotnet", "deno", "bun", "php"];

/// The processes, by what they are asked for here.
pub(super) struct People<'a> {
    by_pid: HashMap<i32, &'a Process>,
    listens: BTreeMap<u16, Vec<&'a Process>>,
    /// Programs of which it is not known what they listen on.
    silent: Vec<&'a Process>,
    contained: HashMap<&'a str, Vec<&'a Process>>,
    pub(super) containers: HashMap<&'a str, &'a Container>,
}

// === impl People ===

impl<'a> People<'a> {
    pub(super) fn of(table: &'a ProcessTable, containers: &'a [Container]) -> Self {
        let mut people = Self {
            by_pid: HashMap::new(),
            listens: BTreeMap::new(),
            silent: Vec::new(),
            contained: HashMap::new(),
            containers: containers.iter().map(|c| (c.id.as_str(), c)).collect(),
        };
        for process in &table.processes {
            people.by_pid.insert(process.pid, process);
            for &port in &process.ports {
                people.listens.entry(port).or_default().push(process);
            }
            if process.ports.is_empty() && !process.command.is_empty() && !process.own {
                people.silent.push(process);
            }
            if let Some(id) = &process.container {
                people.contained.entry(id).or_default().push(process);
            }
        }
        people
    }

    /// Who listens on a port of this machine. One in a container stands back: its
    /// port may be one of a network of its own, and surely is where Docker says so.
    /// Of workers the oldest is the server.
    pub(super) fn holder(&self, port: u16) -> Option<&'a Process> {
        let holders = self.listens.get(&port)?;
        if let Some(own) = holders.iter().find(|process| process.own) {
            return Some(own);
        }
        let apart = |p: &Process| {
            let container = p.container.as_deref().and_then(|id| self.containers.get(id));
            container.is_some_and(|container| !container.host_network)
        };
        let here = holders.iter().copied().filter(|p| !apart(p));
        here.min_by_key(|p| (p.container.is_some(), p.started_ms, p.pid))
    }

    /// Who listens in a container, else the first that runs there.
    pub(super) fn inside(&self, within: &Within) -> Option<&'a Process> {
        let age = |p: &&&Process| (p.started_ms, p.pid);
        if within.id.is_empty() {
            // Only the proxy is known: the one process that fits, if it is one.
            let holders = self.listens.get(&within.inner_port)?;
            let mut fits = holders.iter().filter(|process| process.container.is_some());
            return fits.next().filter(|_| fits.next().is_none()).copied();
        }
        let inside = self.contained.get(within.id.as_str())?;
        let listens =
            inside.iter().filter(|p| p.ports.contains(&within.inner_port)).min_by_key(age);
        listens.or_else(|| inside.iter().min_by_key(age)).copied()
    }

    /// The ports that a container probably serves; `None` where no process of it is seen.
    pub(super) fn serves(&self, container: &Container) -> Option<BTreeSet<u16>> {
        let inside = self.contained.get(container.id.as_str())?;
        let seen: BTreeSet<u16> = inside.iter().flat_map(|p| &p.ports).copied().collect();
        if !seen.is_empty() {
            return Some(seen);
        }
        if !container.exposed.is_empty() {
            return Some(container.exposed.iter().copied().collect());
        }
        let usual = |p: &&Process| likely_kind(&p.name).and_then(ServiceKind::usual_port);
        Some(inside.iter().filter_map(usual).collect())
    }

    /// Who probably listens where the system does not say: the program whose command
    /// line names the port, else the one whose usual port it is.
    pub(super) fn guess(&self, port: u16) -> Option<&'a Process> {
        let named: Vec<&Process> =
            self.silent.iter().copied().filter(|p| mentions(&p.command, port)).collect();
        let fits = if named.is_empty() {
            let usual = |p: &&Process| likely_kind(&p.name).and_then(ServiceKind::usual_port);
            self.silent.iter().copied().filter(|p| usual(p) == Some(port)).collect()
        } else {
            named
        };
        let first = fits.iter().min_by_key(|p| (p.started_ms, p.pid))?;
        fits.iter().all(|p| p.name == first.name).then_some(*first)
    }

    /// Whether a program is part of another that listens: a runner of Ollama, an
    /// instance that llama.cpp's router started, a worker.
    pub(super) fn is_inner(&self, process: &Process) -> bool {
        let engine = |p: &Process| likely_kind(&p.name).is_some_and(ServiceKind::is_engine);
        let mut at = process;
        // A pid that comes again further up would lead round for ever.
        for _ in 0..64 {
            let Some(parent) = self.by_pid.get(&at.parent).filter(|p| p.pid != process.pid) else {
                return false;
            };
            let listens = !parent.ports.is_empty() || engine(parent);
            if listens && belongs(process, parent) || engine(parent) && engine(process) {
                return true;
            }
            at = parent;
        }
        false
    }
}

/// Whether a program is more of what its ancestor is.
pub(crate) fn belongs(process: &Process, parent: &Process) -> bool {
    let vague =
        parent.name.is_empty() || INTERPRETERS.iter().any(|name| parent.name.starts_with(name));
    if vague { process.command == parent.command } else { process.name.starts_with(&parent.name) }
}

/// Whether a number stands in a text as a number of its own.
fn mentions(text: &str, number: u16) -> bool {
    let number = number.to_string();
    text.split(|c: char| !c.is_ascii_digit()).any(|run| run == number)
}
