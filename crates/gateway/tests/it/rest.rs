//! Connections on which nothing is asked for a while: they are laid down, and nobody notices.
//! Others may come to the same door meanwhile (whatever looks on this machine for model servers
//! asks all that listens), so nothing is claimed of how many there are.

use std::time::Duration;

use plimsoll_gateway::serve::{Options, Patience};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};

use crate::house::{CHAT, House, backend, chat, double, options, patiently, room, until};

const GET: &[u8] = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// One answer, to its last byte; empty where the connection is closed.
async fn answer(stream: &mut TcpStream) -> String {
    let mut taken = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&taken).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.unwrap().parse().unwrap() {
                return text;
            }
        }
        if patiently(stream.read_buf(&mut taken)).await.unwrap() == 0 {
            return text;
        }
    }
}

async fn rests(house: &House) {
    until(|| house.gateway.figures().resting > 0).await;
}

#[tokio::test]
async fn a_connection_that_rests_is_laid_down_and_serves_again() {
    let double = double(1, 3, 0.0).await;
    let house = House::before(&double, room(1)).await;
    let mut client = house.client().await;
    for _ in 0..2 {
        assert_eq!(client.post(CHAT, chat(true, 3)).await.status, 200);
        rests(&house).await;
        assert!(house.gateway.connections() > 0, "it is still there");
    }
    let drained = house.stop().await;
    assert_eq!(drained.cut_off, 0);
}

#[tokio::test]
async fn what_was_read_of_a_next_request_outlives_the_rest() {
    let double = double(1, 3, 0.0).await;
    let house = House::before(&double, room(1)).await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let (half, rest) = GET.split_at(12);
    stream.write_all(&[GET, half].concat()).await.unwrap();
    assert!(answer(&mut stream).await.contains(" 200 "));
    // Longer than until a connection is laid down: that it was, cannot be seen, since it
    // is taken up again at once for what was read.
    sleep(Duration::from_millis(700)).await;
    stream.write_all(rest).await.unwrap();
    assert!(answer(&mut stream).await.contains(" 200 "));
}

#[tokio::test]
async fn one_that_rests_for_too_long_is_closed() {
    let double = double(1, 3, 0.0).await;
    // It is laid down before that.
    let patience = Patience { idle: Duration::from_millis(900), ..options().patience };
    let options = Options { patience, ..options() };
    let house = House::open(vec![backend("one", &double.url())], room(1), options).await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(GET).await.unwrap();
    assert!(answer(&mut stream).await.contains(" 200 "));
    assert_eq!(answer(&mut stream).await, "");
    until(|| house.gateway.connections() == 0).await;
    until(|| house.gateway.figures().resting == 0).await;
}

#[tokio::test]
async fn an_empty_line_after_a_body_begins_no_request() {
    let double = double(1, 3, 0.0).await;
    let head = Duration::from_millis(300);
    let options = Options { patience: Patience { head, ..options().patience }, ..options() };
    let house = House::open(vec![backend("one", &double.url())], room(1), options).await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let body = chat(false, 3);
    let post = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}\r\n",
        body.len()
    );
    for _ in 0..2 {
        stream.write_all(post.as_bytes()).await.unwrap();
        assert!(answer(&mut stream).await.contains(" 200 "));
        rests(&house).await;
        // Longer than a head may take.
        sleep(head * 3).await;
        assert!(house.gateway.figures().resting > 0, "it is cut off, or awake");
    }
}
