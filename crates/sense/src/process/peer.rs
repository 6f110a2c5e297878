//! Which program is at the other end of a connection within this machine.
//!
//! The kernel knows the socket at once; whose file that is, is found by following
//! open files, which takes milliseconds on a machine with many processes. Programs
//! that asked lately are looked at first: they are nearly always those that ask again.

use std::{fs, net::SocketAddr, path::Path};

use super::listening::{connected, held_by};

/// Programs that are looked at first.
const MAX_RECENT: usize = 32;
/// Open files that are followed for one answer.
const MAX_FILES: usize = 100_000;
/// Interpreters, whose name says nothing of the program that they run.
const INTERPRETERS: [&str; 7] = ["python", "node", "bun", "deno", "ruby", "perl", "java"];
/// Files whose folder says more than they do.
const PLAIN: [&str; 7] = ["main", "app", "index", "server", "run", "cli", "__main__"];
/// Longest name.
const MAX_NAME: usize = 48;

/// Finds programs by their connections.
#[derive(Debug, Default)]
pub struct Peers {
    /// The newest last.
    recent: Vec<i32>,
}

// === impl Peers ===

impl Peers {
    /// Name of the program whose end of a connection is `there`; `here` is the other end.
    /// `None` where that is not this machine's, or its files may not be seen.
    pub fn program(&mut self, there: SocketAddr, here: SocketAddr) -> Option<String> {
        let pid = self.find(connected(there, here)?)?;
        name_of(&folder(pid))
    }

    fn find(&mut self, inode: u64) -> Option<i32> {
        let mut files = 0;
        let mut holds = |pid: i32| {
            let mut held = false;
            files += held_by(&folder(pid), |socket| held |= socket == inode);
            (held, files < MAX_FILES)
        };
        if let Some(place) = self.recent.iter().rposition(|&pid| holds(pid).0) {
            let pid = self.recent.remove(place);
            self.recent.push(pid);
            return Some(pid);
        }
        // The newest processes first: a program that asks the first time began lately.
        let mut pids: Vec<i32> = fs::read_dir("/proc")
            .ok()?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        pids.sort_unstable_by(|a, b| b.cmp(a));
        for pid in pids {
            let (held, go_on) = holds(pid);
            if held {
                if self.recent.len() == MAX_RECENT {
                    self.recent.remove(0);
                }
                self.recent.push(pid);
                return Some(pid);
            }
            if !go_on {
                break;
            }
        }
        None
    }
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
        process::{Command, Stdio},
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

    #[test]
    fn the_program_at_the_other_end_is_found_and_known_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        // Bash itself holds the connection.
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/{}; read -r _", here.port());
        let mut child =
            Command::new("bash").args(["-c", &script]).stdin(Stdio::piped()).spawn().unwrap();
        let (stream, there) = listener.accept().unwrap();
        let mut peers = Peers::default();
        assert_eq!(peers.program(there, here).as_deref(), Some("bash"));
        let pid = i32::try_from(child.id()).unwrap();
        assert_eq!(peers.recent, [pid]);
        assert_eq!(peers.program(there, here).as_deref(), Some("bash"));
        drop((child.stdin.take(), stream));
        child.wait().unwrap();
        let own = TcpStream::connect(here).unwrap();
        let there = own.local_addr().unwrap();
        assert!(peers.program(there, here).is_some());
        assert_eq!(peers.recent.len(), 2);
        assert_eq!(peers.program("127.0.0.1:1".parse().unwrap(), here), None);
    }
}
