//! What changes would have done, as a sentence with its figures, from what this machine
//! recorded. What the records do not tell is said not to be known.

use std::{collections::BTreeMap, sync::Arc};

use plimsoll_core::{
    config::{
        Config, Environment, Loaded,
        gateway::{Balance, RoutePolicy},
        wire::{Change, SettingState, SettingValue},
    },
    request::RequestRow,
    traffic::RoomBasis,
};
use plimsoll_gateway::{
    admission::BackendId,
    clients::Keys,
    replay::{BothWays, Terms, both_ways, suppose},
    route::{Room, Table},
    settings,
};
use plimsoll_history::Reader;
use plimsoll_services::service::Service;

use super::{
    list::{id_in, number},
    log::{Log, Source},
    other,
    trace::{Told, Ways, asked_for_room},
    words::{Replay, either, figures_of, said, unknown},
};
use crate::{
    api::{Fault, LimitEffect, LimitsEffect},
    dispatch::blocking,
};

/// Requests that the figures are about, and those before them that only take room.
const COUNTED: usize = 1000;
const BEFORE: usize = 200;

/// What admission keeps; a 0 of those that are marked is no limit.
const REPLAYED: [(&str, bool); 14] = [
    ("services.*.max_in_flight", false),
    ("services.*.max_tokens", true),
    ("gateway.max_in_flight", false),
    ("gateway.routes.*.max_in_flight", true),
    ("gateway.queue.max", false),
    ("gateway.queue.wait_s", false),
    ("gateway.queue.batch_wait_s", false),
    ("gateway.queue.age_s", false),
    ("gateway.clients.max_in_flight", true),
    ("gateway.clients.requests_per_min", true),
    ("gateway.clients.tokens_per_min", true),
    ("gateway.clients.*.max_in_flight", true),
    ("gateway.clients.*.requests_per_min", true),
    ("gateway.clients.*.tokens_per_min", true),
];
/// Counts the tokens that are asked for: those of the prompt as they are estimated, and the
/// most that may be answered. The record has those that were used.
const IN_TOKENS: [&str; 3] =
    ["services.*.max_tokens", "gateway.clients.tokens_per_min", "gateway.clients.*.tokens_per_min"];

/// What effects are worked out from.
pub struct Ground<'a> {
    pub source: Source<'a>,
    pub reader: &'a Reader,
    /// In force.
    pub loaded: Loaded,
    pub environment: Environment,
    pub keys: Arc<Keys>,
    pub rooms: BTreeMap<String, Room>,
    pub services: &'a [Service],
    pub table: Option<&'a Table>,
    pub vram_used: Option<u64>,
    pub vram_total: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub now_ms: i64,
    /// When what each service is launched with was changed last, by its id.
    pub launch_changed: BTreeMap<String, i64>,
}

/// One of [`REPLAYED`].
struct Kept<'a> {
    change: &'a Change,
    pattern: &'static str,
    of: Option<&'a str>,
    /// Holds back more than it did.
    tighter: bool,
}

/// Every change alone, and all that admission keeps together.
///
/// # Errors
/// When the records cannot be read.
pub async fn effects(ground: &Ground<'_>, changes: &[Change]) -> Result<LimitsEffect, Fault> {
    let mut log = Log::new(ground.source);
    let mut answer = LimitsEffect::default();
    for change in changes {
        let effect = match ground.kept(change) {
            _ if ground.value(&change.key) == ground.becomes(change) => {
                said(&change.key, "It is so already.", "")
            }
            Some(kept) => ground.replayed(&mut log, &[kept]).await?,
            None => other::effect(ground, &mut log, change).await?,
        };
        answer.effects.push(effect);
    }
    let kept: Vec<Kept<'_>> = changes.iter().filter_map(|change| ground.kept(change)).collect();
    if kept.len() > 1 {
        answer.together = Some(ground.replayed(&mut log, &kept).await?);
    }
    Ok(answer)
}

// === impl Ground ===

impl Ground<'_> {
    fn state(&self, key: &str) -> Option<&SettingState> {
        self.loaded.settings.iter().find(|state| state.key == key)
    }

    /// In force; `None` for what is no setting.
    pub(super) fn value(&self, key: &str) -> Option<SettingValue> {
        self.state(key).map(|state| state.value.clone()).or_else(|| default_of(key))
    }

    pub(super) fn becomes(&self, change: &Change) -> Option<SettingValue> {
        let default = || self.state(&change.key).map(|state| state.default.clone());
        change.value.clone().or_else(default).or_else(|| default_of(&change.key))
    }

    /// A limit as a number: `auto` is what it stands for now.
    pub(super) fn as_number(&self, key: &str, value: Option<&SettingValue>) -> Option<f64> {
        number(value?).or_else(|| {
            let id = id_in("services.*.max_in_flight", key)?;
            let room = self.rooms.get(id).map(|room| room.requests);
            Some(f64::from(room.or_else(|| self.slots(id))?))
        })
    }

    fn kept<'a>(&self, change: &'a Change) -> Option<Kept<'a>> {
        let (pattern, zero_is_none) = REPLAYED.iter().find(|(pattern, _)| {
            *pattern == change.key
                || id_in(pattern, &change.key).is_some_and(|id| !id.contains('.'))
        })?;
        let height = |value: Option<SettingValue>| {
            let number = self.as_number(&change.key, value.as_ref());
            number.filter(|n| !zero_is_none || *n > 0.0).unwrap_or(f64::INFINITY)
        };
        Some(Kept {
            change,
            pattern,
            of: id_in(pattern, &change.key),
            tighter: height(self.becomes(change)) < height(self.value(&change.key)),
        })
    }

    /// The configuration with the changes; the sentence why it would not be sound.
    fn with(&self, changes: &[Change]) -> Result<Arc<Config>, String> {
        let preview = self.loaded.preview_changes(changes, &self.environment);
        match preview.problems.first() {
            Some(problem) => Err(problem.message.clone()),
            None => Ok(Loaded::of(preview.text, &self.environment).config),
        }
    }

    /// Recorded requests under today's limits and under the changed ones.
    async fn replayed(&self, log: &mut Log<'_>, kept: &[Kept<'_>]) -> Result<LimitEffect, Fault> {
        let keys: Vec<String> = kept.iter().map(|kept| kept.change.key.clone()).collect();
        let changes: Vec<Change> = kept.iter().map(|kept| kept.change.clone()).collect();
        let config = match self.with(&changes) {
            Ok(config) => config,
            Err(why) => {
                return Ok(unknown(keys, &format!("as it stands it may not be set. {why}")));
            }
        };
        if kept.iter().any(|kept| IN_TOKENS.contains(&kept.pattern)) {
            let why = "this counts the tokens that are asked for (the prompt's, and the most that \
                       may be answered), and the record has only those that were used.";
            return Ok(unknown(keys, why));
        }
        let (today, proposed) = match (self.terms(&self.loaded.config), self.terms(&config)) {
            (Ok(today), Ok(proposed)) => (today, proposed),
            (Err(why), _) | (_, Err(why)) => return Ok(unknown(keys, &why)),
        };
        let mut ways = Ways::new(self.table);
        ways.learn(log.newest(COUNTED + BEFORE, asked_for_room).await?);
        let about =
            |ways: &Ways<'_>, row: &RequestRow| kept.iter().any(|kept| kept.is_about(ways, row));
        let rows = log.newest(COUNTED + BEFORE, |row| about(&ways, row)).await?;
        let mut trace = Vec::with_capacity(rows.len());
        let mut lost = 0_usize;
        for row in &rows {
            let counted = about(&ways, row);
            match ways.recorded(row, counted) {
                Told::Replayed(one) => trace.push(one),
                Told::NoAsk => {}
                Told::Nowhere => {
                    lost += usize::from(kept.iter().any(|kept| kept.may_be_about(row)));
                }
            }
        }
        if lost > 0 {
            let (they, were) = if lost == 1 { ("one", "it was") } else { ("some", "they were") };
            let why = format!("where {were} to go is not known of {they} that found no room.");
            let why_not = format!("{lost} of the requests looked at; with them it may be another.");
            return Ok(LimitEffect { why: why_not, ..unknown(keys, &why) });
        }
        // Those that come first find room that others had: they are not counted.
        let mut over = trace.iter().filter(|one| one.counted).count().saturating_sub(COUNTED);
        for one in trace.iter_mut().filter(|one| one.counted) {
            if over == 0 {
                break;
            }
            (one.counted, over) = (false, over - 1);
        }
        trace.sort_by_key(|one| one.at);
        if !trace.iter().any(|one| one.counted) {
            let of = kept.iter().find_map(|kept| kept.of);
            let of = of.map(|of| format!(" of {of}")).unwrap_or_default();
            return Ok(unknown(keys, &format!("no request{of} was recorded.")));
        }
        let unplaced = |terms: &Terms| {
            let known = |id: &BackendId| terms.limits.backends.contains_key(id);
            trace.iter().flat_map(|one| one.candidates.iter()).find(|c| !known(&c.backend)).cloned()
        };
        if let Some(candidate) = unplaced(&today).or_else(|| unplaced(&proposed)) {
            let why =
                format!("how many requests {} takes at once is not known now.", candidate.backend);
            return Ok(unknown(keys, &why));
        }
        let Some(supposed) = suppose(&mut trace) else {
            return Ok(unknown(keys, "no recorded request ever ran."));
        };
        let counted = || trace.iter().filter(|one| one.counted);
        let (from, to) = (counted().map(|one| one.at).min(), counted().map(|one| one.at).max());
        let recorded: u64 = counted().map(|one| one.waited).sum();
        let (tighter, looser) = (kept.iter().any(|k| k.tighter), kept.iter().any(|k| !k.tighter));
        let figures = blocking(move || both_ways(trace, &today, &proposed)).await?;
        let Some(BothWays { followed, regardless, waiting }) = figures else {
            return Ok(unknown(keys, "what was recorded could not be replayed to its end."));
        };
        let ms = |at: Option<u64>| at.and_then(|at| i64::try_from(at).ok()).unwrap_or(0);
        let ground = Replay {
            from_ms: ms(from),
            to_ms: ms(to),
            recorded_wait_ms: recorded,
            supposed,
            followed,
            tighter,
            looser,
        };
        let mut effect = match waiting {
            Some(waiting) => either(keys, &waiting, &regardless, &ground),
            None => figures_of(keys, &regardless, &ground),
        };
        if effect.known {
            effect.why.push_str(&self.not_in_it(&config));
        }
        Ok(effect)
    }

    /// What the replay does not go by, where it plays a part.
    fn not_in_it(&self, config: &Config) -> String {
        let mut not = String::from(
            " Breakers, gates and limits that move by themselves hold nobody back in it.",
        );
        let tokens = |config: &Config| {
            let of_any = &config.gateway.clients;
            of_any.tokens_per_min > 0
                || of_any.entries.values().any(|one| one.tokens_per_min > 0)
                || config.services.entries.keys().chain(config.services.found.keys()).any(|id| {
                    config.services.limits(id).is_some_and(|limits| limits.max_tokens > 0)
                })
        };
        if tokens(&self.loaded.config) || tokens(config) {
            not.push_str(" Limits in tokens are kept to with those that were used.");
        }
        let hashed = |config: &Config| {
            let mut routes = config.gateway.routes.values();
            config.gateway.policy == Balance::ConsistentHash
                || routes.any(|route| route.policy == RoutePolicy::Of(Balance::ConsistentHash))
        };
        if hashed(&self.loaded.config) {
            not.push_str(" What goes by its prompt's hash stays where it was answered.");
        }
        not
    }

    /// What admission keeps under a configuration; why that is not known.
    fn terms(&self, config: &Config) -> Result<Terms, String> {
        let mut rooms: BTreeMap<BackendId, Room> = BTreeMap::new();
        let named = config.services.entries.keys().chain(config.services.found.keys());
        let known = self.rooms.keys().chain(self.services.iter().map(|service| &service.id));
        for id in named.chain(known) {
            let limits = config.services.limits(id);
            let today = self.rooms.get(id);
            let set = limits.and_then(|limits| limits.max_in_flight.number());
            let requests = match (set, today) {
                (Some(number), _) => Some(number),
                (None, Some(room)) if room.basis != RoomBasis::Configured => Some(room.requests),
                // It was a number, and would be what the server says itself.
                (None, _) => self.slots(id),
            };
            let Some(requests) = requests else {
                if today.is_some() {
                    return Err(format!("what auto is for {id} shows only when it is in force."));
                }
                continue;
            };
            let tokens = limits.map(|limits| limits.max_tokens).filter(|tokens| *tokens > 0);
            let (basis, outside) = (RoomBasis::Configured, None);
            rooms.insert(
                id.as_str().into(),
                Room { requests, basis, tokens: tokens.map(u64::from), outside },
            );
        }
        let queue = &config.gateway.queue;
        Ok(Terms {
            limits: settings::limits(config, &self.keys, &rooms),
            wait: u64::from(queue.wait_s) * 1000,
            batch_wait: u64::from(queue.batch_wait_s) * 1000,
        })
    }

    fn slots(&self, id: &str) -> Option<u32> {
        self.services.iter().find(|service| service.id == id)?.slots?.total
    }
}

// === impl Kept ===

impl Kept<'_> {
    /// Of a row that says not where it was to go.
    fn may_be_about(&self, row: &RequestRow) -> bool {
        match self.of {
            Some(of) if self.pattern.starts_with("gateway.clients.") => row.client == of,
            Some(of) if self.pattern.starts_with("gateway.routes.") => {
                row.route.as_deref() == Some(of)
            }
            _ => true,
        }
    }

    fn is_about(&self, ways: &Ways<'_>, row: &RequestRow) -> bool {
        let Some(of) = self.of else { return true };
        if self.pattern.starts_with("services.") {
            ways.leads_to(row, of)
        } else if self.pattern.starts_with("gateway.routes.") {
            row.route.as_deref() == Some(of)
        } else {
            row.client == of
        }
    }
}

fn default_of(key: &str) -> Option<SettingValue> {
    plimsoll_core::config::table::setting_of(key).map(|setting| setting.default.value())
}
