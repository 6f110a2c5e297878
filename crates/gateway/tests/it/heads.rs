//! Requests as they stand on the wire, and what chance makes of them, sent to a whole gateway
//! over real connections: 1,500 in the ordinary tests, and for ten minutes where
//! `cargo test -p plimsoll-gateway -- --ignored fuzz` asks for it (see `src/corpus.rs`).

use std::{net::SocketAddr, time::Duration};

use plimsoll_gateway::serve::{Options, Patience};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use crate::{
    corpus::{Chance, changed, files, long_run, rounds},
    house::{CHAT, House, backend, chat, double, options, patiently, room, until},
};

/// So many connections at once.
const AT_ONCE: u64 = 50;

/// A gateway that soon has enough of who says nothing more.
async fn hasty() -> (House, plimsoll_sim::server::Handle) {
    let double = double(8, 2, 0.0).await;
    let soon = Duration::from_millis(60);
    let patience = Patience { head: soon, body: soon, idle: soon, write: soon };
    let options = Options { patience, ..options() };
    (House::open(vec![backend("one", &double.url())], room(8), options).await, double)
}

/// What came in return for these bytes, until the gateway closed the connection. `leaves`:
/// nothing more will be said, and that is told.
async fn said_to(address: SocketAddr, bytes: Vec<u8>, leaves: bool) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may be closed before all of it was sent.
    let _ = stream.write_all(&bytes).await;
    if leaves {
        let _ = stream.shutdown().await;
    }
    let mut answer = Vec::new();
    let _ = patiently(stream.read_to_end(&mut answer)).await;
    answer
}

/// Each connection has nothing or an answer in HTTP in return, and leaves nothing behind.
async fn round(house: &House, from: u64) {
    let heads = files("heads");
    let mut open = JoinSet::new();
    for seed in from..from + AT_ONCE {
        let mut chance = Chance::new(seed);
        let bytes = changed(&heads, &mut chance);
        let leaves = chance.below(2) == 0;
        let address = house.address;
        open.spawn(async move {
            let answer = said_to(address, bytes.clone(), leaves).await;
            (seed, bytes, answer)
        });
    }
    while let Some(done) = open.join_next().await {
        let (seed, bytes, answer) = done.unwrap();
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1."),
            "{seed}: {} was answered with {}",
            bytes.escape_ascii(),
            answer.escape_ascii()
        );
    }
    until(|| house.gateway.connections() == 0).await;
    assert_eq!(house.gateway.held_bytes(), 0, "after {from}");
    // Who asks as one should is served as before.
    let reply = house.client().await.post(CHAT, chat(false, 2)).await;
    assert_eq!(reply.status, 200, "after {from}: {}", reply.text());
}

#[tokio::test]
async fn requests_as_they_are_written_are_answered_or_turned_away() {
    let (house, _double) = hasty().await;
    let good = ["chat-", "health", "models", "expect", "query-and-escape"];
    for (name, bytes) in files("heads") {
        let answer = said_to(house.address, bytes, false).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.get(9..12).unwrap_or("none");
        let served = good.iter().any(|good| name.starts_with(good));
        assert_eq!(
            served || name == "bare-lines",
            matches!(status, "100" | "200" | "204"),
            "{name}: {answer}"
        );
    }
}

#[tokio::test]
async fn no_change_of_a_request_stops_the_gateway() {
    let (house, _double) = hasty().await;
    let mut seeds = Vec::new();
    rounds(30, |round| seeds.push(round * AT_ONCE));
    for from in seeds {
        round(&house, from).await;
    }
}

#[tokio::test]
#[ignore = "ten minutes"]
async fn fuzz_heads() {
    let (house, _double) = hasty().await;
    let runtime = tokio::runtime::Handle::current();
    let ran = tokio::task::spawn_blocking(move || {
        long_run(|seed| runtime.block_on(round(&house, seed * AT_ONCE)))
    });
    println!("{} connections", ran.await.unwrap() * AT_ONCE);
}
