//! Questions about the history. Nothing here writes.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use futures::stream::BoxStream;
use plimsoll_core::{
    alert::AlertRow,
    histogram::Histogram,
    log::{LogEntry, LogLevel},
    mark::Mark,
    metric::Kind,
    series::{Answer, Level, MAX_SERIES_PER_QUERY, MAX_WIDTH_PX, Query, SeriesInfo, SeriesKey},
};
use tokio::sync::Mutex;

use crate::{
    answers::{ExportRow, Increase, Stats, Stored, StoredKind},
    chunks::HELPERS,
    codec::points::Columns,
    db::{self, HISTORY},
    desk::Desk,
    distribution::merged,
    error::{OpenError, ReadError},
    events,
    figures::{freed, list, stats, storage},
    history::Shared,
    offload::off_the_runtime,
    pieces::Asked,
    query::{Material, Wanted, grown},
    recorder::Queue,
    requests::{self, RequestFilter, RequestsFound},
    shown::answer_one,
};

/// Points over which the increase of a counter is summed: its edges are exact
/// to a two-thousandth of the range.
const INCREASE_PX: u32 = 2000;
/// More series than that are decoded by two threads.
const PARALLEL: usize = 2;
/// Answers from the database; cheap to clone.
#[derive(Clone)]
pub struct Reader {
    /// For charts.
    desk: Arc<Mutex<Desk>>,
    /// For lists, exports and figures, which must not keep a chart waiting.
    side: Arc<Mutex<Desk>>,
}

// === impl Reader ===

impl Reader {
    pub(crate) fn beside(shared: Arc<Shared>, queue: Option<Arc<Queue>>) -> Self {
        let desk =
            |helpers| Arc::new(Mutex::new(Desk::new(shared.clone(), queue.clone(), helpers)));
        Self { desk: desk(HELPERS), side: desk(0) }
    }

    /// For a process that does not own the folder: reads beside a running owner.
    pub async fn open_readonly(folder: &Path) -> Result<Self, OpenError> {
        let shared = Arc::new(Shared::new(folder));
        let path = shared.path.clone();
        match HISTORY.look_at(&path) {
            Ok(db::Found::Nothing) => return Err(OpenError::Missing { path: folder.to_owned() }),
            Ok(_) => {}
            Err(e) => return Err(OpenError::Unusable { path, reason: e.to_string() }),
        }
        let reader = Self::beside(shared, None);
        match reader.desk.lock().await.ready().await {
            Ok(()) => {}
            Err(ReadError::Open(error)) => return Err(error),
            Err(error) => return Err(OpenError::Unusable { path, reason: error.to_string() }),
        }
        Ok(reader)
    }

    /// Makes the first question as quick as the next: connections are opened and
    /// the ticks that are not sealed are read.
    pub async fn warm(&self) -> Result<(), ReadError> {
        Self::at(&self.desk, async |desk| desk.warm().await).await
    }

    /// Asks at a desk; an error is seen to before it is handed on.
    async fn at<T>(
        desk: &Mutex<Desk>,
        question: impl AsyncFnOnce(&mut Desk) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let mut desk = desk.lock().await;
        let outcome = question(&mut desk).await;
        if let Err(error) = &outcome {
            desk.failed(error).await;
        }
        outcome
    }

    /// At the desk that keeps no chart waiting.
    pub(crate) async fn aside<T>(
        &self,
        question: impl AsyncFnOnce(&mut Desk) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        Self::at(&self.side, question).await
    }

    pub(crate) async fn close(&self) {
        self.desk.lock().await.close().await;
        self.side.lock().await.close().await;
    }

    /// Series over a range at the width of a chart: the coarsest level that fills
    /// it, with minimum and maximum kept, and `None` where there was silence.
    pub async fn query(&self, query: &Query) -> Result<Answer, ReadError> {
        check(query)?;
        let (found, material) = Self::at(&self.desk, async |desk| ask(desk, query).await).await?;
        let (from_ms, to_ms, width) = (query.from_ms, query.to_ms, query.width_px);
        let material = Arc::new(material);
        // Decoding takes up to milliseconds: not on a thread that serves others,
        // and many series on two of them.
        let asked: Vec<_> = query.series.iter().cloned().zip(found).collect();
        let half = if asked.len() > PARALLEL { asked.len().div_ceil(2) } else { asked.len() };
        let (first, second) = asked.split_at(half);
        let work = |part: &[(SeriesKey, Option<Wanted>)]| {
            let (part, material) = (part.to_vec(), material.clone());
            move || {
                let answer =
                    |(key, wanted)| answer_one(&material, key, wanted, from_ms, to_ms, width);
                part.into_iter().map(answer).collect::<Vec<_>>()
            }
        };
        let series = if second.is_empty() {
            off_the_runtime(work(first)).await
        } else {
            let (mut a, b) =
                futures::join!(off_the_runtime(work(first)), off_the_runtime(work(second)));
            a.extend(b);
            a
        };
        if series.len() != asked.len() {
            return Err(ReadError::Closed);
        }
        Ok(Answer { from_ms, to_ms, series })
    }

    /// Every series the history holds, with its newest value.
    pub async fn series(&self) -> Result<Vec<SeriesInfo>, ReadError> {
        Self::at(&self.desk, list).await
    }

    pub async fn stats(&self) -> Result<Stats, ReadError> {
        self.aside(stats).await
    }

    /// Marks that touch the range, in order of time; at most 10,000.
    pub async fn marks(&self, from_ms: i64, to_ms: i64) -> Result<Vec<Mark>, ReadError> {
        self.aside(async |desk| Ok(events::marks(desk.open().await?, from_ms, to_ms).await?)).await
    }

    /// Alerts that held at some moment of the range, in order of their start.
    pub async fn alerts(&self, from_ms: i64, to_ms: i64) -> Result<Vec<AlertRow>, ReadError> {
        self.aside(async |desk| Ok(events::alerts(desk.open().await?, from_ms, to_ms).await?)).await
    }

    /// Newest first: entries of that level and more severe ones.
    pub async fn log(
        &self,
        level: LogLevel,
        contains: &str,
        before_ms: Option<i64>,
        limit: u32,
    ) -> Result<Vec<LogEntry>, ReadError> {
        self.aside(async |desk| {
            Ok(events::log(desk.open().await?, level, contains, before_ms, limit).await?)
        })
        .await
    }

    /// Requests that are wanted, the newest first; at most [`MAX_REQUESTS`](crate::MAX_REQUESTS).
    pub async fn requests(
        &self,
        filter: &RequestFilter,
        limit: u32,
    ) -> Result<RequestsFound, ReadError> {
        self.aside(async |desk| Ok(requests::find(desk.open().await?, filter, limit).await?)).await
    }

    /// The number of the newest request; `None` where there is none.
    pub async fn newest_request(&self) -> Result<Option<i64>, ReadError> {
        self.aside(async |desk| Ok(requests::newest(desk.open().await?).await?)).await
    }

    /// Measured values, series after series, each in order of time; holds no
    /// more than one chunk and pins no old state of the database. Empty
    /// `series`: every one. Where raw values are no longer kept, the points of
    /// the finest level that is (means; a counter's last total).
    pub fn export(
        &self,
        series: Vec<SeriesKey>,
        from_ms: i64,
        to_ms: i64,
    ) -> BoxStream<'static, Result<ExportRow, ReadError>> {
        Box::pin(crate::export::stream(self.clone(), series, from_ms, to_ms))
    }

    /// What each kind of data takes.
    pub async fn storage(&self) -> Result<Vec<Stored>, ReadError> {
        self.aside(storage).await
    }

    /// Bytes that keeping only the newest `keep_ms` of that kind would free.
    pub async fn effect_of_keeping(
        &self,
        kind: StoredKind,
        keep_ms: i64,
    ) -> Result<u64, ReadError> {
        let Some((_, newest)) = self.extent().await? else { return Ok(0) };
        let before = newest.saturating_sub(keep_ms);
        self.aside(async |desk| freed(desk, kind, before).await).await
    }

    /// By how much a counter grew; `None` for a series that is none or is not known.
    /// What happened during gaps is not counted, and says so in `covered`.
    pub async fn counter_increase(
        &self,
        key: &SeriesKey,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Option<Increase>, ReadError> {
        if to_ms <= from_ms {
            return Err(ReadError::Invalid("The range ends before it begins.".into()));
        }
        let counter = Some(Kind::Counter);
        let asked = Self::at(&self.desk, async |desk| {
            ask_one(desk, key, counter, from_ms..to_ms, INCREASE_PX, None).await
        });
        let Some((wanted, material)) = asked.await? else { return Ok(None) };
        let spec = wanted.metric.spec();
        let sum = off_the_runtime(move || {
            grown(&material.collect(&wanted, Columns::Chart, None).0, spec)
        })
        .await;
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        Ok(sum.map(|(increase, covered)| Increase {
            increase,
            covered: (covered as f64 / (to_ms - from_ms) as f64).min(1.0),
        }))
    }

    /// All observations of a range in one histogram, from which percentiles are
    /// read; `None` for a series that holds none.
    pub async fn distribution(
        &self,
        key: &SeriesKey,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Option<Histogram>, ReadError> {
        let asked = Self::at(&self.desk, async |desk| {
            ask_one(desk, key, None, from_ms..to_ms, INCREASE_PX, None).await
        });
        let Some((wanted, material)) = asked.await? else { return Ok(None) };
        Ok(off_the_runtime(move || merged(&material, &wanted)).await)
    }

    /// Copies the history into `folder` as `history.db` while recording goes on,
    /// and returns its path. `progress` hears of a share from 0 to 1; once
    /// `cancel` is true the copy ends and leaves nothing behind.
    pub async fn backup(
        &self,
        folder: &Path,
        progress: impl Fn(f64) + Send + Sync,
        cancel: &AtomicBool,
    ) -> Result<PathBuf, ReadError> {
        let source = self.side.lock().await.shared.path.clone();
        crate::backup::backup(&source, folder, progress, cancel).await
    }
}

fn check(query: &Query) -> Result<(), ReadError> {
    let wrong = |text: String| Err(ReadError::Invalid(text));
    if query.to_ms <= query.from_ms {
        return wrong("The range ends before it begins.".into());
    }
    if query.to_ms.checked_sub(query.from_ms).is_none()
        || query.from_ms.checked_sub(1 << 40).is_none()
    {
        return wrong("The range is longer than time.".into());
    }
    if !(1..=MAX_SERIES_PER_QUERY).contains(&query.series.len()) {
        return wrong(format!(
            "A query asks for 1 to {MAX_SERIES_PER_QUERY} series; this one for {}.",
            query.series.len()
        ));
    }
    if !(1..=MAX_WIDTH_PX).contains(&query.width_px) {
        return wrong(format!(
            "A chart is 1 to {MAX_WIDTH_PX} pixels wide; this one {}.",
            query.width_px
        ));
    }
    Ok(())
}

type Found = (Vec<Option<Wanted>>, Material);

async fn ask(desk: &mut Desk, query: &Query) -> Result<Found, ReadError> {
    let moment = desk.begin(&query.series).await?;
    let found = moment.found.clone();
    let Query { from_ms, to_ms, width_px, .. } = *query;
    let asked = Asked { from_ms, to_ms, width_px, level: None, drawn: true };
    let material = desk.material(moment, asked).await?;
    Ok((found, material))
}

/// What one series needs; `None` for one that is not known or not of that kind.
pub(crate) async fn ask_one(
    desk: &mut Desk,
    key: &SeriesKey,
    kind: Option<Kind>,
    range: Range<i64>,
    width_px: u32,
    level: Option<Level>,
) -> Result<Option<(Wanted, Material)>, ReadError> {
    let moment = desk.begin(std::slice::from_ref(key)).await?;
    let Some(wanted) = moment.found.first().cloned().flatten() else {
        desk.end().await?;
        return Ok(None);
    };
    let (from_ms, to_ms) = (range.start, range.end);
    let asked = Asked { from_ms, to_ms, width_px, level, drawn: false };
    let material = desk.material(moment, asked).await?;
    let fits = kind.is_none_or(|kind| wanted.metric.spec().kind == kind);
    Ok(fits.then_some((wanted, material)))
}
