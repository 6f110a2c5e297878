use std::collections::BTreeSet;

use hyper::header;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::timeout,
};

use super::*;
use crate::server::{Spec, server_names};

/// Tuesday 17 November 2026, 14:32 UTC; the day's own clock then says 14:31.
const NOW: Instant3 =
    Instant3 { wall_ms: 1_794_925_920_000, monotonic_ms: 5_000_000, boottime_ms: 5_000_000 };

fn day() -> Simulation {
    Simulation::new("day", 7, 1.0, NOW).unwrap()
}

#[test]
fn every_client_asks_for_a_model_that_is_played_and_has_a_name_of_its_own() {
    let specs: Vec<_> = server_names().map(|name| Spec::named(name).unwrap()).collect();
    let models: BTreeSet<_> =
        specs.iter().flat_map(|spec| &spec.models).map(|model| model.name.as_str()).collect();
    let gateway = SocketAddr::from(([127, 0, 0, 1], 1886));
    let programs = script::programs().unwrap();
    let mut names = BTreeSet::new();
    for program in &programs {
        assert!(names.insert(program.agent.clone()), "{} twice", program.agent);
        assert!((1..=MOST).contains(&program.most));
        let ask = (0..).find_map(|s| program.asks(Noise::new(1), 1.0, s).pop()).unwrap();
        let request = program.request(gateway, &ask);
        assert_eq!(request.headers()[header::USER_AGENT], program.agent);
        assert_eq!(request.headers()[header::HOST], "127.0.0.1:1886");
        assert!(program.asks_one_of(&models), "{} asks nobody", program.agent);
    }
}

#[test]
fn a_second_asks_alike_whenever_one_looks_and_a_person_at_rest_asks_nothing() {
    let (mut asked, mut most) = (0, 0);
    for (place, program) in script::programs().unwrap().iter().enumerate() {
        let noise = Noise::new(place as u64);
        for second in 1_000_000..1_003_600 {
            let asks = program.asks(noise, 0.6, second);
            assert_eq!(asks, program.asks(noise, 0.6, second));
            assert_eq!(program.asks(noise, 0.0, second), []);
            most = most.max(asks.len());
            asked += asks.len();
        }
    }
    // About two requests in three seconds, and bursts that are longer than four slots.
    assert!((1500..4500).contains(&asked), "{asked} in an hour");
    assert!(most > 4, "{most}");
}

/// Counts connections, reads what comes and never answers.
async fn silent() -> (SocketAddr, watch::Receiver<(usize, usize)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (say, told) = watch::channel((0, 0));
    tokio::spawn(async move {
        loop {
            let (mut stream, peer) = listener.accept().await.unwrap();
            assert_eq!(peer.ip(), CLIENTS_FROM);
            say.send_modify(|(open, _)| *open += 1);
            let say = say.clone();
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                while stream.read(&mut bytes).await.is_ok_and(|n| n > 0) {}
                let _ = stream.shutdown().await;
                say.send_modify(|(_, closed)| *closed += 1);
            });
        }
    });
    (address, told)
}

#[tokio::test(start_paused = true)]
async fn who_is_not_answered_asks_no_more_than_it_may_and_a_stop_ends_all_of_it() {
    let (address, mut told) = silent().await;
    let (_, gateway) = watch::channel(Some(address));
    let clients = Clients::start(&day(), NOW, gateway).unwrap();
    tokio::time::sleep(Duration::from_secs(300)).await;
    told.wait_for(|(open, _)| *open > 6).await.unwrap();
    let (open, closed) = *told.borrow_and_update();
    let may: usize = script::programs().unwrap().iter().map(|program| program.most).sum();
    // Some left, and asked again.
    assert!(open - closed <= may.min(MOST), "{open} opened, {closed} closed");
    clients.stop().await;
    let all = told.wait_for(|(open, closed)| open == closed);
    timeout(Duration::from_secs(60), all).await.expect("they hang up").unwrap();
}

#[tokio::test(start_paused = true)]
async fn where_no_gateway_listens_nothing_is_asked() {
    let (address, told) = silent().await;
    let (say, gateway) = watch::channel(None);
    let clients = Clients::start(&day(), NOW, gateway).unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(told.borrow().0, 0);
    say.send_replace(Some(address));
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(told.borrow().0 > 0);
    drop(clients);
}
