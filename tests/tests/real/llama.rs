//! A llama.cpp server with one model.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use plimsoll_core::metric::Metric;
use plimsoll_services::{
    adapter::{Adapter as _, Condition, FigureValue, Memory, Scrape, identify},
    adapters::{LlamaCpp, all},
    kind::ServiceKind,
    normalise::Normaliser,
    service::{Basis, Loaded, Slots},
};
use plimsoll_tests::wait::until;

use crate::servers::{Server, model, path};

/// More than any of these tests waits for.
const ENDLESS: u32 = 60_000;

fn total(scrape: &Scrape, metric: Metric) -> Option<f64> {
    scrape.figures.iter().find(|figure| figure.metric == metric).and_then(|f| match f.value {
        FigureValue::Total(value) => Some(value),
        _ => None,
    })
}

fn hints(scrape: &Scrape) -> Vec<&str> {
    scrape.hints.iter().map(|hint| hint.id.as_str()).collect()
}

async fn idle(server: &Server) -> Result<()> {
    until("it is idle", async || {
        let slots = LlamaCpp.slots(&server.target()).await?;
        Ok(slots.is_some_and(|slots| slots.busy == Some(0)).then_some(()))
    })
    .await
}

fn told(total: u32, busy: u32, waiting: Option<u32>) -> Option<Slots> {
    Some(Slots { total: Some(total), busy: Some(busy), waiting, basis: Basis::Told })
}

// AA4
#[tokio::test]
#[ignore = "needs a real llama.cpp server: ./test.sh real runs it"]
async fn a_real_llama_cpp_server_is_known_and_tells_model_slots_and_tokens() -> Result<()> {
    let server = Server::with_model(2, 8192, &["--metrics"]).await?;
    let patience = Duration::from_secs(20);
    let known = identify(&all(), &server.probe(), None, patience).await.context("is known")?;
    assert_eq!((known.kind, known.wants_key), (ServiceKind::LlamaCpp, false));
    assert_eq!(known.name.as_deref(), Some("tide"));

    let mut memory = Memory::default();
    let first = server.look(&mut memory).await?;
    assert_eq!(first.condition, Condition::Ready);
    assert_eq!(first.version, known.version);
    assert!(first.version.as_ref().is_some_and(|version| version.starts_with('b')));
    assert_eq!(hints(&first), [""; 0]);
    assert_eq!(first.slots, told(2, 0, Some(0)));
    let models = first.models.as_ref().context("it tells its models")?;
    assert_eq!(models.len(), 1);
    let (one, file) = (&models[0], std::fs::metadata(model("tide")?)?.len());
    assert_eq!((one.name.as_str(), one.loaded), ("tide", Loaded::Loaded));
    assert_eq!((one.quantization.as_deref(), one.context_tokens), (Some("F32"), Some(8192)));
    // Its tensors, which are all of the file but its head. Of the GPU it says nothing.
    assert!(one.size_bytes.is_some_and(|size| size < file && size > file / 2), "{one:?} of {file}");
    assert_eq!((one.vram_bytes, one.gpu_share), (None, None));
    assert_eq!(LlamaCpp.slots(&server.target()).await?, told(2, 0, Some(0)));

    assert_eq!(server.complete(50, "").await?.status, 200);
    let second = server.look(&mut memory).await?;
    let more = |metric| Some(total(&second, metric)? - total(&first, metric)?);
    assert_eq!(more(Metric::TokensGenerated), Some(50.0));
    assert!(more(Metric::TokensPrompt).is_some_and(|tokens| tokens > 3.0));
    let mut normaliser = Normaliser::new("llama");
    normaliser.take(&first, 0);
    let figures = normaliser.take(&second, 1000).figures;
    assert_eq!((figures.generated_tokens_per_s, figures.running), (Some(50.0), Some(0.0)));
    println!("known as {:?} {:?}, {one:?}", known.kind, first.version);
    Ok(())
}

// AA4
#[tokio::test]
#[ignore = "needs a real llama.cpp server: ./test.sh real runs it"]
async fn a_server_that_loads_its_model_is_starting() -> Result<()> {
    // Room for a million tokens is cleared before it is ready, which takes a moment.
    let model = model("tide")?;
    let args = ["-m", path(&model)?, "-np", "8", "-c", "1048576"];
    let server = Server::llama(&args)?;
    let mut loading = 0;
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        ensure!(Instant::now() < end, "it is never ready: {}", server.output());
        match server.look(&mut Memory::default()).await {
            Ok(scrape) if scrape.condition == Condition::Ready => break,
            Ok(scrape) => {
                assert_eq!(scrape.condition, Condition::Loading("Loading model".into()));
                loading += 1;
                // While it loads it is known for what it is, too.
                if loading == 1 {
                    let known = LlamaCpp.identify(&server.probe()).await;
                    assert_eq!(known.map(|known| known.kind), Some(ServiceKind::LlamaCpp));
                }
            }
            Err(error) => ensure!(loading == 0, "it answered before: {error}"),
        }
    }
    println!("{loading} looks while it loaded");
    ensure!(loading > 0, "it was ready before anybody could look");
    Ok(())
}

#[tokio::test]
#[ignore = "needs a real llama.cpp server: ./test.sh real runs it"]
async fn slots_are_busy_while_they_stream_and_what_is_over_waits() -> Result<()> {
    let server = Server::with_model(2, 65_536, &["--metrics"]).await?;
    let look = async || server.look(&mut Memory::default()).await;
    let mut streams = Vec::new();
    for _ in 0..2 {
        streams.push(server.stream(ENDLESS).await?);
    }
    assert_eq!(look().await?.slots, told(2, 2, Some(0)));
    for _ in 0..3 {
        streams.push(server.stream_later(ENDLESS).await?);
    }
    until("three wait", async || {
        let scrape = look().await?;
        Ok((scrape.slots == told(2, 2, Some(3))).then_some(()))
    })
    .await?;
    // Who leaves takes the work along.
    let left = Instant::now();
    for stream in streams {
        stream.end().await;
    }
    until("all are idle", async || {
        let scrape = look().await?;
        Ok((scrape.slots == told(2, 0, Some(0))).then_some(()))
    })
    .await?;
    println!("five streams: 2 busy, 3 waiting; idle {:?} after they left", left.elapsed());
    Ok(())
}

#[tokio::test]
#[ignore = "needs a real llama.cpp server: ./test.sh real runs it"]
async fn tokens_count_as_they_stream_and_each_of_them_once() -> Result<()> {
    let server = Server::with_model(2, 65_536, &["--metrics"]).await?;
    let mut memory = Memory::default();
    let first = server.look(&mut memory).await?;
    assert_eq!(total(&first, Metric::TokensGenerated), Some(0.0));
    let mut so_far = async || {
        let scrape = server.look(&mut memory).await?;
        total(&scrape, Metric::TokensGenerated).context("it is told")
    };
    let stream = server.stream(ENDLESS).await?;
    let mut seen = vec![so_far().await?];
    while seen.last().is_some_and(|tokens| *tokens < 500.0) {
        ensure!(seen.len() < 1000, "they do not grow: {seen:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
        seen.push(so_far().await?);
    }
    assert!(seen.is_sorted(), "{seen:?}");
    // Of a request that is broken off the server itself never tells a token.
    stream.end().await;
    idle(&server).await?;
    let after = so_far().await?;
    assert!(after >= seen[seen.len() - 1], "{after} after {seen:?}");
    assert_eq!(so_far().await?, after);
    server.complete(50, "").await?;
    assert_eq!(so_far().await?, after + 50.0);
    println!("{} looks while it streamed, {after} tokens, and 50 of another", seen.len());
    Ok(())
}

#[tokio::test]
#[ignore = "needs a real llama.cpp server: ./test.sh real runs it"]
async fn without_its_metrics_it_is_well_and_its_slots_are_told() -> Result<()> {
    let server = Server::with_model(2, 65_536, &[]).await?;
    assert_eq!(server.get("/metrics").await?.status, 501);
    let mut memory = Memory::default();
    let scrape = server.look(&mut memory).await?;
    assert_eq!((scrape.condition.clone(), scrape.figures.len()), (Condition::Ready, 0));
    assert_eq!(hints(&scrape), ["no-metrics"]);
    assert_eq!(scrape.slots, told(2, 0, None));
    let stream = server.stream(ENDLESS).await?;
    assert_eq!(server.look(&mut memory).await?.slots, told(2, 1, None));
    stream.end().await;
    idle(&server).await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs a real llama.cpp server: ./test.sh real runs it"]
async fn with_a_key_it_is_locked_without_it_and_open_with_it() -> Result<()> {
    let server = Server::with_model(2, 4096, &["--metrics", "--api-key", "s3cret"]).await?;
    let status = async |path| anyhow::Ok(server.get(path).await?.status);
    let open = [status("/health").await?, status("/v1/models").await?];
    let closed = [status("/metrics").await?, status("/slots").await?, status("/props").await?];
    assert_eq!((open[0], closed), (200, [401; 3]));

    let known = LlamaCpp.identify(&server.probe()).await.context("is known without its key")?;
    assert!(known.wants_key);
    let look = async |target| LlamaCpp.scrape(&target, &mut Memory::default()).await;
    let without = look(server.target()).await?;
    assert_eq!(without.condition, Condition::Locked("answers 401: it wants a key".into()));
    assert_eq!(hints(&without), ["wants-a-key"]);
    let wrong = look(server.target_with("guess")).await?;
    assert_eq!(wrong.condition, Condition::Locked("answers 401: it refuses the key".into()));
    let right = look(server.target_with("s3cret")).await?;
    assert_eq!((right.condition.clone(), hints(&right)), (Condition::Ready, vec![]));
    assert_eq!(right.slots, told(2, 0, Some(0)));
    println!("/health and /v1/models {open:?}, /metrics, /slots and /props {closed:?}");
    Ok(())
}
