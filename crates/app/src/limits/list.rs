//! All limits as they stand: what the configuration, the environment and the services say,
//! put together. Pure: what it goes by is handed in.

use std::collections::BTreeMap;

use plimsoll_core::{
    config::{
        Config,
        launch::{FIELDS, ways},
        setting::{Constant, Setting},
        table::setting,
        wire::{Changed, ConfigView, Origin as From, SettingState, SettingType, SettingValue},
    },
    metric::{Metric, SubjectKind},
    series::SeriesKey,
    traffic::RoomBasis,
};
use plimsoll_gateway::route::Room;
use plimsoll_services::{
    kind::ServiceKind,
    service::{Origin, Service},
};

pub(super) use super::slider::number;
use super::{
    slider::{slider, stop},
    table::{Drawn, GROUPS, Line, PLACES, Place},
};
use crate::{
    api::{
        LimitChart, LimitGroupInfo, LimitInfo, LimitLock, LimitPreset, LimitTakesHold, LimitsDraft,
        LimitsView, Preset,
    },
    words::span,
};

/// What can be said of a service that was found.
const OF_FOUND: [&str; 2] = ["services.*.max_in_flight", "services.*.max_tokens"];

/// What the limits are put together from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub view: &'a ConfigView,
    pub config: &'a Config,
    pub services: &'a [Service],
    /// What each backend takes at once, where a gateway runs.
    pub rooms: &'a BTreeMap<String, Room>,
    /// How long the services took to start, in ms.
    pub starts: &'a BTreeMap<String, i64>,
    /// Why the file cannot be written.
    pub unwritable: Option<&'a str>,
    pub memory_bytes: Option<u64>,
}

/// Everything but what is staged.
pub fn view(facts: &Facts<'_>) -> LimitsView {
    let limits = limits(facts);
    let groups = GROUPS
        .iter()
        .filter(|(id, _)| limits.iter().any(|limit| limit.group == *id))
        .map(|(id, title)| LimitGroupInfo { id: *id, title: (*title).into() })
        .collect();
    let presets = [
        (Preset::Conservative, "Conservative", "Costs least, and refuses sooner than it risks."),
        (Preset::Balanced, "Balanced", "What Plimsoll comes with."),
        (Preset::Aggressive, "Aggressive", "Takes more at once and keeps more, and costs more."),
    ]
    .map(|(id, title, meaning)| preset(&limits, id, title, meaning));
    // What is locked at another value keeps a preset from being in force.
    let holds = |one: &&LimitPreset| one.changes.is_empty() && one.locked.is_empty();
    let preset = presets.iter().find(holds).map(|one| one.id);
    LimitsView {
        revision: facts.view.revision,
        digest: facts.view.digest.clone(),
        groups,
        limits,
        presets: presets.into(),
        preset,
        draft: LimitsDraft::default(),
    }
}

/// The limits in the order of their groups.
fn limits(facts: &Facts<'_>) -> Vec<LimitInfo> {
    let mut limits = Vec::new();
    for place in PLACES {
        let Some(setting) = setting(place.key) else { continue };
        for state in facts.view.settings.iter().filter(|state| state.spec == place.key) {
            limits.extend(facts.limit(place, setting, state));
        }
        for id in facts.unwritten(place) {
            let default = setting.default.value();
            let state = SettingState {
                key: place.key.replace('*', id),
                spec: place.key.into(),
                value: default.clone(),
                default,
                origin: From::Default,
            };
            limits.extend(facts.limit(place, setting, &state));
        }
    }
    limits.sort_by_key(|limit| limit.group);
    limits
}

fn preset(limits: &[LimitInfo], id: Preset, title: &str, meaning: &str) -> LimitPreset {
    let (mut changes, mut locked) = (Vec::new(), Vec::new());
    for limit in limits {
        let Some(new) = limit.of_preset(id).filter(|new| **new != limit.value) else { continue };
        if limit.lock.is_some() {
            locked.push(limit.key.clone());
        } else {
            changes.push(Changed {
                key: limit.key.clone(),
                old: limit.value.clone(),
                new: new.clone(),
            });
        }
    }
    LimitPreset { id, title: title.into(), meaning: meaning.into(), changes, locked }
}

/// The id in a key that stands where its pattern has a star.
pub(super) fn id_in<'a>(pattern: &str, key: &'a str) -> Option<&'a str> {
    let (before, after) = pattern.split_once('*')?;
    key.strip_prefix(before)?.strip_suffix(after)
}

// === impl LimitInfo ===

impl LimitInfo {
    pub fn of_preset(&self, preset: Preset) -> Option<&SettingValue> {
        match preset {
            Preset::Conservative => self.conservative.as_ref(),
            Preset::Balanced => self.balanced.as_ref(),
            Preset::Aggressive => self.aggressive.as_ref(),
        }
    }
}

// === impl Facts ===

impl Facts<'_> {
    fn service(&self, id: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.id == id)
    }

    /// Services that are watched and of which the file says nothing, and may: those that were
    /// found, and those of the demo.
    fn unwritten(&self, place: &Place) -> impl Iterator<Item = &str> {
        let of_any = OF_FOUND.contains(&place.key);
        let found = self.services.iter().filter(move |service| {
            of_any
                && service.origin != Origin::Proposed
                && service.kind.is_none_or(ServiceKind::is_engine)
        });
        // A client or a route may have the name of a service.
        let written = |id: &str| {
            let of = |s: &SettingState| s.spec == place.key && id_in(&s.spec, &s.key) == Some(id);
            self.view.settings.iter().any(of)
        };
        found.map(|service| service.id.as_str()).filter(move |id| !written(id))
    }

    /// `None` where it means nothing for what it is of.
    fn limit(&self, place: &Place, setting: &Setting, state: &SettingState) -> Option<LimitInfo> {
        let of = id_in(place.key, &state.key);
        let service = of.filter(|_| place.key.starts_with("services."));
        if let Some(id) = service
            && !self.concerns(place.key, id)
        {
            return None;
        }
        let (in_force, in_force_why) = self.in_force(place.key, of, &state.value);
        let [conservative, balanced, aggressive] = self.presets(place.key, of, setting);
        let spec = setting.spec();
        let marks = [&conservative, &balanced, &aggressive].into_iter().flatten();
        let marks = marks.chain([&state.value, &state.default]).filter_map(number).chain(in_force);
        Some(LimitInfo {
            slider: slider(setting, marks),
            stop: stop(&state.key),
            group: place.group,
            title: match of {
                Some(id) => {
                    let name = service.and_then(|id| self.service(id)).map(|s| s.name.as_str());
                    format!("{}, {}", spec.label, name.unwrap_or(id))
                }
                None => spec.label,
            },
            meaning: spec.meaning,
            accepts: self.accepts(place.key, of, spec.accepts),
            unit: spec.unit,
            lock: self.lock(place.key, of, &state.origin),
            chart: place.chart.map(|drawn| self.chart(&drawn, of)),
            takes_hold: self.takes_hold(place.key, of, setting.live),
            of: of.map(Into::into),
            key: state.key.clone(),
            default: state.default.clone(),
            value: state.value.clone(),
            origin: state.origin.clone(),
            in_force,
            in_force_why,
            conservative,
            balanced,
            aggressive,
        })
    }

    /// Whether a setting of services means something for that one.
    fn concerns(&self, key: &str, id: &str) -> bool {
        let entry = self.config.services.entries.get(id);
        let field = key.rsplit('.').next().unwrap_or_default();
        let managed = entry.is_some_and(|entry| !entry.command.is_empty());
        match field {
            "max_in_flight" | "max_tokens" => {
                let kind = self.service(id).and_then(|service| service.kind);
                kind.is_none_or(ServiceKind::is_engine)
            }
            "vram_mib" | "stop_s" => managed,
            field if FIELDS.contains(&field) => {
                managed
                    && entry
                        .is_some_and(|entry| ways(&entry.kind).iter().any(|way| way.field == field))
            }
            // What was found and is not in the file has no other settings.
            _ => entry.is_some(),
        }
    }

    /// Of a launch setting only what its server knows.
    fn accepts(&self, key: &str, of: Option<&str>, accepts: SettingType) -> SettingType {
        let entry = of.and_then(|id| self.config.services.entries.get(id));
        match (accepts, entry) {
            (SettingType::Choice { .. }, Some(entry)) if key == "services.*.kv_type" => {
                let known = plimsoll_core::config::launch::kv_types(&entry.kind);
                let options = ["default"].into_iter().chain(known.iter().map(|(name, _)| *name));
                SettingType::Choice { options: options.map(Into::into).collect() }
            }
            (accepts, _) => accepts,
        }
    }

    fn lock(&self, key: &str, of: Option<&str>, origin: &From) -> Option<LimitLock> {
        if let From::Environment { variable } = origin {
            let reason = format!(
                "{variable} is set, and goes before the file. Unset it and start Plimsoll again \
                 to change it here."
            );
            return Some(LimitLock::Environment { variable: variable.clone(), reason });
        }
        if let Some(reason) = self.unwritable {
            return Some(LimitLock::File { reason: reason.into() });
        }
        let flag = self.flag_of(key, of?)?;
        let id = of?;
        let reason = format!(
            "The command of {id} says {flag} itself. Take it out of services.{id}.command to \
             set it here."
        );
        Some(LimitLock::Command { flag: flag.into(), reason })
    }

    /// The word of a managed service's command that says the same.
    fn flag_of(&self, key: &str, id: &str) -> Option<&str> {
        let entry = self.config.services.entries.get(id)?;
        let field = key.strip_prefix("services.*.")?;
        let arguments = entry.command.get(1..)?;
        ways(&entry.kind)
            .iter()
            .filter(|way| way.field == field)
            .find_map(|way| way.stands_in(arguments))
    }

    /// What holds where the value itself does not say it.
    fn in_force(&self, key: &str, of: Option<&str>, value: &SettingValue) -> (Option<f64>, String) {
        let none = (None, String::new());
        let Some(id) = of else { return none };
        match (key, value) {
            ("services.*.max_in_flight", SettingValue::Text(_)) => match self.rooms.get(id) {
                Some(room) => (Some(f64::from(room.requests)), basis_words(room.basis).into()),
                None => (None, "not known yet".into()),
            },
            ("services.*.parallel", SettingValue::Integer(0)) => {
                let slots = self.service(id).and_then(|service| service.slots?.total);
                (slots.map(f64::from), slots.map(|_| "the server's own".into()).unwrap_or_default())
            }
            _ => none,
        }
    }

    /// What the presets set a limit to, in their order.
    fn presets(&self, key: &str, of: Option<&str>, setting: &Setting) -> [Option<SettingValue>; 3] {
        if key == "services.*.max_in_flight" {
            // Half of what the server works on at once leaves it air; twice as many keeps its own
            // queue filled, so that no slot stands empty between two requests.
            let told = of.and_then(|id| self.told_room(id));
            return match told {
                Some(room) => [
                    Some(SettingValue::Integer(i64::from((room / 2).max(1)))),
                    Some(setting.default.value()),
                    Some(SettingValue::Integer(i64::from(room.saturating_mul(2).min(65_536)))),
                ],
                None => [None, None, None],
            };
        }
        match (setting.conservative, setting.aggressive) {
            (Some(conservative), Some(aggressive)) => {
                [conservative, setting.default, aggressive].map(Constant::value).map(Some)
            }
            _ => [None, None, None],
        }
    }

    /// What a server itself says that it works on at once.
    fn told_room(&self, id: &str) -> Option<u32> {
        if let Some(room) = self.rooms.get(id).filter(|room| room.basis == RoomBasis::Told) {
            return Some(room.requests);
        }
        self.service(id)?.slots?.total.filter(|total| *total > 0)
    }

    fn chart(&self, drawn: &Drawn, of: Option<&str>) -> LimitChart {
        let series = drawn.metrics.iter().map(|metric| self.series(*metric, of)).collect();
        let (scale, floor) = match drawn.line {
            Line::None => (None, false),
            Line::Times(times) => (Some(times), false),
            Line::FloorOfMemory => {
                #[expect(clippy::cast_precision_loss, reason = "a height on a chart")]
                let percent = self.memory_bytes.map(|bytes| bytes as f64 / 100.0);
                (percent, true)
            }
        };
        // What waits stands on what runs: together they are the demand.
        let stacked = drawn.metrics.len() > 1;
        LimitChart { series, stacked, scale, floor, filled: drawn.filled }
    }

    fn series(&self, metric: Metric, of: Option<&str>) -> SeriesKey {
        let named = matches!(metric.spec().subject, SubjectKind::Service | SubjectKind::Client);
        SeriesKey::new(metric.name(), of.filter(|_| named).unwrap_or_default())
    }

    fn takes_hold(&self, key: &str, of: Option<&str>, live: bool) -> LimitTakesHold {
        let field = key.strip_prefix("services.*.").unwrap_or_default();
        match of {
            Some(id) if FIELDS.contains(&field) => {
                let name = self.service(id).map_or(id, |service| &service.name).to_owned();
                let about_ms = self.starts.get(id).copied();
                #[expect(clippy::cast_precision_loss, reason = "a time, shown in seconds")]
                let text = match about_ms {
                    Some(ms) => format!("restarts {id}, about {}", span(ms as f64 / 1000.0)),
                    None => format!("restarts {id}; how long is not known yet"),
                };
                LimitTakesHold::ServiceRestarts { service: id.into(), name, about_ms, text }
            }
            _ if live => LimitTakesHold::Live,
            _ => LimitTakesHold::PlimsollRestarts,
        }
    }
}

fn basis_words(basis: RoomBasis) -> &'static str {
    match basis {
        RoomBasis::Configured => "as set",
        RoomBasis::Told => "told by the server",
        RoomBasis::Adaptive => "felt out",
        RoomBasis::Assumed => "assumed",
    }
}
