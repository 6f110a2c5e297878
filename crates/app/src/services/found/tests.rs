//! What is kept of looks that the tests make up.

use std::net::SocketAddr;

use plimsoll_core::{
    clock::ManualClock,
    config::{Environment, Loaded},
    mark::MarkKind,
    record::{Layer, Nowhere},
};
use plimsoll_services::{
    adapter::Identity,
    discovery::{
        Candidate,
        candidates::{Key, Runner},
    },
    kind::ServiceKind,
};

use super::*;
use crate::api::FaultCode;

/// Keeps the titles of marks.
#[derive(Default)]
pub struct Noted(Mutex<Vec<String>>);

impl Noted {
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Layer for Noted {
    fn below(&self) -> &dyn Record {
        &Nowhere
    }
    fn on_mark(&self, mark: Mark) {
        assert_eq!(mark.kind, MarkKind::Service);
        assert_eq!(mark.reference, mark.subject.map(|id| format!("service:{id}")));
        self.0.lock().unwrap().push(mark.title);
    }
}

/// A data folder, over several starts.
pub struct World {
    pub dir: tempfile::TempDir,
    pub noted: Arc<Noted>,
}

impl World {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), noted: Arc::default() }
    }

    pub async fn state(&self) -> Arc<State> {
        Arc::new(State::open(self.dir.path()).await.unwrap())
    }

    pub async fn start(&self) -> Found {
        let clock = Arc::new(ManualClock::at(1_763_650_000_000));
        Found::load(self.state().await, clock, self.noted.clone()).await
    }
}

pub fn config(text: &str) -> Arc<Config> {
    let loaded = Loaded::of(text.into(), &Environment::default());
    assert_eq!(loaded.problems, []);
    loaded.config
}

/// A llama.cpp server of that model, as a look sees it.
pub fn llama(model: &str, port: u16) -> Sighting {
    Sighting {
        candidate: Candidate {
            key: Key { pid: i32::from(port), started: 1, port },
            inode: 0,
            addresses: Vec::new(),
            runner: Some(Runner {
                pid: i32::from(port),
                started_ms: 1,
                name: "llama-server".into(),
                command: format!("llama-server -m {model} --port {port}"),
                user: "ada".into(),
                unit: None,
                guessed: false,
            }),
            container: None,
            likely: None,
        },
        identity: Identity { name: Some(model.into()), ..Identity::of(ServiceKind::LlamaCpp) },
        address: SocketAddr::new([127, 0, 0, 1].into(), port),
    }
}

pub fn finds(sightings: &[Sighting]) -> Finds {
    Finds { at_ms: 1, sightings: sightings.to_vec(), ..Finds::default() }
}

fn offered(found: &Found) -> (Vec<String>, Vec<String>, Vec<String>) {
    let offers = found.offers().borrow().clone();
    (
        offers.accepted.iter().map(|of| of.id.clone()).collect(),
        offers.proposed.iter().map(|of| of.id.clone()).collect(),
        offers.ignored.iter().map(|of| of.id.clone()).collect(),
    )
}

fn ids(
    accepted: &[&str],
    proposed: &[&str],
    ignored: &[&str],
) -> (Vec<String>, Vec<String>, Vec<String>) {
    let own = |ids: &[&str]| ids.iter().map(ToString::to_string).collect();
    (own(accepted), own(proposed), own(ignored))
}

#[tokio::test]
async fn what_is_found_is_proposed_once_and_a_persons_word_holds_over_restarts() {
    let world = World::new();
    let plain = config("");
    let there = finds(&[llama("qwen", 8080), llama("gemma", 8081)]);
    let found = world.start().await;
    assert_eq!(found.see(&there, &plain).await, ["qwen", "gemma"]);
    assert_eq!(
        world.noted.take(),
        [
            "qwen (llama.cpp at http://127.0.0.1:8080) was found",
            "gemma (llama.cpp at http://127.0.0.1:8081) was found"
        ]
    );
    let words = found.accept(&plain, "qwen").await.unwrap().message;
    assert_eq!(words, "qwen (llama.cpp at http://127.0.0.1:8080) is watched from now on.");
    assert!(found.accept(&plain, "qwen").await.unwrap().message.ends_with("watched already."));
    assert_eq!(world.noted.take().len(), 1, "it is marked once");
    found.ignore(&plain, "gemma").await.unwrap();
    drop(found);

    // Both are down at the next start, and the accepted one is watched all the same.
    let found = world.start().await;
    assert_eq!(offered(&found), ids(&["qwen"], &[], &["gemma"]));
    assert_eq!(found.see(&finds(&[]), &plain).await, [""; 0]);
    assert_eq!(found.see(&there, &plain).await, [""; 0], "neither is proposed again");
    assert_eq!(offered(&found), ids(&["qwen"], &[], &["gemma"]));
    assert!(found.offers().borrow().ignored[0].live);
    found.restore(&plain, "gemma").await.unwrap();
    let gone = found.let_go("qwen").await.unwrap();
    assert!(
        gone.ends_with("is watched no more. It is proposed again while it is there."),
        "{gone}"
    );
    assert_eq!(offered(&found), ids(&[], &["qwen", "gemma"], &[]));
    drop(found);
    let found = world.start().await;
    assert_eq!(offered(&found), ids(&[], &[], &[]), "nobody has looked yet");
    assert_eq!(found.see(&there, &plain).await, [""; 0], "it is no news to anybody");
    assert_eq!(offered(&found), ids(&[], &["qwen", "gemma"], &[]));
    assert_eq!(
        world.noted.take(),
        ["qwen (llama.cpp at http://127.0.0.1:8080) is watched no more"]
    );
}

#[tokio::test]
async fn one_that_moves_is_the_same_and_one_that_is_accepted_by_itself_is_marked() {
    let world = World::new();
    let always = config("services.accept = \"always\"\n");
    let found = world.start().await;
    let fresh = found.see(&finds(&[llama("qwen", 8080)]), &always).await;
    assert_eq!((fresh, offered(&found)), (vec![], ids(&["qwen"], &[], &[])));
    found.see(&finds(&[]), &always).await;
    found.see(&finds(&[llama("qwen", 9000)]), &always).await;
    assert_eq!(found.entry("qwen").unwrap().url, "http://127.0.0.1:9000");
    assert_eq!(
        world.noted.take(),
        [
            "qwen (llama.cpp at http://127.0.0.1:8080) was found and is watched",
            "qwen moved from http://127.0.0.1:8080 to http://127.0.0.1:9000"
        ]
    );
    drop(found);
    assert_eq!(peek(world.dir.path()).await.entry("qwen").unwrap().url, "http://127.0.0.1:9000");
}

#[tokio::test]
async fn what_the_configuration_names_is_its_own() {
    let world = World::new();
    let found = world.start().await;
    let there = finds(&[llama("qwen", 8080), llama("gemma", 8081)]);
    found.see(&there, &config("")).await;
    found.accept(&config(""), "qwen").await.unwrap();
    // One has the address of the first, and one the id of the second.
    let named = config(
        "[services.big]\nurl = \"http://localhost:8080/\"\n[services.gemma]\nurl = \"http://far:1\"\n",
    );
    found.give_way(&named).await;
    assert_eq!(offered(&found), ids(&[], &[], &[]));
    // A look from before the search heard of it brings the first not back.
    assert_eq!(found.see(&there, &named).await, ["gemma-2"]);
    let fault = found.accept(&named, "big").await.unwrap_err();
    assert!(
        fault.code == FaultCode::Conflict && fault.message.contains("configuration"),
        "{fault}"
    );
}

#[tokio::test]
async fn a_word_about_what_is_not_there_says_what_is() {
    let world = World::new();
    let found = world.start().await;
    let plain = config("");
    let fault = found.ignore(&plain, "qwen").await.unwrap_err();
    assert_eq!(fault.code, FaultCode::NotFound);
    assert!(fault.hint.unwrap().contains("services add"));
    found.see(&finds(&[llama("qwen", 8080)]), &plain).await;
    let fault = found.accept(&plain, "quen").await.unwrap_err();
    assert_eq!(fault.hint.as_deref(), Some("There are: qwen."));
    let fault = found.let_go("qwen").await.unwrap_err();
    assert!(fault.hint.unwrap().contains("services ignore qwen"));
    found.accept(&plain, "qwen").await.unwrap();
    let fault = found.restore(&plain, "qwen").await.unwrap_err();
    assert!(fault.code == FaultCode::Conflict && fault.hint.unwrap().contains("services remove"));
}

#[tokio::test]
async fn what_is_damaged_is_set_aside_and_found_anew() {
    let world = World::new();
    world.state().await.keep(KEY, "[{\"id\": 3").await.unwrap();
    let found = world.start().await;
    assert_eq!(offered(&found), ids(&[], &[], &[]));
    found.see(&finds(&[llama("qwen", 8080)]), &config("")).await;
    drop(found);
    let state = world.state().await;
    assert!(state.kept(KEY).await.unwrap().unwrap().contains("qwen"));
    assert_eq!(state.kept(DAMAGED).await.unwrap().as_deref(), Some("[{\"id\": 3"));
    // A folder in which nothing ever ran has nothing, and gets nothing.
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(peek(empty.path()).await, Known::default());
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_look_that_shows_nothing_new_writes_nothing() {
    let world = World::new();
    let found = world.start().await;
    let (there, plain) = (finds(&[llama("qwen", 8080)]), config(""));
    found.see(&there, &plain).await;
    let state = world.state().await;
    state.keep(KEY, "\"touched by the test\"").await.unwrap();
    found.see(&there, &plain).await;
    assert_eq!(state.kept(KEY).await.unwrap().as_deref(), Some("\"touched by the test\""));
}

#[test]
fn two_ways_to_write_an_address_lead_to_one_place() {
    assert!(same_place("http://localhost:8080/", "http://127.0.0.1:8080"));
    assert!(same_place("redis://127.0.0.1", "redis://localhost:6379"));
    assert!(same_place("http://gpu-box:80", "http://gpu-box:80/"));
    assert!(!same_place("http://gpu-box:8080", "http://127.0.0.1:8080"));
    assert!(same_place("redis://172.17.0.2", "redis://172.17.0.2:6379/"));
    assert!(!same_place("http://10.0.0.7:8000/a", "http://10.0.0.7:8000/b"));
    assert!(!same_place("nonsense", "other nonsense"));
}
