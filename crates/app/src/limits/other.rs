//! Effects of limits that admission does not keep: counted from recorded requests, from
//! what the history takes, from what gates would have seen, and from what a service holds
//! on the card.

use plimsoll_core::{
    config::wire::{Change, SettingValue},
    metric::Metric,
    request::{Finish, RequestRow},
    series::{Query, SeriesKey},
};
use plimsoll_history::StoredKind;

use super::{
    effect::Ground,
    list::number,
    log::Log,
    trace::ran,
    vram,
    words::{duration, lasts, said, unknown, within},
};
use crate::{
    api::{Fault, LimitEffect},
    words::{bytes, capital, number as shown, percent, whole_bytes},
};

/// Requests that are looked at.
const LOOKED: usize = 1000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// One point a minute of a day.
const DAY_PX: u32 = 1440;
const MIB: f64 = 1_048_576.0;

/// How long each kind of data is kept: its setting and that setting's unit.
const KEPT: [(&str, StoredKind, i64); 8] = [
    ("history.keep.raw_hours", StoredKind::Raw, HOUR_MS),
    ("history.keep.s10_days", StoredKind::S10, DAY_MS),
    ("history.keep.m1_days", StoredKind::M1, DAY_MS),
    ("history.keep.m15_days", StoredKind::M15, DAY_MS),
    ("history.keep.h1_days", StoredKind::H1, DAY_MS),
    ("history.keep.marks_days", StoredKind::Marks, DAY_MS),
    ("history.keep.log_days", StoredKind::Log, DAY_MS),
    ("history.keep.requests_days", StoredKind::Requests, DAY_MS),
];

/// Of a change that admission has no part in.
pub(super) async fn effect(
    ground: &Ground<'_>,
    log: &mut Log<'_>,
    change: &Change,
) -> Result<LimitEffect, Fault> {
    let key = change.key.as_str();
    let (old, new) = (ground.value(key), ground.becomes(change));
    let numbers = (old.as_ref().and_then(number), new.as_ref().and_then(number));
    if let Some((_, kind, unit_ms)) = KEPT.iter().find(|(of, ..)| *of == key)
        && let (Some(old), Some(new)) = numbers
    {
        return keeping(ground, key, *kind, *unit_ms, old, new).await;
    }
    let from_log = match key {
        "gateway.timeout.total_s" | "gateway.timeout.first_byte_s" | "gateway.retry.tries" => {
            numbers.0.zip(numbers.1)
        }
        _ => None,
    };
    if let Some((old, new)) = from_log {
        let rows = log.newest(LOOKED, ran).await?;
        let rows: Vec<&RequestRow> = rows.into_iter().filter(|row| ran(row)).collect();
        return Ok(if rows.is_empty() {
            unknown(vec![key.into()], "no request was recorded.")
        } else if key == "gateway.retry.tries" {
            tries(key, &rows, old, new)
        } else if key == "gateway.timeout.first_byte_s" {
            first_byte(key, &rows, old, new)
        } else {
            cut_off(key, &rows, old, new)
        });
    }
    match (key, new) {
        ("history.max_mib", Some(SettingValue::Integer(mib))) => {
            let takes = ground.reader.stats().await?.bytes;
            Ok(space(key, "The history", takes, mib))
        }
        ("history.keep.requests_mib", Some(SettingValue::Integer(mib))) => {
            let stored = ground.reader.storage().await?;
            let takes = stored.iter().find(|stored| stored.kind == StoredKind::Requests);
            Ok(space(key, "The log of requests", takes.map_or(0, |stored| stored.bytes), mib))
        }
        _ if numbers.1.is_some() && gate(key).is_some() => {
            closing(ground, key, numbers.1.unwrap_or_default()).await
        }
        (_, new) => Ok(vram::effect(ground, change, new.as_ref()).unwrap_or_else(|| {
            unknown(vec![key.into()], "nothing that is recorded says what this holds back.")
        })),
    }
}

fn ms(us: u64) -> u64 {
    us / 1000
}

fn period(rows: &[&RequestRow]) -> String {
    let at = |row: Option<&&RequestRow>| row.map_or(0, |row| row.at_ms);
    within(at(rows.first()), at(rows.last()))
}

fn many(rows: &[&RequestRow]) -> u32 {
    u32::try_from(rows.len()).unwrap_or(u32::MAX)
}

/// 0: any time.
fn limit(s: f64) -> f64 {
    if s > 0.0 { s * 1000.0 } else { f64::INFINITY }
}

#[expect(clippy::cast_precision_loss, reason = "a time in ms")]
fn is_over(took: u64, s: f64) -> bool {
    took as f64 > limit(s)
}

/// How long they would have gone on is not known.
fn ran_out(key: &str, of: &str, timed_out: usize, why: String) -> LimitEffect {
    let end = format!(
        "{timed_out} of {of} ran out of time; whether they would have ended in the new one is not \
         known."
    );
    LimitEffect { why, ..unknown(vec![key.into()], &end) }
}

/// A time that an answer may take, from when it was sent.
fn cut_off(key: &str, rows: &[&RequestRow], old: f64, new: f64) -> LimitEffect {
    let times: Vec<u64> =
        rows.iter().map(|row| ms(row.total_us.saturating_sub(row.wait_us))).collect();
    let Some(longest) = times.iter().max() else {
        return unknown(vec![key.into()], "no request was answered in this time.");
    };
    let lasts = lasts(many(rows));
    let why = format!("Counted over those {}.", period(rows));
    let timed_out = rows.iter().filter(|row| row.finish == Finish::TimedOut).count();
    if limit(new) > limit(old) && timed_out > 0 {
        return ran_out(key, &lasts, timed_out, why);
    }
    let longest = duration(*longest);
    let text = match times.iter().filter(|took| is_over(**took, new)).count() {
        0 => format!("None of {lasts} would have been cut off: the longest took {longest}."),
        over => format!("{over} of {lasts} would have been cut off; the longest took {longest}."),
    };
    said(key, text, why)
}

/// A time that the first byte may take. What streams has the time of its first token on
/// record, and its first byte came no later: below the limit it is known, above it is not.
fn first_byte(key: &str, rows: &[&RequestRow], old: f64, new: f64) -> LimitEffect {
    let waited = |row: &RequestRow, us: u64| ms(us.saturating_sub(row.wait_us));
    let told: Vec<(u64, bool)> =
        rows.iter().filter_map(|row| Some((waited(row, row.ttft_us?), row.stream))).collect();
    let without = |row: &&&RequestRow| row.ttft_us.is_none() && row.finish == Finish::TimedOut;
    let timed_out = rows.iter().filter(without).count();
    let of = told.len() + timed_out;
    if of == 0 {
        return unknown(vec![key.into()], "of no request is known when its first byte came.");
    }
    let of = format!("the {of} requests of which it is known");
    let why = format!(
        "Counted {}; of what streams the time of its first token, which is no earlier than its \
         first byte.",
        period(rows)
    );
    if limit(new) > limit(old) && timed_out > 0 {
        return ran_out(key, &of, timed_out, why);
    }
    let late = |stream: bool| {
        told.iter().filter(|(took, streams)| *streams == stream && is_over(*took, new)).count()
    };
    let (maybe, over) = (late(true), late(false) + timed_out);
    if maybe > 0 {
        let end = format!(
            "the first token of {maybe} of {of} came later than that; when their first byte came \
             is not recorded."
        );
        return LimitEffect { why, ..unknown(vec![key.into()], &end) };
    }
    let longest = told.iter().map(|(took, _)| *took).max();
    let longest = longest.map(|longest| format!("the longest waited {}", duration(longest)));
    let longest = longest.unwrap_or_else(|| "none of them had one".into());
    let text = match over {
        0 => format!("None of {of} would have been cut off: {longest}."),
        over => format!("{over} of {of} would have been cut off; {longest}."),
    };
    said(key, text, why)
}

fn tries(key: &str, rows: &[&RequestRow], old: f64, new: f64) -> LimitEffect {
    let lasts = lasts(many(rows));
    let why = format!("Counted over those {}.", period(rows));
    let more = |than: f64| rows.iter().filter(|row| f64::from(row.retries) > than).count();
    if new < old {
        let text = match more(new) {
            0 => format!("None of {lasts} was tried more often than that."),
            n => format!("{n} of {lasts} were tried more often than that, and would have failed."),
        };
        return said(key, text, why);
    }
    let all_used =
        |row: &&&RequestRow| f64::from(row.retries) >= old && row.finish == Finish::Failed;
    match rows.iter().filter(all_used).count() {
        0 => said(key, format!("None of {lasts} failed after all its tries."), why),
        n => {
            let end = format!(
                "{n} of {lasts} failed after all their tries; whether one more would have helped \
                 is not known."
            );
            LimitEffect { why, ..unknown(vec![key.into()], &end) }
        }
    }
}

async fn keeping(
    ground: &Ground<'_>,
    key: &str,
    kind: StoredKind,
    unit_ms: i64,
    old: f64,
    new: f64,
) -> Result<LimitEffect, Fault> {
    #[expect(clippy::cast_possible_truncation, reason = "a whole number of hours or days")]
    let keep_ms = (new as i64).saturating_mul(unit_ms);
    let stored = ground.reader.storage().await?;
    let held = stored.iter().find(|stored| stored.kind == kind);
    let Some((held, oldest)) = held.and_then(|held| Some((held, held.oldest_ms?))) else {
        return Ok(unknown(vec![key.into()], "none of it is stored yet."));
    };
    let takes = format!("It takes {} now.", whole_bytes(held.bytes));
    if new < old {
        let frees = ground.reader.effect_of_keeping(kind, keep_ms).await?;
        let text = match frees {
            0 => "Frees nothing: none of it is that old.".into(),
            frees => format!("Frees about {}.", whole_bytes(frees)),
        };
        return Ok(said(key, text, takes));
    }
    let age_ms = ground.now_ms - oldest;
    if age_ms < DAY_MS {
        let why = "there is less than a day of it, too little to say how it grows.";
        return Ok(LimitEffect { why: takes, ..unknown(vec![key.into()], why) });
    }
    #[expect(clippy::cast_precision_loss, reason = "a size, shown with three digits")]
    let (a_day, more) = {
        let per_ms = held.bytes as f64 / age_ms as f64;
        (per_ms * DAY_MS as f64, per_ms * (new - old) * unit_ms as f64)
    };
    let text = format!("Takes about {} more when it is full.", bytes(more));
    Ok(said(key, text, format!("{takes} It grew by {} a day so far.", bytes(a_day))))
}

#[expect(clippy::cast_precision_loss, reason = "a size, shown with three digits")]
fn space(key: &str, what: &str, takes: u64, mib: i64) -> LimitEffect {
    let room = mib as f64 * MIB;
    let over = takes as f64 - room;
    let text = if over > 0.0 {
        let first = if key == "history.max_mib" { "finest" } else { "oldest" };
        format!("About {} go, the {first} first.", bytes(over))
    } else {
        "Nothing goes.".into()
    };
    said(key, text, format!("{what} takes {} of {}.", whole_bytes(takes), bytes(room)))
}

/// What a gate looks at, and whether it closes below its number.
fn gate(key: &str) -> Option<(Metric, bool)> {
    match key {
        "gateway.gates.memory.available_percent" => Some((Metric::MemoryAvailable, true)),
        "gateway.gates.memory.stalled_percent" => Some((Metric::PressureMemoryFull, false)),
        "gateway.gates.cpu.busy_percent" => Some((Metric::CpuBusy, false)),
        "gateway.max_connections" => Some((Metric::SelfConnections, false)),
        _ => None,
    }
}

/// Whether the last day went beyond a number.
async fn closing(ground: &Ground<'_>, key: &str, new: f64) -> Result<LimitEffect, Fault> {
    let Some((metric, below)) = gate(key) else {
        return Ok(unknown(vec![key.into()], "nothing is recorded of it."));
    };
    let query = Query {
        series: vec![SeriesKey::new(metric.name(), "")],
        from_ms: ground.now_ms - DAY_MS,
        to_ms: ground.now_ms,
        width_px: DAY_PX,
    };
    let answer = ground.reader.query(&query).await?;
    let points = answer.series.first().map(|series| &series.points);
    let extreme = points.and_then(|points| {
        let all = if below { &points.min } else { &points.max };
        let all = all.iter().flatten().copied();
        if below { all.reduce(f64::min) } else { all.reduce(f64::max) }
    });
    let Some(mut extreme) = extreme else {
        return Ok(unknown(vec![key.into()], "nothing is recorded of the last 24 h."));
    };
    if metric == Metric::MemoryAvailable {
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let Some(total) = ground.memory_bytes.map(|bytes| bytes as f64) else {
            return Ok(unknown(vec![key.into()], "the size of the memory is not known."));
        };
        extreme = extreme / total * 100.0;
    }
    let reached = if below { extreme < new } else { extreme > new };
    let connections = key == "gateway.max_connections";
    // A gate that only watches says when it would have held, and holds nobody.
    let mode = key.rsplit_once('.').and_then(|(gate, _)| ground.value(&format!("{gate}.mode")));
    let enforces = connections || mode == Some(SettingValue::Text("enforce".into()));
    let value = if connections { shown(extreme) } else { percent(extreme) };
    let side = if below { "least" } else { "most" };
    let did = match (connections, enforces, reached) {
        (true, _, true) => "some would have been turned away",
        (true, _, false) => "none would have been turned away",
        (false, true, true) => "it would have closed",
        (false, true, false) => "it would not have closed",
        (false, false, true) => "it would have said so, and held nobody back",
        (false, false, false) => "it would have said nothing, and holds nobody back",
    };
    let text = format!("{}: the {side} was {value} in the last 24 h.", capital(did));
    let why = match (connections, enforces) {
        (true, _) => "Counted with all that Plimsoll has open.",
        (false, true) => "",
        (false, false) => "This gate only observes.",
    };
    Ok(said(key, text, why))
}
