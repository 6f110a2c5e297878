//! What stands in the row of one request.

use super::*;

#[tokio::test(start_paused = true)]
async fn each_step_of_a_request_has_its_own_time() {
    let (records, mut reckoner, kept) = bench();
    let mut trace = one(&records, "open-webui");
    advance(3 * MS).await;
    trace.queued();
    advance(40 * MS).await;
    assert_eq!(trace.wait_us(), 40_000);
    trace.granted(&"chat".into(), "Qwen/Qwen3-8B");
    advance(2 * MS).await;
    trace.sent();
    advance(500 * MS).await;
    trace.retry();
    advance(MS).await;
    trace.sent();
    advance(100 * MS).await;
    trace.first();
    advance(900 * MS).await;
    trace.own_us(250);
    trace.usage(Some(812), Some(90));
    trace.itl(10_000, 12_000);
    trace.status(200);
    trace.finish(Finish::Answered, "");
    trace.finish(Finish::Failed, "said too late");
    drop(trace);
    reckoner.round(Instant::now(), false);
    let rows = lock(&kept.rows);
    let row = &rows[0];
    // The pause before the other try is a wait.
    assert_eq!((row.wait_us, row.overhead_us, row.total_us), (41_000, 5250, 1_546_000));
    assert_eq!((row.ttft_us, row.retries), (Some(646_000), 1));
    assert_eq!((row.finish, row.status, row.reason.as_str()), (Finish::Answered, 200, ""));
    assert_eq!((row.tokens_in, row.tokens_out), (Some(812), Some(90)));
    assert_eq!(row.sent_model.as_deref(), Some("Qwen/Qwen3-8B"));
    assert_eq!(row.joules, None, "no card tells its energy");
    let client = &records.clients()[0];
    assert!((client.backend_s - 1.499_75).abs() < 1e-9, "{}", client.backend_s);
}

#[tokio::test(start_paused = true)]
async fn what_the_client_and_another_request_take_is_in_the_total_alone() {
    let (records, mut reckoner, kept) = bench();
    let mut trace = records.begin(Endpoint::Chat);
    trace.uploads();
    advance(300 * MS).await;
    assert_eq!((trace.overhead_us(), records.live(1)[0].overhead_us), (0, 0));
    trace.read();
    advance(2 * MS).await;
    trace.joins();
    advance(400 * MS).await;
    assert_eq!((trace.wait_us(), records.live(1)[0].wait_us), (0, 0));
    assert_eq!(records.counted().all, Counted::default(), "no backend works for it");
    trace.shared(Shared::Joined);
    trace.first();
    advance(500 * MS).await;
    trace.finish(Finish::Answered, "");
    drop(trace);
    reckoner.round(Instant::now(), false);
    let rows = lock(&kept.rows);
    let row = &rows[0];
    assert_eq!((row.wait_us, row.overhead_us, row.total_us), (0, 2000, 1_202_000));
    assert_eq!(row.ttft_us, Some(702_000), "what its client felt");
    assert!(records.clients()[0].backend_s.abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_was_never_sent_is_no_execution() {
    let (records, mut reckoner, kept) = bench();
    let mut trace = one(&records, "curl");
    trace.sent();
    trace.retry();
    trace.finish(Finish::Failed, "");
    drop(trace);
    reckoner.round(Instant::now(), false);
    assert_eq!(lock(&kept.rows)[0].retries, 0);
}

#[tokio::test(start_paused = true)]
async fn words_of_others_are_kept_without_what_would_move_a_terminal() {
    let (records, mut reckoner, kept) = bench();
    let mut trace = one(&records, "curl");
    trace.asked("a\u{1b}[2Jb\n", false, Priority::Batch);
    trace.granted(&"chat".into(), "a\u{1b}[2Jb\n");
    trace.finish(Finish::Refused, format!("There is no {}.", "\u{9b}2J"));
    drop(trace);
    reckoner.round(Instant::now(), false);
    let rows = lock(&kept.rows);
    assert_eq!(rows[0].model, "a\u{fffd}[2Jb\u{fffd}");
    assert_eq!(rows[0].sent_model, None, "the same as it was asked for");
    assert_eq!(rows[0].reason, "There is no \u{fffd}2J.");
}

#[tokio::test(start_paused = true)]
async fn a_trace_dropped_without_a_word_was_left_by_its_client() {
    let (records, mut reckoner, kept) = bench();
    drop(one(&records, "curl"));
    reckoner.round(Instant::now(), false);
    let rows = lock(&kept.rows);
    assert_eq!((rows[0].finish, rows[0].status), (Finish::Left, 0));
    assert_eq!((rows[0].ttft_us, rows[0].tokens_out), (None, None), "unknown is not 0");
}

#[tokio::test(start_paused = true)]
async fn what_plimsoll_cuts_off_itself_did_not_leave() {
    let (records, mut reckoner, kept) = bench();
    let mut answered = one(&records, "curl");
    answered.finish(Finish::Answered, "");
    let (mut shared, plain) = (one(&records, "curl"), one(&records, "curl"));
    records.cuts_off();
    shared.left();
    drop((answered, shared, plain));
    reckoner.round(Instant::now(), false);
    let rows = lock(&kept.rows);
    let ends: Vec<_> = rows.iter().map(|row| (row.finish, row.reason.is_empty())).collect();
    let cut = (Finish::Cancelled, false);
    assert_eq!(ends, [(Finish::Answered, true), cut, cut]);
}
