//! Services that nobody named: found, proposed, accepted, added and removed, with the built
//! program beside servers of the test's own.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use serde_json::{Value, json};

use crate::program::{Place, Up};

/// As llama.cpp answers with one model loaded and two slots.
const PROPS: &str = r#"{"default_generation_settings":{"n_ctx":4096,"params":{}},"total_slots":2,"model_path":"/models/MODEL.gguf","model_alias":"MODEL","build_info":"b7100-abc","chat_template":""}"#;

/// A server in this process: to the program under test it is a stranger's. It speaks
/// llama.cpp's protocol, or Ollama's. It ends when it is dropped.
///
/// A process is one service of a kind, so there is never a second one of the same.
struct Server {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

impl Server {
    fn start(model: &str) -> Self {
        Self::at(model, 0)
    }

    fn at(model: &str, port: u16) -> Self {
        let props = PROPS.replace("MODEL", model);
        Self::serve(port, move |path| llama(path, &props))
    }

    fn ollama() -> Self {
        Self::serve(0, ollama)
    }

    fn serve<F>(port: u16, says: F) -> Self
    where
        F: Fn(&str) -> Option<String> + Clone + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let address = listener.local_addr().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let ends = over.clone();
        let serving = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let says = says.clone();
                thread::spawn(move || answer(&mut BufReader::new(stream), says));
            }
        });
        Self { address, over, serving: Some(serving) }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the one that waits for the next to come.
        let _ = TcpStream::connect(self.address);
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }
}

fn llama(path: &str, props: &str) -> Option<String> {
    let body = match path {
        "/health" | "/v1/health" => r#"{"status":"ok"}"#,
        "/props" => props,
        "/slots" => r#"[{"id":0,"is_processing":false},{"id":1,"is_processing":true}]"#,
        _ => return None,
    };
    Some(body.into())
}

fn ollama(path: &str) -> Option<String> {
    let body = match path {
        "/" => "Ollama is running",
        "/api/version" => r#"{"version":"0.12.3"}"#,
        "/api/ps" | "/api/tags" => r#"{"models":[]}"#,
        _ => return None,
    };
    Some(body.into())
}

fn answer(
    stream: &mut BufReader<TcpStream>,
    says: impl Fn(&str) -> Option<String>,
) -> std::io::Result<()> {
    let mut first = String::new();
    stream.read_line(&mut first)?;
    let mut line = String::new();
    while stream.read_line(&mut line)? > 2 {
        line.clear();
    }
    let body = says(first.split(' ').nth(1).unwrap_or_default());
    let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
    let body = body.unwrap_or_default();
    write!(
        stream.get_mut(),
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Looks often, and for services too, which other tests do without.
fn up(place: &Place) -> Up {
    up_with(place, "")
}

fn up_with(place: &Place, text: &str) -> Up {
    let file = place.data().join("plimsoll.toml");
    if !file.exists() {
        fs::create_dir_all(place.data()).unwrap();
        fs::write(&file, format!("[sampling]\nprocesses_ms = 2000\n{text}")).unwrap();
    }
    let mut command = place.command(&["up", "--json"]);
    command.env("PLIMSOLL_SERVICES__DISCOVER", "true");
    Up::wait(command)
}

fn list(place: &Place) -> Vec<Value> {
    let services = place.json(&["services", "--json"]);
    services.as_array().unwrap().clone()
}

/// The service at that address; servers of other tests may be found beside it.
fn at(place: &Place, url: &str) -> Option<Value> {
    list(place).into_iter().find(|service| service["url"] == url)
}

fn until(place: &Place, url: &str, origin: &str, state: &str) -> Value {
    let mut seen = Value::Null;
    place.eventually(&format!("{origin} {state} at {url}"), || {
        seen = at(place, url).unwrap_or_default();
        seen["origin"] == origin && seen["state"] == state
    });
    seen
}

#[test]
fn what_runs_here_is_proposed_and_once_accepted_watched_whatever_becomes_of_it() {
    let place = Place::new();
    let server = Server::start("qwen-one");
    let url = server.url();
    let running = up(&place);
    let found = until(&place, &url, "proposed", "unknown");
    assert_eq!((&found["id"], &found["kind"]), (&json!("qwen-one"), &json!("llama-cpp")));
    assert_eq!((&found["version"], &found["checked_ms"]), (&json!("b7100-abc"), &Value::Null));
    let table = place.out(&["services"]);
    let line = table.lines().find(|line| line.starts_with("qwen-one")).unwrap();
    assert!(line.contains("found; `plimsoll services accept qwen-one` watches it"), "{line}");

    assert!(
        place.out(&["services", "test", "qwen-one"]).starts_with("llama.cpp b7100-abc answers")
    );
    let said = place.out(&["services", "accept", "qwen-one"]);
    assert!(said.contains("is watched from now on"), "{said}");
    let watched = until(&place, &url, "accepted", "healthy");
    assert_eq!((&watched["id"], &watched["slots"]["busy"]), (&json!("qwen-one"), &json!(1)));
    assert!(running.end("-TERM").success());

    // Down while nobody runs, down at the next start: it is known, and down.
    let port = server.address.port();
    drop(server);
    assert_eq!(at(&place, &url).unwrap()["origin"], "accepted");
    let _running = up(&place);
    until(&place, &url, "accepted", "down");
    let _server = Server::at("qwen-one", port);
    until(&place, &url, "accepted", "healthy");
}

#[test]
fn one_that_is_ignored_is_proposed_no_more_until_it_is_restored() {
    let place = Place::new();
    let server = Server::start("qwen-two");
    let url = server.url();
    let running = up(&place);
    until(&place, &url, "proposed", "unknown");
    let done = place.json(&["services", "ignore", "qwen-two", "--json"]);
    assert!(done["message"].as_str().unwrap().contains("not proposed any more"), "{done}");
    place.eventually("it is gone", || at(&place, &url).is_none());
    drop(running);

    let again = up(&place);
    let other = Server::ollama();
    // Who looks by now has seen both.
    until(&place, &other.url(), "proposed", "unknown");
    assert_eq!(at(&place, &url), None);
    let told = place.run(&["services"]);
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(told.contains("ignored: qwen-two (`plimsoll services restore qwen-two`)"), "{told}");
    place.out(&["services", "restore", "qwen-two"]);
    until(&place, &url, "proposed", "unknown");
    drop(again);
}

#[test]
fn one_that_moves_to_another_port_is_known_again() {
    let place = Place::new();
    let server = Server::start("qwen-moves");
    let _running = up(&place);
    until(&place, &server.url(), "proposed", "unknown");
    place.out(&["services", "accept", "qwen-moves"]);
    until(&place, &server.url(), "accepted", "healthy");
    drop(server);
    let server = Server::start("qwen-moves");
    let moved = until(&place, &server.url(), "accepted", "healthy");
    assert_eq!(moved["id"], "qwen-moves");
    let same = list(&place).into_iter().filter(|of| of["name"] == "qwen-moves").count();
    assert_eq!(same, 1);
}

#[test]
fn of_one_that_was_found_it_can_be_said_how_much_it_takes_and_of_one_that_is_not_there_it_cannot() {
    let place = Place::new();
    let server = Server::start("qwen-holds");
    let _running = up(&place);
    until(&place, &server.url(), "proposed", "unknown");
    place.out(&["services", "accept", "qwen-holds"]);
    until(&place, &server.url(), "accepted", "healthy");
    let said = place.out(&["config", "set", "services.qwen-holds.max_in_flight", "2"]);
    assert!(said.contains("services.qwen-holds.max_in_flight: auto → 2"), "{said}");
    let text = fs::read_to_string(place.data().join("plimsoll.toml")).unwrap();
    assert!(text.contains("[services.qwen-holds]\nmax_in_flight = 2"), "{text}");
    assert!(!text.contains("url"), "{text}");
    // It is what it was: found, and accepted.
    until(&place, &server.url(), "accepted", "healthy");

    let (code, err) = place.fails(&["config", "set", "services.qwen-hold.max_in_flight=2"]);
    assert!(code == 1 && err.contains("There is no service \"qwen-hold\""), "{err}");
    assert!(err.contains("There are: ") && err.contains("qwen-holds"), "{err}");
    let (code, err) = place.fails(&["config", "set", "services.qwen-holds.key_file=/k"]);
    assert!(code == 1 && err.contains("needs a url"), "{err}");

    // By hand anything can be written: it is told, and taken out as a service is.
    let nobodys = format!("{text}[services.nobody]\nmax_tokens = 100\n");
    fs::write(place.data().join("plimsoll.toml"), nobodys).unwrap();
    place.eventually("it is told", || {
        let told = String::from_utf8(place.run(&["services"]).stderr).unwrap();
        told.contains("services.nobody of the settings is in force nowhere")
            && !told.contains("services.qwen-holds of")
    });
    place.out(&["services", "remove", "nobody"]);
    let told = String::from_utf8(place.run(&["services"]).stderr).unwrap();
    assert!(!told.contains("services.nobody"), "{told}");
}

#[test]
fn accepting_by_itself_watches_at_once() {
    let place = Place::new();
    let server = Server::start("qwen-always");
    let _running = up_with(&place, "[services]\naccept = \"always\"\n");
    let watched = until(&place, &server.url(), "accepted", "healthy");
    assert_eq!(watched["id"], "qwen-always");
}

#[test]
fn one_that_is_added_is_written_and_one_that_is_removed_leaves_other_comments() {
    let place = Place::new();
    let server = Server::start("qwen-added");
    let mine = "# Mine.\n[services.gone]  # far away\nurl = \"http://127.0.0.1:1\"\n";
    let _running = up_with(&place, mine);
    let file = place.data().join("plimsoll.toml");
    let text = fs::read_to_string(&file).unwrap();
    until(&place, &server.url(), "proposed", "unknown");

    let add = ["services", "add", &server.url(), "--name", "The added one", "--json"];
    let added = place.json(&add);
    assert_eq!(added["id"], "the-added-one");
    // It takes the place of the one that was found there.
    until(&place, &server.url(), "configured", "healthy");
    let told: Vec<Value> = list(&place);
    assert_eq!(told.iter().filter(|of| of["url"] == server.url()).count(), 1, "{told:?}");
    let (code, err) = place.fails(&["services", "add", &server.url()]);
    assert!(code == 1 && err.contains("the-added-one has the address"), "{err}");
    let (code, err) = place.fails(&["services", "add", "gpu-box:8080"]);
    assert!(code == 1 && err.contains("http://, https://"), "{err}");

    let said = place.out(&["services", "remove", "the-added-one"]);
    let back = said.lines().nth(1).unwrap();
    assert!(back.starts_with("`plimsoll config rollback "), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    until(&place, &server.url(), "proposed", "unknown");
    let (code, err) = place.fails(&["services", "remove", "qwen-added"]);
    assert!(code == 1 && err.contains("services ignore qwen-added"), "{err}");
    let revision = back.split(['`', ' ']).nth(4).unwrap();
    place.out(&["config", "rollback", revision]);
    until(&place, &server.url(), "configured", "healthy");
}

#[test]
fn without_a_running_one_the_files_are_changed() {
    let place = Place::new();
    let server = Server::start("qwen-alone");
    let running = up(&place);
    until(&place, &server.url(), "proposed", "unknown");
    assert!(running.end("-TERM").success());
    let file = place.data().join("plimsoll.toml");
    let text = fs::read_to_string(&file).unwrap();

    assert_eq!(at(&place, &server.url()).unwrap()["origin"], "proposed");
    let tested = place.json(&["services", "test", "qwen-alone", "--json"]);
    assert_eq!((&tested["url"], &tested["kind"]), (&json!(server.url()), &json!("llama-cpp")));
    place.out(&["services", "accept", "qwen-alone"]);
    assert_eq!(at(&place, &server.url()).unwrap()["origin"], "accepted");
    place.out(&["services", "ignore", "qwen-alone"]);
    assert_eq!(at(&place, &server.url()), None);
    let (code, err) = place.fails(&["services", "accept", "nobody"]);
    assert!(code == 1 && err.contains("There are:") && err.contains("qwen-alone"), "{err}");

    let key = place.path("key");
    fs::write(&key, "sk-1\n").unwrap();
    let add = ["services", "add", "http://gpu-box:8000", "--id", "big", "--kind", "vllm"];
    let mut add = place.command(&add);
    add.current_dir(key.parent().unwrap()).args(["--key-file", "key"]);
    let output = add.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = format!(
        "\n[services.big]\nurl = \"http://gpu-box:8000\"\nkind = \"vllm\"\nkey_file = \"{}\"\n",
        key.display()
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{text}{table}"));
    place.out(&["services", "remove", "big"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}
