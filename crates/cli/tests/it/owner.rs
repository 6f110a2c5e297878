//! One owner, many doors.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::MetadataExt,
    os::unix::net::UnixStream,
};

use plimsoll_app::session::{Options, Session};
use serde_json::{Value, json};

use crate::program::Place;

#[test]
fn up_says_when_it_is_ready_and_ends_cleanly_on_both_signals() {
    for signal in ["-TERM", "-INT"] {
        let place = Place::new();
        let up = place.up(&[]);
        let socket = up.socket().to_path_buf();
        assert_eq!(
            up.ready,
            json!({
                "ready": true,
                "pid": up.pid(),
                "data_dir": place.data(),
                "socket": socket,
                "ui": null,
                "gateway": null,
            })
        );
        assert_eq!(fs::metadata(&socket).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(place.data()).unwrap().mode() & 0o777, 0o700);
        let status = up.end(signal);
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(!socket.exists(), "the socket is taken away");
        assert!(!place.data().join("history.db-wal").exists(), "the history was closed");
    }
}

#[test]
fn a_second_owner_is_refused_and_told_who_holds_the_folder() {
    let place = Place::new();
    let up = place.up(&[]);
    let (code, err) = place.fails(&["up", "--json"]);
    assert_eq!(code, 1);
    let fault: Value = serde_json::from_str(&err).unwrap();
    assert_eq!(fault["fault"]["code"], "conflict");
    assert!(fault["fault"]["message"].as_str().unwrap().contains(&up.pid().to_string()), "{err}");
    assert!(place.out(&["status"]).contains(&up.pid().to_string()));
}

#[test]
fn a_lock_left_by_kill_9_is_taken_over() {
    let place = Place::new();
    let up = place.up(&[]);
    let first = up.pid();
    let socket = up.socket().to_path_buf();
    up.end("-KILL");
    assert!(socket.exists(), "it had no time to tidy up");
    assert!(
        fs::read_to_string(place.data().join("plimsoll.lock"))
            .unwrap()
            .contains(&first.to_string())
    );
    assert!(place.not_running(&["status"]).starts_with("running   no"));
    let up = place.up(&[]);
    assert_ne!(up.pid(), first);
    assert!(place.out(&["status"]).contains(&up.pid().to_string()));
}

#[test]
fn another_protocol_version_is_told_which_side_to_restart() {
    let place = Place::new();
    let up = place.up(&[]);
    let mut stream = BufReader::new(UnixStream::connect(up.socket()).unwrap());
    let mut hello = String::new();
    stream.read_line(&mut hello).unwrap();
    let newer = json!({ "hello": { "program": "window", "version": "99.0.0", "protocol": 99 } });
    writeln!(stream.get_mut(), "{newer}").unwrap();
    let mut answer = String::new();
    stream.read_line(&mut answer).unwrap();
    let fault = &serde_json::from_str::<Value>(&answer).unwrap()["fault"];
    assert_eq!(fault["code"], "protocol");
    let restart = format!("Restart the running one (process {})", up.pid());
    assert!(fault["hint"].as_str().unwrap().starts_with(&restart), "{fault}");
}

#[test]
fn status_and_alerts_ask_the_running_one() {
    let place = Place::new();
    let _up = place.up(&[]);
    let status = place.json(&["status", "--json"]);
    assert_eq!(status["interval_ms"], 1000);
    assert_eq!(status["recording"], "recording");
    assert!(place.json(&["alerts", "--json"]).is_array());
    let (code, err) = place.fails(&["alerts", "ack", "disk-space:/nowhere:1"]);
    assert!(code == 1 && err.contains("There is no alert"), "{err}");
}

#[test]
fn without_a_running_one_status_and_alerts_say_what_was_recorded_last() {
    let place = Place::new();
    let status: Value = serde_json::from_str(&place.not_running(&["status", "--json"])).unwrap();
    assert_eq!(status, json!({ "running": false, "data_dir": place.data(), "newest_ms": null }));
    assert!(!place.data().exists(), "who asks makes nothing");

    // An alert that holds at once, and that is still open when recording ends.
    fs::create_dir(place.data()).unwrap();
    let rule = "[alerts.rules.always]\nmetric = \"memory.total\"\nthreshold = 1\nfor_s = 0\n";
    fs::write(place.data().join("plimsoll.toml"), rule).unwrap();
    let up = place.up(&[]);
    let active = || {
        let alerts = place.json(&["alerts", "--json"]);
        alerts.as_array().unwrap().iter().any(|alert| alert["row"]["rule"] == "always")
    };
    place.eventually("the alert", active);
    assert!(up.end("-TERM").success());

    let status: Value = serde_json::from_str(&place.not_running(&["status", "--json"])).unwrap();
    let newest = status["newest_ms"].as_i64().unwrap();
    assert!(newest > 0, "{status}");
    assert!(place.not_running(&["status"]).contains("recorded  until 20"));
    let output = place.run(&["alerts", "--json"]);
    assert!(output.status.success());
    let aside = String::from_utf8(output.stderr).unwrap();
    assert!(aside.starts_with("plimsoll: not running; as of 20"), "{aside}");
    let alerts: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let always = alerts.iter().find(|alert| alert["row"]["rule"] == "always").unwrap();
    assert_eq!(always["row"]["end_ms"], Value::Null);
    assert!(place.out(&["alerts"]).contains("not ended then"));
    // An answer needs somebody who takes it.
    let (code, err) = place.fails(&["alerts", "ack", always["row"]["id"].as_str().unwrap()]);
    assert!(code == 1 && err.contains("No Plimsoll runs"), "{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attached_window_writes_a_log_of_its_own_and_the_owners_once_it_owns() {
    let place = Place::new();
    // Servers of other tests are none of the window's, which runs in this process.
    fs::create_dir(place.data()).unwrap();
    fs::write(place.data().join("plimsoll.toml"), "services.discover = false\n").unwrap();
    let up = place.up(&[]);
    let owner = up.pid();
    let options = Options { data_dir: Some(place.data()), ..Options::default() };
    let log = |name: &str| fs::read_to_string(place.data().join("logs").join(name)).unwrap();

    let window = Session::start_or_attach(options.clone()).await.unwrap();
    assert!(!window.hosted());
    window.stop().await;
    let own = log("plimsoll-window.log");
    assert!(own.contains("attached") && own.contains(&owner.to_string()), "{own}");
    assert!(up.end("-TERM").success());
    assert!(!log("plimsoll.log").contains("attached"), "two never write one file");

    // The owner is gone: the same window hosts from now on.
    let window = Session::start_or_attach(options).await.unwrap();
    assert!(window.hosted());
    window.stop().await;
    assert_eq!(log("plimsoll-window.log"), own);
    assert_eq!(log("plimsoll.log").matches("Plimsoll runs").count(), 2, "both owners");
}

#[test]
fn an_owner_at_another_address_does_not_disturb() {
    let (one, two) = (Place::new(), Place::new());
    let (first, second) = (one.up(&[]), two.up(&[]));
    assert_ne!(first.socket(), second.socket());
}
