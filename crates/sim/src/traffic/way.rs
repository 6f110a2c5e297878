//! One request on its way, and the row that it leaves.

use std::sync::Arc;

use plimsoll_core::request::{Finish, RequestRow};

use crate::{clients::Ask, server::inside::Us};

/// Most gaps between tokens that are kept of one answer.
const GAPS: usize = 4096;

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    /// In line, or in the pause before another try, since then.
    Line(Us),
    /// At its service, with what the clock of shares said then.
    Service { shares: f64 },
    /// Its service failed it; it hears of it in a moment.
    Failing { status: Option<u16> },
}

pub struct Way {
    /// Number of who asks.
    pub who: usize,
    pub ask: Ask,
    pub service: usize,
    pub at: At,
    pub came: Us,
    pub row: RequestRow,
    pub first: Option<Us>,
    last: Us,
    gaps: Vec<u32>,
    pub generated: u32,
    /// How often it was sent.
    pub sent: u8,
    /// Why its last try came to nothing.
    pub failure: Option<(u16, String)>,
    /// In all its tries; `None`: the card's energy was not known all the time.
    pub joules: Option<f64>,
}

// === impl Way ===

impl Way {
    pub fn new(who: usize, ask: Ask, service: usize, came: Us, row: RequestRow) -> Self {
        Self {
            who,
            ask,
            service,
            at: At::Line(came),
            came,
            row,
            first: None,
            last: came,
            gaps: Vec::new(),
            generated: 0,
            sent: 0,
            failure: None,
            joules: Some(0.0),
        }
    }

    pub fn waits(&self) -> bool {
        matches!(self.at, At::Line(_))
    }

    /// It goes on to its service.
    pub fn goes(&mut self, now: Us, shares: f64) {
        if let At::Line(since) = self.at {
            self.row.wait_us += now - since;
        }
        self.at = At::Service { shares };
        self.row.retries = self.sent;
        self.sent = self.sent.saturating_add(1);
        (self.generated, self.first) = (0, None);
        self.gaps.clear();
    }

    pub fn token(&mut self, now: Us) {
        self.generated += 1;
        if self.first.is_none() {
            self.first = Some(now);
        } else if self.gaps.len() < GAPS {
            self.gaps.push(u32::try_from(now - self.last).unwrap_or(u32::MAX));
        }
        self.last = now;
    }

    /// The row, whole.
    pub fn end(mut self, now: Us, finish: Finish, status: u16, reason: String) -> RequestRow {
        if let At::Line(since) = self.at {
            self.row.wait_us += now - since;
        }
        // A whole answer of one piece begins and ends at once.
        let streams = self.row.stream;
        let answered = finish == Finish::Answered;
        let first = if streams { self.first } else { answered.then_some(now) };
        self.gaps.sort_unstable();
        // By nearest rank.
        let rank = |part: usize| {
            let place = (self.gaps.len() * part).div_ceil(100).saturating_sub(1);
            self.gaps.get(place).copied().map(u64::from)
        };
        let own = self.row.overhead_us;
        let row = RequestRow {
            finish,
            status,
            reason,
            ttft_us: first.map(|first| first - self.came + own),
            itl_p50_us: if streams { rank(50) } else { None },
            itl_p95_us: if streams { rank(95) } else { None },
            total_us: now - self.came + own,
            joules: self.joules.filter(|_| self.sent > 0),
            ..self.row
        };
        // Usage comes at an answer's end, or not at all.
        match answered && status < 400 {
            true => row,
            false => RequestRow { tokens_in: None, tokens_out: None, ..row },
        }
    }

    /// As the server would count it.
    pub fn counted(&mut self, prompt: u32, embeds: bool) -> u32 {
        self.row.tokens_in = Some(prompt);
        self.row.tokens_out = (!embeds).then_some(self.generated);
        prompt.saturating_add(self.generated)
    }

    pub fn client(&self) -> Arc<str> {
        self.row.client.as_str().into()
    }
}
