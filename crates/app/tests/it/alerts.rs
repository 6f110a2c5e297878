//! From what a server tells over HTTP to the alert that a person reads.

use std::{collections::BTreeMap, fs, pin::Pin, sync::Arc, sync::Mutex, time::Duration};

use axum::{Router, extract::State, http::StatusCode, http::Uri};
use futures::{Stream, StreamExt};
use plimsoll_app::{
    api::{Command, Live, Nothing, Subscription},
    session::{Options, Session},
};
use plimsoll_core::{alert::Alert, mark::MarkKind};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};

const GIB: u64 = 1 << 30;

type LiveStream = Pin<Box<dyn Stream<Item = Live> + Send>>;
type Pages = Arc<Mutex<BTreeMap<&'static str, String>>>;

/// A server with pages that can be changed while it runs.
struct Server {
    port: u16,
    pages: Pages,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

// === impl Server ===

impl Server {
    async fn start(pages: &[(&'static str, String)]) -> Self {
        let pages: Pages = Arc::new(Mutex::new(pages.iter().cloned().collect()));
        let router = Router::new().fallback(page).with_state(pages.clone());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = axum::serve(listener, router).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        let serving = tokio::spawn(async { serve.await.unwrap() });
        Self { port, pages, stop, serving }
    }

    fn set(&self, path: &'static str, body: String) {
        self.pages.lock().unwrap().insert(path, body);
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap();
    }
}

async fn page(State(pages): State<Pages>, uri: Uri) -> (StatusCode, String) {
    match pages.lock().unwrap().get(uri.path()) {
        Some(body) => (StatusCode::OK, body.clone()),
        None => (StatusCode::NOT_FOUND, String::new()),
    }
}

async fn start(dir: &tempfile::TempDir, text: &str) -> (Session, LiveStream) {
    fs::write(dir.path().join("plimsoll.toml"), text).unwrap();
    let data_dir = Some(dir.path().to_path_buf());
    let session = Session::start(Options { data_dir, ..Options::default() }).await.unwrap();
    let live = Box::pin(session.subscribe(Subscription::default()));
    (session, live)
}

/// What holds of these rules, as `rule subject`. Of others, a machine may have its own.
async fn active(session: &Session, rules: &[&str]) -> Vec<Alert> {
    let alerts: Vec<Alert> = session.call(Command::Alerts(Nothing {})).await.unwrap();
    let open = |alert: &Alert| alert.row.end_ms.is_none() && rules.contains(&&*alert.row.rule);
    alerts.into_iter().filter(open).collect()
}

fn names(alerts: &[Alert]) -> Vec<String> {
    alerts.iter().map(|alert| format!("{} {}", alert.row.rule, alert.row.subject)).collect()
}

/// Listens to the stream until exactly these hold, as the window does.
async fn until(
    session: &Session,
    live: &mut LiveStream,
    rules: &[&str],
    wanted: &[&str],
) -> Vec<Alert> {
    let wait = timeout(Duration::from_secs(60), async {
        loop {
            let alerts = active(session, rules).await;
            if names(&alerts) == wanted {
                return alerts;
            }
            while !matches!(live.next().await.expect("the stream goes on"), Live::Alerts) {}
        }
    });
    wait.await.unwrap_or_else(|_| panic!("{wanted:?} come to hold"))
}

fn in_memory(size: u64, vram: u64) -> String {
    let model = json!({"name": "qwen2.5:14b", "size": size, "size_vram": vram,
                       "expires_at": "2318-01-01T00:00:00Z"});
    json!({ "models": [model] }).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_fell_to_the_cpu_and_then_its_server_alert_and_end() {
    let (here, all) = (4_402_341_478, 9 * GIB);
    let ollama = Server::start(&[
        ("/", "Ollama is running".into()),
        ("/api/version", json!({"version": "0.12.3"}).to_string()),
        ("/api/tags", json!({"models": []}).to_string()),
        ("/api/ps", in_memory(all, all)),
    ])
    .await;
    let dir = tempfile::tempdir().unwrap();
    let port = ollama.port;
    let text = format!(
        "services.discover = false\n\
         [services.ollama]\nurl = \"http://127.0.0.1:{port}\"\nname = \"Ollama\"\nscrape_ms = 250\n\
         [alerts.rules]\nmodel-on-cpu.for_s = 0\nservice-down.for_s = 0\n"
    );
    let (session, mut live) = start(&dir, &text).await;
    let rules = ["model-on-cpu", "service-down"];
    until(&session, &mut live, &rules, &[]).await;

    // It was loaded anew while less VRAM was free, and answers as before.
    ollama.set("/api/ps", in_memory(all, all - here));
    let told = until(&session, &mut live, &rules, &["model-on-cpu ollama/qwen2.5:14b"]).await;
    assert_eq!(
        told[0].row.title,
        "qwen2.5:14b in Ollama: 4.10 GiB of 9.00 GiB lie in RAM: that part runs on the CPU."
    );
    assert_eq!(told[0].value.map(f64::round), Some(54.0));
    assert!(told[0].advice.starts_with("Unload what else holds VRAM"), "{}", told[0].advice);
    ollama.set("/api/ps", in_memory(all, all));
    until(&session, &mut live, &rules, &[]).await;

    ollama.stop().await;
    let told = until(&session, &mut live, &rules, &["service-down ollama"]).await;
    let title = &told[0].row.title;
    assert!(title.starts_with("Ollama is down since "), "{title}");
    assert!(title.ends_with(&format!(": refused on 127.0.0.1:{port}.")), "{title}");
    session.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_inside_an_engine_alerts_and_stands_as_a_mark() {
    let metrics = |running: u32, waiting: u32| {
        format!(
            "vllm:num_requests_running{{model_name=\"m\"}} {running}\n\
             vllm:num_requests_waiting{{model_name=\"m\"}} {waiting}\n\
             vllm:generation_tokens_total{{model_name=\"m\"}} 1\n"
        )
    };
    let card: Value = json!({"id": "m", "object": "model", "owned_by": "vllm"});
    let vllm = Server::start(&[
        ("/health", String::new()),
        ("/version", json!({"version": "0.11.0"}).to_string()),
        ("/v1/models", json!({"object": "list", "data": [card]}).to_string()),
        ("/metrics", metrics(4, 3)),
    ])
    .await;
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "services.discover = false\n\
         [services.vllm]\nurl = \"http://127.0.0.1:{}\"\nscrape_ms = 250\n\
         [alerts.rules]\nservice-queue.for_s = 0\n",
        vllm.port
    );
    let (session, mut live) = start(&dir, &text).await;
    until(&session, &mut live, &["service-queue"], &[]).await;
    vllm.set("/metrics", metrics(32, 12));
    let told = until(&session, &mut live, &["service-queue"], &["service-queue vllm"]).await;
    assert_eq!(told[0].row.title, "12 requests wait inside vllm; 32 run.");
    vllm.set("/metrics", metrics(4, 0));
    let ended = timeout(Duration::from_secs(60), async {
        loop {
            match live.next().await.expect("the stream goes on") {
                Live::Mark { mark } if mark.kind == MarkKind::Alert && mark.end_ms.is_some() => {
                    return mark;
                }
                _ => {}
            }
        }
    });
    let mark = ended.await.expect("its mark is completed");
    assert_eq!((&mark.title, mark.subject.as_deref()), (&told[0].row.title, Some("vllm")));
    until(&session, &mut live, &["service-queue"], &[]).await;
    session.stop().await;
    vllm.stop().await;
}
