//! Which number a series has in the database, and the cap on their number.

use std::sync::Arc;

use plimsoll_core::{
    metric::{Kind, Metric, SubjectKind},
    reading::{Reading, Value},
    unit::Unit,
};
use rustc_hash::{FxHashMap, FxHashSet};
use sqlx::{Row as _, SqliteConnection};

use crate::{
    codec::{Hist, Sample, quantise},
    options::Options,
};

/// Subject under which the values of further series are summed.
pub const OTHER: &str = "other";
/// A series that was silent for so long leaves its room to others.
const ACTIVE_MS: i64 = 24 * 3_600_000;
/// Bound on the names that are remembered as turned away.
const MAX_TURNED_AWAY: usize = 100_000;

/// A series as the database knows it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub metric: Metric,
    pub subject: Arc<str>,
    pub cadence_ms: u32,
    /// When it last had a value in this run; `None` before its first.
    pub seen_ms: Option<i64>,
}

/// All series by name and by number. Numbers begin at 1.
#[derive(Debug)]
pub(crate) struct Catalog {
    by_name: Vec<FxHashMap<Arc<str>, u32>>,
    pub(crate) entries: FxHashMap<u32, Entry>,
    next: u32,
    active: u32,
    counted_ms: i64,
    turned_away: FxHashSet<(Metric, Arc<str>)>,
    /// Numbers that are not in the database yet, or whose cadence changed.
    pub(crate) unsaved: Vec<u32>,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            by_name: vec![FxHashMap::default(); Metric::ALL.len()],
            entries: FxHashMap::default(),
            next: 1,
            active: 0,
            counted_ms: i64::MIN,
            turned_away: FxHashSet::default(),
            unsaved: Vec::new(),
        }
    }
}

// === impl Catalog ===

impl Catalog {
    /// Reads the table. Metrics this program does not know keep their numbers but are not shown.
    pub(crate) async fn load(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let mut catalog = Self::default();
        let rows = sqlx::query("SELECT id, metric, subject, cadence_ms FROM series")
            .fetch_all(&mut *connection)
            .await?;
        for row in &rows {
            let id: u32 = row.try_get(0)?;
            catalog.next = catalog.next.max(id + 1);
            let Some(metric) = Metric::named(row.try_get(1)?) else { continue };
            let subject: Arc<str> = row.try_get::<&str, _>(2)?.into();
            let entry = Entry { metric, subject, cadence_ms: row.try_get(3)?, seen_ms: None };
            catalog.insert(id, entry);
        }
        Ok(catalog)
    }

    fn insert(&mut self, id: u32, entry: Entry) {
        self.by_name[entry.metric as usize].insert(entry.subject.clone(), id);
        self.entries.insert(id, entry);
    }

    pub(crate) fn find(&self, metric: Metric, subject: &str) -> Option<u32> {
        self.by_name[metric as usize].get(subject).copied()
    }

    pub(crate) fn cadence_ms(&self, series: u32) -> u32 {
        self.entries.get(&series).map_or(1000, |entry| entry.cadence_ms)
    }

    /// Series that the cap turned away in this run.
    pub(crate) fn turned_away(&self) -> u32 {
        self.turned_away.len() as u32
    }

    /// Series that had a value within the last day.
    pub(crate) fn active(&self) -> u32 {
        self.active
    }

    /// The readings of a tick as the database takes them, in order of series.
    pub(crate) fn samples(
        &mut self,
        readings: &[Reading],
        at_ms: i64,
        options: &Options,
        out: &mut Vec<(u32, Sample)>,
    ) {
        out.clear();
        self.recount(at_ms);
        let mut overflow: FxHashMap<Metric, f64> = FxHashMap::default();
        for reading in readings {
            let metric = reading.metric;
            let spec = metric.spec();
            let fits = match (&reading.value, spec.kind) {
                (Value::Gauge(value), Kind::Gauge) => value.is_finite(),
                (Value::Counter(_), Kind::Counter) | (Value::Histogram(_), Kind::Histogram) => true,
                _ => false,
            };
            if !fits {
                continue;
            }
            let Some(id) = self.admit(metric, &reading.subject, at_ms, options) else {
                // Totals of changing members are no total: only gauges are kept together.
                if let Value::Gauge(value) = reading.value {
                    let sum = overflow.entry(metric).or_insert(f64::NAN);
                    *sum = if sum.is_nan() { value } else { join(metric, *sum, value) };
                }
                continue;
            };
            out.push((id, sample_of(reading)));
        }
        for (metric, value) in overflow {
            // Not under the cap itself: there is at most one for each metric.
            let id = self.number(metric, &OTHER.into(), at_ms, options);
            out.push((id, Sample::Gauge(quantise(value, metric.spec().resolution))));
        }
        if !out.is_sorted_by(|a, b| a.0 < b.0) {
            out.sort_by_key(|&(id, _)| id);
            out.dedup_by_key(|(id, _)| *id);
        }
    }

    fn admit(
        &mut self,
        metric: Metric,
        subject: &Arc<str>,
        at_ms: i64,
        options: &Options,
    ) -> Option<u32> {
        if let Some(id) = self.find(metric, subject)
            && let Some(entry) = self.entries.get_mut(&id)
            && entry.seen_ms.is_some()
        {
            entry.seen_ms = Some(at_ms);
            let cadence = options.cadence_ms(metric.spec().cadence);
            if entry.cadence_ms != cadence {
                entry.cadence_ms = cadence;
                self.unsaved.push(id);
            }
            return Some(id);
        }
        if self.active >= options.max_series {
            if self.turned_away.len() < MAX_TURNED_AWAY {
                self.turned_away.insert((metric, subject.clone()));
            }
            return None;
        }
        self.turned_away.remove(&(metric, subject.clone()));
        Some(self.number(metric, subject, at_ms, options))
    }

    fn number(&mut self, metric: Metric, subject: &Arc<str>, at_ms: i64, options: &Options) -> u32 {
        let cadence_ms = options.cadence_ms(metric.spec().cadence);
        let id = self.find(metric, subject).unwrap_or_else(|| {
            let id = self.next;
            self.next += 1;
            self.unsaved.push(id);
            self.insert(id, Entry { metric, subject: subject.clone(), cadence_ms, seen_ms: None });
            id
        });
        if let Some(entry) = self.entries.get_mut(&id) {
            if entry.seen_ms.is_none() {
                self.active += 1;
            }
            entry.seen_ms = Some(at_ms);
            if entry.cadence_ms != cadence_ms {
                entry.cadence_ms = cadence_ms;
                self.unsaved.push(id);
            }
        }
        id
    }

    /// Once an hour: series that fell silent give their room back.
    fn recount(&mut self, at_ms: i64) {
        if at_ms.saturating_sub(self.counted_ms).unsigned_abs() < 3_600_000 {
            return;
        }
        self.counted_ms = at_ms;
        self.active = 0;
        for entry in self.entries.values_mut() {
            match entry.seen_ms {
                Some(seen) if at_ms - seen > ACTIVE_MS => entry.seen_ms = None,
                Some(_) => self.active += 1,
                None => {}
            }
        }
        self.turned_away.clear();
    }

    /// Writes what the table lacks; [`Self::saved`] follows once it is committed.
    pub(crate) async fn save(&self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        for id in &self.unsaved {
            let Some(entry) = self.entries.get(id) else { continue };
            sqlx::query(
                "INSERT INTO series (id, metric, subject, cadence_ms) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (id) DO UPDATE SET cadence_ms = ?4",
            )
            .bind(id)
            .bind(entry.metric.name())
            .bind(&*entry.subject)
            .bind(entry.cadence_ms)
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }

    pub(crate) fn saved(&mut self) {
        self.unsaved.clear();
    }
}

fn sample_of(reading: &Reading) -> Sample {
    match &reading.value {
        Value::Gauge(value) => Sample::Gauge(quantise(*value, reading.metric.spec().resolution)),
        Value::Counter(total) => Sample::Counter(*total),
        Value::Histogram(histogram) => Sample::Histogram(Hist {
            layout: plimsoll_core::histogram::LAYOUT,
            histogram: (**histogram).clone(),
        }),
    }
}

/// Amounts add up; of levels like a temperature the highest stands for all.
fn join(metric: Metric, a: f64, b: f64) -> f64 {
    let spec = metric.spec();
    let adds = matches!(spec.unit, Unit::Bytes | Unit::BytesPerSecond | Unit::Count | Unit::Watts)
        || spec.subject == SubjectKind::Process;
    if adds { a + b } else { a.max(b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rss(name: &str, bytes: f64) -> Reading {
        Reading::gauge(Metric::ProcessRss, &name.into(), bytes)
    }

    // MV13
    #[test]
    fn series_beyond_the_cap_fall_into_other_and_are_counted() {
        let mut catalog = Catalog::default();
        let options = Options { max_series: 2, ..Options::default() };
        let mut out = Vec::new();
        let mib = 1048576.0;
        let readings = [rss("a", mib), rss("b", mib), rss("c", 2.0 * mib), rss("d", 3.0 * mib)];
        catalog.samples(&readings, 1000, &options, &mut out);
        assert_eq!(out.len(), 3);
        let other = catalog.find(Metric::ProcessRss, OTHER).unwrap();
        assert!(out.contains(&(other, Sample::Gauge(5 * 16))), "{out:?}");
        assert_eq!(catalog.turned_away(), 2);
    }

    #[test]
    fn a_series_that_fell_silent_gives_its_room_back() {
        let mut catalog = Catalog::default();
        let options = Options { max_series: 1, ..Options::default() };
        let mut out = Vec::new();
        catalog.samples(&[rss("a", 1.0)], 0, &options, &mut out);
        catalog.samples(&[rss("b", 1.0)], 25 * 3_600_000, &options, &mut out);
        assert!(catalog.find(Metric::ProcessRss, "b").is_some());
        assert_eq!(catalog.active(), 1);
    }

    #[test]
    fn values_that_are_no_numbers_are_left_out() {
        let mut catalog = Catalog::default();
        let mut out = Vec::new();
        let readings = [rss("a", f64::NAN), rss("b", f64::INFINITY), rss("c", 65536.0)];
        catalog.samples(&readings, 0, &Options::default(), &mut out);
        assert_eq!(out.len(), 1);
    }
}
