//! Running the program.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// A data folder of its own, and nothing of the person who runs the tests.
pub struct Place {
    dir: tempfile::TempDir,
}

/// A running `up`; killed when it is dropped.
pub struct Up {
    pub child: Child,
    pub ready: Value,
    /// Kept open: who writes into a closed pipe would be ended by it.
    _stdout: BufReader<ChildStdout>,
}

// === impl Place ===

impl Place {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        command
            .args(args)
            .arg("--data-dir")
            .arg(self.data())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("XDG_RUNTIME_DIR", self.dir.path())
            // Servers of other tests are none of this one's.
            .env("PLIMSOLL_SERVICES__DISCOVER", "false")
            // Nor is the one port that all of them would want.
            .env("PLIMSOLL_GATEWAY__ENABLED", "false")
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Standard output of a call that succeeds.
    pub fn out(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {err}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The one JSON value that a call prints.
    pub fn json(&self, args: &[&str]) -> Value {
        let text = self.out(args);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"))
    }

    /// What `status` prints where nothing runs.
    pub fn not_running(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(3), "{args:?}");
        assert!(output.stderr.is_empty(), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Exit code and standard error of a call that fails; it says nothing on standard output.
    pub fn fails(&self, args: &[&str]) -> (i32, String) {
        let output = self.run(args);
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(out.is_empty(), "{args:?} printed {out}");
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    /// Starts `up --json` and waits for its line.
    pub fn up(&self, args: &[&str]) -> Up {
        let mut all = vec!["up", "--json"];
        all.extend_from_slice(args);
        Up::wait(self.command(&all))
    }

    /// Looks until it holds; the program runs beside, so there is nothing to wait on.
    pub fn eventually(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !holds() {
            assert!(Instant::now() < deadline, "{what} does not come to pass");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

// === impl Up ===

impl Up {
    pub fn wait(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{error}: {line:?} {:?}", child.wait()));
        Self { child, ready, _stdout: stdout }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn socket(&self) -> &Path {
        Path::new(self.ready["socket"].as_str().unwrap())
    }

    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Sends a signal and waits for the end.
    pub fn end(mut self, signal: &str) -> ExitStatus {
        self.signal(signal);
        self.child.wait().unwrap()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
