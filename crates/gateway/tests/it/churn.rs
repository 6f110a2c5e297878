//! Backends that go and come back, changes of everything, and clients that are cut, under load.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use plimsoll_gateway::{
    admission::{ClientLimits, Limits},
    route::Table,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    faults::{no_breaker, tries},
    house::{CHAT, House, backend, chat, double, options, room, tokens_of},
};

#[tokio::test]
async fn backends_are_killed_restarted_and_replaced_under_load() {
    let (one, two) = (double(8, 4, 1.0).await, double(8, 4, 1.0).await);
    let third = double(8, 4, 1.0).await;
    let both = vec![backend("one", &one.url()), backend("two", &two.url())];
    let house = Arc::new(House::open(both, no_breaker(8), tries(2)).await);
    let (done, told) = tokio::sync::watch::channel(false);
    let mut load = FuturesUnordered::new();
    for worker in 0..12 {
        let (house, told) = (house.clone(), told.clone());
        load.push(tokio::spawn(async move {
            let mut client = house.client().await;
            let (mut served, mut failed) = (0_u32, 0_u32);
            while !*told.borrow() {
                let request = client.request(CHAT, chat(worker % 2 == 0, 4));
                match client.send(request).await {
                    Ok(reply) if reply.status == 200 => served += 1,
                    Ok(reply) => {
                        assert!(matches!(reply.status, 502..=504), "{}", reply.status);
                        failed += 1;
                    }
                    // Cut off in the middle of a stream.
                    Err(_) => {
                        failed += 1;
                        client = house.client().await;
                    }
                }
            }
            (served, failed)
        }));
    }
    for _ in 0..5 {
        two.until(|stats| stats.running > 0).await;
        two.kill();
        let before = one.stats().finished;
        one.until(|stats| stats.finished > before + 10).await;
        two.revive();
        two.until(|stats| stats.running > 0).await;
    }
    // Another server in its place, by the same id.
    let replaced = vec![backend("one", &one.url()), backend("two", &third.url())];
    house.table.send_replace(Arc::new(Table::of(replaced)));
    two.kill();
    third.until(|stats| stats.finished > 20).await;
    done.send_replace(true);
    let mut served = 0;
    while let Some(counts) = load.next().await {
        served += counts.unwrap().0;
    }
    assert!(served > 70, "{served}");
    house.until(|flying, waiting| flying == 0 && waiting == 0).await;
}

#[tokio::test]
async fn a_hundred_changes_of_everything_break_no_request() {
    let (one, two) = (double(8, 3, 1.0).await, double(8, 3, 1.0).await);
    let tables = [
        vec![backend("one", &one.url())],
        vec![backend("one", &one.url()), backend("two", &two.url())],
        vec![backend("two", &two.url())],
    ];
    let house = Arc::new(House::open(tables[0].clone(), room(4), options()).await);
    let (done, told) = tokio::sync::watch::channel(false);
    let mut load = FuturesUnordered::new();
    for worker in 0..8 {
        let (house, told) = (house.clone(), told.clone());
        load.push(tokio::spawn(async move {
            let mut client = house.client().await;
            let mut served = 0_u32;
            while !*told.borrow() {
                let reply = client.post(CHAT, chat(worker % 2 == 0, 3)).await;
                assert_eq!(reply.status, 200, "{}", reply.text());
                served += 1;
            }
            served
        }));
    }
    let finished = || one.stats().finished + two.stats().finished;
    for change in 0..100_u32 {
        let before = finished();
        house.desk.set_limits(room(1 + change % 7));
        house.table.send_replace(Arc::new(Table::of(tables[change as usize % 3].clone())));
        let mut options = (*house.options.borrow().clone()).clone();
        // A second door opens and closes beside the first.
        options.listen.truncate(1);
        if change % 2 == 0 {
            options.listen.push(([127, 0, 0, 2], 0).into());
        }
        options.budgets.between = Duration::from_secs(10 + u64::from(change));
        house.options.send_replace(Arc::new(options));
        crate::house::until(|| finished() > before + 2).await;
    }
    done.send_replace(true);
    let mut served = 0;
    while let Some(count) = load.next().await {
        served += count.unwrap();
    }
    assert!(served >= 200, "{served}");
    assert!(one.stats().most_in_flight <= 7 && two.stats().most_in_flight <= 7);
    house.until(|flying, waiting| flying == 0 && waiting == 0).await;
}

#[tokio::test]
async fn clients_cut_at_every_stage_leave_nothing_behind() {
    let double = double(2, 30, 2.0).await;
    let house = House::before(&double, room(2)).await;
    let body = chat(true, 30);
    let request = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    // In the middle of the head, of the body, and right after the request …
    for cut in (0..=request.len()).step_by(7).chain([request.len()]) {
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        stream.write_all(&request.as_bytes()[..cut]).await.unwrap();
        drop(stream);
    }
    // … while it waits for room, while it streams, and with the answer half taken.
    for take in [0, 1, 200, 900, 2000] {
        let mut streams = Vec::new();
        for _ in 0..4 {
            let mut stream = TcpStream::connect(house.address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            streams.push(stream);
        }
        house.until(|flying, waiting| flying == 2 && waiting >= 1).await;
        let mut taken = vec![0; take];
        for stream in &mut streams[..2] {
            let mut at = 0;
            while at < take {
                match stream.read(&mut taken[at..]).await.unwrap() {
                    0 => break,
                    n => at += n,
                }
            }
        }
        drop(streams);
        house.until(|flying, waiting| flying == 0 && waiting == 0).await;
    }
    crate::house::until(|| house.gateway.held_bytes() == 0 && house.gateway.connections() == 0)
        .await;
    assert_eq!(house.records.live(10), []);
    let stats = double.until(|stats| stats.in_flight == 0).await;
    assert!(stats.most_in_flight <= 2);
    // It works as before.
    assert_eq!(house.client().await.post(CHAT, chat(false, 2)).await.status, 200);
}

#[tokio::test]
async fn who_leaves_before_the_count_pays_for_what_it_got() {
    let double = double(2, 400, 0.0).await;
    let each = ClientLimits { tokens_per_minute: Some(100), ..ClientLimits::default() };
    let limits = Limits { client: each, ..room(2) };
    let house = House::open(vec![backend("one", &double.url())], limits, tries(0)).await;
    let ask = r#"{"model":"instant","stream":true,"messages":[{"role":"user","content":"On."}]}"#;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{ask}",
        ask.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut piece, mut read) = (vec![0; 1 << 14], Vec::new());
    while tokens_of(&String::from_utf8_lossy(&read)) < 200 {
        let taken = stream.read(&mut piece).await.unwrap();
        assert!(taken > 0, "it ended early");
        read.extend_from_slice(&piece[..taken]);
    }
    drop(stream);
    house.until(|flying, _| flying == 0).await;
    // A hundred may come at once; the two hundred that it got are owed first.
    let mut again = TcpStream::connect(house.address).await.unwrap();
    let head = head.replacen("\r\n\r\n", "\r\nx-plimsoll-deadline-ms: 50\r\n\r\n", 1);
    again.write_all(head.as_bytes()).await.unwrap();
    let taken = again.read(&mut piece).await.unwrap();
    let answer = String::from_utf8_lossy(&piece[..taken]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
}
