//! A small Ollama: what it has on disk and in memory, loading and unloading as the
//! real one does. It counts nothing and answers no prompt.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, oneshot},
    task::JoinHandle,
};

/// Bytes of a model in memory.
const SIZE: u64 = 4 << 30;

pub struct Ollama {
    pub port: u16,
    inside: Arc<Inside>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

struct Inside {
    models: Mutex<BTreeMap<String, Kept>>,
    /// What was asked of `/api/generate`, in order.
    asked: Mutex<Vec<Value>>,
    /// A load takes one; closed, it breaks off.
    gate: Semaphore,
}

/// How long a model stays in memory.
#[derive(Clone, Debug, PartialEq)]
pub enum Kept {
    OnDisk,
    Usual,
    Seconds(i64),
    Always,
}

// === impl Ollama ===

impl Ollama {
    /// Starts one; port 0 takes a free one.
    pub async fn start(port: u16, models: &[(&str, Kept)]) -> Self {
        let models = models.iter().map(|(name, kept)| (format!("{name}:latest"), kept.clone()));
        let inside = Arc::new(Inside {
            models: Mutex::new(models.collect()),
            asked: Mutex::default(),
            gate: Semaphore::new(1000),
        });
        let router = Router::new()
            .route("/", get(async || "Ollama is running"))
            .route("/api/version", get(async || Json(json!({"version": "0.12.3"}))))
            .route("/api/tags", get(tags))
            .route("/api/ps", get(ps))
            .route("/api/generate", post(generate))
            .with_state(inside.clone());
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = axum::serve(listener, router).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        let serving = tokio::spawn(async { serve.await.unwrap() });
        Self { port, inside, stop, serving }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Loads wait from now on, until the end.
    pub fn hold_loads(&self) {
        self.inside.gate.forget_permits(1000);
    }

    pub fn model(&self, name: &str) -> Kept {
        self.inside.models()[&format!("{name}:latest")].clone()
    }

    /// Somebody else loads it, or lets it go.
    pub fn set(&self, name: &str, kept: Kept) {
        self.inside.models().insert(format!("{name}:latest"), kept);
    }

    /// What was asked of `/api/generate` so far.
    pub fn asked(&self) -> Vec<Value> {
        self.inside.asked.lock().unwrap().clone()
    }

    /// Breaks off what it does, and is gone.
    pub async fn die(self) {
        self.inside.gate.close();
        self.stop.send(()).unwrap();
        self.serving.await.unwrap();
    }
}

// === impl Inside ===

impl Inside {
    fn models(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.models.lock().unwrap()
    }
}

async fn tags(State(inside): State<Arc<Inside>>) -> Json<Value> {
    let models = inside.models();
    let tags: Vec<Value> =
        models.keys().map(|name| json!({"name": name, "size": SIZE, "details": {}})).collect();
    Json(json!({ "models": tags }))
}

async fn ps(State(inside): State<Arc<Inside>>) -> Json<Value> {
    let models = inside.models();
    let running = models.iter().filter_map(|(name, kept)| {
        let seconds = match kept {
            Kept::OnDisk => return None,
            Kept::Usual => 300,
            Kept::Seconds(seconds) => *seconds,
            Kept::Always => 290 * 365 * 86_400,
        };
        let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
        Some(json!({
            "name": name, "size": SIZE, "size_vram": SIZE, "expires_at": expires.to_string(),
        }))
    });
    Json(json!({ "models": running.collect::<Vec<_>>() }))
}

async fn generate(
    State(inside): State<Arc<Inside>>,
    Json(wish): Json<Value>,
) -> (StatusCode, Json<Value>) {
    inside.asked.lock().unwrap().push(wish.clone());
    let name = wish["model"].as_str().unwrap().to_owned();
    if !inside.models().contains_key(&name) {
        let error = json!({"error": format!("model '{name}' not found")});
        return (StatusCode::NOT_FOUND, Json(error));
    }
    let kept = match wish["keep_alive"].as_i64() {
        Some(0) => Kept::OnDisk,
        Some(seconds) if seconds < 0 => Kept::Always,
        Some(seconds) => Kept::Seconds(seconds),
        None => Kept::Usual,
    };
    if kept != Kept::OnDisk {
        // A panic closes the connection without an answer, as a server does that dies.
        inside.gate.acquire().await.expect("the double dies").forget();
        inside.gate.add_permits(1);
    }
    inside.models().insert(name.clone(), kept);
    (StatusCode::OK, Json(json!({"model": name, "done": true})))
}
