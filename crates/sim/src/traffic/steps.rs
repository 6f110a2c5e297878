//! One request on its way: it comes, waits, is sent, and ends as its service, its client or the
//! gateway has it.

use plimsoll_core::request::{Finish, RequestRow};

use super::{
    Caller, Ended, Entrance, Refused, Step, Traffic, us_of,
    way::{At, Way},
};
use crate::{
    cast::{PastService, Reached},
    server::inside::Us,
};

/// Numbers of requests in the log grow by this much a millisecond.
const IDS_PER_MS: i64 = 4096;
/// A failure is heard of after so long.
const FAILS_US: Us = 2_000;

// === impl Traffic ===

impl Traffic {
    pub(super) fn come(&mut self, id: u64, services: &mut [PastService]) {
        let Some((who, ask)) = self.coming.remove(&id) else { return };
        let client = &self.clients[who];
        let program = &client.program;
        let at_ms = self.wall_ms();
        self.last_row = (at_ms * IDS_PER_MS).max(self.last_row + 1);
        let unit = self.noise.white(id, self.second).abs();
        let row = RequestRow {
            client: client.name.to_string(),
            model: program.model().to_owned(),
            // The only one that could answer.
            backend: Some(services[client.service].id().to_string()),
            priority: program.priority(),
            stream: program.streams(),
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            overhead_us: 60 + (110.0 * unit) as u64,
            ..RequestRow::new(self.last_row, at_ms, program.endpoint(), Finish::Answered)
        };
        let caller = Caller {
            id,
            client: client.name.clone(),
            model: program.model().into(),
            service: services[client.service].id().clone(),
            priority: program.priority(),
            tokens: program.cost(&ask, services[client.service].says(ask.seed())).most(),
            patience_ms: program.patience_ms(),
        };
        if let Some(leaves) = ask.leaves {
            self.agenda.insert((self.now + us_of(leaves), Step::Leave, id));
        }
        let way = Way::new(who, ask, client.service, self.now, row);
        self.ways.insert(id, way);
        match self.gate.offer(&caller, self.ms()) {
            Entrance::Granted => self.send(id, services),
            Entrance::Waits => {}
            Entrance::Refused(refused) => self.refuse(id, refused),
        }
    }

    /// What became of those that waited.
    pub(super) fn hear(&mut self, services: &mut [PastService]) {
        loop {
            let decided = self.gate.decided();
            if decided.is_empty() {
                return;
            }
            for (id, decision) in decided {
                match decision {
                    Ok(()) => self.send(id, services),
                    Err(refused) => self.refuse(id, refused),
                }
            }
        }
    }

    fn send(&mut self, id: u64, services: &mut [PastService]) {
        let (now, shares) = (self.now, self.shares);
        let Some(way) = self.ways.get_mut(&id) else { return };
        way.goes(now, shares);
        let service = &mut services[way.service];
        let cost = self.clients[way.who].program.cost(&way.ask, service.says(way.ask.seed()));
        match service.reach(self.origin_s + i64::try_from(now / 1_000_000).unwrap_or(0)) {
            Reached::Takes => service.submit(now, id, cost.wish()),
            Reached::Answers(status) => way.at = At::Failing { status: Some(status) },
            Reached::Nothing => way.at = At::Failing { status: None },
        }
        if matches!(way.at, At::Failing { .. }) {
            self.agenda.insert((now + FAILS_US, Step::Fail, id));
        }
    }

    /// Its service answered with an error, or not at all.
    pub(super) fn fail(&mut self, id: u64, services: &[PastService]) {
        let (now, ms) = (self.now, self.ms());
        let Some(way) = self.ways.get_mut(&id) else { return };
        let At::Failing { status } = way.at else { return };
        let place = services[way.service].place();
        // What passes by itself, and what never came to an answer, is tried again.
        let again = match status {
            Some(503) | None => self.gate.pause_ms(way.sent),
            Some(_) => None,
        };
        if let Some(pause) = again {
            let reason = match status {
                Some(status) => format!("{place} answered {status}."),
                None => format!("{place} closed the connection without an answer."),
            };
            way.failure = Some((502, reason));
            way.at = At::Line(now);
            self.gate.retry(id, pause, ms);
            return;
        }
        let Some(way) = self.take_way(id) else { return };
        self.gate.release(id, Ended::Failed, None, ms);
        match status {
            Some(status) => self.put(way, Finish::Answered, status, String::new()),
            None => {
                let reason = format!("{place} closed the connection without an answer.");
                self.put(way, Finish::Failed, 502, reason);
            }
        }
    }

    fn refuse(&mut self, id: u64, refused: Refused) {
        let Some(mut way) = self.take_way(id) else { return };
        match way.failure.take() {
            // Its own failure stays the reason.
            Some((status, reason)) => {
                let reason = format!("{reason} It was not tried again. {}", refused.reason);
                self.put(way, Finish::Failed, status, reason);
            }
            None => self.put(way, Finish::Refused, refused.status, refused.reason),
        }
    }

    pub(super) fn leave(&mut self, id: u64, services: &mut [PastService]) {
        let Some(way) = self.take_way(id) else { return };
        services[way.service].cancel(self.now, id);
        self.gate.leave(id, self.ms());
        let status = if way.first.is_some() { 200 } else { 0 };
        self.put(way, Finish::Left, status, String::new());
    }

    /// A request that is under way no more, with its share of the card's energy.
    pub(super) fn take_way(&mut self, id: u64) -> Option<Way> {
        let mut way = self.ways.remove(&id)?;
        if let At::Service { shares } = way.at {
            way.joules = way.joules.map(|joules| joules + self.shares - shares);
        }
        if let Some(leaves) = way.ask.leaves {
            self.agenda.remove(&(way.came + us_of(leaves), Step::Leave, id));
        }
        Some(way)
    }

    pub(super) fn put(&mut self, way: Way, finish: Finish, status: u16, reason: String) {
        let row = way.end(self.now, finish, status, reason);
        self.gate.count(&row, self.wall_ms().div_euclid(1000));
        self.rows.push(row);
    }
}
