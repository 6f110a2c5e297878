use std::{path::Path, sync::Arc};

use plimsoll_core::{
    clock::ManualClock,
    config::{Environment, Loaded},
    record::Nowhere,
};
use plimsoll_services::service::ServiceState;

use super::*;

fn config(text: &str) -> Arc<Config> {
    let loaded = Loaded::of(text.into(), &Environment::default());
    assert_eq!(loaded.problems, []);
    loaded.config
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
    let (publish, mut asked) = watch::channel(Asked::default());
    let following = tokio::spawn(follow(config, publish));
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
    let services = as_configured(&config, 7).await.unwrap();
    assert_eq!((&*services[0].id, services[0].state), ("x", ServiceState::Unknown));
    assert_eq!((services[0].since_ms, services[0].checked_ms), (7, None));
    assert_eq!(services[0].hints[0].id, "key-file");
    assert!(services[0].hints[0].text.contains("/nowhere/key"), "{:?}", services[0].hints);
    let fault = test_alone(&config, "x", false).await.unwrap_err();
    assert_eq!(fault.code, FaultCode::Invalid);
    assert!(fault.message.contains("/nowhere/key"), "{fault}");
}

#[tokio::test]
async fn what_is_no_address_and_no_service_is_told_what_would_be() {
    let config = config("[services.llama]\nurl = \"http://127.0.0.1:1\"\n");
    let test = async |target: &str| {
        let fault = test_alone(&config, target, false).await.unwrap_err();
        (fault.code, fault.hint.unwrap())
    };
    let like = |hint: &str| hint.to_owned();
    assert_eq!(test("lama").await, (FaultCode::NotFound, like("There are: llama.")));
    assert_eq!(
        test("localhost:8080").await,
        (FaultCode::Invalid, like("Did you mean http://localhost:8080?"))
    );
    for bad in ["ftp://127.0.0.1", "http://", "http://me:secret@127.0.0.1:1"] {
        let fault = test_alone(&config, bad, false).await.unwrap_err();
        assert_eq!(fault.code, FaultCode::Invalid, "{bad}: {fault}");
        assert!(!fault.message.contains("secret"), "{fault}");
    }
}

#[tokio::test]
async fn a_simulated_workstation_asks_no_real_server() {
    let (_tell, config) = watch::channel(config("[services.x]\nurl = \"http://127.0.0.1:1\"\n"));
    let services = Services::start(Parts {
        config: config.clone(),
        clock: Arc::new(ManualClock::at(0)),
        record: Arc::new(Nowhere),
        processes: watch::channel(Arc::default()).1,
        simulated: true,
    })
    .await
    .unwrap();
    assert_eq!(services.list(), []);
    assert_eq!(services.show("x").await.unwrap_err().code, FaultCode::NotFound);
    for fault in [
        services.test(&address("http://127.0.0.1:1")).await.unwrap_err(),
        test_alone(&config.borrow().clone(), "x", true).await.unwrap_err(),
    ] {
        assert_eq!(fault.code, FaultCode::Unavailable);
        assert!(fault.message.contains("simulated"), "{fault}");
    }
}

#[tokio::test]
async fn an_address_is_tried_with_the_kind_and_the_key_that_it_would_be_watched_with() {
    let config = config("");
    let (_tell, config) = watch::channel(config);
    let services = Services::start(Parts {
        config,
        clock: Arc::new(ManualClock::at(0)),
        record: Arc::new(Nowhere),
        processes: watch::channel(Arc::default()).1,
        simulated: false,
    })
    .await
    .unwrap();
    let with = |kind: &str, key_file: &str| ServiceTest {
        kind: kind.into(),
        key_file: key_file.into(),
        ..address("http://127.0.0.1:1")
    };
    let kind = services.test(&with("lama", "")).await.unwrap_err();
    assert!(kind.message.contains("\"lama\"") && kind.hint.unwrap().contains("llama-cpp"));
    let key = services.test(&with("auto", "/nowhere/key")).await.unwrap_err();
    assert!(key.message.contains("/nowhere/key"), "{key}");
    services.stop();
}
