//! Sentences from what was recorded.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use plimsoll_core::{
    clock::{Clock as _, ManualClock},
    config::{
        Environment,
        wire::{Change, SettingValue},
    },
    metric::Metric,
    reading::{Reading, Tick},
    record::Record as _,
    request::{Finish, RequestRow},
    traffic::RoomBasis,
};
use plimsoll_gateway::clients::Keys;
use plimsoll_history::{History, Options};
use plimsoll_services::service::{Basis, Holder, Origin, Service, Slots, VramSplit};
use tokio::sync::watch;

use super::{
    super::{Ground, Source, effects, words::duration},
    START, change, history, read, rooms, row,
};
use crate::api::LimitEffect;

const STORED: &str = include_str!("../../../../gateway/src/replay/trace.csv");
const ROOM: &str = "services.chat.max_in_flight";

/// A stored trace: when each came, and how long it was at work.
fn stored() -> Vec<(u64, u64)> {
    let number = |text: &str| text.parse().unwrap();
    let of = |line: &str| line.split_once(',').map(|(at, held)| (number(at), number(held)));
    STORED.lines().skip(1).filter_map(of).collect()
}

/// With a room of 2 that its server told, or what `text` says.
async fn asked(rows: Vec<RequestRow>, text: &str, changes: &[Change]) -> Vec<LimitEffect> {
    asked_where(rows, text, changes, |_| {}).await
}

/// Where the processor was that busy for a minute.
async fn asked_when_busy(percent: f64, text: &str, changes: &[Change]) -> Vec<LimitEffect> {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(START + 3_600_000));
    let (_sender, options) = watch::channel(Options::default());
    let history = History::open(folder.path(), options, clock.clone()).await.unwrap();
    for _ in 0..60 {
        let readings = vec![Reading::gauge(Metric::CpuBusy, &Arc::from(""), percent)];
        history.recorder().tick(Arc::new(Tick { at: clock.now(), readings }));
        clock.advance_ms(1000);
    }
    assert!(history.settle().await);
    let reader = history.reader();
    let ground = Ground {
        source: Source::Alone(&reader),
        reader: &reader,
        loaded: read(text),
        environment: Environment::default(),
        keys: Arc::new(Keys::default()),
        rooms: BTreeMap::new(),
        services: &[],
        table: None,
        vram_used: None,
        vram_total: None,
        memory_bytes: None,
        now_ms: START + 4_000_000,
        launch_changed: BTreeMap::new(),
    };
    let answer = effects(&ground, changes).await.unwrap();
    history.stop().await;
    answer.effects
}

async fn asked_where(
    rows: Vec<RequestRow>,
    text: &str,
    changes: &[Change],
    where_: impl FnOnce(&mut Ground<'_>),
) -> Vec<LimitEffect> {
    let folder = tempfile::tempdir().unwrap();
    let (history, _options) = history(folder.path(), rows).await;
    let reader = history.reader();
    let mut chat = Service::new("chat", "Chat", None, "http://127.0.0.1:1", Origin::Accepted);
    chat.kind = Some(plimsoll_services::kind::ServiceKind::LlamaCpp);
    chat.vram = Some(VramSplit {
        total_bytes: 10 << 30,
        weights_bytes: Some(5 << 30),
        kv_bytes: Some(4 << 30),
        other_bytes: 1 << 30,
        basis: Basis::Told,
    });
    let mut ground = Ground {
        source: Source::Alone(&reader),
        reader: &reader,
        loaded: read(text),
        environment: Environment::default(),
        keys: Arc::new(Keys::default()),
        rooms: rooms(2, RoomBasis::Told),
        services: &[chat],
        table: None,
        vram_used: Some(20 << 30),
        vram_total: Some(24 << 30),
        memory_bytes: None,
        now_ms: START + 86_400_000,
        launch_changed: BTreeMap::new(),
    };
    where_(&mut ground);
    let answer = effects(&ground, changes).await.unwrap();
    let mut effects = answer.effects;
    effects.extend(answer.together);
    history.stop().await;
    effects
}

/// The waits by another way: millisecond by millisecond, some places and a line.
fn by_hand(rows: &[(u64, u64)], room: usize) -> Vec<u64> {
    let mut waits = vec![0; rows.len()];
    let (mut running, mut line) = (Vec::<u64>::new(), VecDeque::new());
    let (mut now, mut next) = (0, 0);
    while next < rows.len() || !line.is_empty() {
        running.retain(|end| *end > now);
        while rows.get(next).is_some_and(|(at, _)| *at == now) {
            line.push_back(next);
            next += 1;
        }
        while running.len() < room
            && let Some(first) = line.pop_front()
        {
            waits[first] = now - rows[first].0;
            running.push(now + rows[first].1);
        }
        now += 1;
    }
    waits
}

#[tokio::test]
async fn the_sentence_is_the_one_that_a_stored_trace_gives_by_hand() {
    let stored = stored();
    let (two, four) = (by_hand(&stored, 2), by_hand(&stored, 4));
    let rows = stored.iter().zip(&two).enumerate();
    let rows = rows.map(|(n, ((at, held), wait))| row(n as i64, START + *at as i64, *wait, *held));
    let effects = asked(rows.collect(), "gateway.queue.wait_s = 3600", &[change(ROOM, 4)]).await;

    let less: Vec<u64> = two
        .iter()
        .zip(&four)
        .filter(|(two, four)| four < two)
        .map(|(two, four)| two - four)
        .collect();
    assert!(two.iter().zip(&four).all(|(two, four)| four <= two));
    let mean = (less.iter().sum::<u64>() + less.len() as u64 / 2) / less.len() as u64;
    let sentence = format!(
        "{} of the last {} requests would have waited {} less; none refused.",
        less.len(),
        stored.len(),
        duration(mean)
    );
    let effect = &effects[0];
    assert_eq!((effect.text.as_str(), effect.known), (sentence.as_str(), true));
    let replay = effect.replay.unwrap();
    assert_eq!(replay.recorded_wait_ms, two.iter().sum::<u64>());
    assert_eq!(replay.today.wait_sum_ms, replay.recorded_wait_ms, "as it was, so it is replayed");
    assert_eq!(replay.proposed.wait_sum_ms, four.iter().sum::<u64>());
    assert!(effect.why.contains("as long as it took then"), "{}", effect.why);
}

#[tokio::test]
async fn where_nothing_waited_more_room_cannot_be_told_and_less_room_can() {
    let rows: Vec<RequestRow> = (0..80).map(|n| row(n, START + n * 1000, 0, 1500)).collect();
    let changes = [change(ROOM, 8), change(ROOM, 1), change("gateway.queue.max", 10)];
    let effects = asked(rows, "", &changes).await;
    assert_eq!(effects[0].text, "Cannot tell: nothing waited in this time.");
    assert!(!effects[0].known && effects[0].why.starts_with("The last 80 requests"));
    assert!(effects[1].known && effects[1].text.contains(" longer; "), "{}", effects[1].text);
    assert_eq!(
        effects[2].text,
        "None of the last 80 requests would have waited or been refused: at most 2 ran at once."
    );
    assert_eq!(effects[3].keys.len(), 3, "and all together");
}

#[tokio::test]
async fn who_would_be_refused_is_counted_and_who_was_is_given_the_usual_time() {
    let mut rows: Vec<RequestRow> = (0..60).map(|n| row(n, START + n * 10, 0, 2000)).collect();
    for refused in rows.iter_mut().skip(40) {
        (refused.finish, refused.status, refused.backend) = (Finish::Refused, 429, None);
        (refused.total_us, refused.ttft_us) = (0, None);
    }
    // Without a table they were to go where others of their model went.
    let text = "gateway.queue = { max = 100, wait_s = 600 }";
    let changes = [change("gateway.queue.max", 5), change(ROOM, 4)];
    let effects = asked(rows.clone(), text, &changes).await;
    let replay = effects[0].replay.unwrap();
    assert_eq!((replay.requests, replay.newly_refused, replay.supposed), (60, 53, 20));
    assert!(
        effects[0].text.ends_with("; 53 refused, none at today's limit."),
        "{}",
        effects[0].text
    );
    assert_eq!(effects[1].replay.unwrap().requests, 60, "also of the service");
    // Where only one could answer its name is on record; it never ran there all the same.
    for refused in rows.iter_mut().skip(40) {
        refused.backend = Some("chat".into());
    }
    let named = asked(rows.clone(), text, &changes).await;
    assert_eq!(named[0].replay, effects[0].replay);
    // Nobody ever answered that model: 20 more or less of them are not kept quiet.
    for refused in rows.iter_mut().skip(40) {
        (refused.backend, refused.model) = (None, "gone".into());
    }
    for effect in asked(rows, text, &changes).await {
        assert_eq!(
            effect.text,
            "Cannot tell: where they were to go is not known of some that found no room."
        );
        assert!(!effect.known && effect.why.starts_with("20 of "), "{}", effect.why);
    }
}

/// What is recorded of programs that ask one after the other: a tenth of a second after each
/// answer, or sooner.
fn programs(many: usize, requests: usize, room: usize, held: impl Fn(usize) -> u64) -> Vec<Row> {
    let mut comes: BTreeSet<(u64, usize)> = (0..many).map(|n| (40 * n as u64, n)).collect();
    let mut places = vec![0_u64; room];
    let mut rows = Vec::new();
    while rows.len() < requests
        && let Some((at, program)) = comes.pop_first()
    {
        places.sort_unstable();
        let (wait, held) = (places[0].saturating_sub(at), held(rows.len()));
        places[0] = at + wait + held;
        comes.insert((places[0] + 10 + 13 * (held % 7), program));
        rows.push(Row { program, at, wait, held });
    }
    rows
}

struct Row {
    program: usize,
    at: u64,
    wait: u64,
    held: u64,
}

fn as_rows(of: &[Row]) -> Vec<RequestRow> {
    let one = |(n, of): (usize, &Row)| RequestRow {
        client: format!("notebook-{}", of.program),
        ..row(n as i64, START + of.at as i64, of.wait, of.held)
    };
    of.iter().enumerate().map(one).collect()
}

#[tokio::test]
async fn programs_that_wait_for_their_answers_ask_less_often_and_are_not_said_to_be_refused() {
    let held = |n: usize| 300 + (n as u64 * 7919) % 101;
    let (today, tighter) = (programs(6, 600, 4, held), programs(6, 600, 2, held));
    // At their recorded times hundreds would have waited for longer than that, and been refused.
    let text = "gateway.queue.wait_s = 10";
    let effects = asked_where(as_rows(&today), text, &[change(ROOM, 2)], |ground| {
        ground.rooms = rooms(4, RoomBasis::Told);
    })
    .await;
    let (effect, replay) = (&effects[0], effects[0].replay.unwrap());
    assert_eq!((replay.requests, replay.proposed.refused), (600, 0));
    let wait = |rows: &[Row]| rows.iter().map(|row| row.wait).sum::<u64>();
    let near = |one: u64, other: u64| one.abs_diff(other) * 20 <= other;
    assert!(near(replay.today.wait_sum_ms, wait(&today)), "{replay:?}");
    assert!(near(replay.proposed.wait_sum_ms, wait(&tighter)), "{replay:?} {}", wait(&tighter));
    assert!(effect.known && effect.text.contains(" longer; none refused; done in "), "{effect:?}");
    assert!(effect.why.contains(" 594 followed an answer to the same client"), "{}", effect.why);
}

#[tokio::test]
async fn where_it_hangs_on_whether_a_program_waits_both_are_said() {
    let rows = programs(2, 12, 2, |n| 9000 + 100 * (n as u64 % 5));
    let effects = asked(as_rows(&rows), "", &[change(ROOM, 1)]).await;
    let (text, end) = (&effects[0].text, "by whether notebook-1 and 1 more waited for answers;");
    assert!(text.starts_with("On average the last 12 requests would have waited "), "{text}");
    assert!(text.contains(end) && text.ends_with(" none refused."), "{text}");
    assert!(effects[0].known && effects[0].replay.is_some());
    // Nobody is said to be refused who is only by one of them.
    let text = "gateway.queue.wait_s = 20";
    let effects = asked(as_rows(&rows), text, &[change(ROOM, 1)]).await;
    let effect = &effects[0];
    assert_eq!(
        (effect.known, effect.text.as_str()),
        (
            false,
            "Cannot tell: it hangs on whether notebook-1 and 1 more wait for their answers before \
             they ask again, and the record does not say."
        )
    );
    assert!(effect.why.starts_with("If so: ") && effect.why.contains(" If not: "), "{effect:?}");
    assert_eq!(effect.replay, None);
}

#[tokio::test]
async fn limits_in_tokens_cannot_be_told_from_tokens_that_were_used() {
    let rows: Vec<RequestRow> = (0..80).map(|n| row(n, START + n * 100, 0, 1500)).collect();
    let keys = ["services.chat.max_tokens", "gateway.clients.tokens_per_min"];
    let text = "[services.chat]\nmax_tokens = 4096\n";
    let changes = keys.map(|key| change(key, 100));
    let effects = asked(rows.clone(), text, &changes).await;
    assert_eq!(effects.len(), 3, "and together");
    for effect in effects {
        let told = effect.text.starts_with("Cannot tell: this counts the tokens that are asked");
        assert!(told && !effect.known, "{}", effect.text);
    }
    // One in force beside what is moved is named.
    let beside = asked(rows, text, &[change(ROOM, 1)]).await;
    assert!(beside[0].known && beside[0].why.contains("Limits in tokens"), "{}", beside[0].why);
    assert!(beside[0].why.contains("Breakers, gates"), "{}", beside[0].why);
}

#[tokio::test]
async fn auto_is_as_tight_as_what_it_stands_for_also_where_nothing_runs() {
    let rows: Vec<RequestRow> = (0..80).map(|n| row(n, START + n * 1000, 0, 1500)).collect();
    let effects = asked_where(rows, "", &[change(ROOM, 1), change(ROOM, 8)], |ground| {
        let mut chat = ground.services[0].clone();
        let (total, basis) = (Some(2), Basis::Told);
        chat.slots = Some(Slots { total, busy: None, waiting: None, basis });
        ground.services = Box::leak(Box::new([chat]));
        ground.rooms.clear();
    })
    .await;
    assert!(effects[0].known && effects[0].text.contains(" longer; "), "{}", effects[0].text);
    assert!(!effects[0].why.contains("That more at once"), "{}", effects[0].why);
    assert_eq!(effects[1].text, "Cannot tell: nothing waited in this time.");
}

#[tokio::test]
async fn a_first_byte_is_counted_over_those_that_told_theirs_and_a_stream_tells_no_more_than_that()
{
    let key = "gateway.timeout.first_byte_s";
    // Their first token came after 1 s; ten never told.
    let mut rows: Vec<RequestRow> = (0..50).map(|n| row(n, START + n * 60_000, 0, 4000)).collect();
    for silent in rows.iter_mut().take(10) {
        (silent.ttft_us, silent.finish) = (None, Finish::Failed);
    }
    let text = "gateway.timeout.first_byte_s = 20";
    let effects = asked(rows.clone(), text, &[change(key, 10)]).await;
    assert_eq!(
        effects[0].text,
        "None of the 40 requests of which it is known would have been cut off: the longest \
         waited 1.0 s."
    );
    rows[20].ttft_us = Some(15_000_000);
    let effects = asked(rows.clone(), text, &[change(key, 10)]).await;
    assert!(!effects[0].known, "its first byte may have come before its first token");
    assert!(effects[0].text.starts_with("Cannot tell: the first token of 1 of the 40 requests"));
    rows[20].stream = false;
    rows[0].finish = Finish::TimedOut;
    let effects = asked(rows, text, &[change(key, 10), change(key, 40)]).await;
    assert_eq!(
        effects[0].text,
        "2 of the 41 requests of which it is known would have been cut off; the longest waited \
         15 s."
    );
    assert!(!effects[1].known && effects[1].text.starts_with("Cannot tell: 1 of the 41"));
}

#[tokio::test]
async fn a_gate_that_only_observes_would_have_held_nobody() {
    let changes = [change("gateway.gates.cpu.busy_percent", 50)];
    for (mode, said) in [
        ("enforce", "It would have closed: the most was 80"),
        ("observe", "It would have said so, and held nobody back: the most was 80"),
    ] {
        let text = format!("gateway.gates.cpu.mode = \"{mode}\"");
        let effects = asked_when_busy(80.0, &text, &changes).await;
        assert!(effects[0].text.starts_with(said), "{}", effects[0].text);
    }
}

#[tokio::test]
async fn what_runs_with_older_settings_tells_nothing_of_the_newer() {
    let text = "[services.chat]\nurl = \"http://127.0.0.1:1\"\nkind = \"llama-cpp\"\n\
                command = [\"x\"]\ncontext_tokens = 8192\nparallel = 4\n";
    let changes = [
        change("services.chat.context_tokens", 32_768),
        change("services.chat.parallel", 2),
        change("services.chat.parallel", 8),
    ];
    let changed = |at: i64| BTreeMap::from([("chat".to_owned(), at)]);
    let effects = asked_where(Vec::new(), text, &changes, |ground| {
        ground.launch_changed = changed(START);
    })
    .await;
    assert!(!effects[0].known && effects[0].text.starts_with("Cannot tell: "));
    assert!(effects[0].why.contains("since before its settings were changed"));
    assert_eq!(effects[1].why, "Each has more of it.");
    assert_eq!(effects[2].why, "Each has less of it.");
    let effects = asked_where(Vec::new(), text, &changes[..1], |ground| {
        let mut chat = ground.services[0].clone();
        chat.holder = Some(Holder { started_ms: START + 1, ..Holder::default() });
        ground.services = Box::leak(Box::new([chat]));
        ground.launch_changed = changed(START);
    })
    .await;
    assert!(effects[0].known, "it was started again since: {}", effects[0].text);
}

#[tokio::test]
async fn without_records_nothing_is_told() {
    let text = "[services.local]\nurl = \"http://127.0.0.1:1\"\nkind = \"llama-cpp\"\n\
                command = [\"x\"]\n";
    let changes = [
        change(ROOM, 4),
        change("gateway.timeout.total_s", 5),
        change("history.keep.raw_hours", 24),
        change("gateway.gates.cpu.busy_percent", 50),
        change("gateway.pool.idle", 3),
        change("services.local.context_tokens", 4096),
    ];
    for effect in asked(Vec::new(), text, &changes).await {
        assert!(!effect.known && effect.text.starts_with("Cannot tell: "), "{effect:?}");
    }
}

#[tokio::test]
async fn times_are_counted_and_what_ran_out_of_time_is_not_guessed() {
    let mut rows: Vec<RequestRow> = (0..50).map(|n| row(n, START + n * 60_000, 0, 4000)).collect();
    rows[7] = row(7, START + 7 * 60_000, 30_000, 40_000);
    let total = "gateway.timeout.total_s";
    let effects = asked(rows.clone(), "", &[change(total, 30), change(total, 41)]).await;
    assert_eq!(
        effects[0].text,
        "1 of the last 50 requests would have been cut off; the longest took 40 s."
    );
    assert!(effects[1].text.starts_with("None of the last 50 requests would have been cut off"));
    rows[7].finish = Finish::TimedOut;
    let effects = asked(rows, "gateway.timeout.total_s = 40", &[change(total, 80)]).await;
    let text = &effects[0].text;
    assert!(text.starts_with("Cannot tell: 1 of the last 50") && text.contains("is not known"));
    assert!(!effects[0].known);
}

#[tokio::test]
async fn what_a_service_holds_on_the_card_follows_from_its_cache() {
    let text = "[services.chat]\nurl = \"http://127.0.0.1:1\"\nkind = \"llama-cpp\"\n\
                command = [\"x\"]\nkv_type = \"f16\"\ncontext_tokens = 8192\n";
    let kv = Change {
        key: "services.chat.kv_type".into(),
        value: Some(SettingValue::Text("q8_0".into())),
    };
    let changes = [kv, change("services.chat.context_tokens", 32_768)];
    let effects = asked(Vec::new(), text, &changes).await;
    // 4 GiB of cache in 16 bits a number are 2.125 in 8.5.
    assert_eq!(effects[0].text, "VRAM 10.0 → 8.12 GiB.");
    assert!(effects[1].text.starts_with("VRAM 10.0 → 22.0 GiB."), "{}", effects[1].text);
    assert!(effects[1].text.ends_with("32.0 of 24.0 GiB: it does not fit."), "{}", effects[1].text);
}
