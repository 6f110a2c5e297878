//! Services in the terminal, with a small server of the test's own.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    thread,
};

use serde_json::{Value, json};

use crate::program::Place;

/// Answers every `GET /health` with 200 and everything else with 404, until the test ends.
fn web() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(&mut BufReader::new(stream)));
        }
    });
    url
}

fn answer(stream: &mut BufReader<std::net::TcpStream>) -> std::io::Result<()> {
    let mut first = String::new();
    stream.read_line(&mut first)?;
    let mut line = String::new();
    while stream.read_line(&mut line)? > 2 {
        line.clear();
    }
    let status = if first.starts_with("GET /health ") { "200 OK" } else { "404 Not Found" };
    write!(stream.get_mut(), "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

/// An address of this machine at which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn configure(place: &Place, text: &str) {
    fs::create_dir(place.data()).unwrap();
    fs::write(place.data().join("plimsoll.toml"), text).unwrap();
}

#[test]
fn without_a_running_one_the_configuration_is_told_and_a_test_still_asks() {
    let place = Place::new();
    assert!(place.out(&["services"]).starts_with("No service is configured"));
    assert!(!place.data().exists(), "who asks makes nothing");
    let url = web();
    configure(&place, &format!("[services.page]\nurl = \"{url}\"\nkind = \"http\"\n"));

    let output = place.run(&["services", "--json"]);
    assert!(output.status.success());
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "plimsoll: not running; as the configuration has it\n"
    );
    let services: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(services[0]["id"], "page");
    assert_eq!(services[0]["state"], "unknown");
    assert_eq!(services[0]["checked_ms"], Value::Null);
    assert!(place.out(&["services", "show", "page"]).contains("no Plimsoll runs"));
    let (code, err) = place.fails(&["services", "show", "paeg"]);
    assert!(code == 1 && err.contains("There is no service"), "{err}");

    for target in ["page", &url] {
        let tested = place.json(&["services", "test", target, "--json"]);
        assert_eq!((&tested["state"], &tested["kind"]), (&json!("healthy"), &json!("http")));
        assert!(place.out(&["services", "test", target]).starts_with("HTTP service answers at"));
    }
    let (code, err) = place.fails(&["services", "test", &nobody()]);
    assert!(code == 1 && err.contains("Refused on 127.0.0.1:"), "{err}");
    let (code, err) = place.fails(&["services", "test", "127.0.0.1:1", "--json"]);
    let fault: Value = serde_json::from_str(&err).unwrap();
    assert_eq!((code, &fault["fault"]["code"]), (1, &json!("invalid")));
    assert_eq!(place.fails(&["services", "test"]).0, 2);
    assert!(place.out(&["services", "--help"]).contains("plimsoll services test redis://"));
}

#[test]
fn the_running_one_is_asked_and_takes_up_what_is_configured_meanwhile() {
    let place = Place::new();
    let _up = place.up(&[]);
    assert_eq!(place.json(&["services", "--json"]), json!([]));
    let url = web();
    place.out(&["config", "set", &format!("services.page.url={url}")]);
    place.out(&["config", "set", &format!("services.gone.url={}", nobody())]);
    let states = || {
        let services = place.json(&["services", "--json"]);
        ["gone", "page"].map(|id| {
            let mut all = services.as_array().unwrap().iter();
            all.find(|service| service["id"] == id).map(|service| service["state"].clone())
        })
    };
    let known = [Some(json!("down")), Some(json!("healthy"))];
    place.eventually("both states", || states() == known);

    let table = place.out(&["services", "list"]);
    let line = |id: &str| table.lines().find(|line| line.starts_with(id)).unwrap().to_owned();
    assert!(line("page").contains("healthy for") && line("page").contains("HTTP service"));
    assert!(line("gone").contains("refused on 127.0.0.1:"), "{table}");
    assert_eq!(place.json(&["services", "show", "page", "--json"])["url"], json!(url));
    assert!(place.out(&["services", "test", "page"]).starts_with("HTTP service answers at"));
    let (code, err) = place.fails(&["services", "show", "other"]);
    assert!(code == 1 && err.contains("There are: gone, page."), "{err}");
}

#[test]
fn the_demo_has_services_while_it_runs_and_says_so() {
    let place = Place::new();
    assert!(
        place
            .out(&["services", "--demo"])
            .starts_with("None now: the demo's services play while it runs")
    );
    let (code, err) = place.fails(&["services", "test", "http://127.0.0.1:1", "--demo"]);
    assert!(code == 1 && err.contains("simulated"), "{err}");
}
