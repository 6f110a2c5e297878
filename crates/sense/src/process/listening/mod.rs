//! Which TCP ports each process listens on.
//!
//! The kernel tells who listens and who holds which file, and not which process
//! listens: the two are joined by the socket's inode. Following every open file of
//! every process at each scan would cost more than all else, so the files of a
//! process are followed when it is new and when a socket was opened to listen
//! that was not there before. A process that closed a socket which another still
//! holds keeps its port until then.

mod diag;
mod sockets;

use std::{fs, net::SocketAddr, path::Path};

use plimsoll_core::process::MAX_PORTS;
use rustc_hash::{FxHashMap, FxHashSet};

use self::sockets::Listener;
pub use self::{
    diag::Asks,
    sockets::{addresses, held_by},
};
use super::known::Known;
use crate::roots::Roots;

/// Network namespaces that are looked into; each container has its own.
const MAX_NAMESPACES: usize = 64;
/// Listening sockets that are kept of each namespace.
const MAX_SOCKETS: usize = 4096;
/// Open files that are followed in one scan; what is left waits for the next.
const MAX_FILES: usize = 8192;
/// Tables that are read in one scan: the kernel walks all its buckets to make one,
/// which takes a millisecond or two whatever stands in it.
const MAX_TABLES: usize = 2;
/// Scans after which a table is read again though nothing seems to have changed.
const READ_AGAIN_AFTER: u64 = 12;

/// What one process listens on, from one scan to the next.
#[derive(Debug, Default)]
pub struct Listening {
    /// Ascending, each once, at most [`MAX_PORTS`].
    pub ports: Vec<u16>,
    /// Number of its network namespace; `None` where we may not look.
    namespace: Option<u64>,
    /// Inodes of the sockets that it holds and that listen.
    sockets: Vec<u64>,
    look: Look,
}

/// What has to be read of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Look {
    /// It is new, or became another program.
    #[default]
    Everything,
    /// A socket was opened that may be its own.
    Files,
    Nothing,
}

/// One network namespace.
#[derive(Default)]
struct Namespace {
    /// Port of each listening socket, by inode; `None` before they were read.
    ports: Option<FxHashMap<u64, u16>>,
    /// The scan that last tried to read them; 0 before the first.
    tried: u64,
    /// Sockets in use at that time, listening or not.
    in_use: Option<u64>,
}

/// Finds the ports of all processes.
pub struct Listeners {
    roots: Roots,
    /// The namespace that we live in ourselves.
    own: Option<u64>,
    namespaces: FxHashMap<u64, Namespace>,
    scan: u64,
}

// === impl Listening ===

impl Listening {
    /// It may have become another program, or have been moved into a container.
    pub fn look_again(&mut self) {
        self.look = Look::Everything;
    }

    fn tell(&mut self, ports: &FxHashMap<u64, u16>) {
        self.ports.clear();
        self.ports.extend(self.sockets.iter().filter_map(|inode| ports.get(inode)));
        self.ports.sort_unstable();
        self.ports.dedup();
        self.ports.truncate(MAX_PORTS);
    }
}

// === impl Listeners ===

impl Listeners {
    pub fn new(roots: &Roots) -> Self {
        let own = namespace_of(&roots.proc.join("self"));
        Self { roots: roots.clone(), own, namespaces: FxHashMap::default(), scan: 0 }
    }

    /// Brings what each process listens on up to date.
    pub fn scan(&mut self, processes: &mut FxHashMap<i32, Known>) {
        self.scan += 1;
        let doors = self.find_namespaces(processes);
        self.namespaces.retain(|number, _| doors.contains_key(number));
        let (read, grown) = self.read_tables(&doors);
        for known in processes.values_mut() {
            let Some(number) = known.listening.namespace else { continue };
            if known.listening.look == Look::Nothing && grown.contains(&number) {
                known.listening.look = Look::Files;
            }
        }
        let mut files = 0;
        for (&pid, known) in processes {
            let listening = &mut known.listening;
            let number = listening.namespace;
            let Some((number, namespace)) =
                number.and_then(|number| Some((number, self.namespaces.get(&number)?)))
            else {
                listening.sockets.clear();
                listening.ports.clear();
                continue;
            };
            let Some(ports) = &namespace.ports else { continue };
            if listening.look != Look::Nothing && files < MAX_FILES {
                listening.sockets.clear();
                // Where nobody listens, no file need be followed.
                if !ports.is_empty() {
                    files += held_by(&self.roots.proc.join(pid.to_string()), |inode| {
                        if ports.contains_key(&inode) {
                            listening.sockets.push(inode);
                        }
                    });
                }
                listening.look = Look::Nothing;
                listening.tell(ports);
            } else if read.contains(&number) && !listening.sockets.is_empty() {
                listening.tell(ports);
            }
        }
    }

    /// The namespaces of all processes, each with one process through which it can be seen.
    fn find_namespaces(&self, processes: &mut FxHashMap<i32, Known>) -> FxHashMap<u64, i32> {
        let mut doors: FxHashMap<u64, i32> = FxHashMap::default();
        for (&pid, known) in processes {
            let listening = &mut known.listening;
            if known.kernel {
                continue;
            }
            if listening.look == Look::Everything {
                listening.namespace = namespace_of(&self.roots.proc.join(pid.to_string()));
            }
            let Some(number) = listening.namespace else { continue };
            let door = doors.entry(number).or_insert(pid);
            *door = pid.min(*door);
        }
        if doors.len() > MAX_NAMESPACES {
            // Those that are looked into already stay.
            let mut numbers: Vec<u64> = doors.keys().copied().collect();
            numbers.sort_unstable_by_key(|number| (!self.namespaces.contains_key(number), *number));
            for number in &numbers[MAX_NAMESPACES..] {
                doors.remove(number);
            }
        }
        doors
    }

    /// Reads who listens, where that may have changed. Answers which namespaces
    /// were read, and in which of them there are sockets that were not there before.
    fn read_tables(&mut self, doors: &FxHashMap<u64, i32>) -> (FxHashSet<u64>, FxHashSet<u64>) {
        let (mut read, mut grown) = (FxHashSet::default(), FxHashSet::default());
        // Those that waited longest come first.
        let mut waiting: Vec<(u64, u64, i32)> = doors
            .iter()
            .map(|(number, &pid)| {
                (self.namespaces.get(number).map_or(0, |n| n.tried), *number, pid)
            })
            .collect();
        waiting.sort_unstable();
        let mut tables = 0;
        for (before, number, pid) in waiting {
            let namespace = self.namespaces.entry(number).or_default();
            let mut found = None;
            let mut in_use = None;
            if self.own == Some(number) {
                found = diag::listeners();
            }
            if found.is_none() {
                let net = self.roots.proc.join(pid.to_string()).join("net");
                in_use = sockets::in_use(&net);
                let due = before == 0
                    || in_use != namespace.in_use
                    || self.scan - before >= READ_AGAIN_AFTER;
                if !due || tables == MAX_TABLES {
                    continue;
                }
                tables += 1;
                found = sockets::listeners(&net);
            }
            namespace.tried = self.scan;
            namespace.in_use = in_use;
            // What cannot be read now stays as it was; a process that ended is gone anyway.
            let Some(found) = found else { continue };
            let ports: FxHashMap<u64, u16> = found
                .into_iter()
                .take(MAX_SOCKETS)
                .map(|Listener { inode, address }| (inode, address.port()))
                .collect();
            let before = namespace.ports.replace(ports).unwrap_or_default();
            let ports = namespace.ports.iter().flatten();
            if ports.into_iter().any(|(inode, _)| !before.contains_key(inode)) {
                grown.insert(number);
            }
            read.insert(number);
        }
        (read, grown)
    }
}

/// All TCP sockets that listen in our own network namespace, each with its number,
/// whoever holds them: of another user's process the system tells no more than this.
/// Takes some twenty microseconds. `None` where the kernel does not tell them.
pub fn listening_here() -> Option<Vec<(SocketAddr, u64)>> {
    let found = diag::listeners().or_else(|| sockets::listeners(Path::new("/proc/self/net")))?;
    Some(found.into_iter().take(MAX_SOCKETS).map(|l| (l.address, l.inode)).collect())
}

/// Number of a process's network namespace; its folder is `/proc/PID`.
fn namespace_of(folder: &Path) -> Option<u64> {
    let link = fs::read_link(folder.join("ns/net")).ok()?;
    link.to_str()?.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests;
