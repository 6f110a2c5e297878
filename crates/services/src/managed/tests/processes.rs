//! Processes of the tests: those that are no service, and those that somebody else started.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::{
    super::process::{Order, Stat, TOKEN},
    PATIENCE,
};

/// A process that is nobody's service; ended with the test.
pub struct Bystander(pub Child);

impl Bystander {
    pub fn new(token: Option<&str>) -> Self {
        let mut command = Command::new("sleep");
        command.arg("600").stdin(Stdio::null()).stdout(Stdio::null());
        if let Some(token) = token {
            command.env(TOKEN, token);
        }
        Self(command.spawn().unwrap())
    }

    pub fn stat(&self) -> Stat {
        Stat::of(i32::try_from(self.0.id()).unwrap()).unwrap()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that somebody else started; ended with the test.
pub struct Rest(pub Stat);

impl Rest {
    pub fn new(pid: i32) -> Self {
        Self(Stat::of(pid).unwrap())
    }

    pub fn lives(&self) -> bool {
        self.0.again().is_some_and(Stat::lives)
    }

    pub async fn until_it_is_gone(&self) {
        self.until(|| !self.lives()).await;
    }

    /// Until it is that program and no longer the one that called it.
    pub async fn until_it_runs(&self, name: &str) {
        let comm = format!("/proc/{}/comm", self.0.pid);
        self.until(|| fs::read_to_string(&comm).is_ok_and(|comm| comm.trim() == name)).await;
    }

    pub async fn until(&self, is_so: impl Fn() -> bool) {
        let found = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap();
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        self.0.tell(Order::Die);
    }
}

pub fn lives(pid: i32) -> bool {
    Stat::of(pid).is_some_and(Stat::lives)
}

pub fn group(pid: i32) -> usize {
    Stat::all().filter(|stat| stat.group == pid && stat.lives()).count()
}
