//! How answers to alerts are kept over a restart: in the state's database,
//! beside what must not be lost with a damaged history.

use futures::future::BoxFuture;
use plimsoll_core::alert::AlertRow;
use plimsoll_history::{AlertState, Recording as Paused, RecordingStatus, State};

use super::{Answer, Recording, Restored};

/// Keeps answers.
pub trait AlertStore: Send + Sync + 'static {
    /// Replaces the answer for its rule and subject, or forgets it where it says nothing.
    fn save(&self, answer: Answer) -> BoxFuture<'_, Result<(), String>>;
}

/// What an earlier run left: answers from the state, rows of the last day from
/// the history.
pub fn restored(states: Vec<AlertState>, rows: Vec<AlertRow>) -> Restored {
    let answers = states.into_iter().filter_map(|state| {
        // Ids of rules have no colon; subjects may.
        let (rule, subject) = state.id.split_once(':')?;
        Some(Answer {
            rule: rule.into(),
            subject: subject.into(),
            acknowledged_ms: state.acknowledged_ms,
            snoozed_until_ms: state.snoozed_until_ms,
        })
    });
    Restored { answers: answers.collect(), rows }
}

impl AlertStore for State {
    fn save(&self, answer: Answer) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let state = AlertState {
                id: format!("{}:{}", answer.rule, answer.subject),
                acknowledged_ms: answer.acknowledged_ms,
                snoozed_until_ms: answer.snoozed_until_ms,
            };
            self.set_alert(&state).await.map_err(|error| error.to_string())
        })
    }
}

impl From<&RecordingStatus> for Recording {
    fn from(status: &RecordingStatus) -> Self {
        Self {
            paused: match &status.state {
                Paused::Paused { reason, .. } => Some(reason.clone()),
                Paused::Recording | Paused::Off => None,
            },
            series_turned_away: status.series_turned_away,
        }
    }
}
