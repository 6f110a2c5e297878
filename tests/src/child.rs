//! A process of ours with all it starts: it ends when the test ends, whatever happened.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::wait::PATIENCE;

/// How long a process may take to end by itself before it is killed.
const MANNERS: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Group {
    child: Child,
    name: String,
}

// === impl Group ===

impl Group {
    /// Starts it as the head of a process group of its own.
    pub fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("{name} could not be started"))?;
        Ok(Self { child, name })
    }

    /// Starts it and waits for the first line of its standard output.
    pub fn start_and_read_line(command: &mut Command) -> Result<(Self, String)> {
        let mut group = Self::start(command.stdout(Stdio::piped()))?;
        let output = group.child.stdout.take().context("the output was piped")?;
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(output).lines();
            // The receiver may have given up.
            let _ = tell.send(lines.next());
            // Reads on, so that the process never waits for a full pipe.
            lines.for_each(drop);
        });
        match told.recv_timeout(PATIENCE) {
            Ok(Some(Ok(line))) => Ok((group, line)),
            Ok(Some(Err(error))) => Err(error).context("its output could not be read"),
            Ok(None) => bail!("{} ended without a line: {:?}", group.name, group.child.wait()),
            Err(_) => bail!("{} wrote no line within {PATIENCE:?}", group.name),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("{} did not end within {PATIENCE:?}", self.name)
    }

    /// Asks it to end, as a person's Ctrl-C or the session's end does.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        kill_process(self.id()?, Signal::TERM)?;
        self.wait()
    }

    fn id(&self) -> Result<Pid> {
        Pid::from_raw(i32::try_from(self.child.id())?).context("a process id is never 0")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Ok(id) = self.id() else { return };
        if matches!(self.child.try_wait(), Ok(None)) {
            // It may have ended in between: then there is nobody to signal.
            let _ = kill_process(id, Signal::TERM);
            let end = Instant::now() + MANNERS;
            while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        // Whatever it left behind.
        let _ = kill_process_group(id, Signal::KILL);
        let _ = self.child.wait();
    }
}
