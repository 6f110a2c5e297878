//! Another model where the first one fails or is not there, at the same service and at others.

use std::{sync::Arc, time::Duration};

use plimsoll_core::{
    config::{Environment, Loaded as Read},
    request::Finish,
};
use plimsoll_gateway::{route::Table, serve::Retry};
use plimsoll_services::{
    fleet::{FleetView, Wanted, Watched},
    kind::ServiceKind,
    service::{Loaded, Model, Origin, Service, ServiceState},
};
use plimsoll_sim::server::{Double, Fault, Handle, Planned, Spec};

use crate::house::{CHAT, House, Reply, backend, chat, options, room, row, spec};

const ROUTE: &str = "[gateway.routes.best]\nmodels = [\"best\"]\nsend_as = \"big:1b\"\n\
                     fallback = [\"small:1b\"]\n";

/// A double of Ollama, which has several models and no answer for another.
async fn ollama(models: &[&str]) -> Handle {
    let one = spec(2, 4, 0.0).models.remove(0);
    let models = models.iter().map(|name| {
        let mut model = one.clone();
        model.name = (*name).into();
        model
    });
    let models = models.collect();
    let spec = Spec { models, ..Spec::named("ollama").unwrap() };
    Double::start(spec).await.unwrap()
}

/// Each double with what it is said to have.
fn table(text: &str, doubles: &[(&str, &Handle, &[&str])]) -> Table {
    let read = Read::of(text.into(), &Environment::default());
    assert_eq!(read.problems, []);
    let (mut watched, mut services) = (Vec::new(), Vec::new());
    for (id, double, models) in doubles {
        let (kind, url) = (Some(ServiceKind::Ollama), double.url());
        let mut service = Service::new(id, id, kind, &url, Origin::Configured);
        service.state = ServiceState::Healthy;
        service.checked_ms = Some(1);
        service.models = models.iter().map(|name| Model::named(*name, Loaded::Unknown)).collect();
        watched.push(Watched::new(id, kind, &url, service.origin));
        services.push(Arc::new(service));
    }
    let wanted = Wanted { watched, proposed: Vec::new() };
    Table::make(&read.config, &wanted, &FleetView { at_ms: 1, services }, None)
}

async fn house(table: Table, tries: u8) -> House {
    let retry = Retry { most: tries, pause: Duration::from_millis(5), ..Retry::default() };
    let options = plimsoll_gateway::serve::Options { retry, ..options() };
    let house = House::open(vec![backend("none", "http://127.0.0.1:1")], room(2), options).await;
    house.table.send_replace(Arc::new(table));
    house
}

async fn ask(house: &House, stream: bool) -> Reply {
    house.client().await.post(CHAT, chat(stream, 4).replace("instant", "best")).await
}

fn failing(status: u16) -> Fault {
    Fault::Answers { status, retry_after_s: None }
}

#[tokio::test]
async fn where_the_first_model_fails_the_same_service_answers_with_the_other_and_says_so() {
    let double = ollama(&["big:1b", "small:1b"]).await;
    let house = house(table(ROUTE, &[("one", &double, &["big:1b", "small:1b"])]), 1).await;
    let whole = ask(&house, false).await;
    assert_eq!((whole.status, whole.header("x-plimsoll-fallback")), (200, None));
    assert_eq!(whole.json()["model"], "big:1b");
    // It cannot be loaded; or its server is short of something.
    for (round, status) in [500, 503].into_iter().enumerate() {
        double.set_fault(Planned::new(failing(status)).times(1));
        let other = ask(&house, round == 0).await;
        assert_eq!(other.status, 200, "{}", other.text());
        assert_eq!(other.header("x-plimsoll-fallback"), Some("small:1b"), "{status}");
        if round == 0 {
            assert!(other.text().contains("small:1b"), "{}", other.text());
            assert!(other.text().ends_with("data: [DONE]\n\n"));
        } else {
            assert_eq!(other.json()["model"], "small:1b");
        }
    }
    let row = row(&house.records, |row| row.retries == 1).await;
    assert_eq!((row.finish, row.status), (Finish::Answered, 200));
    assert_eq!(ask(&house, false).await.header("x-plimsoll-fallback"), None, "it is back");
}

#[tokio::test]
async fn a_model_that_is_not_there_costs_no_try() {
    let double = ollama(&["small:1b"]).await;
    // It told of both, and has let one go since.
    let house = house(table(ROUTE, &[("one", &double, &["big:1b", "small:1b"])]), 0).await;
    let reply = ask(&house, false).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("x-plimsoll-fallback"), Some("small:1b"));
    assert_eq!(reply.json()["model"], "small:1b");
    // Without a rule for it nothing is executed twice.
    double.set_fault(Planned::new(failing(500)).times(1));
    assert_eq!(ask(&house, false).await.status, 500);
    house.until(|flying, _| flying == 0).await;
}

#[tokio::test]
async fn the_last_model_that_fails_is_the_answer() {
    let double = ollama(&["big:1b", "small:1b"]).await;
    let house = house(table(ROUTE, &[("one", &double, &["big:1b", "small:1b"])]), 3).await;
    double.set_fault(Planned::new(failing(500)));
    let reply = ask(&house, false).await;
    assert_eq!(reply.status, 500, "{}", reply.text());
    assert_eq!(double.stats().requests, 2, "each model once");
}

#[tokio::test]
async fn another_service_with_the_first_model_goes_before_the_other_model() {
    let (one, two) = (ollama(&["big:1b", "small:1b"]).await, ollama(&["big:1b"]).await);
    let both = [("one", &one, &["big:1b", "small:1b"][..]), ("two", &two, &["big:1b"][..])];
    let text = format!("{ROUTE}policy = \"round-robin\"\n");
    let house = house(table(&text, &both), 2).await;
    one.set_fault(Planned::new(failing(500)));
    for _ in 0..4 {
        let reply = ask(&house, false).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.header("x-plimsoll-backend"), Some("two"));
        assert_eq!(reply.header("x-plimsoll-fallback"), None);
    }
}
