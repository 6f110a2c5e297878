//! The processes of a managed service: a group of their own, so that a signal
//! reaches all of them and none of ours; known by number and start together, for
//! a number alone is given away again.

mod strays;

use std::{
    fs, io,
    os::{
        fd::OwnedFd,
        unix::process::{CommandExt, ExitStatusExt},
    },
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{
        Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open, pidfd_send_signal,
    },
};
use tokio::io::{Interest, unix::AsyncFd};

use super::{
    flags::Launch,
    output::Output,
    plan::{Ended, Unmade},
};

/// Names a start, in the environment of all that it starts: what runs of it is found
/// by this where its number is not known.
pub const TOKEN: &str = "PLIMSOLL_RUN";
/// Between two looks at a process that the kernel lets nobody wait for.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// What the starter of Plimsoll meant for Plimsoll alone.
const NOT_PASSED_ON: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "JOURNAL_STREAM",
];

/// The process that was started, first of its group.
#[derive(Debug)]
pub struct Process {
    pub pid: i32,
    /// In clock ticks since the machine started.
    pub started: u64,
    /// Told by the kernel when it ends; `None` where the kernel has no such thing.
    end: Option<AsyncFd<OwnedFd>>,
    /// `None` for one that an earlier Plimsoll started.
    child: Option<Child>,
    /// Those of it who left its group, as they were found when it was told something.
    strays: Mutex<Vec<Stat>>,
}

/// A process and those that it started, by the first one.
#[derive(Clone, Debug)]
pub struct Group {
    pid: i32,
    started: u64,
    strays: Vec<Stat>,
}

/// What `/proc` says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    pub pid: i32,
    state: u8,
    parent: i32,
    pub group: i32,
    pub session: i32,
    /// 0 for none.
    terminal: i32,
    pub started: u64,
}

/// What a signal is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// SIGTERM.
    End,
    /// SIGKILL.
    Die,
}

// === impl Process ===

impl Process {
    /// Starts it, its output going into the file of `output`. Blocks; needs a runtime.
    pub fn start(id: &str, launch: &Launch, token: &str, output: &Output) -> Result<Self, Unmade> {
        if !launch.cwd.is_dir() {
            return Err(format!("services.{id}.cwd: {} is no folder.", launch.cwd.display()).into());
        }
        let title = format!("started: {}", launch.shown().join(" "));
        let cannot_write = |error: io::Error| {
            format!("Its output cannot be written to {}: {error}.", output.path().display())
        };
        let out = output.file(&title).map_err(cannot_write)?;
        let error = out.try_clone().map_err(cannot_write)?;
        let mut command = Command::new(&launch.program);
        for name in NOT_PASSED_ON {
            command.env_remove(name);
        }
        let child = command
            .args(&launch.arguments)
            .current_dir(&launch.cwd)
            .envs(launch.env.iter().map(|(name, value)| (name, value)))
            .env(TOKEN, token)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(error)
            .process_group(0)
            .spawn()
            .map_err(|error| Unmade {
                why: cannot_start(id, launch, &error),
                lasting: matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
                ),
            })?;
        let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
        // It cannot be gone from `/proc` before it was waited for.
        let started = Stat::of(pid).map_or(0, |stat| stat.started);
        Ok(Self { pid, started, end: end_of(pid), child: Some(child), strays: Mutex::default() })
    }

    /// The process with that number, if it is the one that started then.
    pub fn again(pid: i32, started: u64) -> Option<Self> {
        let is_it = || Stat::of(pid).is_some_and(|stat| stat.started == started && stat.lives());
        if !is_it() {
            return None;
        }
        let end = end_of(pid);
        // Between the look and the hold on it the number could have changed hands.
        is_it().then_some(Self { pid, started, end, child: None, strays: Mutex::default() })
    }

    /// Waits until it has ended. It stays in the process table until [`Process::reap`], so
    /// that its number is given to nobody else meanwhile.
    pub async fn ended(&self) {
        if let Some(end) = &self.end
            && end.ready(Interest::READABLE).await.is_ok()
        {
            return;
        }
        while Stat::of(self.pid).is_some_and(|s| s.started == self.started && s.lives()) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// How it ended, once it has.
    pub fn reap(&mut self) -> Ended {
        let Some(status) = self.child.as_mut().and_then(|child| child.wait().ok()) else {
            return Ended::Unknown;
        };
        match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Code(code),
            (None, Some(signal)) => Ended::Signal(signal),
            (None, None) => Ended::Unknown,
        }
    }

    /// Tells all of its group, and those who left it and are surely of it. Reads the process
    /// table while the process itself lives.
    pub fn tell(&self, order: Order) {
        let mut strays = self.strays.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the signal: who loses its parent to it is nobody's child.
        if let Some(first) = Stat::of(self.pid)
            && first.started == self.started
            && first.group == first.pid
            && first.lives()
        {
            for found in strays::strays(first) {
                if !strays.iter().any(|known| known.is(found)) {
                    strays.push(found);
                }
            }
        }
        // Number 1 or 0 would mean everybody.
        if let Some(group) = Pid::from_raw(self.pid).filter(|_| self.pid > 1) {
            // Those that are gone already are told nothing, and that is no fault.
            let _ = kill_process_group(group, order.signal());
        }
        for stray in &*strays {
            stray.tell(order);
        }
    }

    pub fn group(&self) -> Group {
        let strays = self.strays.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Group { pid: self.pid, started: self.started, strays }
    }
}

// === impl Group ===

impl Group {
    /// Others than its first process that still run, in the group and out of it. Blocks.
    pub fn others(&self) -> Vec<i32> {
        let mut all: Vec<Stat> = Stat::all().filter(|stat| stat.group == self.pid).collect();
        if all.iter().any(|stat| stat.pid == self.pid && stat.started != self.started) {
            // The number has changed hands: this is somebody else's group.
            all.clear();
        }
        all.extend(self.strays.iter().filter_map(|stray| stray.again()));
        all.iter().filter(|s| s.pid != self.pid && s.lives()).map(|s| s.pid).collect()
    }
}

// === impl Order ===

impl Order {
    fn signal(self) -> Signal {
        match self {
            Order::End => Signal::TERM,
            Order::Die => Signal::KILL,
        }
    }
}

// === impl Stat ===

impl Stat {
    /// `None` where there is no such process.
    pub fn of(pid: i32) -> Option<Self> {
        // Its name need not be text.
        Self::parse(&String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?))
    }

    pub fn all() -> impl Iterator<Item = Self> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| Self::of(entry.file_name().to_str()?.parse().ok()?))
    }

    /// How it is now, if it is still the one that was seen.
    pub fn again(self) -> Option<Self> {
        Self::of(self.pid).filter(|now| now.is(self))
    }

    fn is(self, other: Self) -> bool {
        (self.pid, self.started) == (other.pid, other.started)
    }

    /// Tells it alone, and nobody who has its number by now.
    pub fn tell(self, order: Order) {
        let Some(pid) = Pid::from_raw(self.pid) else { return };
        let held = pidfd_open(pid, PidfdFlags::empty());
        // Looked at while it is held: then it is this one that is told.
        if self.again().is_none() {
            return;
        }
        // One that is gone meanwhile is told nothing, and that is no fault.
        let _ = match held {
            Ok(held) => pidfd_send_signal(held, order.signal()),
            Err(Errno::NOSYS) => kill_process(pid, order.signal()),
            Err(_) => Ok(()),
        };
    }

    /// Not ended, though perhaps still in the table.
    pub fn lives(self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }

    fn parse(text: &str) -> Option<Self> {
        // The name stands in brackets and may hold anything, brackets too.
        let pid = text.split(' ').next()?.parse().ok()?;
        let mut rest = text[text.rfind(')')? + 1..].split_ascii_whitespace();
        let state = *rest.next()?.as_bytes().first()?;
        let mut number = || rest.next()?.parse().ok();
        let (parent, group, session, terminal) = (number()?, number()?, number()?, number()?);
        let started = rest.nth(14)?.parse().ok()?;
        Some(Self { pid, state, parent, group, session, terminal, started })
    }
}

/// All processes that were started with that token and run now. Blocks.
pub fn with_token(token: &str) -> Vec<Stat> {
    let wanted = format!("{TOKEN}={token}");
    let holds = |stat: &Stat| {
        // Those of others cannot be read, and are not ours.
        fs::read(format!("/proc/{}/environ", stat.pid)).is_ok_and(|environ| {
            environ.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
        })
    };
    Stat::all().filter(|stat| stat.lives()).filter(holds).collect()
}

/// Names this start of the machine: process numbers and times of another mean nothing.
pub fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

fn end_of(pid: i32) -> Option<AsyncFd<OwnedFd>> {
    let end = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    #[expect(
        deprecated,
        reason = "its successor is unsafe, and an OwnedFd keeps to what it asks for"
    )]
    AsyncFd::with_interest(end, Interest::READABLE).ok()
}

fn cannot_start(id: &str, launch: &Launch, error: &io::Error) -> String {
    let (key, program) = (format!("services.{id}.command"), &launch.program);
    match error.kind() {
        io::ErrorKind::NotFound if program.contains('/') => {
            if Path::new(program).exists() {
                return format!("{key}: what {program} is to be run by is missing.");
            }
            format!("{key}: there is no program {program}.")
        }
        io::ErrorKind::NotFound => {
            format!("{key}: there is no program {program} in PATH; name its whole path.")
        }
        io::ErrorKind::PermissionDenied => format!("{key}: {program} may not be run."),
        _ => format!("{key}: {program} cannot be run: {error}."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_columns() {
        let line = "42 (a) b (c) S 1 42 41 9 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3\n";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.pid, stat.parent, stat.started), (42, 1, 98_765));
        assert_eq!((stat.group, stat.session, stat.terminal), (42, 41, 9));
        assert!(stat.lives());
        for bad in ["", "42", "42 (x", "42 (x) Z 1", ")"] {
            assert_eq!(Stat::parse(bad), None, "{bad:?}");
        }
        let own = Stat::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(own.started > 0 && own.lives());
    }

    #[test]
    fn a_process_whose_name_is_no_text_is_seen_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join(std::ffi::OsStr::from_bytes(b"sl\xffeep"));
        // Linked and not copied: what is open for writing elsewhere cannot be run.
        std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
        let mut child = Command::new(&program).arg0("sleep").arg("600").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let name = fs::read(format!("/proc/{pid}/comm")).unwrap();
        let stat = Stat::of(pid);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(name, b"sl\xffeep\n");
        assert!(stat.is_some_and(|stat| stat.pid == pid && stat.lives()));
    }

    #[tokio::test]
    async fn a_number_that_changed_hands_is_not_taken_for_the_process() {
        let own = Stat::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(Process::again(own.pid, own.started).is_some());
        assert!(Process::again(own.pid, own.started - 1).is_none());
        assert!(Process::again(i32::MAX, own.started).is_none());
    }
}
