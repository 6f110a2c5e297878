//! llama.cpp's router: one server before several models.

use std::time::Instant;

use anyhow::{Context as _, Result};
use plimsoll_services::{
    adapter::{ActionError, Adapter as _, Condition, Memory, Scrape},
    adapters::LlamaCpp,
    kind::ServiceKind,
    service::Loaded::{self, Loaded as Is, Unloaded as Not},
};
use plimsoll_tests::wait::until;

use crate::servers::Server;

fn states(scrape: Scrape) -> Vec<(String, Loaded)> {
    let mut states: Vec<_> =
        scrape.models.into_iter().flatten().map(|model| (model.name, model.loaded)).collect();
    states.sort_by(|a, b| a.0.cmp(&b.0));
    states
}

fn both(swell: Loaded, tide: Loaded) -> Vec<(String, Loaded)> {
    vec![("swell".into(), swell), ("tide".into(), tide)]
}

#[tokio::test]
#[ignore = "needs a real llama.cpp server: ./test.sh real runs it"]
async fn looking_at_a_router_loads_no_model() -> Result<()> {
    let server = Server::router(&["--metrics"]).await?;
    let known = LlamaCpp.identify(&server.probe()).await.context("is known")?;
    assert_eq!((known.kind, known.name), (ServiceKind::LlamaCpp, None));
    let mut memory = Memory::default();
    for _ in 0..20 {
        let scrape = server.look(&mut memory).await?;
        assert_eq!(scrape.condition, Condition::Ready);
        let slots = scrape.slots.context("it has slots")?;
        assert_eq!((slots.busy, slots.waiting), (Some(0), Some(0)));
        assert_eq!(states(scrape), both(Not, Not));
    }
    assert_eq!(LlamaCpp.slots(&server.target()).await?, None);
    // A model that is loaded is a process of its own.
    assert_eq!(server.children()?, [0; 0]);
    Ok(())
}

#[tokio::test]
#[ignore = "needs a real llama.cpp server: ./test.sh real runs it"]
async fn models_of_a_router_are_loaded_and_unloaded_when_they_are_told() -> Result<()> {
    let server = Server::router(&["--metrics", "--models-max", "1", "-np", "3"]).await?;
    let (target, mut memory) = (server.target(), Memory::default());
    let began = Instant::now();
    LlamaCpp.load(&target, "tide").await?;
    println!("loaded in {} ms", began.elapsed().as_millis());
    assert_eq!(server.children()?.len(), 1);
    assert_eq!(server.complete(30, "tide").await?.status, 200);
    let scrape = server.look(&mut memory).await?;
    let slots = scrape.slots.context("it has slots")?;
    assert_eq!((slots.total, slots.busy), (Some(3), Some(0)));
    assert!(scrape.figures.iter().all(|figure| figure.model.as_deref() == Some("tide")));
    assert!(!scrape.figures.is_empty());
    assert_eq!(states(scrape), both(Not, Is));

    // There is room for one: loading the other takes its place.
    LlamaCpp.load(&target, "swell").await?;
    for _ in 0..20 {
        let scrape = server.look(&mut memory).await?;
        assert_eq!(states(scrape), both(Is, Not));
    }
    let began = Instant::now();
    LlamaCpp.unload(&target, "swell").await?;
    println!("unloaded in {} ms", began.elapsed().as_millis());
    assert_eq!(states(server.look(&mut memory).await?), both(Not, Not));
    // To unload what is not loaded is done already; what does not exist is refused.
    LlamaCpp.unload(&target, "swell").await?;
    let refused = LlamaCpp.load(&target, "no-such-model").await;
    assert_eq!(
        refused,
        Err(ActionError::Refused("This server has no model no-such-model.".into()))
    );
    until("its process is gone", async || Ok(server.children()?.is_empty().then_some(()))).await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs a real llama.cpp server: ./test.sh real runs it"]
async fn a_server_of_one_model_refuses_to_unload_it() -> Result<()> {
    let server = Server::with_model(1, 1024, &[]).await?;
    let refused = LlamaCpp.unload(&server.target(), "tide").await;
    let Err(ActionError::Refused(why)) = refused else { panic!("{refused:?}") };
    assert!(why.starts_with("This server holds the one model"), "{why}");
    Ok(())
}
