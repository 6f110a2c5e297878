//! The request log: pages, filters, bounds, and what a damaged database gives back.

use std::sync::Arc;

use plimsoll_core::{
    record::Record as _,
    request::{Endpoint, Finish, Priority, RequestRow, Shared},
};
use plimsoll_history::{MAX_REQUESTS, Options, RequestFilter, StoredKind, recover};

use crate::damage::connect;
use crate::world::{DAY, HOUR, START, World};

fn row(n: i64, at_ms: i64) -> RequestRow {
    RequestRow {
        id: at_ms * 4096 + n % 4096,
        at_ms,
        client: if n % 3 == 0 { "agent".into() } else { "open-webui".into() },
        endpoint: Endpoint::Chat,
        model: "qwen3-8b".into(),
        sent_model: (n % 2 == 0).then(|| "Qwen/Qwen3-8B".into()),
        route: None,
        backend: Some(if n % 5 == 0 { "embed" } else { "chat" }.into()),
        priority: Priority::Interactive,
        stream: true,
        finish: if n % 7 == 0 { Finish::Refused } else { Finish::Answered },
        status: if n % 7 == 0 { 429 } else { 200 },
        reason: if n % 7 == 0 { "The queue is full.".into() } else { String::new() },
        wait_us: 1000,
        overhead_us: 90,
        ttft_us: (n % 7 != 0).then_some(120_000),
        itl_p50_us: Some(9000),
        itl_p95_us: Some(11_000),
        total_us: n.unsigned_abs() * 1000,
        tokens_in: Some(812),
        tokens_out: None,
        retries: 1,
        shared: (n % 4 == 0).then_some(Shared::Joined),
        joules: Some(12.5),
    }
}

fn shared(rows: Vec<RequestRow>) -> Vec<Arc<RequestRow>> {
    rows.into_iter().map(Arc::new).collect()
}

fn ids(rows: &[RequestRow]) -> Vec<i64> {
    rows.iter().map(|row| row.id).collect()
}

#[tokio::test]
async fn a_request_comes_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    let rows: Vec<_> = (0..30).map(|n| row(n, START + n)).collect();
    world.recorder.requests(shared(rows.clone()));
    world.settle().await;
    let found = world.reader.requests(&RequestFilter::default(), 100).await.unwrap();
    assert!(found.rows.iter().eq(rows.iter().rev()), "{:?}", found.rows.first());
    assert!(!found.more);
    assert_eq!(world.reader.newest_request().await.unwrap(), rows.last().map(|row| row.id));
    world.history.stop().await;
}

// DE3
#[tokio::test]
async fn pages_go_back_through_all_of_it_and_filters_hold_on_each() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    let rows: Vec<_> = (1..=1234).map(|n| row(n, START + n)).collect();
    world.recorder.requests(shared(rows.clone()));
    world.settle().await;
    let filters = [
        RequestFilter::default(),
        RequestFilter { client: Some("agent".into()), ..RequestFilter::default() },
        RequestFilter { model: Some("Qwen/Qwen3-8B".into()), ..RequestFilter::default() },
        RequestFilter {
            backend: Some("embed".into()),
            finish: vec![Finish::Refused, Finish::Failed],
            min_total_us: Some(400_000),
            after: Some(row(300, START + 300).id),
            ..RequestFilter::default()
        },
        RequestFilter { client: Some("nobody".into()), ..RequestFilter::default() },
    ];
    for filter in filters {
        let wanted: Vec<_> = rows.iter().rev().filter(|row| filter.wants(row)).cloned().collect();
        let (mut seen, mut page) = (Vec::new(), filter.clone());
        loop {
            let found = world.reader.requests(&page, 100).await.unwrap();
            assert!(found.rows.len() <= 100);
            seen.extend(found.rows);
            if !found.more {
                break;
            }
            page.before = seen.last().map(|row| row.id);
        }
        assert_eq!(ids(&seen), ids(&wanted), "{filter:?}");
    }
    let found = world.reader.requests(&RequestFilter::default(), u32::MAX).await.unwrap();
    assert_eq!(found.rows.len(), MAX_REQUESTS as usize, "a page is bounded");
    world.history.stop().await;
}

#[tokio::test]
async fn requests_go_when_they_are_too_old_or_take_too_much() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    let kept = |keep_ms, keep_bytes| {
        let mut options = Options::default();
        options.keep.requests_ms = keep_ms;
        options.keep.requests_bytes = keep_bytes;
        options
    };
    world.recorder.requests((0..2000).map(|n| row(n, START + n * 1000).into()).collect());
    world.clock.advance_ms(DAY + 1_000_000);
    world.tick(Vec::new());
    world.settle().await;
    let bytes = |stored: &[plimsoll_history::Stored]| {
        *stored.iter().find(|s| s.kind == StoredKind::Requests).unwrap()
    };
    let all = bytes(&world.reader.storage().await.unwrap());
    assert_eq!(all.oldest_ms, Some(START));
    let freed = world.reader.effect_of_keeping(StoredKind::Requests, DAY).await.unwrap();
    assert!(freed.abs_diff(all.bytes / 2) <= all.bytes / 100, "{freed} of {}", all.bytes);

    world.options.send(kept(DAY, u64::MAX)).unwrap();
    world.settle().await;
    let left = bytes(&world.reader.storage().await.unwrap());
    assert_eq!(left.oldest_ms, Some(START + 1_000_000));
    assert!(left.bytes.abs_diff(all.bytes - freed) <= 200, "{} of {}", left.bytes, all.bytes);

    let limit = 40_000;
    world.options.send(kept(DAY, limit)).unwrap();
    for batch in 0..20 {
        let at = START + DAY + batch * 1000;
        world.recorder.requests((0..200).map(|n| row(n, at + n).into()).collect());
        world.settle().await;
        assert!(bytes(&world.reader.storage().await.unwrap()).bytes <= limit);
    }
    let newest = world.reader.newest_request().await.unwrap();
    assert_eq!(newest, Some(row(199, START + DAY + 19_199).id), "the oldest went, not the newest");
    world.history.stop().await;
}

#[tokio::test]
async fn what_a_person_deletes_takes_its_requests_along() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    world.recorder.requests((0..100).map(|n| row(n, START + n * 1000).into()).collect());
    world.settle().await;
    world.history.delete_before(Some(START + 50_000)).await.unwrap();
    let found = world.reader.requests(&RequestFilter::default(), 500).await.unwrap();
    assert_eq!(found.rows.len(), 50);
    world.history.delete_before(None).await.unwrap();
    let found = world.reader.requests(&RequestFilter::default(), 500).await.unwrap();
    assert!(found.rows.is_empty());
    world.history.stop().await;
}

#[tokio::test]
async fn requests_of_a_damaged_database_come_back() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let world = World::open(folder.path()).await;
    let rows: Vec<_> = (0..300).map(|n| row(n, START + n)).collect();
    world.recorder.requests(shared(rows.clone()));
    world.settle().await;
    world.history.stop().await;
    World::open(other.path()).await.history.stop().await;
    let report = recover(&folder.path().join("history.db"), other.path()).await.unwrap();
    assert_eq!((report.requests, report.lost), (300, 0));
    let world = World::open(other.path()).await;
    let found = world.reader.requests(&RequestFilter::default(), 500).await.unwrap();
    assert!(found.rows.iter().eq(rows.iter().rev()));
    let stored = world.reader.storage().await.unwrap();
    let requests = stored.iter().find(|s| s.kind == StoredKind::Requests).unwrap();
    assert!(requests.bytes > 300 * 150, "{}", requests.bytes);
    world.history.stop().await;
}

#[tokio::test]
async fn more_requests_than_the_queue_holds_are_counted_and_displace_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    let before = world.recorder.dropped();
    // In one piece, so that the writer cannot take some away.
    world.recorder.requests((0..20_100).map(|n| row(n, START + n).into()).collect());
    assert_eq!(world.recorder.dropped() - before, 100);
    world.tick(Vec::new());
    world.settle().await;
    assert_eq!(world.reader.newest_request().await.unwrap(), Some(row(19_999, START + 19_999).id));
    assert_eq!(world.recorder_len(), 0);
    world.history.stop().await;
}

#[tokio::test]
async fn a_history_of_before_the_gateway_gets_its_table() {
    let folder = tempfile::tempdir().unwrap();
    World::open(folder.path()).await.history.stop().await;
    let path = folder.path().join("history.db");
    let mut connection = connect(&path).await;
    for sql in [
        "DROP TABLE request",
        "DROP TABLE request_total",
        "DELETE FROM _sqlx_migrations WHERE version = 4",
        "PRAGMA user_version = 3",
        "PRAGMA wal_checkpoint(TRUNCATE)",
    ] {
        sqlx::query(sql).execute(&mut connection).await.unwrap();
    }
    sqlx::Connection::close(connection).await.unwrap();
    let world = World::open(folder.path()).await;
    world.recorder.requests(vec![row(1, START + HOUR).into()]);
    world.settle().await;
    let found = world.reader.requests(&RequestFilter::default(), 10).await.unwrap();
    assert_eq!(found.rows.len(), 1);
    world.history.stop().await;
}
