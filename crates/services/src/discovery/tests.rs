//! The search as a whole, against servers on this machine.

use std::sync::Mutex;

use plimsoll_core::clock::SystemClock;

use super::{
    candidates::tests::{process, table},
    docker::tests::Daemon,
    identify::tests::{Server, client, knowing},
    *,
};
use crate::kind::ServiceKind;

/// A machine whose processes and sockets are what the test says.
struct Machine {
    sockets: Arc<Mutex<Vec<Socket>>>,
    table: watch::Sender<Arc<ProcessTable>>,
    rules: watch::Sender<Arc<Rules>>,
    _discovery: Discovery,
    finds: watch::Receiver<Arc<Finds>>,
}

impl Machine {
    fn start() -> Self {
        Self::with_docker(Vec::new())
    }

    fn with_docker(docker: Vec<PathBuf>) -> Self {
        let sockets: Arc<Mutex<Vec<Socket>>> = Arc::default();
        let (table, processes) = watch::channel(Arc::default());
        let (rules, follow) = watch::channel(Arc::default());
        let read = sockets.clone();
        let discovery = Discovery::start(Parts {
            adapters: knowing(),
            client: client(),
            clock: Arc::new(SystemClock),
            processes,
            rules: follow,
            sockets: Arc::new(move || Some(read.lock().unwrap().clone())),
            docker,
        });
        let finds = discovery.finds();
        Self { sockets, table, rules, _discovery: discovery, finds }
    }

    /// These programs listen from now on, one port each.
    fn listen(&self, programs: &[(i32, &str, u16)]) {
        let socket = |&(pid, _, port): &(i32, &str, u16)| Socket {
            address: ([127, 0, 0, 1], port).into(),
            inode: u64::try_from(pid).unwrap(),
        };
        *self.sockets.lock().unwrap() = programs.iter().map(socket).collect();
        let run = |&(pid, name, port): &(i32, &str, u16)| process(pid, 1, name, &[port]);
        self.table.send_replace(Arc::new(table(programs.iter().map(run).collect())));
    }

    async fn until(&mut self, is: impl FnMut(&Arc<Finds>) -> bool) -> Arc<Finds> {
        let wait = self.finds.wait_for(is);
        let finds = tokio::time::timeout(Duration::from_secs(30), wait).await;
        finds.expect("found in time").expect("the search goes on").clone()
    }
}

fn kinds(finds: &Finds) -> Vec<(ServiceKind, u16)> {
    finds.sightings.iter().map(|s| (s.identity.kind, s.address.port())).collect()
}

#[tokio::test]
async fn a_server_that_starts_is_found_and_one_that_ends_is_gone() {
    let mut machine = Machine::start();
    let server = Server::http("200 OK", "vllm").await;
    machine.listen(&[(10, "python3 serve.py", server.port)]);
    let finds = machine.until(|finds| !finds.sightings.is_empty()).await;
    assert_eq!(kinds(&finds), [(ServiceKind::Vllm, server.port)]);
    assert!(finds.at_ms > 0);
    machine.listen(&[(10, "python3 serve.py", server.port)]);
    machine.listen(&[]);
    machine.until(|finds| finds.sightings.is_empty()).await;
    assert_eq!(server.asked.lock().unwrap().len(), 1, "asked once");
}

#[tokio::test]
async fn ports_that_hang_keep_no_other_from_being_found() {
    let mut machine = Machine::start();
    let mut hang = Vec::new();
    for _ in 0..3 * AT_ONCE {
        hang.push(Server::start("", true).await);
    }
    let server = Server::http("200 OK", "open").await;
    let mut programs: Vec<(i32, &str, u16)> =
        hang.iter().map(|s| (i32::from(s.port), "mute", s.port)).collect();
    programs.push((9, "app", server.port));
    machine.listen(&programs);
    let finds = machine.until(|finds| !finds.sightings.is_empty()).await;
    assert_eq!(kinds(&finds), [(ServiceKind::OpenAi, server.port)]);
}

#[tokio::test]
async fn switched_off_nothing_is_asked_or_told() {
    let mut machine = Machine::start();
    let server = Server::http("200 OK", "vllm").await;
    machine.listen(&[(10, "a", server.port)]);
    machine.until(|finds| !finds.sightings.is_empty()).await;
    machine.rules.send_replace(Arc::new(Rules { enabled: false, ..Rules::default() }));
    machine.until(|finds| finds.sightings.is_empty() && finds.undecided.is_empty()).await;
    let other = Server::http("200 OK", "vllm").await;
    machine.listen(&[(11, "b", other.port)]);
    machine.rules.send_replace(Arc::new(Rules::default()));
    machine.until(|finds| kinds(finds) == [(ServiceKind::Vllm, other.port)]).await;
}

#[tokio::test]
async fn a_port_that_the_configuration_names_is_left_to_it() {
    let mut machine = Machine::start();
    let (named, other) =
        (Server::http("200 OK", "vllm").await, Server::http("200 OK", "open").await);
    let left_out = BTreeSet::from([Place { ip: None, port: named.port }]);
    machine.rules.send_replace(Arc::new(Rules { enabled: true, left_out }));
    machine.listen(&[(10, "a", named.port), (11, "b", other.port)]);
    let finds = machine.until(|finds| !finds.sightings.is_empty()).await;
    assert_eq!(kinds(&finds), [(ServiceKind::OpenAi, other.port)]);
    assert!(named.asked.lock().unwrap().is_empty());
}

fn publishes(name: &str, port: u16) -> String {
    format!(
        r#"[{{"Id":"3f4a9c1b2d5e6f70","Names":["/{name}"],"Image":"x","Ports":[{{"IP":"127.0.0.1","PrivatePort":8000,"PublicPort":{port},"Type":"tcp"}}]}}]"#
    )
}

#[tokio::test]
async fn a_container_has_its_name_from_the_first_look_on() {
    let (first, later) =
        (Server::http("200 OK", "vllm").await, Server::http("200 OK", "open").await);
    let daemon = Daemon::json(&publishes("engine", first.port));
    let mut machine = Machine::with_docker(vec![daemon.socket()]);
    // Nothing listens in this network: the daemon alone tells of the port.
    machine.listen(&[]);
    let finds = machine.until(|finds| !finds.sightings.is_empty()).await;
    let name = |finds: &Finds| finds.sightings[0].candidate.container.clone().unwrap().name;
    assert_eq!(name(&finds).as_deref(), Some("engine"));
    assert_eq!((finds.docker.clone(), finds.containers.len()), (None, 1));
    // A proxy listens on a port that was not there before: whose it is, is asked first.
    daemon.says(&publishes("later", later.port));
    tokio::time::sleep(DOCKER_FRESH).await;
    machine.listen(&[(10, "docker-proxy", later.port)]);
    let finds = machine.until(|f| f.sightings.iter().any(|s| s.address.port() == later.port)).await;
    let mut known = Known::default();
    known.see(&finds.sightings, &finds.undecided, &Manner::default(), 1);
    assert!(known.entry("later").is_some(), "{:?}", known.entries());
}

#[tokio::test]
async fn a_port_that_docker_tells_of_later_is_its_containers_from_the_first_look_on() {
    let server = Server::http("200 OK", "vllm").await;
    let daemon = Daemon::json("[]");
    let mut machine = Machine::with_docker(vec![daemon.socket()]);
    // The daemon has opened the port, and does not call the container running yet; the
    // table is older than both.
    let at = ([127, 0, 0, 1], server.port).into();
    machine.sockets.lock().unwrap().push(Socket { address: at, inode: 9 });
    machine.table.send_replace(Arc::new(table(Vec::new())));
    tokio::time::sleep(DOCKER_FRESH).await;
    assert!(server.asked.lock().unwrap().is_empty());
    daemon.says(&publishes("engine", server.port));
    let finds = machine.until(|finds| !finds.sightings.is_empty()).await;
    let within = finds.sightings[0].candidate.container.as_ref().unwrap();
    assert_eq!(within.name.as_deref(), Some("engine"));
    // One that Docker never tells of is asked, too.
    let other = Server::http("200 OK", "open").await;
    let at = ([127, 0, 0, 1], other.port).into();
    machine.sockets.lock().unwrap().push(Socket { address: at, inode: 10 });
    machine.table.send_modify(|table| Arc::make_mut(table).at_ms += 1);
    machine.until(|finds| finds.sightings.len() == 2).await;
}
