//! A daemon that breaks off or goes: a door stands before it, and a search asks through that.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use plimsoll_core::{
    clock::SystemClock,
    process::{Process, ProcessTable},
};
use plimsoll_services::{
    adapters::all,
    client::{Client, Limits},
    discovery::{Discovery, Docker as Daemon, DockerError, Finds, Parts, Rules},
    kind::ServiceKind,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{UnixListener, UnixStream},
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

use super::{
    PROMISED,
    container::{Container, socket},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Docker daemon: ./test.sh real runs it"]
async fn a_daemon_that_breaks_off_or_goes_does_no_harm_and_is_told_once() -> Result<()> {
    let cache = Container::redis("relay", &[])?;
    let folder = tempfile::tempdir()?;
    let door = folder.path().join("docker.sock");
    let relay = Relay::open(&door, None)?;
    let containers = Daemon::at(door.clone())?.containers().await?;
    let own = containers.iter().find(|c| c.name == cache.name).context("it is in the list")?;
    let mut search = Search::start(&door, inside(&own.id, cache.pid()?));
    let finds = search.until(|finds| !finds.sightings.is_empty()).await?;
    let sighting = &finds.sightings[0];
    assert_eq!(sighting.identity.kind, ServiceKind::Redis);
    assert_eq!(sighting.address.to_string(), format!("{}:6379", cache.address()?));

    // In the middle of its answer, at once, and gone altogether.
    drop(relay);
    let cut = Relay::open(&door, Some(300))?;
    let finds = search.anew().until(|finds| finds.docker.is_some()).await?;
    ensure!(finds.containers.is_empty() && finds.sightings.is_empty(), "{finds:?}");
    let told = finds.docker.as_ref().map(ToString::to_string).unwrap_or_default();
    println!("{told}");
    assert!(told.contains("broke the connection off"), "{told}");
    // Further tables are further looks, and it is not said again.
    search.look_again().await;
    ensure!(!search.finds.has_changed()?, "told again: {:?}", search.finds.borrow());
    drop(cut);
    let stopped = search.anew().until(|finds| finds.docker.is_some()).await?.docker.clone();
    assert_eq!(stopped, Some(DockerError::Stopped { socket: door.clone() }));
    std::fs::remove_file(&door)?;
    let absent = search.anew().until(|finds| finds.docker.is_some()).await?.docker.clone();
    assert_eq!(absent, Some(DockerError::Absent));
    // And back.
    let _relay = Relay::open(&door, None)?;
    search.anew().until(|finds| !finds.sightings.is_empty()).await?;
    Ok(())
}

/// A search that asks that socket, on a machine with one container.
struct Search {
    table: watch::Sender<Arc<ProcessTable>>,
    rules: watch::Sender<Arc<Rules>>,
    finds: watch::Receiver<Arc<Finds>>,
    _discovery: Discovery,
}

/// Stands before the daemon, and may break off.
struct Relay(JoinHandle<()>);

// === impl Search ===

impl Search {
    fn start(socket: &Path, table: ProcessTable) -> Self {
        let (table, processes) = watch::channel(Arc::new(table));
        let (rules, follow) = watch::channel(Arc::default());
        let discovery = Discovery::start(Parts {
            adapters: all(),
            client: Client::new(Limits::here()).unwrap(),
            clock: Arc::new(SystemClock),
            processes,
            rules: follow,
            sockets: Arc::new(|| Some(Vec::new())),
            docker: vec![socket.to_owned()],
        });
        Self { table, rules, finds: discovery.finds(), _discovery: discovery }
    }

    async fn until(&mut self, is: impl FnMut(&Arc<Finds>) -> bool) -> Result<Arc<Finds>> {
        let wait = self.finds.wait_for(is);
        Ok(tokio::time::timeout(PROMISED * 2, wait).await.context("not in time")??.clone())
    }

    /// Switched off and on it begins anew, without the pause after a trouble.
    fn anew(&mut self) -> &mut Self {
        for enabled in [false, true] {
            self.rules.send_replace(Arc::new(Rules { enabled, ..Rules::default() }));
            std::thread::sleep(Duration::from_millis(300));
        }
        self
    }

    async fn look_again(&mut self) {
        self.finds.mark_unchanged();
        for _ in 0..3 {
            self.table.send_modify(|table| Arc::make_mut(table).at_ms += 1);
            sleep(Duration::from_millis(200)).await;
        }
    }
}

// === impl Relay ===

impl Relay {
    /// `most`: so many bytes of each answer get through.
    fn open(door: &Path, most: Option<usize>) -> Result<Self> {
        let _ = std::fs::remove_file(door);
        let listener = UnixListener::bind(door)?;
        let to = socket()?;
        Ok(Self(tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                let to = to.clone();
                tokio::spawn(async move {
                    let mut daemon = UnixStream::connect(&to).await?;
                    let Some(most) = most else {
                        return copy_bidirectional(&mut from, &mut daemon).await.map(drop);
                    };
                    let mut asks = vec![0; 4096];
                    let length = from.read(&mut asks).await?;
                    daemon.write_all(&asks[..length]).await?;
                    let mut answer = vec![0; most];
                    daemon.read_exact(&mut answer).await?;
                    from.write_all(&answer).await
                });
            }
        })))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One process in that container.
fn inside(id: &str, pid: i64) -> ProcessTable {
    let redis = Process {
        pid: i32::try_from(pid).unwrap_or_default(),
        parent: 1,
        name: "redis-server".into(),
        command: "redis-server *:6379".into(),
        uid: 0,
        user: "root".into(),
        container: Some(id.into()),
        unit: None,
        cpu_percent: None,
        rss_bytes: 1,
        vram_bytes: None,
        threads: 1,
        ports: vec![6379],
        started_ms: 1,
        cpu_trace: Vec::new(),
        own: false,
    };
    ProcessTable { at_ms: 1, processes: vec![redis], ..ProcessTable::default() }
}
