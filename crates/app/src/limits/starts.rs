//! How long a managed service takes to serve again, from the marks of its earlier starts.

use std::collections::BTreeMap;

use plimsoll_core::{
    config::{launch::FIELDS, wire::Revision},
    mark::{Mark, MarkKind},
};

/// Starts that count, the latest ones.
const LATEST: usize = 5;
/// What took longer was no start any more.
const LONGEST_MS: i64 = 15 * 60_000;

/// The middle one of each service's latest starts, by its id, in ms. A start goes from the
/// mark that it was started to the one that it serves.
pub(super) fn starts(marks: &[Mark]) -> BTreeMap<String, i64> {
    let mut begun: BTreeMap<&str, i64> = BTreeMap::new();
    let mut took: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    let mut marks: Vec<&Mark> = marks.iter().filter(|m| m.kind == MarkKind::Service).collect();
    marks.sort_by_key(|mark| (mark.at_ms, mark.id));
    for mark in marks {
        let Some(id) = mark.subject.as_deref() else { continue };
        if mark.title.ends_with(" was started") {
            begun.insert(id, mark.at_ms);
        } else if serves(&mark.title)
            && let Some(since) = begun.remove(id)
            && (0..=LONGEST_MS).contains(&(mark.at_ms - since))
        {
            took.entry(id).or_default().push(mark.at_ms - since);
        }
    }
    took.into_iter()
        .filter_map(|(id, took)| {
            let mut latest = took[took.len().saturating_sub(LATEST)..].to_vec();
            latest.sort_unstable();
            Some((id.to_owned(), *latest.get(latest.len() / 2)?))
        })
        .collect()
}

/// When what each service is launched with was changed last, by its id.
pub(super) fn launch_changed(revisions: &[Revision]) -> BTreeMap<String, i64> {
    let mut changed = BTreeMap::new();
    for revision in revisions {
        for change in &revision.changed {
            let Some((id, field)) =
                change.key.strip_prefix("services.").and_then(|key| key.split_once('.'))
            else {
                continue;
            };
            if field == "command" || FIELDS.contains(&field) {
                let at = changed.entry(id.to_owned()).or_insert(revision.at_ms);
                *at = (*at).max(revision.at_ms);
            }
        }
    }
    changed
}

fn serves(title: &str) -> bool {
    title.ends_with(" is healthy") || title.contains(" is up again after ")
}

#[cfg(test)]
mod tests {
    use plimsoll_core::config::wire::{Changed, SettingValue};
    use plimsoll_services::{
        service::ServiceState,
        state::{Change, words_of},
    };

    use super::*;

    fn healthy(from: ServiceState) -> String {
        let (to, reason) = (ServiceState::Healthy, String::new());
        let change = Change { from, to, reason, at_ms: 0, lasted_ms: 9000 };
        words_of("Chat, fast", &change)
    }

    #[test]
    fn a_start_is_from_the_word_that_it_was_started_to_the_word_that_it_serves() {
        let mark = |at, title: &str| Mark::of_service(at, "chat", title);
        let mut marks = Vec::new();
        for (start, took) in [(0, 60_000), (100_000, 9000), (200_000, 8000), (300_000, 20_000)] {
            marks.push(mark(start, "Chat, fast was started"));
            marks.push(mark(start + 1000, "Chat, fast is starting"));
            marks.push(mark(start + took, &healthy(ServiceState::Starting)));
            // It recovers by itself: no start.
            marks.push(mark(start + 70_000, &healthy(ServiceState::Down)));
        }
        marks.push(mark(400_000, "Chat, fast was started"));
        marks.push(mark(409_500, &healthy(ServiceState::Down)));
        assert_eq!(starts(&marks), BTreeMap::from([("chat".to_owned(), 9500)]));
        assert_eq!(starts(&[]), BTreeMap::new());
    }

    #[test]
    fn the_latest_change_of_what_a_service_is_launched_with_counts_and_no_other() {
        let value = SettingValue::Integer;
        let revision = |number, at_ms, key: &str| Revision {
            number,
            at_ms,
            by: "window".into(),
            rolled_back_to: None,
            changed: vec![Changed { key: key.into(), old: value(1), new: value(2) }],
            diff: Vec::new(),
        };
        let revisions = [
            revision(4, 400, "services.chat.max_in_flight"),
            revision(3, 300, "services.chat.parallel"),
            revision(2, 200, "services.chat.command"),
            revision(1, 100, "gateway.queue.max"),
        ];
        assert_eq!(launch_changed(&revisions), BTreeMap::from([("chat".to_owned(), 300)]));
    }

    #[test]
    fn what_took_too_long_was_somebody_elses_doing() {
        let marks = [
            Mark::of_service(0, "chat", "Chat was started"),
            Mark::of_service(LONGEST_MS + 1, "chat", healthy(ServiceState::Starting)),
        ];
        assert_eq!(starts(&marks), BTreeMap::new());
    }
}
