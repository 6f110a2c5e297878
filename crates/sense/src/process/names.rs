//! Which process names have series in the history.
//!
//! A machine sees thousands of names in a year and the history has a bound, so
//! only the ones that matter are recorded: what holds VRAM, much RAM, or much CPU
//! for a while. A name that is in stays in until a weightier one needs its place.

use std::sync::Arc;

use plimsoll_core::{metric::Metric, reading::Reading};
use rustc_hash::FxHashMap;

use super::known::Known;

/// Names with series at a time: three series each.
const MAX_NAMES: usize = 30;
/// Names that qualify by each of CPU, RSS and VRAM.
const TOP: usize = 10;
/// Less is not worth a series.
const LEAST_CPU_PERCENT: f64 = 1.0;
const LEAST_RSS_BYTES: u64 = 64 << 20;
/// Scans that a name must qualify by CPU in a row: compilers come and go.
const STEADY_SCANS: u32 = 3;
/// Scans after which a name that no longer qualifies may be displaced.
const STICKY_SCANS: u64 = 12;

/// All processes of one name together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Total {
    /// `None` while none of them was seen twice.
    pub cpu_percent: Option<f64>,
    pub rss_bytes: u64,
    pub vram_bytes: Option<u64>,
}

#[derive(Default)]
pub struct Names {
    scan: u64,
    /// Name → the scan in which it last qualified.
    kept: FxHashMap<Arc<str>, u64>,
    /// Name → scans in a row in which it qualified by CPU alone.
    rising: FxHashMap<Arc<str>, u32>,
}

// === impl Names ===

impl Names {
    pub fn read(&mut self, totals: &FxHashMap<&str, Total>, out: &mut Vec<Reading>) {
        self.choose(totals);
        for name in self.kept.keys() {
            let Some(total) = totals.get(&**name) else { continue };
            if let Some(percent) = total.cpu_percent {
                out.push(Reading::gauge(Metric::ProcessCpu, name, percent));
            }
            #[expect(clippy::cast_precision_loss, reason = "bytes of memory stay below 2^53")]
            let mut bytes = |metric, bytes: u64| {
                out.push(Reading::gauge(metric, name, bytes as f64));
            };
            bytes(Metric::ProcessRss, total.rss_bytes);
            if let Some(vram) = total.vram_bytes {
                bytes(Metric::ProcessVram, vram);
            }
        }
    }

    fn choose(&mut self, totals: &FxHashMap<&str, Total>) {
        self.scan += 1;
        #[expect(clippy::cast_precision_loss, reason = "an order")]
        let vram = top(totals, |t| t.vram_bytes.filter(|&b| b > 0).map(|b| b as f64));
        #[expect(clippy::cast_precision_loss, reason = "an order")]
        let rss = top(totals, |t| (t.rss_bytes >= LEAST_RSS_BYTES).then_some(t.rss_bytes as f64));
        let cpu = top(totals, |t| t.cpu_percent.filter(|&percent| percent >= LEAST_CPU_PERCENT));

        let mut rising = FxHashMap::default();
        for name in &cpu {
            let scans = self.rising.get(*name).copied().unwrap_or(0) + 1;
            rising.insert(Arc::from(*name), scans);
        }
        self.rising = rising;
        let steady = |name: &&str| {
            self.kept.contains_key(*name)
                || self.rising.get(*name).is_some_and(|&scans| scans >= STEADY_SCANS)
        };
        let steady: Vec<&str> = cpu.into_iter().filter(steady).collect();
        for name in vram.into_iter().chain(rss).chain(steady) {
            self.keep(name);
        }
    }

    fn keep(&mut self, name: &str) {
        if let Some(qualified) = self.kept.get_mut(name) {
            *qualified = self.scan;
            return;
        }
        if self.kept.len() >= MAX_NAMES {
            let oldest = self.kept.iter().min_by_key(|&(name, &scan)| (scan, name.clone()));
            let Some((oldest, &scan)) = oldest else { return };
            if self.scan - scan < STICKY_SCANS {
                return;
            }
            let oldest = oldest.clone();
            self.kept.remove(&oldest);
        }
        self.kept.insert(name.into(), self.scan);
    }
}

/// Sums by name. Threads of the kernel are not programs.
pub fn totals<'a>(processes: impl Iterator<Item = &'a Known> + Clone) -> FxHashMap<&'a str, Total> {
    let mut totals: FxHashMap<&str, Total> = FxHashMap::default();
    let add = |sum: &mut Option<u64>, more: Option<u64>| {
        if let Some(more) = more {
            *sum = Some(sum.unwrap_or(0).saturating_add(more));
        }
    };
    for known in processes.clone().filter(|known| !known.kernel) {
        let total = totals.entry(&known.facts.name).or_default();
        if let Some(percent) = known.cpu_percent {
            total.cpu_percent = Some(total.cpu_percent.unwrap_or(0.0) + percent);
        }
        total.rss_bytes = total.rss_bytes.saturating_add(known.rss_bytes);
        add(&mut total.vram_bytes, known.vram_bytes);
    }
    // A sum without one of its parts would say too little.
    for known in processes.filter(|known| known.holds_unknown) {
        if let Some(total) = totals.get_mut(&*known.facts.name) {
            total.vram_bytes = None;
        }
    }
    totals
}

/// The names with the highest weights, highest first.
fn top<'a>(
    totals: &FxHashMap<&'a str, Total>,
    weight: impl Fn(&Total) -> Option<f64>,
) -> Vec<&'a str> {
    let mut ranked: Vec<(f64, &str)> =
        totals.iter().filter_map(|(&name, total)| Some((weight(total)?, name))).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    ranked.into_iter().take(TOP).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rss(mib: u64) -> Total {
        Total { cpu_percent: Some(0.0), rss_bytes: mib << 20, vram_bytes: None }
    }

    fn recorded(names: &mut Names, totals: &[(String, Total)]) -> Vec<String> {
        let totals = totals.iter().map(|(name, total)| (name.as_str(), *total)).collect();
        let mut out = Vec::new();
        names.read(&totals, &mut out);
        let mut found: Vec<String> = out.iter().map(|r| r.subject.to_string()).collect();
        found.sort();
        found.dedup();
        found
    }

    #[test]
    fn a_short_burst_of_cpu_makes_no_series_and_a_long_one_does() {
        let mut names = Names::default();
        let busy = Total { cpu_percent: Some(90.0), rss_bytes: 1 << 20, vram_bytes: None };
        let scan = |names: &mut Names| recorded(names, &[("cc1".into(), busy)]);
        assert!(scan(&mut names).is_empty());
        assert!(scan(&mut names).is_empty());
        assert!(recorded(&mut names, &[]).is_empty());
        assert!(scan(&mut names).is_empty());
        assert!(scan(&mut names).is_empty());
        assert_eq!(scan(&mut names), ["cc1"]);
    }

    // MV13
    #[test]
    fn names_stay_within_the_bound_however_many_come() {
        let mut names = Names::default();
        let mut ever = std::collections::BTreeSet::new();
        for scan in 0..100u64 {
            let totals: Vec<(String, Total)> =
                (0..50).map(|n| (format!("p{}", scan * 50 + n), rss(100 + n))).collect();
            let found = recorded(&mut names, &totals);
            assert!(found.len() <= MAX_NAMES);
            ever.extend(found);
        }
        // 30 places, each held for at least twelve scans.
        assert!(ever.len() <= MAX_NAMES * (100 / STICKY_SCANS as usize + 1), "{}", ever.len());
    }

    #[test]
    fn a_name_keeps_its_series_when_it_becomes_small() {
        let mut names = Names::default();
        assert_eq!(recorded(&mut names, &[("redis".into(), rss(500))]), ["redis"]);
        for _ in 0..50 {
            assert_eq!(recorded(&mut names, &[("redis".into(), rss(1))]), ["redis"]);
        }
    }

    #[test]
    fn vram_that_is_not_known_is_no_reading() {
        let mut names = Names::default();
        let totals = [("llama-server", rss(900))].into_iter().collect();
        let mut out = Vec::new();
        names.read(&totals, &mut out);
        let metrics: Vec<_> = out.iter().map(|r| r.metric).collect();
        assert_eq!(metrics, [Metric::ProcessCpu, Metric::ProcessRss]);
    }
}
