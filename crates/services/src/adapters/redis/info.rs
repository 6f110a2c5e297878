//! What `INFO` says, and what follows from it.

use std::collections::BTreeMap;

use plimsoll_core::metric::Metric;

use crate::{
    adapter::{Condition, Figure},
    service::Hint,
};

/// Fragmentation that matters: this many bytes, whatever the ratio. A ratio of 5
/// on 2 MB is what every fresh server has.
const FRAGMENTED_BYTES: f64 = 100.0 * 1024.0 * 1024.0;
/// And at least this ratio: 100 MiB of 20 GiB is no loss.
const FRAGMENTED_RATIO: f64 = 1.5;
/// Share of the limit above which a server that evicts nothing is nearly full.
const NEARLY_FULL: f64 = 0.9;
/// Looks for which an eviction, or a refused write, is spoken of.
const RECENT_LOOKS: u32 = 12;

/// The fields of one `INFO`, by name. Unknown ones are never looked up.
pub(super) struct Info<'t>(BTreeMap<&'t str, &'t str>);

/// What is remembered of one server's `INFO`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    evicted: Recent,
    /// Writes that were refused for want of memory.
    refused: Recent,
}

/// A total that is worth a word for a while after it grew.
#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    total: Option<f64>,
    /// Looks for which it is still recent.
    looks: u32,
}

// === impl Before ===

impl Before {
    /// Takes what a look told; before anything is said about it.
    pub fn take(&mut self, info: &Info<'_>) {
        self.evicted.take(info.number("evicted_keys"));
        // Told since 6.2, and absent as long as none was refused.
        let told = info.of("errorstat_OOM").and_then(|told| told.strip_prefix("count="));
        self.refused.take(told.map_or(Some(0.0), |count| count.parse().ok()));
    }
}

// === impl Recent ===

impl Recent {
    fn take(&mut self, total: Option<f64>) {
        let Some(total) = total else { return };
        let last = self.total.replace(total);
        // A total that fell belongs to a server that started again.
        if last.is_some_and(|last| total > last) {
            self.looks = RECENT_LOOKS;
        } else {
            self.looks = self.looks.saturating_sub(1);
        }
    }

    fn is_so(&self) -> bool {
        self.looks > 0
    }
}

// === impl Info ===

impl<'t> Info<'t> {
    /// Lines of `name:value`; headings and what is neither are left out.
    pub fn read(text: &'t str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        Self(lines.filter_map(|line| line.split_once(':')).collect())
    }

    /// Whether this is an answer of a Redis at all.
    pub fn is_redis(&self) -> bool {
        self.0.contains_key("redis_version")
    }

    /// The version, with the name of a successor before it where it is one.
    pub fn version(&self) -> Option<String> {
        let version = match (self.of("valkey_version"), self.of("dragonfly_version")) {
            (Some(valkey), _) => format!("Valkey {valkey}"),
            (None, Some(dragonfly)) => format!("Dragonfly {dragonfly}"),
            (None, None) => self.of("redis_version")?.to_string(),
        };
        Some(version.chars().take(64).collect())
    }

    pub fn condition(&self, before: &Before) -> Condition {
        // A replica that loads beside what it has (`async_loading`) goes on answering.
        if self.is("loading", "1") {
            let done =
                self.number("loading_loaded_perc").filter(|done| (0.0..=100.0).contains(done));
            return Condition::Loading(match done {
                Some(done) => format!("loads its data, {done:.0} % so far"),
                None => "loads its data".into(),
            });
        }
        let ailments: Vec<&str> = self.ailments(before).map(|(_, words, _)| words).collect();
        if ailments.is_empty() { Condition::Ready } else { Condition::Ailing(ailments.join("; ")) }
    }

    pub fn figures(&self) -> Vec<Figure> {
        let gauges = [
            (Metric::RedisMemoryUsed, self.number("used_memory")),
            (Metric::RedisMemoryLimit, self.limit()),
            (Metric::RedisMemoryRss, self.number("used_memory_rss")),
            (Metric::RedisFragmentation, self.number("mem_fragmentation_bytes")),
            (Metric::RedisClients, self.number("connected_clients")),
            (Metric::RedisBlocked, self.number("blocked_clients")),
        ];
        let totals = [
            (Metric::RedisHits, self.number("keyspace_hits")),
            (Metric::RedisMisses, self.number("keyspace_misses")),
            (Metric::RedisEvicted, self.number("evicted_keys")),
            (Metric::RedisOps, self.number("total_commands_processed")),
        ];
        let gauges = gauges.into_iter().filter_map(|(m, v)| Some(Figure::gauge(m, v?)));
        let totals = totals.into_iter().filter_map(|(m, v)| Some(Figure::total(m, v?)));
        gauges.chain(totals).collect()
    }

    pub fn hints(&self, before: &Before) -> Vec<Hint> {
        let ailments = self.ailments(before).map(|(id, words, advice)| {
            let mut words = words.to_string();
            if let Some(first) = words.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            Hint::warning(id, format!("{words}."), advice)
        });
        let full = self.is_full(before);
        let memory = if full { None } else { self.memory() };
        let others = [memory, self.fragmentation(), evictions(before)];
        ailments.chain(others.into_iter().flatten()).collect()
    }

    /// What is wrong: an id, the words, and what to do.
    fn ailments(
        &self,
        before: &Before,
    ) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        let aof = self.is("aof_enabled", "1");
        [
            (
                self.is("rdb_last_bgsave_status", "err"),
                "snapshot-failed",
                "its last snapshot to disk failed",
                "Look into its log and at its disk: unless it is told otherwise it refuses writes until a snapshot succeeds.",
            ),
            (
                aof && self.is("aof_last_write_status", "err"),
                "aof-failed",
                "it cannot write its append-only file",
                "Look into its log and at its disk: it refuses writes until it can.",
            ),
            (
                aof && self.is("aof_last_bgrewrite_status", "err"),
                "aof-rewrite-failed",
                "the last rewrite of its append-only file failed",
                "Look into its log, its disk and its free memory: the file grows until a rewrite succeeds.",
            ),
            (
                self.is_full(before),
                "memory-full",
                "its memory is full and it refuses writes",
                "Raise maxmemory, or choose a maxmemory-policy that evicts.",
            ),
            (
                self.is("role", "slave") && self.is("master_link_status", "down"),
                "no-master",
                "it has lost its master",
                "What it answers grows old: look at the master and at the way to it.",
            ),
        ]
        .into_iter()
        .filter_map(|(is_so, id, words, advice)| is_so.then_some((id, words, advice)))
    }

    fn memory(&self) -> Option<Hint> {
        if self.number("maxmemory")? == 0.0 {
            return Some(Hint::advice(
                "no-memory-limit",
                "It has no limit of its memory.",
                "Set maxmemory, and a maxmemory-policy, so that it cannot take the memory of the models.",
            ));
        }
        let share = self.share_of_limit().filter(|share| (NEARLY_FULL..1.0).contains(share))?;
        self.is("maxmemory_policy", "noeviction").then(|| {
            Hint::warning(
                "memory-nearly-full",
                format!("{:.0} % of its memory is used, and it evicts nothing.", share * 100.0),
                "Raise maxmemory, or choose a maxmemory-policy that evicts: when it is full it refuses writes.",
            )
        })
    }

    /// Judged with its bytes; below zero a part of the data is not in memory.
    fn fragmentation(&self) -> Option<Hint> {
        let bytes = self.number("mem_fragmentation_bytes")?;
        let ratio = self.number("mem_fragmentation_ratio")?;
        let mib = bytes.abs() / 1024.0 / 1024.0;
        if bytes >= FRAGMENTED_BYTES && ratio >= FRAGMENTED_RATIO {
            return Some(Hint::warning(
                "fragmented",
                format!(
                    "It holds {mib:.0} MiB that it does not use ({ratio:.1} times what it uses)."
                ),
                "Set activedefrag yes, or restart it when it is quiet.",
            ));
        }
        (bytes <= -FRAGMENTED_BYTES && (0.0..1.0).contains(&ratio)).then(|| {
            Hint::warning(
                "swapped",
                format!("{mib:.0} MiB of its data are not in memory: they lie in swap."),
                "Give it less to keep, or the machine more memory: each touch of them waits for the disk.",
            )
        })
    }

    /// A refused write leaves its memory just below the limit: its own count of them
    /// says more than the share.
    fn is_full(&self, before: &Before) -> bool {
        let none = self.is("maxmemory_policy", "noeviction");
        before.refused.is_so() || none && self.share_of_limit().is_some_and(|share| share >= 1.0)
    }

    /// `None` where there is none, which Redis tells as 0.
    fn limit(&self) -> Option<f64> {
        self.number("maxmemory").filter(|&limit| limit > 0.0)
    }

    /// What counts against the limit, of the limit. Buffers of replicas and of the
    /// append-only file do not count.
    fn share_of_limit(&self) -> Option<f64> {
        let buffers = self.number("mem_not_counted_for_evict").unwrap_or_default();
        Some((self.number("used_memory")? - buffers) / self.limit()?)
    }

    fn of(&self, name: &str) -> Option<&'t str> {
        self.0.get(name).copied().filter(|value| !value.is_empty())
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.of(name) == Some(value)
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.of(name)?.parse().ok().filter(|value: &f64| value.is_finite())
    }
}

/// Evictions of the last looks: they are spoken of for a minute.
fn evictions(before: &Before) -> Option<Hint> {
    before.evicted.is_so().then(|| {
        Hint::advice(
            "evicting",
            "It evicts keys to stay below its limit.",
            "Look at its hit rate: where it falls, raise maxmemory.",
        )
    })
}
