//! The sentences of effects.

use plimsoll_gateway::replay::{Figures, Followed, Side};

use crate::{
    api::{LimitEffect, ReplayFigures, ReplaySide},
    words::{capital, clock, span},
};

/// Times of one day are told by the clock.
const A_DAY_MS: i64 = 20 * 3_600_000;
/// Less is not worth a word.
const NOTABLE_MS: u64 = 1000;

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

/// What two replays are of.
pub(super) struct Replay {
    pub from_ms: i64,
    pub to_ms: i64,
    pub recorded_wait_ms: u64,
    /// So many never ran, and were given a time.
    pub supposed: u32,
    pub followed: Followed,
    /// Something holds back more than it did; something no more.
    pub tighter: bool,
    pub looser: bool,
}

/// Where it is another with programs that wait for their answers, and the record does not tell
/// whether they do.
pub(super) fn either(
    keys: Vec<String>,
    waiting: &Figures,
    regardless: &Figures,
    of: &Replay,
) -> LimitEffect {
    let unsure = &of.followed.unsure;
    let most = unsure.iter().max_by_key(|(_, count)| **count).map(|(client, _)| client);
    let (who, asks) = match (most, unsure.len()) {
        (Some(one), 1) => (one.to_string(), "waits for its answer before it asks"),
        (Some(one), others) => {
            (format!("{one} and {} more", others - 1), "wait for their answers before they ask")
        }
        (None, _) => ("a client".into(), "waits for its answer before it asks"),
    };
    if let Some(text) = range(waiting, regardless, &who) {
        return LimitEffect { text, ..figures_of(keys, regardless, of) };
    }
    let why = format!("it hangs on whether {who} {asks} again, and the record does not say.");
    let of_figures = |figures: &Figures| figures_of(keys.clone(), figures, of).text;
    let why_not = format!("If so: {} If not: {}", of_figures(waiting), of_figures(regardless));
    LimitEffect { why: why_not, ..unknown(keys, &why) }
}

/// Where either way they wait longer, or either way less, and as good as as many are refused:
/// from how much to how much.
fn range(waiting: &Figures, regardless: &Figures, who: &str) -> Option<String> {
    let longer = |f: &Figures| {
        let all = f.more_sum.cast_signed().saturating_sub(f.less_sum.cast_signed());
        all / i64::from(f.requests.max(1))
    };
    let (one, other) = (longer(waiting), longer(regardless));
    let (least, most) = (waiting.proposed.refused, regardless.proposed.refused);
    if one.signum() * other.signum() != 1 || least.abs_diff(most) > regardless.requests / 100 {
        return None;
    }
    let how = if one > 0 { "longer" } else { "less" };
    let (one, other) = (one.unsigned_abs(), other.unsigned_abs());
    let refused = match least.max(most) {
        0 => "none".into(),
        most => format!("at most {most}"),
    };
    Some(format!(
        "On average {} would have waited {} to {} {how}, by whether {who} waited for answers; \
         {refused} refused.",
        lasts(regardless.requests),
        duration(one.min(other)),
        duration(one.max(other)),
    ))
}

/// The sentence of two replays.
pub(super) fn figures_of(keys: Vec<String>, figures: &Figures, of: &Replay) -> LimitEffect {
    let Replay { from_ms, to_ms, recorded_wait_ms, supposed, ref followed, tighter, looser } = *of;
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
    let after = followed.after;
    if after > 0 {
        let (they, come) = if after == 1 { ("One", "comes") } else { ("", "come") };
        let they = if they.is_empty() { after.to_string() } else { they.into() };
        why.push_str(&format!(
            " {they} followed an answer to the same client, and {come} as long after it again."
        ));
    }
    if supposed > 0 {
        let (they, take) = if supposed == 1 { ("One", "is") } else { ("", "are") };
        let they = if they.is_empty() { supposed.to_string() } else { they.into() };
        why.push_str(&format!(
            " {they} that never ran {take} taken to last as long as the middle one of the model."
        ));
    }
    if !tighter {
        why.push_str(" That more at once may take longer each is not in it.");
    } else if !looser {
        why.push_str(" That fewer at once may each be quicker is not in it.");
    }
    LimitEffect {
        keys,
        known: true,
        text: sentence(&replay, still, done(figures)),
        why,
        replay: Some(replay),
        vram: None,
    }
}

/// How long they took all together, where that is another time: `done in 12 min instead of
/// 9 min`.
fn done(figures: &Figures) -> Option<String> {
    let (before, after) = (figures.today.lasted, figures.proposed.lasted);
    let notable = before.abs_diff(after) >= NOTABLE_MS.max(before / 10);
    let (before, after) = (duration(before), duration(after));
    // Whoever is refused takes no time.
    let alike = figures.today.refused == figures.proposed.refused;
    (alike && notable && before != after).then(|| format!("done in {after} instead of {before}"))
}

fn sentence(replay: &ReplayFigures, still: bool, done: Option<String>) -> String {
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
    if let Some(done) = done {
        text.push_str(&format!("; {done}"));
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
