//! Notes of what runs, one file a service, so that a Plimsoll that was killed does
//! not leave servers behind that nobody knows: the next one finds them again.
//!
//! A note is written before the start, with a token that all processes of that start
//! carry in their environment, and again after it with number and start time. A
//! Plimsoll that dies between the two finds the process by its token.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    flags::Spec,
    process::{Order, Process, Stat, boot, with_token},
};

/// What is noted of a start. A Plimsoll of another version may have written it: what it
/// does not say is not needed to find the process again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub service: String,
    #[serde(default)]
    pub name: String,
    pub token: String,
    /// The start of the machine that number and time belong to.
    pub boot: String,
    /// `None` while it is being started.
    #[serde(default)]
    pub process: Option<Noted>,
    /// As it may be shown.
    #[serde(default)]
    pub command: Vec<String>,
    /// [`super::flags::Launch::fingerprint`]. Notes on disk call it `print`.
    #[serde(default, rename = "print")]
    pub fingerprint: u64,
    #[serde(default = "stop_s")]
    pub stop_s: u64,
    /// On the wall, for the order of the starts.
    #[serde(default)]
    pub at_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    pub pid: i32,
    /// In clock ticks since the machine started.
    pub started: u64,
    /// Its group is in it, whole. `None` where it is not known.
    #[serde(default)]
    pub session: Option<i32>,
}

/// The folder of notes and outputs.
#[derive(Clone, Debug)]
pub struct Ledger(PathBuf);

// === impl Ledger ===

impl Ledger {
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Where the output of a service goes.
    pub fn output(&self, id: &str) -> PathBuf {
        self.0.join(format!("{id}.log"))
    }

    /// Notes that a service is about to be started. Blocks until it is on disk.
    pub fn about_to_start(&self, spec: &Spec, token: String, at_ms: i64) -> io::Result<Note> {
        fs::create_dir_all(&self.0)?;
        let note = Note {
            service: spec.id.clone(),
            name: spec.name.clone(),
            token,
            boot: boot(),
            process: None,
            command: spec.launch.shown(),
            fingerprint: spec.launch.fingerprint(),
            stop_s: spec.grace.as_secs(),
            at_ms,
        };
        self.write(&note)?;
        Ok(note)
    }

    /// Notes that it was. Where that fails the token still finds it.
    pub fn has_started(&self, mut note: Note, process: &Process) -> io::Result<()> {
        let Process { pid, started, .. } = *process;
        let session = Stat::of(pid).filter(|now| now.started == started).map(|now| now.session);
        note.process = Some(Noted { pid, started, session });
        self.write(&note)
    }

    pub fn forget(&self, id: &str) {
        let _ = fs::remove_file(self.note(id));
    }

    /// All notes that can be read, in the order of the starts. One that makes no sense is
    /// kept as `ID.bad`, one that cannot be read stays: a process may hang on either.
    pub fn notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                Err(error) => {
                    tracing::warn!(file = %path.display(), %error, "a note of a start cannot be read");
                    continue;
                }
            };
            match serde_json::from_slice::<Note>(&bytes) {
                Ok(note) if self.note(&note.service) == path => notes.push(note),
                made => {
                    let why =
                        made.err().map_or("it is another service's".into(), |e| e.to_string());
                    tracing::warn!(file = %path.display(), why, "a note of a start is no good");
                    let _ = fs::rename(&path, path.with_extension("bad"));
                }
            }
        }
        notes.sort_by(|a, b| (a.at_ms, &a.service).cmp(&(b.at_ms, &b.service)));
        notes
    }

    fn note(&self, id: &str) -> PathBuf {
        self.0.join(format!("{id}.json"))
    }

    /// Whole or not at all, also after a power cut.
    fn write(&self, note: &Note) -> io::Result<()> {
        let path = self.note(&note.service);
        let fresh = path.with_extension("json.new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&serde_json::to_vec(note)?)?;
        file.sync_all()?;
        fs::rename(&fresh, &path)?;
        sync_folder(&self.0)
    }
}

/// Of a note that does not say it; as the settings have it where nobody sets it.
fn stop_s() -> u64 {
    20
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

// === impl Note ===

impl Note {
    /// The process of that start, where it still runs. What is left of its group when it is
    /// gone serves nobody, and is killed; others with its token, as a job that a person started
    /// from within the service, are left alone. Blocks; needs a runtime.
    pub fn find(&self) -> Option<Process> {
        if self.boot != boot() {
            return None;
        }
        let with_token = || with_token(&self.token);
        let Some(noted) = self.process else {
            // It is the first of its group and the oldest, and who is first of a group cannot
            // open a session.
            let left = with_token();
            let firsts = left.iter().filter(|s| s.group == s.pid && s.session != s.pid);
            let first = firsts.min_by_key(|stat| stat.started);
            return first.and_then(|first| Process::again(first.pid, first.started));
        };
        if let Some(process) = Process::again(noted.pid, noted.started) {
            return Some(process);
        }
        let left = with_token();
        let group = noted.left_of_its_group(&left);
        for stat in &group {
            tracing::warn!(service = %self.service, pid = stat.pid, "killed what was left of a start");
            stat.tell(Order::Die);
        }
        for stat in left.iter().filter(|stat| !group.contains(stat)) {
            tracing::info!(service = %self.service, pid = stat.pid, "left alone what it once started");
        }
        None
    }
}

// === impl Noted ===

impl Noted {
    /// Who is surely of its group, where it is gone itself.
    fn left_of_its_group(self, with_token: &[Stat]) -> Vec<Stat> {
        let all: Vec<Stat> = Stat::all().filter(|stat| stat.group == self.pid).collect();
        if all.iter().any(|stat| stat.pid == self.pid && stat.started != self.started) {
            // The number has changed hands, and the group is another's.
            return Vec::new();
        }
        // The token is written over in those that give themselves a title, as workers do.
        let is_ours = |stat: &Stat| {
            self.session.map_or_else(
                || with_token.iter().any(|one| one.pid == stat.pid),
                |session| stat.session == session,
            )
        };
        let left = all.into_iter().filter(|stat| stat.started >= self.started && stat.lives());
        left.filter(is_ours).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(files: &[(&str, &str)]) -> (tempfile::TempDir, Ledger) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let ledger = Ledger::new(dir.path().into());
        (dir, ledger)
    }

    #[test]
    fn a_note_that_makes_no_sense_is_put_aside_and_not_lost() {
        let other = r#"{"service":"b","token":"t","boot":"x"}"#;
        let (dir, ledger) = ledger(&[("a.json", "{\"service\":"), ("c.json", other)]);
        assert!(ledger.notes().is_empty());
        let text = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(text("a.bad"), "{\"service\":");
        assert_eq!(text("c.bad"), other);
        assert!(!dir.path().join("a.json").exists() && !dir.path().join("c.json").exists());
    }

    #[test]
    fn a_note_that_cannot_be_read_stays_where_it_is() {
        let (dir, ledger) = ledger(&[]);
        // A folder opens, and reading it fails, as a file on a broken disk does. A link into
        // itself cannot be opened, and could be taken away.
        fs::create_dir(dir.path().join("a.json")).unwrap();
        std::os::unix::fs::symlink("b.json", dir.path().join("b.json")).unwrap();
        assert!(ledger.notes().is_empty());
        assert!(dir.path().join("a.json").is_dir());
        assert!(dir.path().join("b.json").is_symlink());
    }

    #[test]
    fn a_note_of_an_older_or_newer_plimsoll_is_read() {
        let text = r#"{"service":"a","token":"t","boot":"x","of tomorrow":[1],
            "process":{"pid":7,"started":8,"and":{}}}"#;
        let (dir, ledger) = ledger(&[("a.json", text)]);
        let notes = ledger.notes();
        assert_eq!(notes.len(), 1, "{:?}", fs::read_dir(dir.path()).unwrap().collect::<Vec<_>>());
        let noted = notes[0].process.unwrap();
        assert_eq!((&*notes[0].token, noted.pid, noted.started), ("t", 7, 8));
        assert!(notes[0].stop_s > 0);
    }
}
