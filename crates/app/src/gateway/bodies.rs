//! What a client sent and got: kept only where a person turns it on for one client, for an
//! hour at most, in memory, and with a mark.

use std::time::Duration;

use plimsoll_core::mark::{Mark, MarkKind};

use super::Traffic;
use crate::api::{
    BodiesAsk, BodiesKept, Done, Fault, FaultCode, MAX_BODIES_MINUTES, RequestBody, RequestId,
};

/// Longest name of a client.
const MAX_NAME: usize = 256;

// === impl Traffic ===

impl Traffic {
    pub fn keep_bodies(&self, ask: BodiesAsk, now_ms: i64) -> Result<Done, Fault> {
        let client = ask.client.trim();
        if client.is_empty() || client.len() > MAX_NAME {
            return Err(Fault::new(
                FaultCode::Invalid,
                "Bodies are kept of one client, by its name.",
            ));
        }
        if ask.minutes > MAX_BODIES_MINUTES {
            return Err(Fault::new(
                FaultCode::Invalid,
                format!("Bodies are kept for {MAX_BODIES_MINUTES} minutes at most."),
            ));
        }
        let time = Duration::from_secs(u64::from(ask.minutes) * 60);
        if !self.records.keep_bodies(client, time) {
            return Err(Fault::new(
                FaultCode::Conflict,
                "Bodies of too many clients are kept already.",
            )
            .hint("End it for one of them first."));
        }
        let words = match ask.minutes {
            0 => format!("Bodies of {client} are kept no more"),
            minutes => format!("Bodies of {client} are kept for {minutes} min"),
        };
        self.record.mark(Mark::new(now_ms, MarkKind::Change, words.clone()));
        Ok(Done { message: format!("{words}.") })
    }

    pub fn body(&self, request: &RequestId) -> Result<RequestBody, Fault> {
        let passed = self.records.body(request.id).ok_or_else(|| {
            Fault::new(FaultCode::NotFound, "The body of this request was not kept.").hint(
                "Bodies are kept only of clients for which it is turned on, for an hour at most.",
            )
        })?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(RequestBody {
            request: text(&passed.request),
            answer: text(&passed.answer),
            cut: passed.cut,
        })
    }

    pub(super) fn bodies_kept(&self, now_ms: i64) -> Vec<BodiesKept> {
        let kept = self.records.bodies_kept().into_iter();
        kept.map(|(client, left)| BodiesKept {
            client: client.to_string(),
            until_ms: now_ms.saturating_add(i64::try_from(left.as_millis()).unwrap_or(i64::MAX)),
        })
        .collect()
    }
}
