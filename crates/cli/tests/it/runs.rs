//! Services that Plimsoll runs itself, in the terminal, with little programs of the shell.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::{Command, Stdio},
    thread,
};

use serde_json::Value;

use crate::program::Place;

/// Configures a service `a` that says where it listens, and is served by the test once it runs.
fn configure(place: &Place, more: &str) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let text = format!(
        "[sampling]\ninterval_ms = 500\n[services.a]\nurl = \"http://127.0.0.1:{port}\"\n\
         kind = \"http\"\nscrape_ms = 250\n{more}"
    );
    fs::create_dir(place.data()).unwrap();
    fs::write(place.data().join("plimsoll.toml"), text).unwrap();
    listener
}

/// Answers every question with 200, until the test ends.
fn serve(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut line = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
}

fn run(place: &Place) -> Value {
    place.json(&["services", "show", "a", "--json"])["run"].clone()
}

/// Runs, and is not only still in the table because nobody has asked how it ended.
fn lives(pid: &Value) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// Ends what a killed Plimsoll left, also when the test fails.
struct Leftover(Option<Value>);

impl Drop for Leftover {
    fn drop(&mut self) {
        if let Some(pid) = self.0.take() {
            let group = format!("-{pid}");
            let _ =
                Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        }
    }
}

#[test]
fn a_service_is_started_read_stopped_and_found_again_after_a_kill() {
    let place = Place::new();
    let listener = configure(
        &place,
        "command = [\"sh\", \"-c\", \"echo started; while :; do sleep 0.1; done\"]\n\
         autostart = false\nstop_s = 5\n",
    );
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let up = place.up(&[]);
    assert_eq!(run(&place)["state"], "stopped");
    assert!(place.out(&["services"]).contains("It does not start with Plimsoll."));
    let said = place.out(&["services", "start", "a", "--no-wait"]);
    assert_eq!(said, "a is being started.\n");
    place.eventually("it writes", || {
        place.out(&["services", "output", "a"]).lines().any(|line| line == "started")
    });
    let mut left = Leftover(Some(run(&place)["pid"].clone()));
    serve(port);
    // It runs already: the word waits until it serves all the same.
    assert_eq!(place.out(&["services", "start", "a"]), "a runs.\n");
    let first = run(&place);
    assert_eq!((&first["state"], &first["restarts"]), (&"running".into(), &0.into()));
    let output = place.json(&["services", "output", "a", "--lines", "1", "--json"]);
    assert_eq!(output["lines"][0]["text"], "started");
    assert!(fs::read_to_string(output["file"].as_str().unwrap()).unwrap().ends_with("started\n"));
    assert!(place.out(&["services", "show", "a"]).contains("running since"));

    // SIGKILL: the service goes on, and the next Plimsoll takes it over.
    up.end("-KILL");
    assert!(lives(&first["pid"]));
    let alone = place.run(&["services", "output", "a"]);
    assert!(String::from_utf8_lossy(&alone.stdout).ends_with("started\n"));
    assert!(String::from_utf8_lossy(&alone.stderr).contains("not running"));
    let up = place.up(&[]);
    place.eventually("it is taken over", || run(&place)["state"] == "running");
    assert_eq!(run(&place)["pid"], first["pid"]);
    let text = place.out(&["services", "output", "a", "--lines", "1000"]);
    assert_eq!(text.lines().filter(|line| *line == "started").count(), 1);

    let stopped = place.json(&["services", "stop", "a", "--json"]);
    assert_eq!(stopped["run"]["state"], "stopped");
    assert!(!lives(&first["pid"]));
    left.0 = None;
    assert_eq!(place.out(&["services", "stop", "a", "--no-wait"]), "a does not run.\n");
    assert!(up.end("-TERM").success());
}

#[test]
fn what_plimsoll_runs_ends_with_it() {
    let place = Place::new();
    configure(&place, "command = [\"sleep\", \"600\"]\n");
    let up = place.up(&[]);
    place.eventually("it is started", || run(&place)["pid"].is_i64());
    let pid = run(&place)["pid"].clone();
    let _left = Leftover(Some(pid.clone()));
    assert!(up.end("-TERM").success());
    assert!(!lives(&pid));
}

#[test]
fn what_cannot_be_started_says_why_and_a_word_too_few_says_what_is_missing() {
    let place = Place::new();
    configure(
        &place,
        "command = [\"no-such-program\"]\nautostart = false\n[services.b]\nurl = \"http://127.0.0.1:1\"\n",
    );
    let (code, err) = place.fails(&["services", "start", "a"]);
    assert!(code == 1 && err.contains("No Plimsoll runs"), "{err}");
    let _up = place.up(&[]);
    let (code, err) = place.fails(&["services", "start", "a"]);
    assert!(code == 1 && err.contains("services.a.command: there is no program"), "{err}");
    assert!(err.contains("plimsoll services output a"), "{err}");
    assert!(place.out(&["services"]).contains("failed for"));
    for word in ["start", "stop", "output"] {
        let (code, err) = place.fails(&["services", word, "b"]);
        assert!(code == 1 && err.contains("has no command") && err.contains("config set"), "{err}");
        let (code, err) = place.fails(&["services", word, "c", "--json"]);
        let fault: Value = serde_json::from_str(&err).unwrap();
        assert_eq!((code, &fault["fault"]["code"]), (1, &"not_found".into()));
    }
    for wrong in [
        &["services", "start"][..],
        &["services", "output", "a", "--lines", "0"],
        &["services", "output", "a", "--lines", "1001"],
        &["services", "output", "a", "--follow", "--json"],
    ] {
        assert_eq!(place.fails(wrong).0, 2, "{wrong:?}");
    }
}
