//! A row of the request log as it is stored.

use std::borrow::Cow;

use plimsoll_core::request::{Endpoint, Priority, RequestRow, Shared};
use serde::{Deserialize, Serialize};

use crate::events::{Cells, from_word};

/// In the order in which [`of_row`] takes them.
pub(super) const COLUMNS: &str = "id, client, model, backend, finish, total_us, data";
/// Their kinds: integers and texts.
pub(super) const TYPES: &str = "ittttit";

/// What nobody searches for, as it stands in `data`. Names are short, for they stand in every
/// row, and are never given another meaning; what is absent is unknown, empty or 0.
#[derive(Serialize, Deserialize)]
struct Rest<'a> {
    at: i64,
    #[serde(rename = "e")]
    endpoint: Endpoint,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    route: Option<Cow<'a, str>>,
    #[serde(rename = "p", default, skip_serializing_if = "is_default")]
    priority: Priority,
    #[serde(rename = "s", default, skip_serializing_if = "is_default")]
    stream: bool,
    #[serde(rename = "st", default, skip_serializing_if = "is_default")]
    status: u16,
    #[serde(rename = "why", default, skip_serializing_if = "str::is_empty")]
    reason: Cow<'a, str>,
    #[serde(rename = "w", default, skip_serializing_if = "is_default")]
    wait_us: u64,
    #[serde(rename = "o", default, skip_serializing_if = "is_default")]
    overhead_us: u64,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    ttft_us: Option<u64>,
    #[serde(rename = "i50", default, skip_serializing_if = "Option::is_none")]
    itl_p50_us: Option<u64>,
    #[serde(rename = "i95", default, skip_serializing_if = "Option::is_none")]
    itl_p95_us: Option<u64>,
    #[serde(rename = "in", default, skip_serializing_if = "Option::is_none")]
    tokens_in: Option<u32>,
    #[serde(rename = "out", default, skip_serializing_if = "Option::is_none")]
    tokens_out: Option<u32>,
    #[serde(rename = "r", default, skip_serializing_if = "is_default")]
    retries: u8,
    #[serde(rename = "sh", default, skip_serializing_if = "Option::is_none")]
    shared: Option<Shared>,
    #[serde(rename = "j", default, skip_serializing_if = "Option::is_none")]
    joules: Option<f64>,
}

/// Of its columns.
pub(super) fn of_row(cells: &mut Cells<'_>) -> Result<RequestRow, sqlx::Error> {
    let id = cells.next()?;
    let client = cells.next()?;
    let model = cells.next()?;
    let backend = cells.next()?;
    let finish = from_word(cells.next()?)
        .ok_or_else(|| sqlx::Error::Decode("a request ended in an unknown way".into()))?;
    let total_us = cells.next::<i64>()?.max(0).unsigned_abs();
    let data: &str = cells.next()?;
    let rest: Rest<'_> =
        serde_json::from_str(data).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(RequestRow {
        id,
        at_ms: rest.at,
        client,
        endpoint: rest.endpoint,
        model,
        sent_model: rest.sent.map(Cow::into_owned),
        route: rest.route.map(Cow::into_owned),
        backend,
        priority: rest.priority,
        stream: rest.stream,
        finish,
        status: rest.status,
        reason: rest.reason.into_owned(),
        wait_us: rest.wait_us,
        overhead_us: rest.overhead_us,
        ttft_us: rest.ttft_us,
        itl_p50_us: rest.itl_p50_us,
        itl_p95_us: rest.itl_p95_us,
        total_us,
        tokens_in: rest.tokens_in,
        tokens_out: rest.tokens_out,
        retries: rest.retries,
        shared: rest.shared,
        joules: rest.joules,
    })
}

/// The last column.
pub(super) fn rest(row: &RequestRow) -> String {
    let rest = Rest {
        at: row.at_ms,
        endpoint: row.endpoint,
        sent: row.sent_model.as_deref().map(Cow::Borrowed),
        route: row.route.as_deref().map(Cow::Borrowed),
        priority: row.priority,
        stream: row.stream,
        status: row.status,
        reason: Cow::Borrowed(&row.reason),
        wait_us: row.wait_us,
        overhead_us: row.overhead_us,
        ttft_us: row.ttft_us,
        itl_p50_us: row.itl_p50_us,
        itl_p95_us: row.itl_p95_us,
        tokens_in: row.tokens_in,
        tokens_out: row.tokens_out,
        retries: row.retries,
        shared: row.shared,
        // JSON has no other numbers.
        joules: row.joules.filter(|joules| joules.is_finite()),
    };
    serde_json::to_string(&rest).unwrap_or_default()
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
