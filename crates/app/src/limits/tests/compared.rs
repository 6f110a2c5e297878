//! Before a change and after it.

use plimsoll_core::{
    config::wire::{Changed, Revision, SettingValue},
    request::RequestRow,
};

use super::{
    super::{
        Source,
        compare::{Known, compare},
    },
    START, history, row,
};
use crate::api::{ComparedFigure, ComparedVerdict, LimitsCompared};

const ROOM: &str = "services.chat.max_in_flight";

fn revision(number: i64, at_ms: i64, key: &str) -> Revision {
    let value = SettingValue::Integer;
    let changed = Changed { key: key.into(), old: value(4), new: value(2) };
    Revision {
        number,
        at_ms,
        by: "window".into(),
        rolled_back_to: None,
        changed: vec![changed],
        diff: Vec::new(),
    }
}

async fn compared(
    rows: Vec<RequestRow>,
    all: &[Revision],
    which: usize,
    now: i64,
) -> LimitsCompared {
    compared_beside(rows, all, which, now, &[]).await
}

async fn compared_beside(
    rows: Vec<RequestRow>,
    all: &[Revision],
    which: usize,
    now: i64,
    under_way: &[(i64, Option<&str>)],
) -> LimitsCompared {
    let folder = tempfile::tempdir().unwrap();
    let (history, _options) = history(folder.path(), rows).await;
    let reader = history.reader();
    let source = Source::Alone(&reader);
    let one = all[which].clone();
    let known = Known { table: None, all, under_way, oldest_ms: Some(START), now_ms: now };
    let answer = compare(source, &known, one).await.unwrap();
    history.stop().await;
    answer
}

#[tokio::test]
async fn a_change_is_compared_over_windows_of_one_length_up_to_the_next_change() {
    let at = START + 600_000;
    let slow = |n: i64| if n >= 300 { 900 } else { 500 };
    let rows: Vec<RequestRow> = (0..900)
        .map(|n| row(n, START + n * 2000, 0, slow(n) + (n.unsigned_abs() * 37) % 200))
        .collect();
    let all = [
        revision(3, at + 300_000, "gateway.queue.max"),
        revision(2, at, ROOM),
        // Of no limit: it bounds nothing.
        revision(1, at - 1000, "log.level"),
    ];
    let answer = compared(rows.clone(), &all, 1, at + 900_000).await;
    let (before, after) = (answer.before.unwrap(), answer.after.unwrap());
    assert_eq!((before.to_ms - before.from_ms, before.to_ms), (300_000, at));
    assert_eq!((after.from_ms, after.to_ms), (at, at + 300_000));
    assert_eq!(answer.services, ["chat"]);
    assert!(answer.window_why.contains("5 min") && answer.window_why.contains("next change"));
    let of = |figure| answer.figures.iter().find(|one| one.figure == figure).unwrap();
    let ttft = of(ComparedFigure::TtftP95);
    assert_eq!(
        (ttft.verdict, ttft.before_count, ttft.after_count),
        (ComparedVerdict::ClearlyWorse, 150, 150)
    );
    assert!(
        ttft.text.starts_with("TTFT p95 17") && ttft.text.ends_with("ms, clearly worse"),
        "{}",
        ttft.text
    );
    let difference = ttft.difference.unwrap();
    assert!(difference.low > 0.0 && difference.high >= difference.low);
    assert_eq!(of(ComparedFigure::WaitP95).verdict, ComparedVerdict::CannotTell);
    assert_eq!(of(ComparedFigure::RefusedShare).why, "none before and none after");
    assert_eq!(of(ComparedFigure::RequestsPerMin).verdict, ComparedVerdict::CannotTell);
    assert_eq!(answer.caution, "");
    assert_eq!(compared(rows, &all, 1, at + 900_000).await, answer, "the same again");
}

#[tokio::test]
async fn too_few_requests_are_not_compared_and_far_more_of_them_are_said() {
    let at = START + 600_000;
    let rows: Vec<RequestRow> = (0..60)
        .map(|n| row(n, START + n * 10_000, 0, 500))
        .chain((0..400).map(|n| row(n, at + n * 1000, 0, 500)))
        .collect();
    let all = [revision(2, at, "gateway.queue.max")];
    let early = compared(rows.clone(), &all, 0, at + 30_000).await;
    let ttft = &early.figures[0];
    assert_eq!((ttft.verdict, ttft.before), (ComparedVerdict::CannotTell, None));
    assert_eq!(ttft.why, "needs 59 requests, 3 before and 30 after");
    // A few of them are no demand.
    let first = compared(rows.clone(), &all, 0, at + 10_000).await;
    let rate = &first.figures[3];
    assert_eq!((rate.verdict, rate.before), (ComparedVerdict::CannotTell, None));
    assert_eq!(rate.why, "needs 20 requests on one side, 1 before and 10 after");
    let later = compared(rows.clone(), &all, 0, at + 400_000).await;
    assert_eq!(later.figures[3].verdict, ComparedVerdict::ClearlyMore);
    assert!(later.caution.contains("6 → 60 /min"), "{}", later.caution);
    let none = compared(rows, &all, 0, at).await;
    assert!(none.before.is_none() && none.figures.is_empty() && !none.window_why.is_empty());
}

#[tokio::test]
async fn what_is_still_under_way_ends_the_window_after_a_change() {
    let at = START + 600_000;
    let rows: Vec<RequestRow> = (0..1200).map(|n| row(n, START + n * 1000, 0, 500)).collect();
    let all = [revision(2, at, ROOM)];
    let now = at + 500_000;
    // One came before the change, one is of another service, and one has hung since 200 s.
    let under_way =
        [(at - 5000, Some("chat")), (at + 100_000, Some("other")), (at + 200_000, Some("chat"))];
    let answer = compared_beside(rows.clone(), &all, 0, now, &under_way).await;
    let (before, after) = (answer.before.unwrap(), answer.after.unwrap());
    assert_eq!((after.from_ms, after.to_ms), (at, at + 200_000));
    assert_eq!((before.from_ms, before.to_ms), (at - 200_000, at));
    assert!(answer.window_why.ends_with("up to the oldest request that is still under way."));
    assert_eq!(answer.figures[3].verdict, ComparedVerdict::CannotTell, "as many as before");
    let none = compared_beside(rows, &all, 0, now, &[(at + 10, None)]).await;
    assert!(none.before.is_none() && none.window_why.contains("still under way"));
}
