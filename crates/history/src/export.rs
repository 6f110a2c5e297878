//! Exports: measured values as a stream that holds no more than one chunk.

use std::collections::VecDeque;

use futures::{Stream, stream};
use plimsoll_core::{
    metric::Metric,
    series::{Level, SeriesKey},
};

use crate::{
    answers::{ExportRow, RawValue},
    codec::points::Columns,
    error::ReadError,
    offload::off_the_runtime,
    reader::{Reader, ask_one},
    shown::point_numbers,
};

struct Progress {
    reader: Reader,
    /// Series that are still to come; the first is under way.
    series: VecDeque<SeriesKey>,
    listed: bool,
    from_ms: i64,
    to_ms: i64,
    /// Where the series under way goes on; `None` before it begins.
    at_ms: Option<i64>,
    extent: (i64, i64),
    purged: [i64; 5],
    rows: VecDeque<RawValue>,
    failed: bool,
}

pub(crate) fn stream(
    reader: Reader,
    series: Vec<SeriesKey>,
    from_ms: i64,
    to_ms: i64,
) -> impl Stream<Item = Result<ExportRow, ReadError>> + Send + use<> {
    let progress = Progress {
        reader,
        series: series.into(),
        listed: false,
        from_ms,
        to_ms,
        at_ms: None,
        extent: (0, 0),
        purged: [i64::MIN; 5],
        rows: VecDeque::new(),
        failed: false,
    };
    stream::unfold(progress, |mut progress| async move {
        if progress.failed {
            return None;
        }
        let item = progress.next().await.transpose()?;
        progress.failed = item.is_err();
        Some((item, progress))
    })
}

// === impl Progress ===

impl Progress {
    async fn next(&mut self) -> Result<Option<ExportRow>, ReadError> {
        if !self.listed {
            self.begin().await?;
        }
        loop {
            let Some(key) = self.series.front() else { return Ok(None) };
            let Some(metric) = Metric::named(&key.metric) else {
                self.series.pop_front();
                continue;
            };
            if let Some(RawValue { at_ms, value }) = self.rows.pop_front() {
                let unit = metric.spec().unit;
                return Ok(Some(ExportRow { at_ms, key: key.clone(), unit, value }));
            }
            let from = self.at_ms.unwrap_or(self.from_ms.max(self.extent.0));
            let end = self.to_ms.min(self.extent.1.saturating_add(1));
            if from >= end {
                self.series.pop_front();
                self.at_ms = None;
                continue;
            }
            let key = key.clone();
            self.read(&key, metric, from, end).await?;
        }
    }

    async fn begin(&mut self) -> Result<(), ReadError> {
        self.listed = true;
        if self.series.is_empty() {
            self.series = self.reader.series().await?.into_iter().map(|info| info.key).collect();
        }
        match self.reader.extent().await? {
            Some(extent) => self.extent = extent,
            None => self.series.clear(),
        }
        self.purged = self
            .reader
            .aside(async |desk| {
                let moment = desk.begin(&[]).await?;
                desk.end().await?;
                Ok(moment.purged)
            })
            .await?;
        Ok(())
    }

    /// One chunk's span: raw where it is held, else the finest level that is.
    async fn read(
        &mut self,
        key: &SeriesKey,
        metric: Metric,
        from: i64,
        end: i64,
    ) -> Result<(), ReadError> {
        let level = Level::ALL
            .into_iter()
            .find(|level| self.purged[*level as usize] <= from)
            .unwrap_or(Level::H1);
        let span = level.chunk_ms();
        let mut to = end.min(from - from.rem_euclid(span) + span);
        if let Some(finer) = (level as usize).checked_sub(1) {
            // From there on a finer level has the rest.
            let edge = self.purged[finer];
            if from < edge {
                to = to.min(edge);
            }
        }
        let rows = if level == Level::Raw {
            self.reader.values(key, from, to).await?
        } else {
            let asked = self
                .reader
                .aside(async |desk| ask_one(desk, key, None, from..to, 1, Some(level)).await);
            match asked.await? {
                Some((wanted, material)) => {
                    off_the_runtime(move || {
                        point_numbers(&material.collect(&wanted, Columns::All, None).0, metric)
                    })
                    .await
                }
                None => Vec::new(),
            }
        };
        self.rows = rows.into();
        self.at_ms = Some(if level == Level::Raw && to < end {
            self.reader.next_value_after(to).await?.max(to)
        } else {
            to
        });
        Ok(())
    }
}
