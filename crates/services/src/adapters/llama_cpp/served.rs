//! One model that is loaded, asked for its figures: `/metrics`, and `/slots` where it
//! works or was started without the former.

use std::time::Duration;

use plimsoll_core::metric::Metric;
use tokio::time::Instant;

use super::{
    live::Live,
    rest::{Rest, UNTOLD},
    wire::{Props, Slot},
};
use crate::{
    adapter::{Figure, FigureValue},
    adapters::tally::{self, Is, Line},
    client::{Answer, CallError, Target},
    prometheus::{Bounds, Exposition},
    service::{Basis, Hint, Slots},
};

/// Names that the server uses, the newest first. Builds until the middle of 2025
/// told how full the KV cache is, and some put an underscore in place of the colon.
const LINES: &[Line] = &[
    (
        Is::Amount(Metric::RequestsRunning),
        &["llamacpp:requests_processing", "llamacpp_requests_processing"],
    ),
    (
        Is::Amount(Metric::RequestsWaiting),
        &["llamacpp:requests_deferred", "llamacpp_requests_deferred"],
    ),
    (
        Is::Total(Metric::TokensPrompt),
        &["llamacpp:prompt_tokens_total", "llamacpp_prompt_tokens_total"],
    ),
    (
        Is::Total(Metric::TokensGenerated),
        &["llamacpp:tokens_predicted_total", "llamacpp_tokens_predicted_total"],
    ),
    (
        Is::Share(Metric::KvUsed),
        &["llamacpp:kv_cache_usage_ratio", "llamacpp_kv_cache_usage_ratio"],
    ),
];

/// Looks until a server that has no `/metrics` is asked for it again.
const CALM_LOOKS: u32 = 60;

/// What is remembered of one model that is loaded.
#[derive(Debug, Default)]
pub(super) struct Served {
    rest: Rest,
    live: Live,
    /// It was seen asleep, so it can sleep.
    slept: bool,
    /// Looks until it is asked for what it did not have.
    no_metrics: u32,
    no_slots: u32,
}

/// What it told.
#[derive(Debug)]
pub(super) struct Told {
    pub figures: Vec<Figure>,
    pub slots: Slots,
    pub hints: Vec<Hint>,
}

// === impl Served ===

impl Served {
    /// Asks what may be asked now. `query` is empty, or names the model with
    /// `?model=` and forbids loading it. An error is a key that is wanted.
    pub async fn look(
        &mut self,
        target: &Target,
        query: &str,
        props: &Props,
        limit: Option<Duration>,
        now: Instant,
    ) -> Result<Told, CallError> {
        let total = props.total_slots;
        let mut told = Told {
            figures: Vec::new(),
            slots: Slots { total, busy: None, waiting: None, basis: Basis::Told },
            hints: Vec::new(),
        };
        if props.sleeps() {
            self.slept = true;
            self.rest.sleeps();
            // Nothing runs in what sleeps: that is known without asking.
            told.slots.busy = Some(0);
            told.slots.waiting = Some(0);
            told.hints.push(Hint::advice(
                "sleeping",
                "It sleeps: its model is not in memory.",
                "The next request loads it again. Plimsoll asks it nothing that would wake it.",
            ));
            return Ok(told);
        }
        let limit = limit.or(self.slept.then_some(UNTOLD));
        if self.rest.holds(now) {
            told.hints.push(Hint::advice(
                "left-alone",
                "It is left alone now, so that it can fall asleep.",
                "Its figures come back with its next requests, within its --sleep-idle-seconds.",
            ));
            return Ok(told);
        }
        if self.metrics(target, query, props, &mut told).await? {
            let worked = told.figures.iter().filter_map(total_of).sum();
            let busy = told.slots.busy != Some(0) || told.slots.waiting.is_some_and(|n| n > 0);
            self.count(target, query, props, &mut told).await?;
            self.rest.looked(now, busy, worked, limit);
        } else if self.no_metrics > 0 {
            let worked = self.slots(target, query, props, &mut told).await?;
            self.rest.looked(now, told.slots.busy != Some(0), worked, limit);
        }
        Ok(told)
    }

    /// True where they were told.
    async fn metrics(
        &mut self,
        target: &Target,
        query: &str,
        props: &Props,
        told: &mut Told,
    ) -> Result<bool, CallError> {
        if props.endpoint_metrics == Some(false) {
            self.no_metrics = CALM_LOOKS;
        } else {
            self.no_metrics = self.no_metrics.saturating_sub(1);
        }
        if self.no_metrics == 0 {
            let answer = target.get(&format!("/metrics{query}")).await;
            let read = answer.and_then(Answer::ok).and_then(|answer| {
                let wanted = |name: &str| LINES.iter().any(|(_, names)| names.contains(&name));
                let read = Exposition::read(answer.text()?, Bounds::default(), wanted);
                if read.samples.is_empty() {
                    Err(answer.not_understood("no figures"))
                } else {
                    Ok(read)
                }
            });
            match read {
                Ok(read) => {
                    // Its own labels say nothing; whose figures they are is known.
                    told.figures = tally::figures(read, LINES, "model");
                    told.slots.busy = tally::amount(&told.figures, Metric::RequestsRunning);
                    told.slots.waiting = tally::amount(&told.figures, Metric::RequestsWaiting);
                    return Ok(true);
                }
                Err(CallError::Status { status: 404 | 501, .. }) => self.no_metrics = CALM_LOOKS,
                // It went from memory since the list was told.
                Err(CallError::Status { status: 400, .. }) if !query.is_empty() => {}
                Err(error) => told.hints.push(late_or_broken(error)?),
            }
        }
        if self.no_metrics > 0 {
            told.hints.push(Hint::advice(
                "no-metrics",
                "This server was started without --metrics.",
                "Start it with --metrics to see its tokens and its queue.",
            ));
        }
        Ok(false)
    }

    /// Puts the tokens as they come in the place of those of requests that ended.
    async fn count(
        &mut self,
        target: &Target,
        query: &str,
        props: &Props,
        told: &mut Told,
    ) -> Result<(), CallError> {
        let generated = |figure: &Figure| figure.metric == Metric::TokensGenerated;
        let Some(at) = told.figures.iter().position(generated) else { return Ok(()) };
        let Some(ended) = told.figures.get(at).and_then(total_of) else { return Ok(()) };
        let slots = if told.slots.busy == Some(0) {
            Some(Vec::new())
        } else {
            self.ask_slots(target, query, props, &mut told.hints).await?
        };
        match slots {
            Some(slots) => {
                told.figures[at].value = FigureValue::Total(self.live.count(ended, &slots));
            }
            None if self.no_slots > 0 || props.endpoint_slots == Some(false) => {
                self.live = Live::default();
            }
            // They would be counted twice when the next look tells them.
            None => drop(told.figures.remove(at)),
        }
        Ok(())
    }

    /// Counts the slots that work; answers what changes when one has worked.
    async fn slots(
        &mut self,
        target: &Target,
        query: &str,
        props: &Props,
        told: &mut Told,
    ) -> Result<f64, CallError> {
        let slots = self.ask_slots(target, query, props, &mut told.hints).await?;
        let Some(slots) = slots else { return Ok(0.0) };
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        told.slots.busy = Some(count(slots.iter().filter(|slot| slot.is_busy()).count()));
        told.slots.total = told.slots.total.or(Some(count(slots.len())));
        Ok(slots.iter().filter_map(|slot| slot.id_task).map(|id| id as f64).sum())
    }

    /// `None` where they are not told, now or at all.
    async fn ask_slots(
        &mut self,
        target: &Target,
        query: &str,
        props: &Props,
        hints: &mut Vec<Hint>,
    ) -> Result<Option<Vec<Slot>>, CallError> {
        if props.endpoint_slots == Some(false) {
            return Ok(None);
        }
        self.no_slots = self.no_slots.saturating_sub(1);
        if self.no_slots > 0 {
            return Ok(None);
        }
        match target.get_json::<Vec<Slot>>(&format!("/slots{query}")).await {
            Ok(slots) => return Ok(Some(slots)),
            Err(CallError::Status { status: 404 | 501, .. }) => self.no_slots = CALM_LOOKS,
            Err(CallError::Status { status: 400, .. }) if !query.is_empty() => {}
            Err(error) => hints.push(late_or_broken(error)?),
        }
        Ok(None)
    }
}

fn total_of(figure: &Figure) -> Option<f64> {
    match figure.value {
        FigureValue::Total(value) if value.is_finite() => Some(value),
        _ => None,
    }
}

/// A hint for a question that failed while the server is there; a key that is
/// wanted stays an error.
fn late_or_broken(error: CallError) -> Result<Hint, CallError> {
    match error {
        CallError::WantsKey { .. } => Err(error),
        CallError::TooSlow { .. } => Ok(Hint::advice(
            "figures-late",
            format!("Its figures come late: {error}."),
            "It answers between two batches of tokens only; a smaller --batch-size shortens them.",
        )),
        error => Ok(Hint::warning(
            "no-figures",
            format!("Its figures could not be read: {error}."),
            "Look at /metrics of this server with a browser or with curl.",
        )),
    }
}
