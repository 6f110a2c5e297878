//! The sentences of effects.

use plimsoll_gateway::replay::{Figures, Side};

use crate::{
    api::{LimitEffect, ReplayFigures, ReplaySide},
    words::{capital, clock, span},
};

/// Times of one day are told by the clock.
const A_DAY_MS: i64 = 20 * 3_600_000;

/// What is known without a replay.
pub(super) fn said(key: &str, text: impl Into<String>, why: impl Into<String>) -> LimitEffect {
    LimitEffect {
        keys: vec![key.to_owned()],
        known: true,
        text: text.into(),
        why: why.into(),
        replay: None,
        vram: None,
    }
}

/// `why` is the end of a sentence.
pub(super) fn unknown(keys: Vec<String>, why: &str) -> LimitEffect {
    LimitEffect {
        keys,
        known: false,
        text: format!("Cannot tell: {why}"),
        why: String::new(),
        replay: None,
        vram: None,
    }
}

/// The sentence of two replays. `supposed` never ran, and were given a time.
pub(super) fn figures_of(
    keys: Vec<String>,
    figures: &Figures,
    (from_ms, to_ms): (i64, i64),
    recorded_wait_ms: u64,
    supposed: u32,
    tighter: bool,
) -> LimitEffect {
    let replay = ReplayFigures {
        requests: figures.requests,
        from_ms,
        to_ms,
        recorded_wait_ms,
        supposed,
        today: side(&figures.today),
        proposed: side(&figures.proposed),
        less: figures.less,
        less_mean_ms: mean(figures.less_sum, figures.less),
        more: figures.more,
        more_mean_ms: mean(figures.more_sum, figures.more),
        newly_refused: figures.newly_refused,
        newly_served: figures.newly_served,
    };
    let idle = |side: &Side| side.waited == 0 && side.refused == 0;
    let still = idle(&figures.today) && idle(&figures.proposed);
    if still && !tighter {
        let why = "nothing waited in this time.";
        let why_not = format!("{}, {}.", capital(&lasts(figures.requests)), within(from_ms, to_ms));
        return LimitEffect { replay: Some(replay), why: why_not, ..unknown(keys, why) };
    }
    let mut why = format!(
        "Sent through admission once more as they came {}, each as long as it took then.",
        within(from_ms, to_ms)
    );
    if supposed > 0 {
        let (they, take) = if supposed == 1 { ("One", "is") } else { ("", "are") };
        let they = if they.is_empty() { supposed.to_string() } else { they.into() };
        why.push_str(&format!(
            " {they} that never ran {take} taken to last as long as the middle one of the model."
        ));
    }
    if !tighter {
        why.push_str(" That more at once may take longer each is not in it.");
    }
    LimitEffect {
        keys,
        known: true,
        text: sentence(&replay, still),
        why,
        replay: Some(replay),
        vram: None,
    }
}

fn sentence(replay: &ReplayFigures, still: bool) -> String {
    let lasts = lasts(replay.requests);
    if still {
        let most = replay.proposed.most_at_once;
        return format!(
            "None of {lasts} would have waited or been refused: at most {most} ran at once."
        );
    }
    let waited = |count: u32, mean: u64, how: &str, of: bool| {
        let of = if of { format!(" of {lasts}") } else { String::new() };
        format!("{count}{of} would have waited {} {how}", duration(mean))
    };
    let mut text = match (replay.less, replay.more) {
        (0, 0) => format!("None of {lasts} would have waited longer or shorter"),
        (less, 0) => waited(less, replay.less_mean_ms, "less", true),
        (0, more) => waited(more, replay.more_mean_ms, "longer", true),
        (less, more) => format!(
            "{}, {}",
            waited(less, replay.less_mean_ms, "less", true),
            waited(more, replay.more_mean_ms, "longer", false)
        ),
    };
    let refused = |count: u32| if count == 0 { "none".into() } else { count.to_string() };
    let (before, after) = (replay.today.refused, replay.proposed.refused);
    text.push_str(&format!("; {} refused", refused(after)));
    if before != after {
        text.push_str(&format!(", {} at today's limit", refused(before)));
    }
    text.push('.');
    text
}

/// `the last 1000 requests`
pub(super) fn lasts(requests: u32) -> String {
    match requests {
        1 => "the one recorded request".into(),
        n => format!("the last {n} requests"),
    }
}

/// `from 13:02 to 14:31`, or over how long.
pub(super) fn within(from_ms: i64, to_ms: i64) -> String {
    let lasted = to_ms - from_ms;
    if lasted < A_DAY_MS {
        return match (clock(from_ms), clock(to_ms)) {
            (from, to) if from == to => format!("at {from}"),
            (from, to) => format!("from {from} to {to}"),
        };
    }
    #[expect(clippy::cast_precision_loss, reason = "shown in hours or days")]
    let days = lasted as f64 / 86_400_000.0;
    if days < 2.0 {
        format!("within {:.0} h", days * 24.0)
    } else {
        format!("within {days:.0} days")
    }
}

/// `340 ms`, `2.1 s`, `38 s`, `5 min`.
#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
pub(super) fn duration(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..9950 => format!("{:.1} s", ms as f64 / 1000.0),
        _ => span(ms as f64 / 1000.0),
    }
}

fn mean(sum: u64, of: u32) -> u64 {
    let of = u64::from(of.max(1));
    (sum + of / 2) / of
}

fn side(side: &Side) -> ReplaySide {
    ReplaySide {
        waited: side.waited,
        wait_sum_ms: side.wait_sum,
        wait_p95_ms: side.wait_p95,
        wait_max_ms: side.wait_max,
        refused: side.refused,
        most_at_once: side.most_at_once,
    }
}
