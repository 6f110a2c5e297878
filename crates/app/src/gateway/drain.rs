//! A service is let run empty before it is stopped, started anew or loses a model: it takes
//! nothing new, and what runs there may end. Every way to end a service goes through here.

use std::time::Duration;

use plimsoll_gateway::admission::Rest;
use tokio::time::{Instant, sleep_until};

use super::Traffic;
use crate::words::{quantity, span};

/// Whether it comes back by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// In a moment: who asks meanwhile waits in line.
    Soon,
    /// Not before somebody says so: who asks meanwhile goes elsewhere, or is refused at once.
    Never,
}

/// It is empty, or its time is over. It takes nothing new until this is dropped.
#[derive(Debug)]
pub struct Emptied {
    pub rest: Rest,
    /// What had not ended in its time: whatever is done now may cut it off.
    pub left: u32,
}

/// What is waited for, and how much longer at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitsFor {
    pub requests: u32,
    pub at_most: Duration,
}

// === impl WaitsFor ===

impl WaitsFor {
    /// `Waits for 2 requests to end, at most 30 s.`
    pub fn sentence(self) -> String {
        let at_most = span(self.at_most.as_secs_f64());
        format!("Waits for {} to end, at most {at_most}.", quantity(self.requests, "request"))
    }
}

// === impl Emptied ===

impl Emptied {
    /// `; 2 requests had not ended in their time`, or nothing.
    pub fn overdue(&self) -> String {
        match self.left {
            0 => String::new(),
            1 => "; 1 request had not ended in its time".into(),
            many => format!("; {many} requests had not ended in their time"),
        }
    }
}

// === impl Traffic ===

impl Traffic {
    /// Lets a service take nothing new, and waits until what came to it through the gateway has
    /// ended, for at most `gateway.drain_s`. `say` hears how many it waits for, and again as they
    /// become fewer. Dropped before it answers, it is as if nobody had asked.
    pub async fn empty(&self, id: &str, back: Return, mut say: impl FnMut(WaitsFor)) -> Emptied {
        let rest = match back {
            Return::Soon => self.desk.rest(id),
            Return::Never => self.desk.retire(id),
        };
        let until = Instant::now() + self.options.borrow().drain;
        loop {
            let left = rest.in_flight();
            let at_most = until.saturating_duration_since(Instant::now());
            if left == 0 {
                return Emptied { rest, left };
            }
            say(WaitsFor { requests: left, at_most });
            tokio::select! {
                biased;
                () = rest.down_to(left - 1) => {}
                () = sleep_until(until) => {
                    let left = rest.in_flight();
                    tracing::warn!(service = id, requests = left, "what still runs there has had its time");
                    return Emptied { rest, left };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_a_sentence() {
        let waits = |requests, at_most| {
            WaitsFor { requests, at_most: Duration::from_millis(at_most) }.sentence()
        };
        assert_eq!(waits(1, 3_600_000), "Waits for 1 request to end, at most 60 min.");
        assert_eq!(waits(2, 29_990), "Waits for 2 requests to end, at most 30 s.");
    }
}
