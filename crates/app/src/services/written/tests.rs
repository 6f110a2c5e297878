use std::{fs, sync::Arc};

use plimsoll_core::{clock::ManualClock, config::Environment};

use super::{
    super::found::{
        Offers,
        tests::{World, config, finds, llama},
    },
    *,
};
use crate::api::RollbackRequest;

const MINE: &str = "\
# My workstation.
[services]
accept = \"ask\"   # I decide

# The big one.
[services.big]   # at night only
url = \"http://127.0.0.1:8080\"
scrape_ms = 500

# Sessions live here.
[services.cache]
url = \"redis://127.0.0.1\"
";

struct Desk {
    world: World,
    handle: ConfigHandle,
    found: Found,
}

impl Desk {
    async fn start(text: &str) -> Self {
        Self::with(text, Environment::default()).await
    }

    async fn with(text: &str, environment: Environment) -> Self {
        let world = World::new();
        let path = world.dir.path().join("plimsoll.toml");
        fs::write(&path, text).unwrap();
        let clock = Arc::new(ManualClock::at(1_763_650_000_000));
        let handle = ConfigHandle::load(path, environment, world.state().await, clock).await;
        let found = world.start().await;
        Self { world, handle, found }
    }

    fn text(&self) -> String {
        fs::read_to_string(self.world.dir.path().join("plimsoll.toml")).unwrap()
    }

    async fn add(&self, add: ServiceAdd) -> Result<ServiceAdded, Fault> {
        super::add(&self.handle, &self.found, &add).await
    }

    async fn remove(&self, id: &str) -> Result<ServiceRemoved, Fault> {
        let remove = ServiceRemove { id: id.into(), by: "window".into() };
        super::remove(&self.handle, &self.found, &remove).await
    }
}

fn at(url: &str) -> ServiceAdd {
    ServiceAdd { url: url.into(), by: "window".into(), ..ServiceAdd::default() }
}

#[tokio::test]
async fn what_is_added_stands_at_the_end_and_can_be_taken_back() {
    let desk = Desk::start(MINE).await;
    let add = ServiceAdd {
        name: "The fast one".into(),
        kind: "llama-cpp".into(),
        key_file: "/etc/llama.key".into(),
        ..at(" http://gpu-box:9000 ")
    };
    let added = desk.add(add).await.unwrap();
    assert_eq!(added.id, "the-fast-one");
    let table = "\n[services.the-fast-one]\nurl = \"http://gpu-box:9000\"\nname = \"The fast one\"\n\
                 kind = \"llama-cpp\"\nkey_file = \"/etc/llama.key\"\n";
    assert_eq!(desk.text(), format!("{MINE}{table}"));
    assert_eq!(desk.handle.config().services.entries["the-fast-one"].key_file, "/etc/llama.key");
    // Something else is changed, and the addition is still one that can be undone alone.
    fs::write(desk.handle.path(), desk.text().replace("scrape_ms = 500", "scrape_ms = 700"))
        .unwrap();
    let undo = RollbackRequest { revision: added.revision, by: "window".into() };
    desk.handle.undo(&undo).await.unwrap();
    assert_eq!(desk.text(), MINE.replace("scrape_ms = 500", "scrape_ms = 700"));
}

#[tokio::test]
async fn an_addition_that_was_given_more_settings_since_is_not_undone_over_them() {
    let desk = Desk::start("").await;
    let added = desk.add(at("http://gpu-box:9000")).await.unwrap();
    fs::write(desk.handle.path(), format!("{}scrape_ms = 700\n", desk.text())).unwrap();
    let undo = RollbackRequest { revision: added.revision, by: "window".into() };
    let fault = desk.handle.undo(&undo).await.unwrap_err();
    assert!(fault.message.contains("needs a url"), "{fault}");
    assert!(desk.text().contains("url"));
}

#[tokio::test]
async fn what_is_removed_goes_with_its_comments_alone_and_comes_back_with_them() {
    let desk = Desk::start(MINE).await;
    let removed = desk.remove("big").await.unwrap();
    assert_eq!(removed.message, "The service big is no longer in the configuration.");
    let left = "# My workstation.\n[services]\naccept = \"ask\"   # I decide\n\n\
                # Sessions live here.\n[services.cache]\nurl = \"redis://127.0.0.1\"\n";
    assert_eq!(desk.text(), left);
    assert!(!desk.handle.config().services.entries.contains_key("big"));
    // That it is still there is proposed, and no news.
    let there = finds(&[llama("qwen", 8080), llama("gemma", 8081)]);
    assert_eq!(desk.found.see(&there, &desk.handle.config()).await, ["gemma"]);
    assert_eq!(desk.found.offers().borrow().proposed.len(), 2);
    let undo = RollbackRequest { revision: removed.revision.unwrap(), by: "window".into() };
    desk.handle.undo(&undo).await.unwrap();
    assert_eq!(desk.text(), MINE);
}

#[tokio::test]
async fn an_older_removal_is_undone_with_its_settings() {
    let desk = Desk::start(MINE).await;
    let removed = desk.remove("big").await.unwrap();
    desk.add(at("http://gpu-box:9000")).await.unwrap();
    let undo = RollbackRequest { revision: removed.revision.unwrap(), by: "window".into() };
    desk.handle.undo(&undo).await.unwrap();
    let services = &desk.handle.config().services.entries;
    assert_eq!(services.keys().collect::<Vec<_>>(), ["big", "cache", "gpu-box-9000"]);
    assert_eq!(services["big"].scrape_ms, 500);
}

#[tokio::test]
async fn an_id_is_made_from_the_name_or_the_address_and_is_nobody_elses() {
    let desk = Desk::start(MINE).await;
    let id = async |add: ServiceAdd| desk.add(add).await.unwrap().id;
    assert_eq!(id(at("http://localhost:9001")).await, "local-9001");
    assert_eq!(
        id(ServiceAdd { kind: "vllm".into(), ..at("http://127.0.0.1:9002") }).await,
        "vllm-9002"
    );
    assert_eq!(id(at("https://gpu-box.lan/v1")).await, "gpu-box-lan");
    assert_eq!(id(at("https://gpu-box.lan/v2")).await, "gpu-box-lan-2");
    assert_eq!(id(ServiceAdd { name: "Big".into(), ..at("http://x:1") }).await, "big-2");
    assert_eq!(id(ServiceAdd { name: "Discover!".into(), ..at("http://x:2") }).await, "discover-2");
    let long = ServiceAdd { name: "a".repeat(40), ..at("http://x:3") };
    assert_eq!(id(long.clone()).await, "a".repeat(32));
    assert_eq!(
        id(ServiceAdd { url: "http://x:4".into(), ..long }).await,
        format!("{}-2", "a".repeat(30))
    );
    assert_eq!(id(ServiceAdd { id: Some("own".into()), ..at("http://x:5") }).await, "own");
}

#[tokio::test]
async fn what_cannot_be_added_says_what_could() {
    let desk = Desk::start(MINE).await;
    let fault = async |add: ServiceAdd| desk.add(add).await.unwrap_err();
    let with_id = |id: &str| ServiceAdd { id: Some(id.into()), ..at("http://x:1") };
    for (add, code, key, allowed) in [
        (at("gpu-box:8080"), FaultCode::Invalid, "services.gpu-box-8080.url", "http://"),
        (at("http://me:secret@x:1"), FaultCode::Invalid, "services.x-1.url", "file of its own"),
        (at(""), FaultCode::Invalid, "url", "http://127.0.0.1:8080"),
        (
            ServiceAdd { kind: "lama".into(), ..at("http://x:1") },
            FaultCode::Invalid,
            "services.x-1.kind",
            "llama-cpp",
        ),
        (
            ServiceAdd { key_file: "key".into(), ..at("http://x:1") },
            FaultCode::Invalid,
            "services.x-1.key_file",
            "whole path",
        ),
        (
            ServiceAdd { ca_file: "house.pem".into(), ..at("https://x:1") },
            FaultCode::Invalid,
            "services.x-1.ca_file",
            "whole path",
        ),
        (
            ServiceAdd { ca_file: "/nowhere/house.pem".into(), ..at("https://x:1") },
            FaultCode::Invalid,
            "services.x-1.ca_file",
            "No such file",
        ),
        (with_id("My llama"), FaultCode::Invalid, "My llama", "Write my-llama."),
        (with_id("discover"), FaultCode::Invalid, "discover", ""),
        (with_id("big"), FaultCode::Conflict, "big", "another id"),
        (at("http://localhost:8080/"), FaultCode::Conflict, "big", "services.big.name"),
    ] {
        let fault = fault(add.clone()).await;
        let said = format!("{} {}", fault.message, fault.hint.unwrap_or_default());
        assert_eq!(fault.code, code, "{add:?}: {said}");
        assert!(said.contains(key) && said.contains(allowed), "{add:?}: {said}");
        assert!(!said.contains("secret"), "{said}");
    }
    assert_eq!(desk.text(), MINE);
}

#[tokio::test]
async fn one_that_is_added_takes_the_place_of_one_that_was_found() {
    let desk = Desk::start("").await;
    let there = finds(&[llama("qwen", 8080), llama("gemma", 8081), llama("phi", 8082)]);
    desk.found.see(&there, &config("")).await;
    desk.found.accept(&config(""), "qwen").await.unwrap();
    // The accepted one's history goes on, whatever it is called.
    let named = ServiceAdd { name: "Big".into(), ..at("http://localhost:8080") };
    assert_eq!(desk.add(named).await.unwrap().id, "qwen");
    // Of one that was never watched the name is as good.
    assert_eq!(desk.add(at("http://localhost:8081")).await.unwrap().id, "gemma");
    let named = ServiceAdd { name: "Small".into(), ..at("http://localhost:8082") };
    assert_eq!(desk.add(named).await.unwrap().id, "small");
    assert_eq!(desk.found.ids(), BTreeSet::new());
    assert_eq!(desk.handle.config().services.entries.len(), 3);
}

#[tokio::test]
async fn an_addition_of_what_was_found_is_undone_to_what_it_was() {
    let desk = Desk::start("").await;
    let there = finds(&[llama("qwen", 8080), llama("gemma", 8081), llama("phi", 8082)]);
    desk.found.see(&there, &config("")).await;
    desk.found.accept(&config(""), "qwen").await.unwrap();
    desk.found.ignore(&config(""), "gemma").await.unwrap();
    let before = desk.found.offers().borrow().clone();
    let mut added = Vec::new();
    for port in [8080, 8081, 8082] {
        added.push(desk.add(at(&format!("http://127.0.0.1:{port}"))).await.unwrap());
    }
    assert_eq!(desk.found.ids(), BTreeSet::new());
    // What the search does whenever it hears of another configuration.
    let follow = async |found: &Found| {
        let config = desk.handle.config();
        found.give_way(&config).await;
        found.see(&there, &config).await
    };
    assert_eq!(follow(&desk.found).await, [""; 0]);
    for added in added.iter().rev() {
        let undo = RollbackRequest { revision: added.revision, by: "window".into() };
        desk.handle.undo(&undo).await.unwrap();
        assert_eq!(follow(&desk.found).await, [""; 0], "it is no news");
    }
    let after = desk.found.offers().borrow().clone();
    assert_eq!(sorted(&after), sorted(&before));
    // It holds over a restart, too.
    let again = desk.world.start().await;
    follow(&again).await;
    assert_eq!(sorted(&again.offers().borrow()), sorted(&before));
}

/// Ids of what is watched, proposed and ignored.
fn sorted(offers: &Offers) -> [BTreeSet<String>; 3] {
    [
        offers.accepted.iter().map(|of| of.id.clone()).collect(),
        offers.proposed.iter().map(|of| of.id.clone()).collect(),
        offers.ignored.iter().map(|of| of.id.clone()).collect(),
    ]
}

#[tokio::test]
async fn what_a_person_removes_is_proposed_whatever_it_was_before() {
    let desk = Desk::start("").await;
    let there = finds(&[llama("qwen", 8080)]);
    desk.found.see(&there, &config("")).await;
    desk.found.accept(&config(""), "qwen").await.unwrap();
    desk.add(at("http://127.0.0.1:8080")).await.unwrap();
    let removed = desk.remove("qwen").await.unwrap();
    let found = desk.world.start().await;
    for found in [&desk.found, &found] {
        found.give_way(&desk.handle.config()).await;
        found.see(&there, &desk.handle.config()).await;
        assert_eq!(
            sorted(&found.offers().borrow()),
            [[].into(), ["qwen".into()].into(), [].into()]
        );
    }
    // The removal is undone, and the configuration's it is.
    let undo = RollbackRequest { revision: removed.revision.unwrap(), by: "window".into() };
    desk.handle.undo(&undo).await.unwrap();
    desk.found.give_way(&desk.handle.config()).await;
    assert_eq!(desk.found.ids(), BTreeSet::new());
}

#[tokio::test]
async fn removing_what_stands_nowhere_says_what_there_is() {
    let desk = Desk::start(MINE).await;
    let plain = config("");
    desk.found.see(&finds(&[llama("qwen", 9000)]), &plain).await;
    let fault = desk.remove("other").await.unwrap_err();
    assert_eq!(fault.hint.as_deref(), Some("There are: big, cache, qwen."));
    let fault = desk.remove("qwen").await.unwrap_err();
    assert!(fault.hint.unwrap().contains("services ignore qwen"));
    desk.found.accept(&plain, "qwen").await.unwrap();
    let removed = desk.remove("qwen").await.unwrap();
    assert_eq!(removed.revision, None);
    assert_eq!(desk.found.offers().borrow().proposed[0].id, "qwen");
    assert_eq!(desk.text(), MINE);
}

#[tokio::test]
async fn what_the_environment_names_is_not_the_files_to_remove() {
    let variables = [("PLIMSOLL_SERVICES__FAR__URL", "http://far:1")];
    let environment = Environment::from_variables(variables);
    let desk = Desk::with(MINE, environment).await;
    let fault = desk.remove("far").await.unwrap_err();
    assert_eq!(fault.code, FaultCode::Conflict);
    assert!(fault.hint.unwrap().contains("PLIMSOLL_SERVICES__FAR__URL"));
    assert_eq!(desk.text(), MINE);
}
