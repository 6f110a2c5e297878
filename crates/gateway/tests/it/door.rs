//! Who may come in, where, and how the house is closed.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use plimsoll_core::clock::SystemClock;
use plimsoll_gateway::{
    Gateway, Parts,
    admission::{Desk, Limits},
    clients::{Clients, Keys, Rules},
    record::Records,
    route::Table,
    serve::{Options, Sought, World},
};
use tokio::{net::TcpListener, sync::watch};

use crate::house::{CHAT, Client, House, backend, chat, double, options, room, row, until};

#[tokio::test]
async fn foreign_hosts_and_pages_are_turned_away_before_anything_is_read() {
    let double = double(1, 2, 0.0).await;
    let listed = Options { origins: vec!["http://localhost:3000".into()], ..options() };
    let house = House::open(vec![backend("one", &double.url())], room(1), listed).await;
    let ask = async |method: &str, path: &str, headers: &[(&str, &str)]| {
        let mut client = house.client().await;
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if method == "POST" { chat(false, 2) } else { String::new() };
        client.send(request.body(Full::from(body)).unwrap()).await.unwrap()
    };
    let rebound = ask("POST", CHAT, &[("host", "rebound.example:1876")]).await;
    assert_eq!(rebound.status, 403);
    assert_eq!(rebound.json()["error"]["code"], "host_not_allowed");
    let page = [("host", "localhost"), ("origin", "https://evil.example")];
    assert_eq!(ask("POST", CHAT, &page).await.status, 403);
    let preflight =
        ask("OPTIONS", CHAT, &[page[0], page[1], ("access-control-request-method", "POST")]).await;
    assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (403, None));
    assert_eq!(double.stats().requests, 0);

    let ours = [("host", "localhost"), ("origin", "http://localhost:3000")];
    let reply = ask("POST", CHAT, &ours).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("access-control-allow-origin"), Some("http://localhost:3000"));
    let preflight =
        ask("OPTIONS", CHAT, &[ours[0], ours[1], ("access-control-request-method", "POST")]).await;
    assert_eq!(
        (preflight.status, preflight.header("access-control-allow-methods")),
        (204, Some("GET, POST, OPTIONS"))
    );
    // Without a page there is nothing about pages.
    let plain = ask("POST", CHAT, &[("host", "localhost")]).await;
    assert_eq!((plain.status, plain.header("access-control-allow-origin")), (200, None));
}

struct Neighbour;

impl World for Neighbour {
    fn holder(&self, _: std::net::SocketAddr) -> Option<String> {
        Some("python3 (pid 4711)".into())
    }
}

#[tokio::test]
async fn a_port_that_is_taken_says_by_whom() {
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = Options { listen: vec![other.local_addr().unwrap()], ..options() };
    let (_options, options) = watch::channel(Arc::new(taken));
    let (_table, table) = watch::channel(Arc::new(Table::of([])));
    let (_keys, keys) = watch::channel(Arc::new(Keys::default()));
    let (_rules, rules) = watch::channel(Arc::new(Rules::default()));
    let started = Gateway::start(Parts {
        runtime: tokio::runtime::Handle::current(),
        options,
        table,
        desk: Desk::new(Limits::default()),
        records: Records::new(Arc::new(SystemClock)),
        clients: Clients::new(keys, rules),
        world: Arc::new(Neighbour),
    })
    .await;
    let error = started.err().unwrap().to_string();
    assert!(error.contains("is taken by python3 (pid 4711)"), "{error}");
}

#[tokio::test]
async fn another_address_is_taken_up_while_requests_run() {
    let double = double(2, 100_000, 5.0).await;
    let house = House::before(&double, room(2)).await;
    let mut client = house.client().await;
    let mut stream = client.begin(client.request(CHAT, chat(true, 100_000))).await.unwrap();
    let moved = Options { listen: vec![([127, 0, 0, 3], 0).into()], ..options() };
    house.options.send_replace(Arc::new(moved));
    let listening = house.gateway.listening();
    until(|| listening.borrow().addresses.iter().all(|at| at.ip().to_string() == "127.0.0.3"))
        .await;
    let there = listening.borrow().addresses[0];
    assert_eq!(Client::to(there).await.get("/health").await.status, 200);
    assert!(tokio::net::TcpStream::connect(house.address).await.is_err());
    assert!(stream.body_mut().frame().await.unwrap().is_ok(), "what ran goes on");
}

#[tokio::test]
async fn a_program_that_was_not_found_in_time_is_looked_for_again_with_the_next_request() {
    let double = double(1, 2, 0.0).await;
    let house = House::before(&double, room(1)).await;
    let found = Sought::Found("python3".into());
    *house.world.sought.lock().unwrap() = [None, Some(Sought::NotYet), Some(found)].into();
    let mut client = house.client().await;
    let mut names = Vec::new();
    for _ in 0..4 {
        let id = client.post(CHAT, chat(false, 2)).await;
        let id: i64 = id.header("x-plimsoll-request").unwrap().parse().unwrap();
        names.push(row(&house.records, |row| row.id == id).await.client.clone());
    }
    assert_eq!(names, ["unknown", "unknown", "python3", "python3"]);
    assert_eq!(house.world.seeks.load(Relaxed), 3, "who was found is not looked for again");
}
