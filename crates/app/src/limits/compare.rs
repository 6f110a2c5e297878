//! What a revision did: the requests before its mark and those after it, over windows of one
//! length on both sides. They show that something changed, not why: what else changed
//! meanwhile is in them, too, and far more or fewer requests are said.

use plimsoll_core::{
    config::wire::{Changed, Revision},
    request::{Finish, RequestRow},
};
use plimsoll_gateway::route::Table;

use super::{
    log::Source,
    stats::{Figure, Sides, mean, p95, sides},
    table::is_limit,
    trace::{Ways, asked_for_room, ran},
    words::duration,
};
use crate::{
    api::{Compared, ComparedFigure as F, ComparedVerdict as V, Fault, LimitsCompared, Range},
    dispatch::blocking,
    words::number,
};

/// Most requests of one side: beyond it the windows are shorter.
const MOST: usize = 5000;
const LONGEST_MS: i64 = 7 * 86_400_000;
/// Below it there is nothing to compare.
const SHORTEST_MS: i64 = 1000;
/// Fewer give no 95th percentile: the maximum is no bound for it there.
const P95_NEEDS: usize = 59;
const SHARE_NEEDS: usize = 20;
/// On one side at least; the other may have none.
const RATE_NEEDS: usize = 20;
/// The window is cut into so many pieces for the requests of a minute.
const PIECES: usize = 60;
/// From this factor on, more or fewer requests may be the reason of all else.
const FAR_MORE: f64 = 1.25;

/// The windows, and why they are no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Windows {
    at_ms: i64,
    length_ms: i64,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    InForceSince,
    UnderWay,
    NextChange,
    ChangeBefore,
    FirstRequest,
    Week,
    Many,
}

/// What is known beside the log.
pub struct Known<'a> {
    pub table: Option<&'a Table>,
    pub all: &'a [Revision],
    /// Requests that have not ended, and stand in no log: when they came, and who works on them.
    pub under_way: &'a [(i64, Option<&'a str>)],
    /// The first recorded request.
    pub oldest_ms: Option<i64>,
    pub now_ms: i64,
}

/// What lies before and after a revision.
///
/// # Errors
/// When the log cannot be read.
pub async fn compare(
    source: Source<'_>,
    known: &Known<'_>,
    revision: Revision,
) -> Result<LimitsCompared, Fault> {
    let services = services_of(&revision.changed);
    let mut windows = windows(&revision, known, &services);
    let mut ways = Ways::new(known.table);
    let Some((before, after)) = read(source, &mut windows).await? else {
        let why = match windows.why {
            Why::UnderWay => {
                "What came just after it is still under way, and is in no record before its end."
            }
            _ => "There is no time on both sides of it yet.",
        };
        return Ok(LimitsCompared { window_why: why.into(), ..nothing(revision, services) });
    };
    ways.learn(before.iter().chain(&after));
    let wanted = |row: &RequestRow| {
        asked_for_room(row)
            && (services.is_empty() || services.iter().any(|id| ways.leads_to(row, id)))
    };
    let lost = before.iter().chain(&after).filter(|row| ways.is_lost(row)).count();
    let of = |rows: Vec<RequestRow>| -> Vec<RequestRow> {
        // They come the newest first.
        rows.into_iter().rev().filter(|row| wanted(row)).collect()
    };
    let (before, after) = (of(before), of(after));
    let Windows { at_ms, length_ms, why } = windows;
    let seed = revision.number.unsigned_abs();
    let figures = blocking(move || figures(&before, &after, at_ms, length_ms, seed)).await?;
    let mut caution = caution(&figures);
    if lost > 0 && !services.is_empty() {
        let space = if caution.is_empty() { "" } else { " " };
        caution.push_str(&format!(
            "{space}Refused and not counted, as nothing says where they were to go: {lost}."
        ));
    }
    Ok(LimitsCompared {
        before: Some(Range { from_ms: at_ms - length_ms, to_ms: at_ms }),
        after: Some(Range { from_ms: at_ms, to_ms: at_ms + length_ms }),
        window_why: format!("{} on each side{}.", duration(length_ms.unsigned_abs()), why.words()),
        figures,
        caution,
        ..nothing(revision, services)
    })
}

fn nothing(revision: Revision, services: Vec<String>) -> LimitsCompared {
    LimitsCompared {
        revision: revision.number,
        at_ms: revision.at_ms,
        changed: revision.changed,
        services,
        before: None,
        after: None,
        window_why: String::new(),
        figures: Vec::new(),
        caution: String::new(),
    }
}

/// The services that all of it is about; empty where some of it is about everything.
fn services_of(changed: &[Changed]) -> Vec<String> {
    let mut services = Vec::new();
    for change in changed.iter().filter(|change| is_limit(&change.key)) {
        let Some((id, _)) = change.key.strip_prefix("services.").and_then(|k| k.split_once('.'))
        else {
            return Vec::new();
        };
        if !services.iter().any(|known| known == id) {
            services.push(id.to_owned());
        }
    }
    services
}

/// From the change of a limit before it to the one after it, or as far as there is anything.
fn windows(revision: &Revision, known: &Known<'_>, services: &[String]) -> Windows {
    let Known { all, oldest_ms, now_ms, .. } = *known;
    let at_ms = revision.at_ms;
    // What still runs is the slowest of its time: without it all others look better.
    let concerns = |backend: Option<&str>| {
        backend.is_none_or(|id| services.is_empty() || services.iter().any(|one| one == id))
    };
    let after_it = known.under_way.iter().filter(|(at, on)| *at >= at_ms && concerns(*on));
    let under_way = after_it.map(|(at, _)| *at).min();
    let of_limits =
        || all.iter().filter(|other| other.changed.iter().any(|change| is_limit(&change.key)));
    let before = of_limits().filter(|other| other.number < revision.number).map(|r| r.at_ms).max();
    let after = of_limits().filter(|other| other.number > revision.number).map(|r| r.at_ms).min();
    let bounds = [
        Some((now_ms - at_ms, Why::InForceSince)),
        under_way.map(|oldest| (oldest - at_ms, Why::UnderWay)),
        after.map(|after| (after - at_ms, Why::NextChange)),
        before.map(|before| (at_ms - before, Why::ChangeBefore)),
        Some((oldest_ms.map_or(0, |oldest| at_ms - oldest), Why::FirstRequest)),
        Some((LONGEST_MS, Why::Week)),
    ];
    let shortest = bounds.into_iter().flatten().min().unwrap_or((0, Why::FirstRequest));
    Windows { at_ms, length_ms: shortest.0.max(0), why: shortest.1 }
}

/// The rows of both windows, which become shorter where there are too many.
async fn read(
    source: Source<'_>,
    windows: &mut Windows,
) -> Result<Option<(Vec<RequestRow>, Vec<RequestRow>)>, Fault> {
    let at_ms = windows.at_ms;
    if windows.length_ms < SHORTEST_MS {
        return Ok(None);
    }
    let (mut before, whole) = source.between(at_ms - windows.length_ms, at_ms, MOST).await?;
    if !whole && let Some(oldest) = before.last() {
        (windows.length_ms, windows.why) = (at_ms - oldest.at_ms, Why::Many);
    }
    while windows.length_ms >= SHORTEST_MS {
        let (after, whole) = source.between(at_ms, at_ms + windows.length_ms, MOST).await?;
        if whole {
            before.retain(|row| row.at_ms >= at_ms - windows.length_ms);
            return Ok(Some((before, after)));
        }
        (windows.length_ms, windows.why) = (windows.length_ms / 2, Why::Many);
    }
    Ok(None)
}

/// The rows in the order in which they came.
fn figures(
    before: &[RequestRow],
    after: &[RequestRow],
    at_ms: i64,
    length_ms: i64,
    seed: u64,
) -> Vec<Compared> {
    #[expect(clippy::cast_precision_loss, reason = "a time in ms")]
    let ms = |us: u64| us as f64 / 1000.0;
    let ttft = |rows: &[RequestRow]| -> Vec<f64> {
        rows.iter().filter_map(|row| row.ttft_us).map(ms).collect()
    };
    let wait = |rows: &[RequestRow]| -> Vec<f64> {
        rows.iter().filter(|row| ran(row)).map(|row| ms(row.wait_us)).collect()
    };
    let refused = |rows: &[RequestRow]| -> Vec<f64> {
        let percent = |row: &RequestRow| if row.finish == Finish::Refused { 100.0 } else { 0.0 };
        rows.iter().map(percent).collect()
    };
    let rate = |rows: &[RequestRow], from_ms: i64| per_minute(rows, from_ms, length_ms);
    let mut per_min =
        compared(F::RequestsPerMin, &rate(before, at_ms - length_ms), &rate(after, at_ms), seed);
    // Counted by requests, not by pieces of the window.
    (per_min.before_count, per_min.after_count) = (count(before.len()), count(after.len()));
    if before.len().max(after.len()) < RATE_NEEDS {
        per_min = Compared {
            before: None,
            after: None,
            difference: None,
            verdict: V::CannotTell,
            text: "Requests, cannot tell".into(),
            why: format!(
                "needs {RATE_NEEDS} requests on one side, {} before and {} after",
                before.len(),
                after.len()
            ),
            ..per_min
        };
    }
    vec![
        compared(F::TtftP95, &ttft(before), &ttft(after), seed),
        compared(F::WaitP95, &wait(before), &wait(after), seed),
        compared(F::RefusedShare, &refused(before), &refused(after), seed),
        per_min,
    ]
}

/// Requests of a minute in each piece of the window.
#[expect(clippy::cast_precision_loss, reason = "a week has not that many milliseconds")]
fn per_minute(rows: &[RequestRow], from_ms: i64, length_ms: i64) -> Vec<f64> {
    if rows.is_empty() {
        return vec![0.0; PIECES];
    }
    let of_one = 60_000.0 * PIECES as f64 / length_ms.max(1) as f64;
    let mut pieces = vec![0.0; PIECES];
    for row in rows {
        let at = (row.at_ms - from_ms).max(0).saturating_mul(PIECES as i64) / length_ms.max(1);
        let at = usize::try_from(at).unwrap_or(0).min(PIECES - 1);
        pieces[at] += of_one;
    }
    pieces
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn compared(of: F, before: &[f64], after: &[f64], seed: u64) -> Compared {
    let (title, unit, needs, figure): (_, _, _, Figure) = match of {
        F::TtftP95 => ("TTFT p95", "ms", P95_NEEDS, p95),
        F::WaitP95 => ("Wait p95", "ms", P95_NEEDS, p95),
        F::RefusedShare => ("Refused", "%", SHARE_NEEDS, mean),
        F::RequestsPerMin => ("Requests", "/min", PIECES, mean),
    };
    let enough = before.len() >= needs && after.len() >= needs;
    let sides = if enough { sides(before, after, figure, seed) } else { None };
    let verdict = sides.map_or(V::CannotTell, |sides| verdict(of, &sides));
    let (text, why) = match &sides {
        Some(sides) => {
            let (old, new) = (sides.before.value, sides.after.value);
            let why = if old == 0.0 && new == 0.0 {
                "none before and none after".into()
            } else if verdict == V::CannotTell {
                format!("the 95 % interval of the difference holds 0: {}", interval(sides, unit))
            } else {
                String::new()
            };
            (format!("{title} {} {unit}, {}", pair(old, new), verdict.words()), why)
        }
        None => (
            format!("{title}, cannot tell"),
            format!("needs {needs} requests, {} before and {} after", before.len(), after.len()),
        ),
    };
    Compared {
        figure: of,
        title: title.into(),
        unit: unit.into(),
        before_count: count(before.len()),
        after_count: count(after.len()),
        before: sides.map(|sides| sides.before),
        after: sides.map(|sides| sides.after),
        difference: sides.map(|sides| sides.difference),
        verdict,
        text,
        why,
    }
}

fn verdict(of: F, sides: &Sides) -> V {
    let rises = sides.difference.low > 0.0;
    let falls = sides.difference.high < 0.0;
    match (of, rises, falls) {
        (_, false, false) => V::CannotTell,
        (F::RequestsPerMin, rises, _) => {
            if rises {
                V::ClearlyMore
            } else {
                V::ClearlyLess
            }
        }
        (_, true, _) => V::ClearlyWorse,
        (_, _, true) => V::ClearlyBetter,
    }
}

/// `612 → 740`
fn pair(old: f64, new: f64) -> String {
    format!("{} → {}", shown(old), shown(new))
}

fn interval(sides: &Sides, unit: &str) -> String {
    let signed = |value: f64| match shown(value.abs()) {
        zero if zero == "0" => zero,
        text if value < 0.0 => format!("−{text}"),
        text => format!("+{text}"),
    };
    format!("{} to {} {unit}", signed(sides.difference.low), signed(sides.difference.high))
}

fn shown(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { number((value * 10.0).round() / 10.0) }
}

fn caution(figures: &[Compared]) -> String {
    let Some(rate) = figures.iter().find(|one| one.figure == F::RequestsPerMin) else {
        return String::new();
    };
    let (Some(before), Some(after)) = (rate.before, rate.after) else { return String::new() };
    let (old, new) = (before.value, after.value);
    let far = |a: f64, b: f64| a > b * FAR_MORE;
    let how = match rate.verdict {
        V::ClearlyMore if far(new, old) => "more",
        V::ClearlyLess if far(old, new) => "fewer",
        _ => return String::new(),
    };
    format!(
        "Far {how} requests came after it ({} /min): what else changed may come of that.",
        pair(old, new)
    )
}

// === impl Why ===

impl Why {
    fn words(self) -> &'static str {
        match self {
            Self::InForceSince => ", as long as it is in force",
            Self::UnderWay => ", up to the oldest request that is still under way",
            Self::NextChange => ", until the next change of a limit",
            Self::ChangeBefore => ", since the change of a limit before it",
            Self::FirstRequest => ", since the first recorded request",
            Self::Week => "",
            Self::Many => ", as far as 5000 requests go",
        }
    }
}

// === impl ComparedVerdict ===

impl V {
    pub fn words(self) -> &'static str {
        match self {
            Self::ClearlyBetter => "clearly better",
            Self::ClearlyWorse => "clearly worse",
            Self::CannotTell => "cannot tell",
            Self::ClearlyMore => "clearly more",
            Self::ClearlyLess => "clearly less",
        }
    }
}
