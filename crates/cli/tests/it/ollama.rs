//! A small Ollama of the tests: models on disk and in memory.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
};

use serde_json::{Value, json};

/// Ends with the test's process.
#[derive(Clone)]
pub struct Ollama {
    pub url: String,
    inside: Arc<Inside>,
}

struct Inside {
    /// Whether it is in memory, by name.
    models: Mutex<BTreeMap<String, bool>>,
    /// A model of that name is never done loading.
    stuck: &'static str,
    begun: Mutex<bool>,
    begins: Condvar,
}

// === impl Ollama ===

impl Ollama {
    /// With models that are in memory, one that is not, and one that never will be.
    pub fn start(loaded: &[&str], idle: &str, stuck: &'static str) -> Self {
        let mut models: BTreeMap<_, _> = loaded.iter().map(|&m| (m.to_owned(), true)).collect();
        models.insert(idle.into(), false);
        models.insert(stuck.into(), false);
        let inside = Arc::new(Inside {
            models: Mutex::new(models),
            stuck,
            begun: Mutex::default(),
            begins: Condvar::new(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let kept = inside.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let inside = kept.clone();
                thread::spawn(move || inside.answer(&mut BufReader::new(stream)));
            }
        });
        Self { url, inside }
    }

    pub fn is_loaded(&self, model: &str) -> bool {
        self.inside.models.lock().unwrap()[model]
    }

    /// Waits until somebody loads the model that never will be.
    pub fn until_stuck(&self) {
        let begun = self.inside.begun.lock().unwrap();
        drop(self.inside.begins.wait_while(begun, |begun| !*begun).unwrap());
    }
}

// === impl Inside ===

impl Inside {
    fn answer(&self, stream: &mut BufReader<TcpStream>) -> std::io::Result<()> {
        let (mut first, mut length) = (String::new(), 0);
        stream.read_line(&mut first)?;
        let mut line = String::new();
        while stream.read_line(&mut line)? > 2 {
            if let Some(told) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = told.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let path = first.split(' ').nth(1).unwrap_or_default();
        let (status, said) = match path {
            "/" => (200, "Ollama is running".to_string()),
            "/api/version" => (200, json!({"version": "0.12.3"}).to_string()),
            "/api/tags" => (200, json!({"models": self.listed(false)}).to_string()),
            "/api/ps" => (200, json!({"models": self.listed(true)}).to_string()),
            "/api/generate" => self.generate(&serde_json::from_slice(&body).unwrap()),
            _ => (404, "404 page not found".to_string()),
        };
        write!(
            stream.get_mut(),
            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{said}",
            said.len()
        )
    }

    fn listed(&self, loaded: bool) -> Vec<Value> {
        let models = self.models.lock().unwrap();
        let listed = models.iter().filter(|&(_, &is)| is || !loaded);
        listed.map(|(name, _)| json!({"name": name, "size": 1 << 30})).collect()
    }

    fn generate(&self, wish: &Value) -> (u16, String) {
        let model = wish["model"].as_str().unwrap().to_owned();
        let load = wish["keep_alive"] != json!(0);
        if load && model == self.stuck {
            *self.begun.lock().unwrap() = true;
            self.begins.notify_all();
            loop {
                thread::park();
            }
        }
        let mut models = self.models.lock().unwrap();
        if !models.contains_key(&model) {
            return (404, json!({"error": format!("model '{model}' not found")}).to_string());
        }
        models.insert(model, load);
        (200, json!({"done": true}).to_string())
    }
}
