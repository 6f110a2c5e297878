//! `up --gateway` and `requests`: the port is picked and named, and what was asked is listed.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
};

use serde_json::Value;

use crate::program::Place;

pub fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn chat(address: &str, model: &str) -> String {
    let body = format!("{{\"model\":\"{model}\",\"messages\":[]}}");
    ask(
        address,
        &format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             user-agent: test-agent\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        ),
    )
}

// AR9
#[test]
fn the_port_that_was_picked_is_named_and_requests_are_listed_as_they_end() {
    let place = Place::new();
    let up = place.up(&["--gateway", "127.0.0.1:0"]);
    let address = up.ready["gateway"].as_str().expect("the ready line names it").to_owned();
    let health = format!("GET /health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    assert!(ask(&address, &health).starts_with("HTTP/1.1 200"), "it answers probes");
    let ready = format!("GET /ready HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    assert!(ask(&address, &ready).starts_with("HTTP/1.1 503"), "there is no service");
    assert!(place.out(&["status"]).contains(&address));

    let mut follow = place.command(&["requests", "--follow", "--json"]);
    let mut follow = follow.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let refused = chat(&address, "nobody-has-this");
    assert!(refused.starts_with("HTTP/1.1 404"), "{refused}");
    let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    follow.kill().unwrap();
    follow.wait().unwrap();
    assert_eq!((line["status"].as_u64(), line["finish"].as_str()), (Some(404), Some("refused")));

    let list = place.out(&["requests", "--finish", "refused"]);
    assert!(list.contains("nobody-has-this") && list.contains("404"), "{list}");
    assert!(place.out(&["requests", "--failed"]).contains("No such requests"));
    let csv = place.out(&["requests", "--csv", "--finish", "refused"]);
    let lines: Vec<_> = csv.lines().collect();
    assert!(lines[0].starts_with("id,at_ms,time,client,endpoint,model,"), "{csv}");
    assert_eq!(lines.len(), 2, "{csv}");
    assert!(lines[1].contains(",nobody-has-this,") && lines[1].contains(",refused,404,"), "{csv}");
    assert_eq!(place.out(&["requests", "--csv", "--failed"]).lines().count(), 1, "the heading");
    let (code, err) = place.fails(&["requests", "--csv", "--json"]);
    assert_eq!(code, 2, "{err}");
    let (code, err) = place.fails(&["requests", "-n", "10001"]);
    assert!(code == 2 && err.contains("--csv"), "{err}");
    let (code, err) = place.fails(&["requests", "--over", "soon"]);
    assert_eq!(code, 2, "{err}");
    assert_eq!(up.end("-TERM").code(), Some(0));
    // The log is in the folder also where nobody runs.
    assert!(place.out(&["requests"]).contains("nobody-has-this"));
    let (code, err) = place.fails(&["requests", "--follow"]);
    assert_eq!(code, 1, "{err}");
}
