//! Which program is at the other end of a connection within this machine, and which one
//! listens at an address.
//!
//! The kernel knows the socket at once; whose file that is, is found by following
//! open files, which takes milliseconds on a machine with many processes. So all that are
//! asked for at once are looked for in one pass, and programs that were found lately are
//! looked at first: they are nearly always those that ask again.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
    process,
};

use rustc_hash::FxHashMap;
use rustix::process::geteuid;

use super::listening::{Asks, held_by, listening_here};

/// Programs that are looked at first.
const MAX_RECENT: usize = 32;
/// Open files that are followed in one pass.
const MAX_FILES: usize = 100_000;
/// Listening sockets of whom it is remembered that their holder may not be seen.
const MAX_HIDDEN: usize = 32;
/// `CAP_SYS_PTRACE`: who has it sees the files of everybody's processes.
const SEES_ALL: u64 = 1 << 19;
/// Interpreters, whose name says nothing of the program that they run.
const INTERPRETERS: [&str; 7] = ["python", "node", "bun", "deno", "ruby", "perl", "java"];
/// Files whose folder says more than they do.
const PLAIN: [&str; 7] = ["main", "app", "index", "server", "run", "cli", "__main__"];
/// Longest name.
const MAX_NAME: usize = 48;

/// Finds programs by their connections, and by what they listen at.
#[derive(Debug, Default)]
pub struct Peers {
    /// The newest last.
    recent: Vec<i32>,
    /// Listening sockets whose holder was not found; the newest last.
    hidden: Vec<u64>,
    /// Whether other users' processes may be seen; looked up once.
    sees_all: Option<bool>,
}

/// A connection: the end of the program that is looked for, and the other one.
pub type Ends = (SocketAddr, SocketAddr);

/// Who listens at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Where it listens, e.g. at every address of this machine.
    pub address: SocketAddr,
    /// Its name and pid; `None` where they may not be seen: it is another user's.
    pub program: Option<(String, i32)>,
}

// === impl Peers ===

impl Peers {
    /// Names of the programs at these ends, in their order. `None` where that is not this
    /// machine's, or its files may not be seen. However many are asked for, each process's
    /// files are followed once at most.
    pub fn programs(&mut self, ends: &[Ends]) -> Vec<Option<String>> {
        let sees_all = *self.sees_all.get_or_insert_with(sees_all);
        let own = geteuid().as_raw();
        let Some(mut asks) = Asks::open() else { return vec![None; ends.len()] };
        let sockets: Vec<Option<u64>> = ends
            .iter()
            .map(|&(there, here)| {
                let found = asks.connected(there, here)?;
                // No file of another user's process can be followed: that need not be tried.
                (sees_all || found.user == own).then_some(found.inode)
            })
            .collect();
        let holders = self.holders(sockets.iter().flatten().copied());
        let mut names: FxHashMap<i32, Option<String>> = FxHashMap::default();
        let mut name = |pid: i32| names.entry(pid).or_insert_with(|| name_of(&folder(pid))).clone();
        sockets.into_iter().map(|inode| name(*holders.get(&inode?)?)).collect()
    }

    /// Who listens at this address now, so that nobody else can; `None` where nobody does.
    pub fn holder(&mut self, address: SocketAddr) -> Option<Holder> {
        let mut clashing: Vec<(u8, SocketAddr, u64)> = listening_here()?
            .into_iter()
            .filter_map(|(listens, inode)| Some((clash(address, listens)?, listens, inode)))
            .collect();
        clashing.sort_unstable();
        let at = clashing.first()?.1;
        let mut seen = clashing.iter().filter(|(_, listens, _)| *listens == at);
        let inode = seen.next()?.2;
        let hidden = Some(Holder { address: at, program: None });
        if self.hidden.contains(&inode) {
            return hidden;
        }
        let Some(&pid) = self.holders([inode]).get(&inode) else {
            if self.hidden.len() == MAX_HIDDEN {
                self.hidden.remove(0);
            }
            self.hidden.push(inode);
            return hidden;
        };
        let program = name_of(&folder(pid)).map(|name| (name, pid));
        Some(Holder { address: at, program })
    }

    /// The process that holds each of these sockets, as far as they are found.
    fn holders(&mut self, sockets: impl IntoIterator<Item = u64>) -> FxHashMap<u64, i32> {
        let mut wanted: FxHashMap<u64, Option<i32>> =
            sockets.into_iter().map(|inode| (inode, None)).collect();
        let (mut left, mut files) = (wanted.len(), 0);
        let (mut met, mut goes_on) = (Vec::new(), left > 0);
        let mut look = |pid: i32| {
            let before = left;
            files += held_by(&folder(pid), |inode| {
                if let Some(holder @ None) = wanted.get_mut(&inode) {
                    *holder = Some(pid);
                    left -= 1;
                }
            });
            (left < before, left > 0 && files < MAX_FILES)
        };
        for &pid in self.recent.iter().rev() {
            if !goes_on {
                break;
            }
            let (held, more) = look(pid);
            goes_on = more;
            met.extend(held.then_some(pid));
        }
        if goes_on {
            let own = i32::try_from(process::id()).unwrap_or_default();
            let mut pids: Vec<i32> = fs::read_dir("/proc")
                .into_iter()
                .flatten()
                .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
                .filter(|pid| !self.recent.contains(pid))
                .collect();
            // The newest processes first: a program that asks the first time began lately.
            // Ourselves last: who has all the other ends has many files.
            pids.sort_unstable_by_key(|&pid| (pid == own, -i64::from(pid)));
            for pid in pids {
                let (held, more) = look(pid);
                met.extend(held.then_some(pid));
                if !more {
                    break;
                }
            }
        }
        self.recent.retain(|pid| !met.contains(pid));
        self.recent.extend(met.into_iter().rev());
        let over = self.recent.len().saturating_sub(MAX_RECENT);
        self.recent.drain(..over);
        wanted.into_iter().filter_map(|(inode, pid)| Some((inode, pid?))).collect()
    }
}

/// How nearly a socket that listens is the reason that an address cannot be listened at,
/// 0 the nearest; `None` where it is none.
fn clash(address: SocketAddr, listens: SocketAddr) -> Option<u8> {
    if address.port() != listens.port() {
        return None;
    }
    let (a, b) = (address.ip(), listens.ip());
    match (a, b) {
        _ if a == b => Some(0),
        (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
            (a.is_unspecified() || b.is_unspecified()).then_some(1)
        }
        // Whoever listens at `[::]` has the other kind of addresses, too, unless it says not.
        (IpAddr::V4(_), IpAddr::V6(six)) | (IpAddr::V6(six), IpAddr::V4(_)) => {
            six.is_unspecified().then_some(2)
        }
    }
}

/// Whether we see the files of other users' processes.
fn sees_all() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let word = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    word.and_then(|word| u64::from_str_radix(word.trim(), 16).ok())
        .is_some_and(|capabilities| capabilities & SEES_ALL != 0)
}

fn folder(pid: i32) -> std::path::PathBuf {
    Path::new("/proc").join(pid.to_string())
}

/// As people call it: `open_webui` and not `python3`.
fn name_of(folder: &Path) -> Option<String> {
    let comm = fs::read_to_string(folder.join("comm")).ok()?;
    let words = fs::read(folder.join("cmdline")).unwrap_or_default();
    let words: Vec<String> = words
        .split(|&byte| byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    Some(called(comm.trim(), &words)).filter(|name| !name.is_empty())
}

fn called(comm: &str, words: &[String]) -> String {
    let program = words.first().map_or(comm, |word| file_name(word));
    let interprets = |name: &str| INTERPRETERS.iter().any(|one| name.starts_with(one));
    // A thread or a program may name itself; an interpreter does not.
    let name = if interprets(program) { script(words) } else { None };
    let name = name.unwrap_or_else(|| if interprets(program) { program } else { comm }.to_string());
    name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
}

/// What an interpreter was told to run.
fn script(words: &[String]) -> Option<String> {
    let mut rest = words.iter().skip(1);
    while let Some(word) = rest.next() {
        match word.as_str() {
            "-m" | "-jar" => return rest.next().map(|module| stem(module).to_string()),
            // Program text says nothing.
            "-c" | "-e" | "--eval" | "-" => return None,
            _ if word.starts_with('-') => {}
            path => {
                let name = stem(path);
                let folder = Path::new(path).parent().and_then(Path::file_name);
                let folder = folder.and_then(|folder| folder.to_str());
                return Some(match folder {
                    Some(folder) if PLAIN.contains(&name) => format!("{folder}/{name}"),
                    _ => name.to_string(),
                });
            }
        }
    }
    None
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn stem(path: &str) -> &str {
    let name = file_name(path);
    let ends = [".py", ".js", ".mjs", ".cjs", ".ts", ".rb", ".pl", ".jar"];
    ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream},
        process::{Child, Command, Stdio},
        thread,
    };

    use super::*;

    fn name(comm: &str, words: &[&str]) -> String {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        called(comm, &words)
    }

    #[test]
    fn a_program_is_called_by_what_it_runs_and_not_by_its_interpreter() {
        assert_eq!(name("curl", &["curl", "-s", "http://x"]), "curl");
        assert_eq!(name("python3", &["/usr/bin/python3", "-u", "label.py", "x"]), "label");
        assert_eq!(name("python3", &["python3", "-m", "open_webui"]), "open_webui");
        assert_eq!(name("python3.11", &["python3.11", "/srv/agent/main.py"]), "agent/main");
        assert_eq!(name("node", &["node", "--max-old-space-size=1", "n8n.js"]), "n8n");
        assert_eq!(name("python3", &["python3", "-c", "import os"]), "python3");
        assert_eq!(name("java", &["java", "-jar", "/opt/tika.jar"]), "tika");
        assert_eq!(name("cursor", &["/opt/cursor/cursor", "--type=x"]), "cursor");
        assert_eq!(name("kworker", &[]), "kworker");
        assert_eq!(name("x", &[&"y".repeat(400)]).len(), 1);
    }

    /// Bash, which holds so many connections to there until its input ends.
    fn bash(port: u16, connections: usize) -> Child {
        let open = format!("exec {{fd}}<>/dev/tcp/127.0.0.1/{port};");
        let script = format!("{} read -r _", open.repeat(connections));
        Command::new("bash").args(["-c", &script]).stdin(Stdio::piped()).spawn().unwrap()
    }

    fn end(mut child: Child) {
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn the_program_at_the_other_end_is_found_and_known_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        let child = bash(here.port(), 1);
        let (_stream, there) = listener.accept().unwrap();
        let mut peers = Peers::default();
        let mut program = |there| peers.programs(&[(there, here)]).remove(0);
        assert_eq!(program(there).as_deref(), Some("bash"));
        assert_eq!(program(there).as_deref(), Some("bash"));
        let own = TcpStream::connect(here).unwrap();
        assert!(program(own.local_addr().unwrap()).is_some());
        assert_eq!(program("127.0.0.1:1".parse().unwrap()), None);
        let (own, other) = (process::id(), child.id());
        assert_eq!(peers.recent, [other, own].map(|pid| i32::try_from(pid).unwrap()));
        end(child);
    }

    #[test]
    fn two_hundred_that_connect_at_once_are_each_told_apart_in_one_pass() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        // Met while they come: together they are more than the listener's queue takes (128), and who finds
        // no room there tries again for two minutes at most.
        let meeting = thread::spawn(move || (0..200).map(|_| listener.accept().unwrap()).collect());
        let children = [bash(here.port(), 100), bash(here.port(), 60)];
        let own: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(here).unwrap()).collect();
        let met: Vec<_> = meeting.join().unwrap();
        let own: Vec<SocketAddr> = own.iter().map(|own| own.local_addr().unwrap()).collect();
        let ends: Vec<Ends> = met.iter().map(|(_, there)| (*there, here)).collect();
        let mut peers = Peers::default();
        let began = std::time::Instant::now();
        let names = peers.programs(&ends);
        println!("200 connections of 3 programs: {:?}", began.elapsed());
        for (name, (there, _)) in names.iter().zip(&ends) {
            let bash = name.as_deref() == Some("bash");
            assert!(name.is_some() && bash != own.contains(there), "{there}: {name:?}");
        }
        assert_eq!(peers.recent.len(), 3);
        let began = std::time::Instant::now();
        assert_eq!(peers.programs(&ends), names);
        println!("once more: {:?}", began.elapsed());
        children.into_iter().for_each(end);
    }

    #[test]
    fn who_holds_an_address_is_told_by_the_address_and_as_it_is_now() {
        let mut peers = Peers::default();
        let own = i32::try_from(process::id()).unwrap();
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap();
        let pid = |holder: Option<Holder>| holder.and_then(|h| Some((h.address, h.program?.1)));
        assert_eq!(pid(peers.holder(address)), Some((address, own)));
        // The same port of another address is not in the way.
        let beside = SocketAddr::new("127.0.0.2".parse().unwrap(), address.port());
        assert_eq!(peers.holder(beside), None);
        let six = SocketAddr::new("::1".parse().unwrap(), address.port());
        assert_eq!(peers.holder(six), None);
        // Whoever wants every address is held up by any of them.
        let all = SocketAddr::new("0.0.0.0".parse().unwrap(), address.port());
        assert_eq!(pid(peers.holder(all)), Some((address, own)));
        drop(held);
        assert_eq!(peers.holder(address), None);
    }

    #[test]
    fn addresses_clash_where_one_of_them_is_every_address() {
        let clash = |a: &str, b: &str| super::clash(a.parse().unwrap(), b.parse().unwrap());
        assert_eq!(clash("127.0.0.1:80", "127.0.0.1:80"), Some(0));
        assert_eq!(clash("127.0.0.1:80", "127.0.0.1:81"), None);
        assert_eq!(clash("127.0.0.1:80", "127.0.0.2:80"), None);
        assert_eq!(clash("127.0.0.1:80", "0.0.0.0:80"), Some(1));
        assert_eq!(clash("[::]:80", "[::1]:80"), Some(1));
        assert_eq!(clash("127.0.0.1:80", "[::]:80"), Some(2));
        assert_eq!(clash("127.0.0.1:80", "[::1]:80"), None);
    }
}
