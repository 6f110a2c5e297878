//! The request log, read backwards as far as it is needed, and no further than a bound.

use plimsoll_core::request::RequestRow;
use plimsoll_history::Reader;

use crate::{
    api::{Fault, MAX_PAGE, RequestsAsk},
    gateway::{Traffic, requests_alone},
};

/// Most rows that are looked through.
const LOOKED: usize = 10_000;
/// Numbers of requests grow with time by that much a millisecond.
const IDS_PER_MS: i64 = 4096;

/// Where requests are recorded.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// With the newest, which the history has not written yet.
    Running(&'a Traffic, &'a Reader),
    Alone(&'a Reader),
}

/// What was read of it so far.
pub struct Log<'a> {
    source: Source<'a>,
    /// The newest first.
    rows: Vec<RequestRow>,
    ended: bool,
}

// === impl Source ===

impl Source<'_> {
    async fn page(
        &self,
        before: Option<i64>,
        after: Option<i64>,
    ) -> Result<(Vec<RequestRow>, bool), Fault> {
        let ask = RequestsAsk { before, after, limit: MAX_PAGE, ..RequestsAsk::default() };
        let page = match self {
            Self::Running(traffic, reader) => traffic.requests(reader, ask).await?,
            Self::Alone(reader) => requests_alone(reader, ask).await?,
        };
        Ok((page.rows, page.more))
    }

    /// Those that came from one moment on and before another, the newest first, at most so many;
    /// and whether these are all.
    pub async fn between(
        &self,
        from_ms: i64,
        to_ms: i64,
        most: usize,
    ) -> Result<(Vec<RequestRow>, bool), Fault> {
        let after = from_ms.saturating_mul(IDS_PER_MS) - 1;
        let mut before = to_ms.saturating_mul(IDS_PER_MS);
        let mut rows = Vec::new();
        loop {
            let (page, more) = self.page(Some(before), Some(after)).await?;
            rows.extend(page);
            let Some(last) = rows.last().filter(|_| more) else { break };
            if rows.len() > most {
                break;
            }
            before = last.id;
        }
        let all = rows.len() <= most;
        rows.truncate(most);
        Ok((rows, all))
    }
}

// === impl Log ===

impl<'a> Log<'a> {
    pub fn new(source: Source<'a>) -> Self {
        Self { source, rows: Vec::new(), ended: false }
    }

    /// The newest rows, oldest first, until so many of them are wanted or the bound is reached.
    pub async fn newest(
        &mut self,
        most: usize,
        wanted: impl Fn(&RequestRow) -> bool,
    ) -> Result<Vec<&RequestRow>, Fault> {
        let (mut at, mut found) = (0, 0);
        while found < most {
            if at == self.rows.len() && !self.read().await? {
                break;
            }
            found += usize::from(wanted(&self.rows[at]));
            at += 1;
        }
        Ok(self.rows[..at].iter().rev().collect())
    }

    /// One page more; false where there is none.
    async fn read(&mut self) -> Result<bool, Fault> {
        if self.ended || self.rows.len() >= LOOKED {
            return Ok(false);
        }
        let (rows, more) = self.source.page(self.rows.last().map(|row| row.id), None).await?;
        self.ended = !more;
        let any = !rows.is_empty();
        self.rows.extend(rows);
        Ok(any)
    }
}
