//! One owner, many doors.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::MetadataExt,
    os::unix::net::UnixStream,
};

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
    let (code, err) = place.fails(&["status"]);
    assert!(code == 1 && err.contains("No Plimsoll runs"), "{err}");
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
fn an_owner_at_another_address_does_not_disturb() {
    let (one, two) = (Place::new(), Place::new());
    let (first, second) = (one.up(&[]), two.up(&[]));
    assert_ne!(first.socket(), second.socket());
}
