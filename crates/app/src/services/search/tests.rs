use std::{path::PathBuf, sync::Mutex};

use super::{
    super::found::tests::{World, config, finds, llama},
    *,
};

#[derive(Default)]
struct Told(Mutex<Vec<Notice>>);

impl Notifier for Told {
    fn notify(&self, notice: &Notice) {
        self.0.lock().unwrap().push(notice.clone());
    }
}

/// A keeper that is led step by step.
struct Looks {
    world: World,
    finds: watch::Sender<Arc<Finds>>,
    config: watch::Sender<Arc<Config>>,
    found: Arc<Found>,
    told: Arc<Told>,
    keeper: Keeper,
}

impl Looks {
    async fn start() -> Self {
        let world = World::new();
        let found = Arc::new(world.start().await);
        let told = Arc::new(Told::default());
        let (finds, see) = watch::channel(Arc::default());
        let (config, follow) = watch::channel(config(""));
        let keeper = Keeper {
            finds: see,
            config: follow,
            always: false,
            found: found.clone(),
            notifier: told.clone(),
            untold: Vec::new(),
            tell_at: Instant::now(),
        };
        Self { world, finds, config, found, told, keeper }
    }

    async fn see(&mut self, ports: &[(&str, u16)]) {
        let sightings: Vec<_> = ports.iter().map(|&(model, port)| llama(model, port)).collect();
        self.finds.send_replace(Arc::new(finds(&sightings)));
        self.keeper.look().await;
    }

    fn told(&mut self) -> Vec<String> {
        self.keeper.tell();
        let told = std::mem::take(&mut *self.told.0.lock().unwrap());
        told.into_iter().map(|notice| notice.title).collect()
    }
}

#[tokio::test]
async fn what_is_found_together_is_one_notification() {
    let mut looks = Looks::start().await;
    looks.see(&[("qwen", 8080)]).await;
    let first = looks.keeper.tell_at;
    looks.see(&[("qwen", 8080), ("gemma", 8081), ("phi", 8082), ("glm", 8083)]).await;
    assert_eq!(looks.keeper.tell_at, first, "who comes later waits for nobody");
    assert_eq!(looks.told(), ["Found 4 services: qwen, gemma, phi, and 1 more"]);
    // Gone and back: it is known.
    looks.see(&[]).await;
    looks.see(&[("qwen", 8080)]).await;
    assert_eq!(looks.told(), [""; 0]);
    assert_eq!(looks.world.noted.take().len(), 4);
}

#[tokio::test]
async fn one_notification_says_what_it_is_and_where() {
    let mut looks = Looks::start().await;
    looks.see(&[("qwen", 8080)]).await;
    assert_eq!(looks.told(), ["Found: qwen (llama.cpp at http://127.0.0.1:8080)"]);
}

#[tokio::test]
async fn who_wants_no_notifications_gets_none_and_an_accepted_one_needs_none() {
    let mut looks = Looks::start().await;
    looks.config.send_replace(config("alerts.notify = false\n"));
    looks.see(&[("qwen", 8080)]).await;
    assert_eq!(looks.told(), [""; 0]);
    looks.config.send_replace(config("services.accept = \"always\"\n"));
    looks.see(&[("qwen", 8080), ("gemma", 8081)]).await;
    assert_eq!(looks.found.offers().borrow().accepted.len(), 2);
    assert_eq!(looks.told(), [""; 0]);
}

#[tokio::test]
async fn who_chooses_to_accept_all_means_those_that_wait_and_not_those_that_are_let_go() {
    let mut looks = Looks::start().await;
    looks.see(&[("qwen", 8080), ("gemma", 8081)]).await;
    looks.found.ignore(&config(""), "gemma").await.unwrap();
    looks.config.send_replace(config("services.accept = \"always\"\n"));
    looks.keeper.look().await;
    let accepted = looks.found.offers().borrow().accepted.clone();
    assert_eq!(accepted.iter().map(|of| &*of.id).collect::<Vec<_>>(), ["qwen"]);
    looks.found.let_go("qwen").await.unwrap();
    looks.keeper.look().await;
    assert!(looks.found.offers().borrow().accepted.is_empty());
}

#[tokio::test]
async fn the_configuration_takes_over_what_was_found_at_its_address() {
    let mut looks = Looks::start().await;
    looks.see(&[("qwen", 8080)]).await;
    let named = "[services.mine]\nurl = \"http://127.0.0.1:8080\"\n";
    looks.config.send_replace(config(named));
    looks.keeper.look().await;
    assert_eq!(looks.told(), [""; 0], "there is nothing to accept any more");
    assert_eq!(looks.found.entry("qwen"), None);
}

#[tokio::test]
async fn what_is_found_is_told_by_itself() {
    let looks = Looks::start().await;
    let told = looks.told.clone();
    looks.finds.send_replace(Arc::new(finds(&[llama("qwen", 8080)])));
    // The database is asked on a thread of its own: only now may the clock run ahead.
    tokio::time::pause();
    let keeper = tokio::spawn(looks.keeper.run());
    while told.0.lock().unwrap().is_empty() {
        tokio::time::sleep(BATCH).await;
    }
    keeper.abort();
}

#[test]
fn the_ports_of_the_configuration_are_left_to_it() {
    let config = config(
        "services.discover = false\n[services.a]\nurl = \"http://127.0.0.1:8080\"\n\
         [services.b]\nurl = \"redis://localhost\"\n[services.c]\nurl = \"http://gpu-box:9000\"\n\
         [services.d]\nurl = \"redis://172.17.0.2\"\n",
    );
    let rules = rules(&config);
    assert!(!rules.enabled);
    let places: Vec<_> = rules.left_out.into_iter().map(|at| (at.ip, at.port)).collect();
    let container = "172.17.0.2".parse().ok();
    assert_eq!(places, [(None, 6379), (None, 8080), (container, 6379)]);
}

#[test]
fn only_a_docker_that_is_there_and_silent_is_worth_a_word() {
    assert_eq!(docker_words(&DockerError::Absent), None);
    let socket = PathBuf::from("/var/run/docker.sock");
    let words = docker_words(&DockerError::Forbidden { socket: socket.clone() }).unwrap();
    assert!(
        words.contains("/var/run/docker.sock may not be read") && words.contains("group docker")
    );
    let words = docker_words(&DockerError::Stopped { socket }).unwrap();
    assert!(words.ends_with("Docker is not running."), "{words}");
}
