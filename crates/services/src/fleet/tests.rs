mod asked;
mod behind;

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use plimsoll_core::{
    clock::Instant3,
    mark::{Mark, MarkKind},
    metric::Metric,
    reading::Reading,
    record::{Layer, Nowhere},
    source::Source,
};

use super::{holder::process, *};
use crate::{
    adapter::{Figure, Identity, Probe, Scrape},
    client::Limits,
    service::{Figures, ServiceState},
};

/// All clocks go with the runtime's, which a test moves.
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Instant3 {
        let ms = i64::try_from(self.0.elapsed().as_millis()).unwrap();
        Instant3 { wall_ms: 1_000_000 + ms, monotonic_ms: ms, boottime_ms: ms }
    }
}

#[derive(Default)]
struct Marks(Mutex<Vec<Mark>>);

impl Layer for Marks {
    fn below(&self) -> &dyn Record {
        &Nowhere
    }
    fn on_mark(&self, mark: Mark) {
        self.0.lock().unwrap().push(mark);
    }
}

/// What a server of the test does when it is looked at for the nth time.
type Script = Box<dyn Fn(u32) -> Act + Send + Sync>;

enum Act {
    Answer(Scrape),
    Fail,
    Hang,
    Panic,
    Take(Duration),
}

struct Fake {
    kind: ServiceKind,
    script: Script,
    looks: AtomicU32,
    /// When it was looked at, in ms since the start.
    times: Mutex<Vec<u128>>,
    began: Instant,
    identifies: bool,
}

impl Fake {
    fn new(kind: ServiceKind, script: impl Fn(u32) -> Act + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            kind,
            script: Box::new(script),
            looks: AtomicU32::new(0),
            times: Mutex::default(),
            began: Instant::now(),
            identifies: false,
        })
    }

    fn looks(&self) -> u32 {
        self.looks.load(Ordering::SeqCst)
    }

    fn times(&self) -> Vec<u128> {
        self.times.lock().unwrap().clone()
    }

    fn gaps(&self) -> Vec<u128> {
        self.times().windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

#[async_trait]
impl Adapter for Fake {
    fn kind(&self) -> ServiceKind {
        self.kind
    }

    async fn identify(&self, _: &Probe) -> Option<Identity> {
        self.identifies.then(|| Identity::of(self.kind))
    }

    async fn scrape(&self, target: &Target, _: &mut Memory) -> Result<Scrape, CallError> {
        let nth = self.looks.fetch_add(1, Ordering::SeqCst);
        self.times.lock().unwrap().push(self.began.elapsed().as_millis());
        match (self.script)(nth) {
            Act::Answer(scrape) => Ok(scrape),
            Act::Fail => Err(CallError::Refused { place: target.place().to_string() }),
            Act::Hang => std::future::pending().await,
            Act::Panic => panic!("an adapter that is wrong"),
            Act::Take(time) => {
                tokio::time::sleep(time).await;
                Ok(Scrape::default())
            }
        }
    }

    async fn load(&self, _: &Target, model: &str) -> Result<(), ActionError> {
        if model == "m" { Ok(()) } else { Err(ActionError::Refused("no such model".into())) }
    }
}

fn well(_: u32) -> Act {
    Act::Answer(Scrape::default())
}

fn watched(id: &str, kind: ServiceKind) -> Watched {
    Watched::new(id, Some(kind), "http://127.0.0.1:8080", Origin::Configured)
}

struct Bench {
    fleet: Fleet,
    wanted: channel::Sender<Arc<Wanted>>,
    processes: channel::Sender<Arc<ProcessTable>>,
    marks: Arc<Marks>,
    clock: Arc<TokioClock>,
    _pace: channel::Sender<Pace>,
}

impl Bench {
    fn new(adapters: impl IntoIterator<Item = Arc<Fake>>, services: Vec<Watched>) -> Self {
        let (wanted, wanted_in) =
            channel::channel(Arc::new(Wanted { watched: services, proposed: Vec::new() }));
        let (processes, processes_in) = channel::channel(Arc::default());
        let (pace, pace_in) = channel::channel(Pace::default());
        let marks = Arc::new(Marks::default());
        let clock = Arc::new(TokioClock(Instant::now()));
        let fleet = Fleet::start(Parts {
            adapters: adapters.into_iter().map(|a| a as Arc<dyn Adapter>).collect(),
            client: Client::new(Limits::of(2, false)).unwrap(),
            clock: clock.clone(),
            record: marks.clone(),
            wanted: wanted_in,
            processes: processes_in,
            pace: pace_in,
        });
        Self { fleet, wanted, processes, marks, clock, _pace: pace }
    }

    fn want(&self, watched: Vec<Watched>) {
        self.wanted.send_replace(Arc::new(Wanted { watched, proposed: Vec::new() }));
    }

    fn service(&self, id: &str) -> Arc<Service> {
        let view = self.fleet.view();
        let found = view.borrow().services.iter().find(|s| s.id == id).cloned();
        found.unwrap_or_else(|| panic!("no service {id}"))
    }

    fn read(&self) -> Vec<Reading> {
        let mut out = Vec::new();
        self.fleet.source().read(self.clock.now(), &mut out).unwrap();
        out
    }

    fn titles(&self) -> Vec<String> {
        self.marks.0.lock().unwrap().iter().map(|m| m.title.clone()).collect()
    }
}

async fn pass(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn who_asks_before_the_first_look_is_told_what_is_wanted() {
    let bench = Bench::new([], vec![watched("chat", ServiceKind::Vllm)]);
    assert_eq!(bench.service("chat").state, ServiceState::Starting);
}

#[tokio::test(start_paused = true)]
async fn a_hung_service_delays_no_other() {
    let (hung, good) =
        (Fake::new(ServiceKind::Vllm, |_| Act::Hang), Fake::new(ServiceKind::LmStudio, well));
    let services = vec![watched("hung", ServiceKind::Vllm), watched("good", ServiceKind::LmStudio)];
    let bench = Bench::new([hung.clone(), good.clone()], services);
    pass(10.5).await;
    assert_eq!(good.times(), (0..=10u128).map(|s| s * 1000).collect::<Vec<_>>());
    assert_eq!(bench.service("good").state, ServiceState::Healthy);
    // Two budgets of 2 s a look, one look after the other.
    assert_eq!(hung.times(), [0, 4000, 8000]);
    let state = bench.service("hung");
    assert_eq!(state.state, ServiceState::Degraded);
    assert!(state.reason.contains("within 4000 ms"), "{}", state.reason);
}

// MV9
#[tokio::test(start_paused = true)]
async fn a_service_that_is_down_is_asked_less_and_less_and_again_when_it_is_back() {
    let fake = Fake::new(ServiceKind::Vllm, |nth| if nth < 7 { Act::Fail } else { well(nth) });
    let bench = Bench::new([fake.clone()], vec![watched("v", ServiceKind::Vllm)]);
    pass(111.5).await;
    assert_eq!(fake.gaps(), [1000, 2000, 5000, 10_000, 30_000, 30_000, 30_000, 1000, 1000, 1000]);
    assert_eq!(bench.service("v").state, ServiceState::Healthy);
    assert_eq!(
        bench.titles(),
        ["v is down: refused on 127.0.0.1:8080", "v is up again after 1 min"]
    );
    let marks = bench.marks.0.lock().unwrap();
    assert!(marks.iter().all(|m| m.kind == MarkKind::Service));
    assert_eq!(marks[0].reference.as_deref(), Some("service:v"));
}

#[tokio::test(start_paused = true)]
async fn engines_are_looked_at_every_second_and_others_every_five() {
    // It has no figures of requests, and logs each question.
    let ollama = Fake::new(ServiceKind::Ollama, well);
    let (engine, redis, own) = (
        Fake::new(ServiceKind::LlamaCpp, well),
        Fake::new(ServiceKind::Redis, well),
        Fake::new(ServiceKind::Qdrant, well),
    );
    let mut qdrant = watched("own", ServiceKind::Qdrant);
    qdrant.cadence = Some(Duration::from_secs(2));
    let services = vec![
        watched("engine", ServiceKind::LlamaCpp),
        watched("redis", ServiceKind::Redis),
        watched("ollama", ServiceKind::Ollama),
        qdrant,
    ];
    let fakes = [engine.clone(), redis.clone(), own.clone(), ollama.clone()];
    let _bench = Bench::new(fakes, services);
    pass(20.5).await;
    let looks = [engine.looks(), redis.looks(), own.looks(), ollama.looks()];
    assert_eq!(looks, [21, 5, 11, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_look_longer_than_its_cadence_is_not_made_up_for() {
    let fake = Fake::new(ServiceKind::Vllm, |_| Act::Take(Duration::from_millis(2500)));
    let _bench = Bench::new([fake.clone()], vec![watched("v", ServiceKind::Vllm)]);
    pass(9.0).await;
    assert_eq!(fake.times(), [0, 2500, 5000, 7500]);
}

#[tokio::test(start_paused = true)]
async fn figures_become_readings_and_a_view() {
    let fake = Fake::new(ServiceKind::Vllm, |nth| {
        Act::Answer(Scrape {
            version: Some("0.11".into()),
            figures: vec![
                Figure::gauge(Metric::RequestsRunning, 3.0),
                Figure::total(Metric::TokensGenerated, 100.0 * f64::from(nth)),
            ],
            ..Scrape::default()
        })
    });
    let bench = Bench::new([fake], vec![watched("v", ServiceKind::Vllm)]);
    pass(3.5).await;
    let of = |metric| {
        bench
            .read()
            .iter()
            .find(|r| r.metric == metric)
            .map(|r| (r.number(), r.subject.to_string()))
    };
    assert_eq!(of(Metric::RequestsRunning), Some((3.0, "v".into())));
    assert_eq!(of(Metric::ServiceUp), Some((1.0, "v".into())));
    let service = bench.service("v");
    assert_eq!(service.figures.generated_tokens_per_s, Some(100.0));
    assert_eq!(service.version.as_deref(), Some("0.11"));
    assert_eq!(bench.titles(), [] as [&str; 0], "well from the first look is no event");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_down_has_no_figures_and_says_so() {
    let fake = Fake::new(ServiceKind::Vllm, |nth| {
        if nth > 1 {
            return Act::Fail;
        }
        Act::Answer(Scrape {
            figures: vec![Figure::gauge(Metric::RequestsRunning, 3.0)],
            ..Scrape::default()
        })
    });
    let bench = Bench::new([fake], vec![watched("v", ServiceKind::Vllm)]);
    pass(4.0).await;
    assert_eq!(bench.service("v").state, ServiceState::Down);
    assert_eq!(bench.service("v").figures, Figures::default());
    let readings = bench.read();
    let up: Vec<_> = readings.iter().map(|r| (r.metric, r.number())).collect();
    assert_eq!(up, [(Metric::ServiceUp, 0.0)]);
}

#[tokio::test(start_paused = true)]
async fn an_adapter_that_panics_harms_only_its_own_service() {
    let (bad, good) = (
        Fake::new(ServiceKind::Vllm, |nth| if nth == 1 { Act::Panic } else { well(nth) }),
        Fake::new(ServiceKind::LmStudio, well),
    );
    let services = vec![watched("bad", ServiceKind::Vllm), watched("good", ServiceKind::LmStudio)];
    let bench = Bench::new([bad.clone(), good.clone()], services);
    pass(1.5).await;
    assert_eq!(bench.service("bad").state, ServiceState::Degraded);
    pass(2.0).await;
    assert_eq!(bench.service("bad").state, ServiceState::Healthy);
    assert_eq!((bad.looks(), good.looks()), (4, 4));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_longer_wanted_is_no_longer_asked() {
    let fake = Fake::new(ServiceKind::Vllm, well);
    let bench = Bench::new([fake.clone()], vec![watched("v", ServiceKind::Vllm)]);
    pass(1.5).await;
    bench.want(Vec::new());
    pass(5.0).await;
    assert_eq!(fake.looks(), 2);
    assert!(bench.fleet.view().borrow().services.is_empty());
    assert!(bench.read().is_empty());
    assert!(bench.fleet.look_now("v").await.is_none());
}

#[tokio::test(start_paused = true)]
async fn settings_take_effect_without_forgetting_the_state() {
    let fake = Fake::new(ServiceKind::Vllm, well);
    let mut service = watched("v", ServiceKind::Vllm);
    let bench = Bench::new([fake.clone()], vec![service.clone()]);
    pass(3.5).await;
    let since_ms = bench.service("v").since_ms;
    service.cadence = Some(Duration::from_secs(10));
    service.name = "My vLLM".into();
    bench.want(vec![service.clone()]);
    pass(10.5).await;
    assert_eq!(fake.times(), [0, 1000, 2000, 3000, 3500, 13_500]);
    assert_eq!(bench.service("v").name, "My vLLM");
    assert_eq!(bench.service("v").since_ms, since_ms);
    service.enabled = false;
    bench.want(vec![service]);
    pass(30.0).await;
    assert_eq!(fake.looks(), 6);
    assert_eq!(bench.service("v").state, ServiceState::Unknown);
    // Asked all the same, it says so and does not hang.
    let told = bench.fleet.look_now("v").await.unwrap();
    assert_eq!(told.state, ServiceState::Unknown);
}

#[tokio::test(start_paused = true)]
async fn what_is_proposed_is_shown_and_never_asked() {
    let fake = Fake::new(ServiceKind::Vllm, well);
    let bench = Bench::new([fake.clone()], Vec::new());
    bench.wanted.send_replace(Arc::new(Wanted {
        watched: Vec::new(),
        proposed: vec![Proposed {
            id: "found".into(),
            name: "vLLM".into(),
            kind: ServiceKind::Vllm,
            url: "http://127.0.0.1:8000".into(),
            version: None,
            found_ms: 5,
        }],
    }));
    pass(5.0).await;
    let service = bench.service("found");
    assert_eq!((service.state, service.origin), (ServiceState::Unknown, Origin::Proposed));
    assert_eq!(fake.looks(), 0);
}
