//! The request log: what the history has, and the newest that it has not written yet.

use std::{collections::BTreeMap, sync::Arc};

use plimsoll_core::request::RequestRow;
use plimsoll_history::{Reader, RequestFilter};

use super::Traffic;
use crate::api::{Done, Fault, FaultCode, MAX_PAGE, RequestId, RequestPage, RequestsAsk};

/// Of a page, where nobody says.
const PAGE: u32 = 100;

// === impl Traffic ===

impl Traffic {
    pub async fn requests(&self, reader: &Reader, ask: RequestsAsk) -> Result<RequestPage, Fault> {
        let limit = limit_of(&ask)?;
        let filter = filter_of(ask);
        // First memory, so that what is written meanwhile is missed by neither.
        let recent = self.records.recent();
        let found = reader.requests(&filter, limit).await?;
        Ok(joined(recent, &filter, RequestPage { rows: found.rows, more: found.more }, limit))
    }

    pub fn cancel(&self, request: &RequestId) -> Result<Done, Fault> {
        if self.records.cancel(request.id) {
            return Ok(Done { message: "The request is ended.".into() });
        }
        Err(Fault::new(FaultCode::NotFound, "This request is not under way any more."))
    }
}

/// A page of the log where no Plimsoll runs.
pub async fn requests_alone(reader: &Reader, ask: RequestsAsk) -> Result<RequestPage, Fault> {
    let limit = limit_of(&ask)?;
    let found = reader.requests(&filter_of(ask), limit).await?;
    Ok(RequestPage { rows: found.rows, more: found.more })
}

fn limit_of(ask: &RequestsAsk) -> Result<u32, Fault> {
    match ask.limit {
        0 => Ok(PAGE),
        limit if limit <= MAX_PAGE => Ok(limit),
        limit => Err(Fault::new(
            FaultCode::Invalid,
            format!("A page has {MAX_PAGE} requests at most; this one asks for {limit}."),
        )),
    }
}

fn filter_of(ask: RequestsAsk) -> RequestFilter {
    RequestFilter {
        before: ask.before,
        after: ask.after,
        client: ask.client,
        model: ask.model,
        backend: ask.backend,
        finish: ask.finish,
        min_total_us: ask.min_total_ms.map(|ms| ms.saturating_mul(1000)),
    }
}

/// The newest of both. Memory goes back less far than the history, and holds all the newest.
fn joined(
    recent: Vec<Arc<RequestRow>>,
    filter: &RequestFilter,
    found: RequestPage,
    limit: u32,
) -> RequestPage {
    let mut rows: BTreeMap<i64, RequestRow> =
        found.rows.into_iter().map(|row| (row.id, row)).collect();
    // Where the page ends, memory must not add what lies behind the end.
    let oldest = found.more.then(|| rows.keys().next().copied()).flatten();
    for row in recent {
        if filter.wants(&row) && oldest.is_none_or(|oldest| row.id >= oldest) {
            rows.entry(row.id).or_insert_with(|| (*row).clone());
        }
    }
    let more = found.more || rows.len() > limit as usize;
    let rows = rows.into_values().rev().take(limit as usize).collect();
    RequestPage { rows, more }
}

#[cfg(test)]
mod tests {
    use plimsoll_core::request::{Endpoint, Finish};

    use super::*;

    fn row(id: i64, client: &str) -> RequestRow {
        RequestRow {
            client: client.into(),
            model: "m".into(),
            status: 200,
            total_us: 1000,
            ..RequestRow::new(id, id, Endpoint::Chat, Finish::Answered)
        }
    }

    fn page(recent: &[i64], written: &[i64], more: bool, limit: u32) -> (Vec<i64>, bool) {
        let recent = recent.iter().map(|&id| Arc::new(row(id, "a"))).collect();
        let rows = written.iter().map(|&id| row(id, "a")).collect();
        let page = joined(recent, &RequestFilter::default(), RequestPage { rows, more }, limit);
        (page.rows.iter().map(|row| row.id).collect(), page.more)
    }

    #[test]
    fn what_is_not_written_yet_stands_before_what_is_and_nothing_twice() {
        assert_eq!(page(&[7, 8, 9], &[8, 7, 6], false, 10), (vec![9, 8, 7, 6], false));
        assert_eq!(page(&[7, 8, 9], &[7, 6, 5], true, 3), (vec![9, 8, 7], true));
        assert_eq!(page(&[1, 9], &[7, 6, 5], true, 5), (vec![9, 7, 6, 5], true), "no hole");
        assert_eq!(page(&[1, 2], &[], false, 10), (vec![2, 1], false), "no history is kept");
    }

    #[test]
    fn filters_hold_for_memory_too_and_a_page_is_bounded() {
        let filter = RequestFilter { client: Some("b".into()), ..RequestFilter::default() };
        let recent = vec![Arc::new(row(1, "a")), Arc::new(row(2, "b"))];
        let page = joined(recent, &filter, RequestPage::default(), 10);
        assert_eq!(page.rows.len(), 1);
        assert_eq!(limit_of(&RequestsAsk::default()).unwrap(), PAGE);
        let ask = RequestsAsk { limit: MAX_PAGE + 1, ..RequestsAsk::default() };
        assert_eq!(limit_of(&ask).unwrap_err().code, FaultCode::Invalid);
    }
}
