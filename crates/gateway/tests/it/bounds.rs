//! What clients may send, how slowly, and what they may not smuggle in.

use std::{sync::Arc, time::Duration};

use plimsoll_core::request::Finish;
use plimsoll_gateway::serve::{Bounds, Options, Patience};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::house::{CHAT, House, backend, chat, double, options, patiently, room, row};

async fn small() -> (House, plimsoll_sim::server::Handle) {
    let double = double(4, 3, 0.0).await;
    let bounds = Bounds { body_bytes: 4096, head_bytes: 4096, ..Bounds::default() };
    let hasty = Duration::from_millis(200);
    let patience = Patience { head: hasty, body: hasty, idle: hasty * 3, write: hasty };
    let options = Options { bounds, patience, ..options() };
    (House::open(vec![backend("one", &double.url())], room(4), options).await, double)
}

/// Sends these bytes and takes all that comes until the connection is closed.
async fn say(house: &House, text: &str) -> String {
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    rest(&mut stream).await
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut taken = Vec::new();
    // A reset is an end, too.
    let _ = patiently(stream.read_to_end(&mut taken)).await;
    String::from_utf8_lossy(&taken).into_owned()
}

fn statuses(said: &str) -> Vec<&str> {
    said.match_indices("HTTP/1.1 ").map(|(at, _)| &said[at + 9..at + 12]).collect()
}

#[tokio::test]
async fn heads_and_bodies_have_bounds() {
    let (house, double) = small().await;
    let large = format!(r#"{{"model":"instant","x":"{}"}}"#, "x".repeat(5000));
    let reply = house.client().await.post(CHAT, large).await;
    assert_eq!(
        (reply.status, reply.json()["error"]["code"].as_str()),
        (413, Some("body_too_large"))
    );
    // Without a length said beforehand, too.
    let chunk = format!("{:x}\r\n{}\r\n", 1000, "x".repeat(1000));
    let chunked = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n{}",
        chunk.repeat(6)
    );
    assert_eq!(statuses(&say(&house, &chunked).await), ["413"]);
    let head =
        format!("GET /health HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "x".repeat(5000));
    assert_eq!(statuses(&say(&house, &head).await), ["431"]);
    let fields =
        format!("GET /health HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: 1\r\n".repeat(200));
    assert_eq!(statuses(&say(&house, &fields).await), ["431"]);
    let endless = format!("GET /{} ", "x".repeat(400_000));
    assert!(!say(&house, &endless).await.contains("200"));
    assert_eq!(double.stats().requests, 0);
    assert_eq!(house.gateway.held_bytes(), 0);
}

#[tokio::test]
async fn a_bound_that_changes_holds_for_the_next_connection() {
    let (house, _double) = small().await;
    let head =
        format!("GET /health HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "x".repeat(5000));
    assert_eq!(statuses(&say(&house, &head).await), ["431"]);
    let mut wider = (*house.options.borrow().clone()).clone();
    wider.bounds.head_bytes = 8192;
    house.options.send_replace(Arc::new(wider));
    assert_eq!(statuses(&say(&house, &head).await), ["200"]);
}

#[tokio::test]
async fn a_client_that_leaves_with_its_body_half_sent_was_not_refused() {
    let double = double(1, 2, 0.0).await;
    let house = House::before(&double, room(1)).await;
    let body = chat(false, 3);
    let length = format!("content-length: {}\r\n\r\n{}", body.len(), &body[..10]);
    let chunked = format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{}", body.len(), &body[..10]);
    for half in [length, chunked] {
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        let request = format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\n{half}");
        stream.write_all(request.as_bytes()).await.unwrap();
        crate::house::until(|| house.records.is_busy()).await;
        drop(stream);
        crate::house::until(|| !house.records.is_busy()).await;
    }
    crate::house::until(|| house.records.recent().len() == 2).await;
    let rows = house.records.recent();
    assert!(rows.iter().all(|row| row.finish == Finish::Left), "{rows:?}");
    // What is no body at all was.
    say(
        &house,
        &format!(
            "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nxx\r\n"
        ),
    )
    .await;
    let row = row(&house.records, |row| row.finish == Finish::Refused).await;
    assert_eq!((row.status, double.stats().requests), (400, 0));
}

#[tokio::test]
async fn a_client_that_is_refused_while_it_writes_still_hears_why() {
    let (house, _double) = small().await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let head =
        format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2000000\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..200 {
        stream.write_all(&[b'x'; 10_000]).await.expect("it is listened to until it has said all");
    }
    stream.shutdown().await.unwrap();
    assert_eq!(statuses(&rest(&mut stream).await), ["413"]);
    crate::house::until(|| house.gateway.connections() == 0).await;
}

#[tokio::test]
async fn a_client_that_is_too_slow_is_cut_off() {
    let (house, double) = small().await;
    // With nothing, with a head, with a body, and between two requests.
    let body = chat(false, 3);
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    assert_eq!(say(&house, "").await, "");
    assert_eq!(say(&house, &head[..40]).await, "");
    assert_eq!(say(&house, &format!("{head}{}", &body[..10])).await, "");
    assert_eq!(statuses(&say(&house, &format!("{head}{body}")).await), ["200"]);
    // A byte now and then does not help.
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let mut sent = 0;
    for byte in head.as_bytes() {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        sent += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(sent < head.len(), "a head of {sent} bytes took as long as it wanted");
    // Nor does it with a body: its patience is for all of it, too.
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut sent = 0;
    for byte in body.as_bytes() {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        sent += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(sent < body.len(), "a body of {sent} bytes took as long as it wanted");
    crate::house::until(|| house.gateway.connections() == 0).await;
    assert_eq!(double.stats().requests, 1);
}

#[tokio::test]
async fn a_client_that_takes_no_answer_is_cut_off_and_its_backend_freed() {
    let (house, double) = small().await;
    double.set_fault(plimsoll_sim::server::Planned::new(plimsoll_sim::server::Fault::Endless));
    let body = chat(false, 3);
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let request = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    house.until(|flying, _| flying == 1).await;
    house.until(|flying, _| flying == 0).await;
    double.until(|stats| stats.connections == 0).await;
}

#[tokio::test]
async fn an_answer_without_an_end_is_ended_when_a_request_has_had_its_time() {
    let double = double(2, 2, 0.0).await;
    let mut options = options();
    options.budgets.total = Duration::from_millis(300);
    let house = House::open(vec![backend("one", &double.url())], room(2), options).await;
    double.set_fault(plimsoll_sim::server::Planned::new(plimsoll_sim::server::Fault::Endless));
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let body = chat(false, 3);
    let request = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    // It is read as fast as it comes: neither side is ever silent.
    let mut piece = vec![0; 1 << 16];
    while stream.read(&mut piece).await.is_ok_and(|read| read > 0) {}
    let row = row(&house.records, |row| row.finish == Finish::TimedOut).await;
    assert!(row.reason.contains("longer than a request may in all"), "{}", row.reason);
    house.until(|flying, _| flying == 0).await;
}

#[tokio::test]
async fn the_time_of_a_request_is_one_and_does_not_begin_anew_with_its_answer() {
    let double = double(2, 1_000_000, 10.0).await;
    let mut options = options();
    options.budgets.total = Duration::from_secs(2);
    let house = House::open(vec![backend("one", &double.url())], room(2), options).await;
    // Half of it is over when the head comes, and what is asked for takes two thirds of it.
    let slow = plimsoll_sim::server::Fault::SlowHeaders { ms: 1000 };
    double.set_fault(plimsoll_sim::server::Planned::new(slow));
    let mut client = house.client().await;
    let request = client.request(CHAT, chat(true, 140));
    let _cut = client.send(request).await;
    let row = row(&house.records, |row| row.finish == Finish::TimedOut).await;
    assert!(row.total_us >= 2_000_000, "{row:?}");
    house.until(|flying, _| flying == 0).await;
}

#[tokio::test]
async fn a_server_that_takes_no_connection_is_given_up() {
    // Its line is full, and what comes further is not heard of.
    let deaf = TcpSocket::new_v4().unwrap();
    deaf.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let deaf = deaf.listen(1).unwrap();
    let place = deaf.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(200), TcpStream::connect(place)).await {
        held.push(stream.unwrap());
        assert!(held.len() < 20, "its line has no end");
    }
    let mut options = options();
    options.budgets.connect = Duration::from_millis(100);
    let backends = vec![backend("deaf", &format!("http://{place}"))];
    let house = House::open(backends, room(2), options).await;
    let reply = house.client().await.post(CHAT, chat(false, 3)).await;
    assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (504, Some("timed_out")));
    assert!(reply.text().contains("within 100 ms"), "{}", reply.text());
    let row = row(&house.records, |row| row.finish == Finish::TimedOut).await;
    assert_eq!((row.status, row.retries), (504, 2), "it saw nothing, and was tried again");
    house.until(|flying, _| flying == 0).await;
}

#[tokio::test]
async fn nothing_is_smuggled_behind_a_request() {
    let (house, double) = small().await;
    let second = format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nx-smuggled: 1\r\n\r\n");
    let say = async |head: &str, body: &str| {
        let text = format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\n{head}\r\n\r\n{body}");
        say(&house, &text).await
    };
    // A length and chunks at once: what follows the chunks is not another request.
    for head in [
        "content-length: 6\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 6",
    ] {
        let said = say(head, &format!("0\r\n\r\n{second}")).await;
        assert_eq!(statuses(&said), ["400"], "one answer, and the connection closed: {said}");
    }
    for (head, body) in [
        ("content-length: 5\r\ncontent-length: 6", "hello"),
        ("content-length: 5, 6", "hello"),
        ("content-length: +5", "hello"),
        ("content-length: -1", ""),
        ("content-length: 0x5", "hello"),
        ("transfer-encoding: chunked, identity", "0\r\n\r\n"),
        ("transfer-encoding: xchunked", "0\r\n\r\n"),
        ("transfer-encoding: identity", "hello"),
        ("transfer-encoding : chunked", "0\r\n\r\n"),
        ("x: 1\r\n y: 2", ""),
        ("x\0: 1", ""),
    ] {
        let said = say(head, &format!("{body}{second}")).await;
        let seen = statuses(&said);
        assert!(seen.len() <= 1 && !said.contains(" 200 "), "{head:?}: {said}");
    }
    // Chunks that two readers could read as two things.
    for chunks in [
        "5;\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n",
        "-1\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5 \r\nhello",
    ] {
        let said = say("transfer-encoding: chunked", &format!("{chunks}{second}")).await;
        assert!(!said.contains(" 200 ") && statuses(&said).len() <= 1, "{chunks:?}: {said}");
    }
    assert_eq!(double.stats().requests, 0);
    // Both at once, and good chunks: who reads HTTP here leaves the length out before anybody
    // sees it, so it cannot be refused. It is read by its chunks alone, its backend is told a
    // length that was counted, and nothing behind it is read.
    let body = chat(false, 3);
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    for (head, asked) in [
        ("content-length: 6\r\ntransfer-encoding: chunked", 1),
        ("transfer-encoding: chunked\r\ncontent-length: 6", 2),
    ] {
        let said = say(head, &format!("{chunks}{second}")).await;
        assert_eq!(statuses(&said), ["200"], "one answer, and the connection closed: {said}");
        assert_eq!(double.stats().requests, asked);
    }
}

// AR1: what runs for clients is tracked, bounded and drained (the engine bounds its own jobs)
#[tokio::test]
async fn connections_have_a_bound_and_idle_ones_cost_nobody_else() {
    let double = double(1, 2, 0.0).await;
    let bounds = Bounds { connections: 8, ..Bounds::default() };
    let few = Options { bounds, ..options() };
    let house = House::open(vec![backend("one", &double.url())], room(1), few).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut client = house.client().await;
        assert_eq!(client.get("/health").await.status, 200);
        held.push(client);
    }
    let mut more = TcpStream::connect(house.address).await.unwrap();
    assert_eq!(rest(&mut more).await, "");
    held.pop();
    crate::house::until(|| house.gateway.connections() < 8).await;
    assert_eq!(house.client().await.get("/health").await.status, 200);
}
