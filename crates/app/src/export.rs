//! Raw values as CSV or JSON lines. Rows stream from the history chunk by
//! chunk; a file is written beside its place and moved there when complete.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use futures::StreamExt;
use plimsoll_core::{request::RequestRow, unit::Unit};
use plimsoll_history::{ExportRow, Reader};

use crate::{
    api::{ExportFormat, ExportRequest, Fault, FaultCode},
    folder::cannot,
    jobs::{Job, Stopped},
};

/// Bytes gathered before they are written.
const BLOCK: usize = 256 << 10;

/// The heading of a CSV export.
pub const CSV_HEAD: &str = "at_ms,time,metric,subject,unit,value\n";

/// Appends a row in that format, with its line end.
pub fn row(out: &mut String, format: ExportFormat, row: &ExportRow) {
    use std::fmt::Write;
    let time = jiff::Timestamp::from_millisecond(row.at_ms).unwrap_or_default();
    let unit = unit_name(row.unit);
    // Writing to a String cannot fail.
    let _ = match format {
        ExportFormat::Csv => writeln!(
            out,
            "{},{time:.3},{},{},{unit},{}",
            row.at_ms,
            row.key.metric,
            field(&row.key.subject),
            row.value
        ),
        ExportFormat::Jsonl => writeln!(
            out,
            "{}",
            serde_json::json!({
                "at_ms": row.at_ms,
                "metric": row.key.metric,
                "subject": row.key.subject,
                "unit": unit,
                "value": row.value,
            })
        ),
    };
}

/// Columns of requests as CSV: the names of their fields, with the time in words.
const OF_A_REQUEST: [&str; 25] = [
    "id",
    "at_ms",
    "time",
    "client",
    "endpoint",
    "model",
    "sent_model",
    "route",
    "backend",
    "priority",
    "stream",
    "finish",
    "status",
    "reason",
    "wait_us",
    "overhead_us",
    "ttft_us",
    "itl_p50_us",
    "itl_p95_us",
    "total_us",
    "tokens_in",
    "tokens_out",
    "retries",
    "shared",
    "joules",
];

/// The heading of requests as CSV, without its line end.
pub fn requests_head() -> String {
    OF_A_REQUEST.join(",")
}

/// A request as CSV, without its line end. What is not known is empty.
pub fn request(row: &RequestRow) -> String {
    let time = jiff::Timestamp::from_millisecond(row.at_ms).unwrap_or_default();
    let fields = serde_json::to_value(row).unwrap_or_default();
    let cells = OF_A_REQUEST.map(|name| match (name, &fields[name]) {
        ("time", _) => format!("{time:.3}"),
        (_, serde_json::Value::Null) => String::new(),
        (_, serde_json::Value::String(text)) => field(text),
        (_, value) => value.to_string(),
    });
    cells.join(",")
}

/// The unit as it stands in JSON, e.g. `bytes_per_second`.
pub fn unit_name(unit: Unit) -> String {
    match serde_json::to_value(unit) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

/// Writes the whole export to `path`.
pub async fn to_file(
    job: Job,
    reader: Reader,
    request: ExportRequest,
    path: PathBuf,
) -> Result<String, Stopped> {
    let beside = path.with_file_name(format!(
        ".{}.part-{}",
        path.file_name().unwrap_or_default().to_string_lossy(),
        std::process::id()
    ));
    let outcome = write(&job, reader, &request, &beside).await;
    let fail = |what, path: &PathBuf, error| Stopped::Failed(cannot(what, path, &error));
    match outcome {
        Ok(rows) => {
            tokio::fs::rename(&beside, &path).await.map_err(|e| fail("write", &path, e))?;
            Ok(format!("{rows} rows are in {}.", path.display()))
        }
        Err(stopped) => {
            let _ = tokio::fs::remove_file(&beside).await;
            Err(stopped)
        }
    }
}

async fn write(
    job: &Job,
    reader: Reader,
    request: &ExportRequest,
    beside: &PathBuf,
) -> Result<u64, Stopped> {
    let fail = |error: io::Error| Stopped::Failed(cannot("write", beside, &error));
    let mut file = std::fs::File::create(beside).map_err(fail)?;
    let mut text = String::with_capacity(BLOCK + 4096);
    if request.format == ExportFormat::Csv {
        text.push_str(CSV_HEAD);
    }
    // Series come one after the other, so series done out of all is the progress.
    let series = match request.series.len() {
        0 => reader.series().await.map_err(Fault::from)?.len(),
        some => some,
    };
    let (mut rows, mut begun) = (0u64, 0usize);
    let mut current = None;
    let mut stream =
        std::pin::pin!(reader.export(request.series.clone(), request.from_ms, request.to_ms));
    while let Some(item) = stream.next().await {
        let item = item.map_err(Fault::from)?;
        if current.as_ref() != Some(&item.key) {
            #[expect(clippy::cast_precision_loss, reason = "a share")]
            job.progress(begun as f64 / series.max(1) as f64)?;
            begun += 1;
            current = Some(item.key.clone());
        }
        row(&mut text, request.format, &item);
        rows += 1;
        if text.len() >= BLOCK {
            job.check()?;
            (file, text) = flush(file, text).await.map_err(fail)?;
        }
    }
    (file, _) = flush(file, text).await.map_err(fail)?;
    let synced = tokio::task::spawn_blocking(move || file.sync_all()).await;
    synced.map_err(io::Error::other).and_then(|done| done).map_err(fail)?;
    Ok(rows)
}

/// Disks block; the runtime's threads must not.
async fn flush(mut file: std::fs::File, mut text: String) -> io::Result<(std::fs::File, String)> {
    tokio::task::spawn_blocking(move || {
        file.write_all(text.as_bytes())?;
        text.clear();
        Ok((file, text))
    })
    .await
    .map_err(io::Error::other)?
}

/// Quoted where CSV needs it (RFC 4180). A name that a spreadsheet would take for a formula is
/// quoted and gets an apostrophe before it.
fn field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t']);
    if formula {
        format!("\"'{}\"", text.replace('"', "\"\""))
    } else if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// A path that an export may take, for those who ask before they start one.
pub fn check_path(path: &std::path::Path) -> Result<(), Fault> {
    match path.parent() {
        Some(folder) if folder.is_dir() && !path.is_dir() => Ok(()),
        Some(folder) if !folder.is_dir() => Err(Fault::new(
            FaultCode::NotFound,
            format!("There is no folder {}.", folder.display()),
        )),
        _ => Err(Fault::new(FaultCode::Invalid, format!("{} is a folder.", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use plimsoll_core::{
        request::{Endpoint, Finish, Priority, Shared},
        series::SeriesKey,
    };

    use super::*;

    fn text(format: ExportFormat, subject: &str) -> String {
        let mut out = String::new();
        let item = ExportRow {
            at_ms: 1_763_650_000_250,
            key: SeriesKey::new("mount.used", subject),
            unit: Unit::Bytes,
            value: 65536.0,
        };
        row(&mut out, format, &item);
        out
    }

    #[test]
    fn a_row_has_time_series_unit_and_value() {
        assert_eq!(
            text(ExportFormat::Csv, "/home"),
            "1763650000250,2025-11-20T14:46:40.250Z,mount.used,/home,bytes,65536\n"
        );
        let line: serde_json::Value =
            serde_json::from_str(&text(ExportFormat::Jsonl, "/home")).unwrap();
        assert_eq!(line["at_ms"], 1_763_650_000_250i64);
        assert_eq!((&line["unit"], &line["value"]), (&"bytes".into(), &65536.0.into()));
    }

    #[test]
    fn a_request_has_all_its_fields_and_what_is_not_known_is_empty() {
        let row = RequestRow {
            id: 7,
            at_ms: 1_763_650_000_250,
            client: "=cmd()".into(),
            endpoint: Endpoint::Chat,
            model: "a,\"b\"".into(),
            sent_model: None,
            route: None,
            backend: Some("chat".into()),
            priority: Priority::Interactive,
            stream: true,
            finish: Finish::Answered,
            status: 200,
            reason: String::new(),
            wait_us: 1,
            overhead_us: 2,
            ttft_us: None,
            itl_p50_us: None,
            itl_p95_us: None,
            total_us: 3,
            tokens_in: Some(4),
            tokens_out: None,
            retries: 0,
            shared: Some(Shared::Hit),
            joules: Some(1.5),
        };
        assert_eq!(
            request(&row),
            "7,1763650000250,2025-11-20T14:46:40.250Z,\"'=cmd()\",chat,\"a,\"\"b\"\"\",,,chat,\
             interactive,true,answered,200,,1,2,,,,3,4,,0,hit,1.5"
        );
        let head = requests_head();
        let mut columns: BTreeSet<&str> = head.split(',').collect();
        assert!(columns.remove("time"), "in words, beside at_ms");
        let fields = serde_json::to_value(&row).unwrap();
        let fields: BTreeSet<&str> = fields.as_object().unwrap().keys().map(|k| &**k).collect();
        assert_eq!(columns, fields);
    }

    #[test]
    fn names_do_not_break_a_table_nor_run_in_it() {
        assert!(text(ExportFormat::Csv, "a,\"b\"").contains("\"a,\"\"b\"\"\""));
        assert!(text(ExportFormat::Csv, "=cmd()").contains("\"'=cmd()\""));
    }
}
