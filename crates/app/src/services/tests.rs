use std::{path::Path, sync::Arc};

use plimsoll_core::{clock::ManualClock, record::Nowhere};
use plimsoll_services::service::ServiceState;

use super::{
    found::tests::{World, config, finds, llama},
    *,
};
use crate::alerts::Notice;

/// Tells nobody.
struct Silent;

impl Notifier for Silent {
    fn notify(&self, _: &Notice) {}
}

/// Services of that configuration, with a folder of their own.
async fn services(text: &str, simulated: bool) -> (tempfile::TempDir, Services) {
    let dir = tempfile::tempdir().unwrap();
    let parts = Parts {
        config: watch::channel(config(text)).1,
        clock: Arc::new(ManualClock::at(0)),
        record: Arc::new(Nowhere),
        processes: watch::channel(Arc::default()).1,
        state: Arc::new(State::open(dir.path()).await.unwrap()),
        notifier: Arc::new(Silent),
        runs: None,
        simulated: simulated.then(Arc::default),
    };
    let services = Services::start(parts).await.unwrap();
    (dir, services)
}

fn with_key(path: &Path) -> Arc<Config> {
    let path = path.display();
    config(&format!("[services.x]\nurl = \"http://127.0.0.1:1\"\nkey_file = \"{path}\"\n"))
}

fn address(url: &str) -> ServiceTest {
    ServiceTest { target: url.into(), ..ServiceTest::default() }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_renewed_is_taken_without_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let (_tell, config) = watch::channel(with_key(&path));
    let (_offer, offers) = watch::channel(Arc::default());
    let (publish, mut asked) = watch::channel(Asked::default());
    let following = tokio::spawn(follow(config, offers, publish));
    let mut next = async || {
        asked.changed().await.unwrap();
        let now = asked.borrow_and_update().clone();
        let key = now.wanted.watched[0].key.as_ref().map(|key| key.reveal().to_owned());
        (key, now.keyless.contains_key("x"))
    };
    assert_eq!(next().await, (None, true));
    std::fs::write(&path, "old\n").unwrap();
    assert_eq!(next().await, (Some("old".into()), false));
    std::fs::write(&path, "new\n").unwrap();
    assert_eq!(next().await, (Some("new".into()), false));
    following.abort();
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_a_hint_on_its_service() {
    let config = with_key(Path::new("/nowhere/key"));
    let services = as_configured(&config, &Known::default(), 7).await.unwrap();
    assert_eq!((&*services[0].id, services[0].state), ("x", ServiceState::Unknown));
    assert_eq!((services[0].since_ms, services[0].checked_ms), (7, None));
    assert_eq!(services[0].hints[0].id, "key-file");
    assert!(services[0].hints[0].text.contains("/nowhere/key"), "{:?}", services[0].hints);
    let fault = test_alone(&config, &Known::default(), &address("x"), false).await.unwrap_err();
    assert_eq!(fault.code, FaultCode::Invalid);
    assert!(fault.message.contains("/nowhere/key"), "{fault}");
}

#[tokio::test]
async fn what_is_no_address_and_no_service_is_told_what_would_be() {
    let config = config("[services.llama]\nurl = \"http://127.0.0.1:1\"\n");
    let test = async |target: &str| {
        let fault =
            test_alone(&config, &Known::default(), &address(target), false).await.unwrap_err();
        (fault.code, fault.hint.unwrap())
    };
    let like = |hint: &str| hint.to_owned();
    assert_eq!(test("lama").await, (FaultCode::NotFound, like("There are: llama.")));
    assert_eq!(
        test("localhost:8080").await,
        (FaultCode::Invalid, like("Did you mean http://localhost:8080?"))
    );
    for bad in ["ftp://127.0.0.1", "http://", "http://me:secret@127.0.0.1:1"] {
        let fault = test_alone(&config, &Known::default(), &address(bad), false).await.unwrap_err();
        assert_eq!(fault.code, FaultCode::Invalid, "{bad}: {fault}");
        assert!(!fault.message.contains("secret"), "{fault}");
    }
}

#[tokio::test]
async fn a_simulated_workstation_asks_no_real_server() {
    let text = "[services.x]\nurl = \"http://127.0.0.1:1\"\n";
    let (_dir, services) = services(text, true).await;
    assert_eq!(services.list(), []);
    assert_eq!(services.show("x").await.unwrap_err().code, FaultCode::NotFound);
    for fault in [
        services.test(&address("http://127.0.0.1:1")).await.unwrap_err(),
        test_alone(&config(text), &Known::default(), &address("x"), true).await.unwrap_err(),
    ] {
        assert_eq!(fault.code, FaultCode::Unavailable);
        assert!(fault.message.contains("simulated"), "{fault}");
    }
}

#[tokio::test]
async fn an_address_is_tried_with_the_kind_and_the_key_that_it_would_be_watched_with() {
    let (_dir, services) = services("", false).await;
    let with = |kind: &str, key_file: &str| ServiceTest {
        kind: kind.into(),
        key_file: key_file.into(),
        ..address("http://127.0.0.1:1")
    };
    let kind = services.test(&with("lama", "")).await.unwrap_err();
    assert!(kind.message.contains("\"lama\"") && kind.hint.unwrap().contains("llama-cpp"));
    let key = services.test(&with("auto", "/nowhere/key")).await.unwrap_err();
    assert!(key.message.contains("/nowhere/key"), "{key}");
    let ask =
        ServiceTest { ca_file: "/nowhere/house.pem".into(), ..address("https://127.0.0.1:1") };
    let certificates = services.test(&ask).await.unwrap_err();
    assert_eq!(certificates.code, FaultCode::Invalid);
    assert!(certificates.message.contains("/nowhere/house.pem"), "{certificates}");
    services.stop();
}

#[tokio::test]
async fn on_a_simulated_workstation_nothing_is_looked_for() {
    let (_dir, services) = services("", true).await;
    assert_eq!(services.found(), ServicesFound::default());
    assert_eq!(services.accept("x").await.unwrap_err().code, FaultCode::NotFound);
}

#[tokio::test]
async fn where_nobody_runs_what_was_found_stands_beside_what_is_configured() {
    let world = World::new();
    let found = world.start().await;
    let plain = config("");
    found.see(&finds(&[llama("qwen", 8080), llama("gemma", 8081)]), &plain).await;
    found.accept(&plain, "gemma").await.unwrap();
    let known = found::peek(world.dir.path()).await;
    let config = config("[services.cache]\nurl = \"redis://127.0.0.1\"\n");
    let services = as_configured(&config, &known, 7).await.unwrap();
    let told: Vec<_> = services.iter().map(|of| (&*of.id, of.origin, of.state)).collect();
    let unknown = ServiceState::Unknown;
    assert_eq!(
        told,
        [
            ("cache", Origin::Configured, unknown),
            ("gemma", Origin::Accepted, unknown),
            ("qwen", Origin::Proposed, unknown)
        ]
    );
}
