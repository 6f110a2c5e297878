//! Far more than there is room for.

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt as _, stream::FuturesUnordered};
use plimsoll_gateway::admission::Limits;

use crate::house::{CHAT, House, chat, double, room};

/// Resident memory of this process, bytes.
fn rss() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test]
async fn ten_thousand_at_twenty_times_the_capacity_end_in_an_answer_or_an_honest_refusal() {
    const ROOM: u32 = 16;
    const CLIENTS: usize = 20 * ROOM as usize;
    const REQUESTS: usize = 10_000;
    let double = double(ROOM as usize, 2, 0.5).await;
    let house = Arc::new(House::before(&double, Limits { queue: 64, ..room(ROOM) }).await);
    let mut all = FuturesUnordered::new();
    let mut before = 0;
    for client in 0..CLIENTS {
        let house = house.clone();
        let mine = REQUESTS / CLIENTS + usize::from(client < REQUESTS % CLIENTS);
        all.push(tokio::spawn(async move {
            let mut client = house.client().await;
            let mut ends = BTreeMap::<u16, usize>::new();
            for turn in 0..mine {
                let reply = client.post(CHAT, chat(turn % 2 == 0, 2)).await;
                if reply.status != 200 {
                    assert!(matches!(reply.status, 429 | 503), "{}", reply.text());
                    assert!(reply.header("retry-after").is_some(), "{}", reply.text());
                    assert!(reply.header("x-plimsoll-limit").is_some());
                    assert!(!reply.json()["error"]["message"].as_str().unwrap().is_empty());
                }
                *ends.entry(reply.status).or_default() += 1;
            }
            ends
        }));
        if client == CLIENTS / 2 {
            before = rss();
        }
    }
    let mut ends = BTreeMap::<u16, usize>::new();
    while let Some(one) = all.next().await {
        for (status, count) in one.unwrap() {
            *ends.entry(status).or_default() += count;
        }
    }
    let grown = rss().saturating_sub(before);
    assert_eq!(ends.values().sum::<usize>(), REQUESTS, "{ends:?}");
    assert!(ends[&200] > 500 && ends.len() > 1, "{ends:?}");
    let stats = double.stats();
    assert_eq!(stats.finished as usize, ends[&200], "what was answered was executed once");
    assert!(stats.most_in_flight <= ROOM as usize, "{}", stats.most_in_flight);
    assert!(grown < 64 << 20, "{grown} bytes more, the clients and the double included");
    assert_eq!(house.gateway.held_bytes(), 0);
    house.until(|flying, waiting| flying == 0 && waiting == 0).await;
}
