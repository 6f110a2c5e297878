//! The processes behind a service, and what they hold.

use super::*;
use crate::{
    adapter::Held,
    service::{Basis, VramSplit},
};

#[tokio::test(start_paused = true)]
async fn what_it_holds_in_vram_is_told_apart_while_it_is_there() {
    let fake = Fake::new(ServiceKind::SgLang, |nth| match nth {
        // Told once, it stays known.
        0 => Act::Answer(Scrape {
            held: Some(Held { weights_bytes: Some(600), kv_bytes: Some(300), basis: Basis::Told }),
            ..Scrape::default()
        }),
        1 | 2 => well(nth),
        _ => Act::Fail,
    });
    let bench = Bench::new([fake], vec![watched("s", ServiceKind::SgLang)]);
    let mut server = process(10, 1, "sglang", &[8080]);
    server.vram_bytes = Some(1000);
    let processes = vec![server];
    bench.processes.send_replace(Arc::new(ProcessTable {
        at_ms: 1,
        processes,
        ..ProcessTable::default()
    }));
    pass(2.5).await;
    let split = VramSplit {
        total_bytes: 1000,
        weights_bytes: Some(600),
        kv_bytes: Some(300),
        other_bytes: 100,
        basis: Basis::Told,
    };
    assert_eq!(bench.service("s").vram, Some(split));
    // Down, and its process still seen: what it holds is not known any more.
    pass(3.0).await;
    let down = bench.service("s");
    assert_eq!(down.state, ServiceState::Down);
    assert_eq!(down.vram.map(|vram| (vram.weights_bytes, vram.other_bytes)), Some((None, 1000)));
}

#[tokio::test(start_paused = true)]
async fn the_process_behind_a_service_is_told_and_its_restart_is_an_event() {
    let fake = Fake::new(ServiceKind::Vllm, |nth| {
        // It starts again before the fourth look and has served more by then.
        let total = [10.0, 20.0, 30.0, 50.0, 60.0];
        let now = total[usize::try_from(nth).unwrap().min(4)];
        Act::Answer(Scrape {
            figures: vec![Figure::total(Metric::TokensPrompt, now)],
            ..Scrape::default()
        })
    });
    let bench = Bench::new([fake], vec![watched("v", ServiceKind::Vllm)]);
    let table = |at_ms, pid| {
        Arc::new(ProcessTable {
            at_ms,
            processes: vec![process(pid, 1, "vllm", &[8080])],
            ..ProcessTable::default()
        })
    };
    bench.processes.send_replace(table(1, 10));
    pass(2.5).await;
    assert_eq!(bench.service("v").holder.as_ref().unwrap().pids, [10]);
    bench.processes.send_replace(table(2, 77));
    pass(1.0).await;
    assert_eq!(bench.titles(), ["v started again"]);
    let readings = bench.read();
    let prompt = readings.iter().find(|r| r.metric == Metric::TokensPrompt).unwrap();
    assert_eq!(prompt.number(), 80.0, "30 of the first process and 50 of the second");
    assert!(readings.iter().any(|r| r.metric == Metric::ServiceRss));
}
