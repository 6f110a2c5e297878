//! The stores of the simulated machine, read by the adapters that look at real ones.

use std::time::Duration;

use plimsoll_core::{
    clock::Instant3,
    metric::Metric,
    process::{EndProcess, ProcessTable},
    reading::Tick,
};
use plimsoll_sense::{Options, Sources};
use plimsoll_services::{
    adapter::{Adapter, Condition, FigureValue, Memory, Probe, Scrape, identify},
    adapters,
    client::{Bounds, Client, Limits, Target},
    discovery::Place,
    fleet::holder_of,
    kind::ServiceKind,
    normalise::Normaliser,
    service::{Figures, Loaded},
};
use plimsoll_sim::{Cast, Company, Simulation};
use tokio::{net::TcpStream, sync::watch, time::sleep};

/// Tuesday 17 November 2026, 14:32 UTC; the day's own clock then says 14:31.
const NOW_MS: i64 = 1_794_925_920_000;
const HOUR_MS: i64 = 3_600_000;
const BOUNDS: Bounds =
    Bounds { budget: Duration::from_secs(5), max_body: 4 << 20, connections: None };

/// The machine with its doubles.
struct Stage {
    cast: Cast,
    sources: Sources,
    company: Company,
}

fn at(ms: i64) -> Instant3 {
    Instant3 { wall_ms: NOW_MS + ms, monotonic_ms: 5_000_000 + ms, boottime_ms: 5_000_000 + ms }
}

fn day(cast: &Cast) -> Simulation {
    cast.on(Simulation::new("day", 7, 1.0, at(0)).unwrap().since(NOW_MS - HOUR_MS))
}

fn stage() -> Stage {
    let mut cast = Cast::bind().unwrap();
    let simulation = day(&cast);
    let sources = simulation.sources(watch::channel(Options::default()).1);
    let company = cast.start(&simulation, at(0)).unwrap();
    Stage { cast, sources, company }
}

fn target(stage: &Stage, id: &str) -> Target {
    let url = stage.cast.services().into_iter().find(|played| played.id == id).unwrap().url;
    let client = Client::new(Limits::of(2, false)).unwrap();
    Target::new(&client, &url, None, BOUNDS).unwrap()
}

fn adapter(kind: ServiceKind) -> std::sync::Arc<dyn Adapter> {
    adapters::all().into_iter().find(|adapter| adapter.kind() == kind).unwrap()
}

async fn look(stage: &Stage, id: &str, kind: ServiceKind) -> Scrape {
    adapter(kind).scrape(&target(stage, id), &mut Memory::default()).await.unwrap()
}

/// What two looks five seconds apart tell, with the rates between them.
async fn figures(stage: &Stage, id: &str, kind: ServiceKind) -> Figures {
    let mut normaliser = Normaliser::new(id);
    normaliser.take(&look(stage, id, kind).await, 0);
    sleep(Duration::from_secs(5)).await;
    normaliser.take(&look(stage, id, kind).await, 5000).figures
}

fn scan(stage: &mut Stage, ms: i64) -> std::sync::Arc<ProcessTable> {
    for source in &mut stage.sources.list {
        source.read(at(ms), &mut Vec::new()).unwrap();
    }
    stage.sources.processes.borrow().clone()
}

#[tokio::test]
async fn each_store_is_known_as_what_it_plays_and_held_by_its_process() {
    let mut stage = stage();
    let table = scan(&mut stage, 0);
    for (id, kind, version, process, port) in [
        ("whisper", ServiceKind::Speaches, None, "python3", 0),
        ("redis", ServiceKind::Redis, Some("7.2.4"), "redis-server", 1),
        ("qdrant", ServiceKind::Qdrant, Some("1.15.1"), "qdrant", 2),
    ] {
        let probe = Probe::new(target(&stage, id));
        let known = identify(&adapters::all(), &probe, Some(kind), Duration::from_secs(60)).await;
        let known = known.unwrap_or_else(|| panic!("{id} is not known"));
        assert_eq!((known.kind, known.version.as_deref()), (kind, version));
        let scrape = look(&stage, id, kind).await;
        assert_eq!((&scrape.condition, &*scrape.hints), (&Condition::Ready, &[][..]), "{id}");
        let port = stage.company.stores()[port].address().port();
        let holder = holder_of(&table, &[], Place { ip: None, port }, Some(kind)).unwrap();
        assert_eq!(holder.name, process);
    }
}

#[tokio::test(start_paused = true)]
async fn a_redis_tells_what_it_holds_and_what_is_asked_of_it() {
    let stage = stage();
    let told = figures(&stage, "redis", ServiceKind::Redis).await.redis.unwrap();
    let gib = told.memory_used_bytes.unwrap() / f64::from(1 << 30);
    assert!((1.5..1.75).contains(&gib), "{gib}");
    assert_eq!(told.memory_limit_bytes, Some(4.0 * f64::from(1 << 30)));
    assert_eq!(
        told.memory_rss_bytes.unwrap() - told.memory_used_bytes.unwrap(),
        told.fragmentation_bytes.unwrap()
    );
    let (hits, ops) = (told.hit_percent.unwrap(), told.ops_per_s.unwrap());
    assert!((90.0..96.0).contains(&hits) && (250.0..650.0).contains(&ops), "{told:?}");
    assert_eq!(told.evicted_per_s, Some(0.0));
    assert!((8.0..30.0).contains(&told.clients.unwrap()), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_qdrant_tells_its_points_its_requests_and_how_long_they_take() {
    let stage = stage();
    let told = figures(&stage, "qdrant", ServiceKind::Qdrant).await;
    let store = told.store.unwrap();
    assert_eq!(store.collections, Some(4.0));
    assert!((1_204_000.0..1_207_000.0).contains(&store.points.unwrap()), "{store:?}");
    assert!((15.0..80.0).contains(&store.requests_per_s.unwrap()), "{store:?}");
    let took = told.e2e.unwrap();
    assert!(took.p50_ms > 1.0 && took.p50_ms < took.p95_ms && took.p95_ms < 50.0, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_model_of_speaches_that_is_unloaded_frees_its_vram_until_it_is_loaded_again() {
    let mut stage = stage();
    let model = "Systran/faster-whisper-large-v3";
    let vram = |table: &ProcessTable| {
        table.processes.iter().find(|p| p.pid == 12011).unwrap().vram_bytes.unwrap()
    };
    assert!(vram(&scan(&mut stage, 0)) > 2 << 30);
    let (speaches, target) = (adapter(ServiceKind::Speaches), target(&stage, "whisper"));
    let state = async || {
        let models = look(&stage, "whisper", ServiceKind::Speaches).await.models.unwrap();
        models.into_iter().find(|known| known.name == model).unwrap().loaded
    };
    assert_eq!(state().await, Loaded::Loaded);
    speaches.unload(&target, model).await.unwrap();
    assert_eq!(state().await, Loaded::Unloaded);
    assert!(vram(&scan(&mut stage, 5000)) < 300 << 20);
    speaches.load(&target, model).await.unwrap();
    assert!(vram(&scan(&mut stage, 10_000)) > 2 << 30);
}

#[tokio::test(start_paused = true)]
async fn an_ended_redis_closes_its_port_and_another_machine_counts_the_same() {
    let mut stage = stage();
    let table = scan(&mut stage, 0);
    let one = figures(&stage, "redis", ServiceKind::Redis).await;
    let other = self::stage();
    assert_eq!(figures(&other, "redis", ServiceKind::Redis).await.redis, one.redis);

    let server = table.processes.iter().find(|p| p.name == "redis-server").unwrap();
    let request = EndProcess { pid: server.pid, started_ms: server.started_ms, kill: false };
    stage.sources.inspect.end(&request).unwrap();
    sleep(Duration::from_secs(10)).await;
    let address = stage.company.stores()[1].address();
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
}

#[test]
fn the_past_of_a_store_is_of_the_same_stuff_at_every_step() {
    let cast = Cast::unheard().unwrap();
    let past = |step| day(&cast).past(NOW_MS - HOUR_MS, NOW_MS, step).with_services(&cast);
    let fine: Vec<Tick> = past(1000).collect();
    let coarse: Vec<Tick> = past(60_000).collect();
    let same = [
        (Metric::RedisOps, "redis"),
        (Metric::RedisHits, "redis"),
        (Metric::RedisMemoryUsed, "redis"),
        (Metric::StoreRequests, "qdrant"),
        (Metric::StorePoints, "qdrant"),
        (Metric::ServiceRss, "qdrant"),
        (Metric::ServiceVram, "whisper"),
    ];
    for (metric, subject) in same {
        let told: Vec<f64> = coarse.iter().filter_map(|t| t.get(metric, subject)).collect();
        assert!(told.len() > 55, "{metric:?}");
        for (n, tick) in coarse.iter().enumerate() {
            assert_eq!(tick.get(metric, subject), fine[n * 60].get(metric, subject), "{metric:?}");
        }
    }
    let last = |metric, subject| coarse.last().unwrap().get(metric, subject).unwrap();
    let rate = |metric, subject| {
        (last(metric, subject) - coarse[0].get(metric, subject).unwrap()) / 59.0 / 60.0
    };
    let ops = rate(Metric::RedisOps, "redis");
    assert!((250.0..550.0).contains(&ops), "{ops}");
    let requests = rate(Metric::StoreRequests, "qdrant");
    assert!((20.0..50.0).contains(&requests), "{requests}");
    assert_eq!(last(Metric::RedisEvicted, "redis"), 0.0);
    assert_eq!(last(Metric::ServiceUp, "redis"), 1.0);
    // It holds more than the data that it has, as every process does.
    assert!(last(Metric::RedisMemoryUsed, "redis") < last(Metric::ServiceRss, "redis"));
}

#[tokio::test(start_paused = true)]
async fn who_looks_live_goes_on_counting_where_the_past_ended() {
    let stage = stage();
    let simulation = day(&stage.cast);
    let past = simulation.past(NOW_MS - 10_000, NOW_MS, 1000).with_services(&stage.cast);
    let last = past.filter_map(|tick| tick.get(Metric::RedisOps, "redis")).last().unwrap();
    let scrape = look(&stage, "redis", ServiceKind::Redis).await;
    let told = scrape.figures.iter().find(|figure| figure.metric == Metric::RedisOps).unwrap();
    let FigureValue::Total(live) = told.value else { panic!("a total") };
    // Told five seconds before.
    assert!((1000.0..4000.0).contains(&(live - last)), "{last} then {live}");
}
