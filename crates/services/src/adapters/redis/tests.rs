//! Redis against doubles that answer as the real one does, and against a real
//! one where it is installed.

use std::sync::{Arc, Mutex};

use plimsoll_core::metric::Metric;
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;
use crate::{
    adapter::FigureValue,
    adapters::peer::{Peer, Reply as HttpReply},
    client::Secret,
    normalise::Normaliser,
    service::HintLevel,
};

const MIB: f64 = 1024.0 * 1024.0;

/// What a Redis 7.0 says, shortened, with these lines in place of its own.
fn info(changed: &[(&str, &str)]) -> String {
    let usual = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nos:Linux 6.1 x86_64\r\n\
        executable:/usr/bin/redis-server\r\nconfig_file:/etc/redis/redis.conf\r\n\r\n\
        # Clients\r\nconnected_clients:3\r\nblocked_clients:1\r\nmaxclients:10000\r\n\r\n\
        # Memory\r\nused_memory:2097152\r\nused_memory_human:2.00M\r\nused_memory_rss:10485760\r\n\
        maxmemory:104857600\r\nmaxmemory_policy:allkeys-lru\r\nmem_fragmentation_ratio:5.00\r\n\
        mem_fragmentation_bytes:8388608\r\nmem_not_counted_for_evict:0\r\n\r\n\
        # Persistence\r\nloading:0\r\nasync_loading:0\r\nrdb_last_bgsave_status:ok\r\n\
        aof_enabled:0\r\naof_last_bgrewrite_status:ok\r\naof_last_write_status:ok\r\n\r\n\
        # Stats\r\ntotal_commands_processed:1000\r\ninstantaneous_ops_per_sec:7\r\n\
        evicted_keys:0\r\nkeyspace_hits:90\r\nkeyspace_misses:10\r\na_field_of_next_year:x:y:z\r\n\r\n\
        # Replication\r\nrole:master\r\n\r\n# Keyspace\r\ndb0:keys=2,expires=0,avg_ttl=0\r\n";
    let mut text: String = usual
        .split("\r\n")
        .filter(|line| !changed.iter().any(|(name, _)| line.starts_with(&format!("{name}:"))))
        .map(|line| format!("{line}\r\n"))
        .collect();
    for (name, value) in changed {
        text += &format!("{name}:{value}\r\n");
    }
    text
}

fn bulk(text: &str) -> Vec<u8> {
    format!("${}\r\n{text}\r\n", text.len()).into_bytes()
}

/// A server that answers with these bytes as soon as anything was asked.
async fn says(answer: impl Into<Vec<u8>>) -> Peer {
    let answer = Arc::new(answer.into());
    Peer::raw(move |mut stream: TcpStream| {
        let answer = answer.clone();
        async move {
            let mut request = [0; 512];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(&answer).await;
            // Held open, as Redis does.
            let _ = stream.read(&mut request).await;
        }
    })
    .await
}

async fn look(double: &Peer) -> Result<Scrape, CallError> {
    Redis.scrape(&double.target_at("redis", "", None), &mut Memory::default()).await
}

async fn told(changed: &[(&str, &str)]) -> Scrape {
    look(&says(bulk(&info(changed))).await).await.unwrap()
}

fn figure(scrape: &Scrape, metric: Metric) -> Option<f64> {
    scrape.figures.iter().find(|f| f.metric == metric).map(|f| match f.value {
        FigureValue::Gauge(value) | FigureValue::Total(value) => value,
        FigureValue::Buckets(_) => panic!("no histogram"),
    })
}

fn hints(scrape: &Scrape) -> Vec<&str> {
    scrape.hints.iter().map(|hint| hint.id.as_str()).collect()
}

// AA2
#[tokio::test]
async fn a_redis_that_is_well_tells_its_figures() {
    let scrape = told(&[]).await;
    assert_eq!(scrape.condition, Condition::Ready);
    assert_eq!(scrape.version.as_deref(), Some("7.0.15"));
    assert_eq!(figure(&scrape, Metric::RedisMemoryUsed), Some(2.0 * MIB));
    assert_eq!(figure(&scrape, Metric::RedisMemoryLimit), Some(100.0 * MIB));
    assert_eq!(figure(&scrape, Metric::RedisMemoryRss), Some(10.0 * MIB));
    assert_eq!(figure(&scrape, Metric::RedisFragmentation), Some(8.0 * MIB));
    assert_eq!(figure(&scrape, Metric::RedisClients), Some(3.0));
    assert_eq!(figure(&scrape, Metric::RedisBlocked), Some(1.0));
    assert_eq!(figure(&scrape, Metric::RedisOps), Some(1000.0));
    // A ratio of 5 on 2 MiB is nothing.
    assert!(scrape.hints.is_empty(), "{:?}", scrape.hints);
}

// AA2
#[tokio::test]
async fn the_hit_rate_is_that_between_two_looks() {
    let mut normaliser = Normaliser::new("cache");
    let first = told(&[]).await;
    assert_eq!(normaliser.take(&first, 0).figures.redis.unwrap().hit_percent, None);
    let second = told(&[("keyspace_hits", "93"), ("keyspace_misses", "11")]).await;
    assert_eq!(normaliser.take(&second, 5000).figures.redis.unwrap().hit_percent, Some(75.0));
}

// AA2
#[tokio::test]
async fn no_limit_is_none_and_not_zero() {
    let scrape = told(&[("maxmemory", "0")]).await;
    assert_eq!(figure(&scrape, Metric::RedisMemoryLimit), None);
    assert_eq!(hints(&scrape), ["no-memory-limit"]);
    assert_eq!(scrape.condition, Condition::Ready);
}

// AA2
#[tokio::test]
async fn fragmentation_is_judged_with_its_bytes() {
    let of = async |ratio: &str, bytes: &str| {
        let changed =
            told(&[("mem_fragmentation_ratio", ratio), ("mem_fragmentation_bytes", bytes)]).await;
        hints(&changed).join(" ")
    };
    assert_eq!(of("5.00", "8388608").await, "");
    assert_eq!(of("1.10", "2000000000").await, "", "a tenth of much is no loss");
    assert_eq!(of("1.60", "700000000").await, "fragmented");
    assert_eq!(of("0.90", "-1000000").await, "");
    assert_eq!(of("0.50", "-2000000000").await, "swapped");
    assert_eq!(of("nan", "inf").await, "");
}

// AA2
#[tokio::test]
async fn a_failure_to_keep_data_is_degraded_in_words() {
    let ailing = |words: &str| Condition::Ailing(words.into());
    let scrape = told(&[("rdb_last_bgsave_status", "err")]).await;
    assert_eq!(scrape.condition, ailing("its last snapshot to disk failed"));
    assert_eq!(hints(&scrape), ["snapshot-failed"]);
    assert_eq!(scrape.hints[0].text, "Its last snapshot to disk failed.");
    assert_eq!(scrape.hints[0].level, HintLevel::Warning);
    let scrape = told(&[
        ("aof_enabled", "1"),
        ("aof_last_write_status", "err"),
        ("aof_last_bgrewrite_status", "err"),
    ])
    .await;
    let words =
        "it cannot write its append-only file; the last rewrite of its append-only file failed";
    assert_eq!(scrape.condition, ailing(words));
    // Of a file that it does not keep it says nothing that matters.
    assert_eq!(told(&[("aof_last_write_status", "err")]).await.condition, Condition::Ready);
    let scrape = told(&[("role", "slave"), ("master_link_status", "down")]).await;
    assert_eq!(scrape.condition, ailing("it has lost its master"));
}

// AA2
#[tokio::test]
async fn a_full_memory_is_degraded_where_nothing_is_evicted() {
    let full = ("used_memory", "104857600");
    let scrape = told(&[full, ("maxmemory_policy", "noeviction")]).await;
    assert!(matches!(&scrape.condition, Condition::Ailing(w) if w.contains("refuses writes")));
    assert_eq!(told(&[full]).await.condition, Condition::Ready, "it evicts");
    // What does not count against the limit does not fill it.
    let buffers = ("mem_not_counted_for_evict", "20971520");
    let scrape = told(&[full, buffers, ("maxmemory_policy", "noeviction")]).await;
    assert_eq!(scrape.condition, Condition::Ready);
    let scrape = told(&[("used_memory", "99000000"), ("maxmemory_policy", "noeviction")]).await;
    assert_eq!(hints(&scrape), ["memory-nearly-full"]);
}

// AA2
#[tokio::test]
async fn refused_writes_are_degraded_for_a_while_though_the_memory_is_just_not_full() {
    let mut memory = Memory::default();
    let mut after = async |told: &[(&str, &str)]| {
        let just = [("used_memory", "104857000"), ("maxmemory_policy", "noeviction")];
        let double = says(bulk(&info(&[&just, told].concat()))).await;
        let scrape = Redis.scrape(&double.target_at("redis", "", None), &mut memory).await.unwrap();
        (scrape.condition != Condition::Ready, hints(&scrape)[0].to_string())
    };
    let well = (false, "memory-nearly-full".to_string());
    let full = (true, "memory-full".to_string());
    assert_eq!(after(&[]).await, well);
    let refused = [("errorstat_OOM", "count=1")];
    for _ in 0..12 {
        assert_eq!(after(&refused).await, full);
    }
    assert_eq!(after(&refused).await, well);
    assert_eq!(after(&[("errorstat_OOM", "count=many")]).await, well);
    assert_eq!(after(&[("errorstat_OOM", "count=2")]).await, full);
}

// AA2
#[tokio::test]
async fn evictions_are_spoken_of_for_a_while_and_a_restart_is_none() {
    let mut memory = Memory::default();
    let mut after = async |evicted: &str| {
        let double = says(bulk(&info(&[("evicted_keys", evicted)]))).await;
        let target = double.target_at("redis", "", None);
        let scrape = Redis.scrape(&target, &mut memory).await.unwrap();
        hints(&scrape).contains(&"evicting")
    };
    assert!(!after("500").await, "what was before the first look is past");
    assert!(after("501").await);
    for _ in 0..11 {
        assert!(after("501").await);
    }
    assert!(!after("501").await);
    assert!(!after("0").await);
    assert!(after("1").await);
}

#[tokio::test]
async fn a_redis_that_loads_is_starting() {
    let scrape = told(&[("loading", "1"), ("loading_loaded_perc", "41.70")]).await;
    assert_eq!(scrape.condition, Condition::Loading("loads its data, 42 % so far".into()));
    let scrape = look(&says("-LOADING Redis is loading the dataset in memory\r\n").await).await;
    assert_eq!(scrape.unwrap().condition, Condition::Loading("loads its data".into()));
}

#[tokio::test]
async fn a_redis_that_wants_a_key_is_degraded_with_a_hint() {
    let scrape = look(&says("-NOAUTH Authentication required.\r\n").await).await.unwrap();
    assert_eq!(scrape.condition, Condition::Locked("it wants a key".into()));
    assert_eq!(hints(&scrape), ["wants-a-key"]);
    assert!(scrape.hints[0].advice.contains("key_file"));
    assert!(scrape.figures.is_empty());
}

#[tokio::test]
async fn refusals_of_every_kind_are_told_in_words() {
    let said = async |refusal: &'static str| look(&says(refusal).await).await.unwrap().condition;
    let locked = |condition: Condition| matches!(condition, Condition::Locked(_));
    assert!(locked(said("-NOPERM this user has no permissions to run 'info'\r\n").await));
    assert!(locked(said("-DENIED Redis is running in protected mode because…\r\n").await));
    let full = said("-ERR max number of clients reached\r\n").await;
    assert_eq!(full, Condition::Ailing("it takes no more clients".into()));
    let other = said("-MISCONF something\u{7} is wrong\r\n").await;
    assert_eq!(other, Condition::Ailing("refuses INFO: MISCONF something is wrong".into()));
}

#[tokio::test]
async fn the_key_is_sent_before_the_question_and_a_user_before_the_key() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = seen.clone();
    let double = Peer::raw(move |mut stream: TcpStream| {
        let keep = keep.clone();
        async move {
            let mut request = Vec::new();
            while !request.ends_with(b"INFO\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            keep.lock().unwrap().push(String::from_utf8(request).unwrap());
            let answer = [b"+OK\r\n".to_vec(), bulk(&info(&[]))].concat();
            let _ = stream.write_all(&answer).await;
        }
    })
    .await;
    for key in ["s3 cret\n", "reader\r\ns3cret\n"] {
        let target = double.target_at("redis", "", Some(Secret::new(key)));
        let scrape = Redis.scrape(&target, &mut Memory::default()).await.unwrap();
        assert_eq!(scrape.condition, Condition::Ready);
    }
    let asked = "*1\r\n$4\r\nINFO\r\n";
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0], format!("*2\r\n$4\r\nAUTH\r\n$7\r\ns3 cret\r\n{asked}"));
    assert_eq!(seen[1], format!("*3\r\n$4\r\nAUTH\r\n$6\r\nreader\r\n$6\r\ns3cret\r\n{asked}"));
}

#[tokio::test]
async fn a_wrong_key_is_told_and_a_needless_one_does_no_harm() {
    let with_key = async |answer: Vec<u8>| {
        let target = says(answer).await.target_at("redis", "", Some(Secret::new("k")));
        Redis.scrape(&target, &mut Memory::default()).await.unwrap()
    };
    let wrong = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n-NOAUTH Authentication required.\r\n";
    let scrape = with_key(wrong.to_vec()).await;
    assert_eq!(scrape.condition, Condition::Locked("it does not take the key".into()));
    assert_eq!(hints(&scrape), ["wrong-key"]);
    let needless = b"-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?\r\n";
    let scrape = with_key([needless.to_vec(), bulk(&info(&[]))].concat()).await;
    assert_eq!(scrape.condition, Condition::Ready);
}

#[tokio::test]
async fn what_is_no_redis_and_what_is_hostile_is_an_error_and_harms_nothing() {
    let error = async |answer: Vec<u8>| look(&says(answer).await).await.unwrap_err();
    let no = error(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
    assert!(no.to_string().contains("it is not a reply of Redis"), "{no}");
    let huge = error(b"$9000000000\r\n".to_vec()).await;
    assert!(huge.to_string().contains("it announces 9000000000 bytes"), "{huge}");
    let other = error(bulk("hello\r\n")).await;
    assert!(other.to_string().contains("redis_version"), "{other}");
    // Bytes that are no text do not hide the lines that are.
    let mut odd = bulk(&info(&[("executable", "AAAA")]));
    let at = odd.windows(4).position(|w| w == b"AAAA").unwrap();
    odd[at..at + 4].copy_from_slice(&[0xff, 0xfe, 0x00, 0x80]);
    assert_eq!(look(&says(odd).await).await.unwrap().condition, Condition::Ready);
    let numbers = [("used_memory", "-"), ("keyspace_hits", "NaN"), ("connected_clients", "")];
    let scrape = told(&numbers).await;
    assert_eq!(figure(&scrape, Metric::RedisMemoryUsed), None);
    assert_eq!(figure(&scrape, Metric::RedisHits), None);
    assert_eq!(figure(&scrape, Metric::RedisClients), None);
}

#[tokio::test]
async fn a_redis_is_known_with_and_without_a_key() {
    let identity = Redis.identify(&says(bulk(&info(&[]))).await.probe()).await.unwrap();
    assert_eq!((identity.version.as_deref(), identity.wants_key), (Some("7.0.15"), false));
    let identity =
        Redis.identify(&says("-NOAUTH Authentication required.\r\n").await.probe()).await;
    assert!(identity.unwrap().wants_key);
    let valkey = [("server_name", "valkey"), ("valkey_version", "8.1.1")];
    let identity = Redis.identify(&says(bulk(&info(&valkey))).await.probe()).await.unwrap();
    assert_eq!(identity.version.as_deref(), Some("Valkey 8.1.1"));
    assert!(Redis.identify(&says("ERROR\r\n").await.probe()).await.is_none(), "memcached");
    assert!(Redis.identify(&says("-ERR unknown\r\n").await.probe()).await.is_none());
    assert!(Redis.identify(&says(bulk("# Other\r\nx:1\r\n")).await.probe()).await.is_none());
}

#[tokio::test]
async fn what_has_answered_in_http_is_asked_in_no_other_protocol() {
    let double = Peer::http(|_| HttpReply::missing()).await;
    let probe = double.probe();
    assert!(!probe.spoke_http().await, "not asked yet");
    probe.get("/health").await.unwrap();
    assert!(Redis.identify(&probe).await.is_none());
    assert_eq!(double.asked(), ["GET /health"]);
}

proptest! {
    #[test]
    fn no_text_that_is_nearly_an_info_panics(
        text in "((used_memory|maxmemory|loading|loading_loaded_perc|evicted_keys|mem_fragmentation_bytes|redis_version|é)?:?[-0-9.eNaif:é]{0,12}\r?\n?){0,12}",
    ) {
        let info = Info::read(&text);
        let mut before = Before::default();
        before.take(&info);
        let _ = (info.condition(&before), info.version(), info.hints(&before));
        prop_assert!(info.figures().len() <= 10);
    }
}
