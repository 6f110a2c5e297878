//! A Redis that caches for the services beside it: as many commands, clients and bytes
//! as chat and agent are busy, told by `INFO` in the fields of 7.2.

use std::fmt::Write as _;

use plimsoll_core::metric::Metric;

use super::{Moment, Told, whole};
use crate::{
    noise::Noise,
    scenario::{Activity, Levels},
};

const VERSION: &str = "7.2.4";
const LIMIT: u64 = 4 << 30;
/// Commands a second: at rest, and at level 1 of chat and of agent.
const OPS: [f64; 3] = [40.0, 300.0, 240.0];
/// The part of commands that looks a key up, and of these the part that finds it.
const READS: f64 = 0.62;
const HITS: f64 = 0.93;
/// The part of what its process holds that is data; the rest is fragmentation.
const DATA: f64 = 0.955;
const KEYS: f64 = 1.4e6;

/// What it has counted.
#[derive(Debug, Default)]
pub struct Redis {
    commands: u64,
    hits: u64,
    misses: u64,
    /// Of the last second.
    ops: u64,
}

/// What it holds at a moment.
struct Holds {
    used: u64,
    rss: u64,
    clients: u64,
    blocked: u64,
    keys: u64,
}

// === impl Redis ===

impl Redis {
    pub fn step(&mut self, second: i64, levels: &Levels, noise: Noise) {
        let [rest, chat, agent] = OPS;
        let level = |activity: Activity| levels[activity as usize].max(0.0);
        let asked = rest + chat * level(Activity::Chat) + agent * level(Activity::Agent);
        let ops = asked * (1.0 + 0.08 * noise.white(1, second));
        let found = HITS + 0.02 * noise.smooth(2, second, 420);
        self.ops = whole(ops);
        self.commands += self.ops;
        let reads = ops * READS;
        self.hits += whole(reads * found);
        self.misses += whole(reads * (1.0 - found));
    }

    fn holds(moment: &Moment) -> Holds {
        let level = |activity: Activity| moment.levels[activity as usize].max(0.0);
        let (chat, agent) = (level(Activity::Chat), level(Activity::Agent));
        let keys = KEYS * (1.0 + 0.01 * moment.noise.smooth(3, moment.second, 1800));
        Holds {
            used: whole(moment.rss * DATA),
            rss: whole(moment.rss),
            clients: 6 + whole(8.0 * chat + 10.0 * agent),
            blocked: whole(3.0 * agent),
            keys: whole(keys),
        }
    }

    pub fn figures(&self, moment: &Moment) -> Vec<Told<'static>> {
        let holds = Self::holds(moment);
        #[expect(clippy::cast_precision_loss, reason = "bytes and clients")]
        let level = |metric, value: u64| Told::Level(metric, value as f64);
        vec![
            level(Metric::RedisMemoryUsed, holds.used),
            level(Metric::RedisMemoryLimit, LIMIT),
            level(Metric::RedisMemoryRss, holds.rss),
            level(Metric::RedisFragmentation, holds.rss - holds.used),
            level(Metric::RedisClients, holds.clients),
            level(Metric::RedisBlocked, holds.blocked),
            Told::Total(Metric::RedisHits, self.hits),
            Told::Total(Metric::RedisMisses, self.misses),
            Told::Total(Metric::RedisEvicted, 0),
            Told::Total(Metric::RedisOps, self.commands),
        ]
    }

    /// The reply to a command; `None`: it hangs up.
    pub fn reply(&self, words: &[String], moment: &Moment) -> Option<String> {
        let (command, rest) = words.split_first()?;
        Some(match command.to_ascii_lowercase().as_str() {
            "ping" => "+PONG\r\n".into(),
            "quit" => "+OK\r\n".into(),
            "dbsize" => format!(":{}\r\n", Self::holds(moment).keys),
            "info" => {
                let text = self.info(rest, moment);
                format!("${}\r\n{text}\r\n", text.len())
            }
            "auth" => "-ERR AUTH <password> called without any password configured for the \
                       default user. Are you sure your configuration is correct?\r\n"
                .into(),
            // It takes HTTP for an attack.
            "post" | "host:" => return None,
            _ => {
                let plain: String = command.chars().filter(|c| !c.is_control()).take(128).collect();
                format!("-ERR unknown command '{plain}', with args beginning with: \r\n")
            }
        })
    }

    /// All sections, or those that are named.
    fn info(&self, wanted: &[String], moment: &Moment) -> String {
        let all = ["all", "default", "everything"];
        let is_wanted = |name: &str| {
            wanted.is_empty()
                || wanted.iter().any(|one| {
                    one.eq_ignore_ascii_case(name)
                        || all.iter().any(|all| one.eq_ignore_ascii_case(all))
                })
        };
        let mut text = String::new();
        for (name, lines) in self.sections(moment) {
            if is_wanted(name) {
                if !text.is_empty() {
                    text.push_str("\r\n");
                }
                let _ = write!(text, "# {name}\r\n");
                for line in lines.lines() {
                    let _ = write!(text, "{}\r\n", line.trim_start());
                }
            }
        }
        text
    }

    fn sections(&self, moment: &Moment) -> [(&'static str, String); 7] {
        let Holds { used, rss, clients, blocked, keys } = Self::holds(moment);
        let Moment { second, up_s, .. } = *moment;
        #[expect(clippy::cast_precision_loss, reason = "bytes")]
        let gib = |bytes: u64| format!("{:.2}G", bytes as f64 / f64::from(1 << 30));
        #[expect(clippy::cast_precision_loss, reason = "bytes")]
        let ratio = rss as f64 / used.max(1) as f64;
        let [used_human, rss_human, limit_human] = [used, rss, LIMIT].map(gib);
        let days = up_s / 86_400;
        let since = second - second.rem_euclid(3600);
        let Self { commands, hits, misses, ops } = *self;
        [
            (
                "Server",
                format!(
                    "redis_version:{VERSION}
                     redis_mode:standalone
                     arch_bits:64
                     multiplexing_api:epoll
                     server_time_usec:{second}000000
                     uptime_in_seconds:{up_s}
                     uptime_in_days:{days}
                     hz:10
                     configured_hz:10
                     executable:/usr/bin/redis-server
                     config_file:/etc/redis/redis.conf
                     io_threads_active:0"
                ),
            ),
            (
                "Clients",
                format!(
                    "connected_clients:{clients}
                     cluster_connections:0
                     maxclients:10000
                     blocked_clients:{blocked}
                     tracking_clients:0
                     clients_in_timeout_table:0"
                ),
            ),
            (
                "Memory",
                format!(
                    "used_memory:{used}
                     used_memory_human:{used_human}
                     used_memory_rss:{rss}
                     used_memory_rss_human:{rss_human}
                     maxmemory:{LIMIT}
                     maxmemory_human:{limit_human}
                     maxmemory_policy:allkeys-lru
                     mem_fragmentation_ratio:{ratio:.2}
                     mem_fragmentation_bytes:{}
                     mem_not_counted_for_evict:0
                     mem_allocator:jemalloc-5.3.0
                     active_defrag_running:0",
                    rss - used
                ),
            ),
            (
                "Persistence",
                format!(
                    "loading:0
                     async_loading:0
                     rdb_bgsave_in_progress:0
                     rdb_last_save_time:{since}
                     rdb_last_bgsave_status:ok
                     rdb_last_bgsave_time_sec:4
                     aof_enabled:0
                     aof_rewrite_in_progress:0
                     aof_last_bgrewrite_status:ok
                     aof_last_write_status:ok"
                ),
            ),
            (
                "Stats",
                format!(
                    "total_commands_processed:{commands}
                     instantaneous_ops_per_sec:{ops}
                     rejected_connections:0
                     evicted_keys:0
                     evicted_clients:0
                     keyspace_hits:{hits}
                     keyspace_misses:{misses}
                     total_error_replies:0"
                ),
            ),
            (
                "Replication",
                "role:master\nconnected_slaves:0\nmaster_failover_state:no-failover".into(),
            ),
            ("Keyspace", format!("db0:keys={keys},expires=0,avg_ttl=0")),
        ]
    }
}
