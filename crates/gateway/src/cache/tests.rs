use super::*;
use proptest::prelude::*;
use tokio::time::advance;

const HOUR: Duration = Duration::from_secs(3600);

fn bounds() -> Bounds {
    Bounds { bytes: 500 << 20, entries: 10_000, ttl: 12 * HOUR, entry_bytes: 1 << 20 }
}

fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
    of.iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

fn put(cache: &Cache, key: u128, body: usize, bounds: &Bounds) -> bool {
    cache.put(key, &HeaderMap::new(), None, &[Bytes::from(vec![b'x'; body])], bounds)
}

fn has(cache: &Cache, key: u128) -> bool {
    cache.get(key, bounds().ttl).is_some()
}

#[tokio::test(start_paused = true)]
async fn a_kept_answer_is_the_one_that_was_given_without_what_spoke_of_its_moment() {
    let cache = Cache::default();
    let said = headers(&[
        ("content-type", "text/event-stream"),
        ("content-length", "5"),
        ("date", "Sat, 21 Nov 2026 23:00:00 GMT"),
        ("x-plimsoll-request", "17"),
        ("x-request-id", "abc"),
    ]);
    let pieces = [Bytes::from_static(b"data: a\n\n"), Bytes::from_static(b"data: [DONE]\n\n")];
    let backend = HeaderValue::from_static("one");
    assert!(cache.put(7, &said, Some(&backend), &pieces, &bounds()));
    let kept = cache.get(7, bounds().ttl).unwrap();
    assert_eq!(kept.body, "data: a\n\ndata: [DONE]\n\n");
    assert_eq!(
        kept.headers,
        headers(&[("content-type", "text/event-stream"), ("x-request-id", "abc")])
    );
    assert_eq!(kept.backend, Some(backend));
    assert!(!has(&cache, 8));
    assert_eq!((cache.figures().hits, cache.figures().misses), (1, 1));
}

// AR2
#[tokio::test(start_paused = true)]
async fn an_answer_is_given_until_it_is_twelve_hours_old_and_not_a_moment_longer() {
    let cache = Cache::default();
    put(&cache, 1, 10, &bounds());
    advance(12 * HOUR - Duration::from_millis(1)).await;
    assert!(has(&cache, 1));
    advance(Duration::from_millis(1)).await;
    assert!(!has(&cache, 1));
    assert_eq!((cache.figures().entries, cache.figures().bytes), (0, 0), "and it is gone");
}

// AR2
#[tokio::test(start_paused = true)]
async fn what_nobody_asks_for_goes_with_the_sweep_of_every_five_minutes() {
    let cache = Cache::default();
    cache.sweep(&bounds());
    put(&cache, 1, 10, &bounds());
    advance(12 * HOUR - Duration::from_secs(10)).await;
    cache.sweep(&bounds());
    put(&cache, 2, 10, &bounds());
    advance(Duration::from_secs(299)).await;
    cache.sweep(&bounds());
    assert_eq!(cache.figures().entries, 2, "it is not due yet");
    advance(Duration::from_secs(1)).await;
    cache.sweep(&bounds());
    assert_eq!(cache.figures().entries, 1);
    assert!(has(&cache, 2));
    assert_eq!(cache.figures().evicted, 0, "age is no eviction");
}

// AR2
#[tokio::test(start_paused = true)]
async fn one_too_many_brings_ten_thousand_down_to_nine_and_the_longest_unused_go() {
    let cache = Cache::default();
    for key in 0..10_000 {
        put(&cache, key, 10, &bounds());
    }
    assert_eq!(cache.figures().entries, 10_000);
    assert!(has(&cache, 0), "it has been used again");
    put(&cache, 10_000, 10, &bounds());
    assert_eq!(cache.figures().entries, 9000);
    assert_eq!(cache.figures().evicted, 1001);
    assert!(has(&cache, 0) && has(&cache, 10_000) && has(&cache, 1002));
    assert!(!has(&cache, 1) && !has(&cache, 1001));
}

// AR2
#[tokio::test(start_paused = true)]
async fn over_its_bytes_it_is_brought_down_to_seven_parts_of_ten() {
    let cache = Cache::default();
    let small = Bounds { bytes: 100_000, ..bounds() };
    let mut key = 0;
    while cache.figures().evicted == 0 {
        put(&cache, key, 1000, &small);
        assert!(cache.figures().bytes <= 100_000);
        key += 1;
    }
    let left = cache.figures().bytes;
    assert!((68_000..=70_000).contains(&left), "{left}");
    assert!(has(&cache, key - 1) && !has(&cache, 0));
}

#[tokio::test(start_paused = true)]
async fn bounds_that_are_lowered_hold_with_the_next_look() {
    let cache = Cache::default();
    for key in 0..100 {
        put(&cache, key, 1000, &bounds());
    }
    cache.sweep(&Bounds { entries: 10, ..bounds() });
    assert_eq!(cache.figures().entries, 9);
    assert!(has(&cache, 99));
    cache.sweep(&Bounds { bytes: 0, ..bounds() });
    assert_eq!((cache.figures().entries, cache.figures().bytes), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_large_or_meant_for_one_reader_is_not_kept() {
    let cache = Cache::default();
    assert!(!put(&cache, 1, (1 << 20) + 1, &bounds()));
    assert!(!put(&cache, 1, 1000, &Bounds { bytes: 500, ..bounds() }));
    for private in [
        ("set-cookie", "a=b"),
        ("cache-control", "no-store"),
        ("cache-control", "max-age=60, Private"),
        ("cache-control", "no-cache=\"x\""),
    ] {
        assert!(!cache.put(1, &headers(&[private]), None, &[], &bounds()), "{private:?}");
    }
    assert!(cache.put(1, &headers(&[("cache-control", "max-age=60")]), None, &[], &bounds()));
    assert!(put(&cache, 2, 1 << 20, &bounds()));
    assert_eq!(cache.figures().entries, 2);
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, usize),
    Get(u8),
    Wait(u64),
    Sweep,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (any::<u8>(), 0..5000_usize).prop_map(|(key, body)| Step::Put(key, body)),
        3 => any::<u8>().prop_map(Step::Get),
        1 => (0..200_u64).prop_map(Step::Wait),
        1 => Just(Step::Sweep),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    // AR2: nothing grows without bound, whatever comes.
    #[test]
    fn no_traffic_takes_it_over_a_bound_or_makes_it_forget_its_sum(
        steps in steps(),
        entries in 1..50_usize,
        bytes in 1000..60_000_usize,
    ) {
        let clock = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().unwrap();
        clock.block_on(async {
            let cache = Cache::default();
            let bounds =
                Bounds { bytes, entries, ttl: Duration::from_secs(100), entry_bytes: 4000 };
            let mut last = std::collections::HashMap::new();
            for step in steps {
                match step {
                    Step::Put(key, body) => {
                        if put(&cache, key.into(), body, &bounds) {
                            last.insert(key, (body, Instant::now()));
                        }
                    }
                    Step::Get(key) => if let Some(kept) = cache.get(key.into(), bounds.ttl) {
                        let (body, made) = last[&key];
                        assert_eq!(kept.body.len(), body, "never another's answer");
                        assert!(made.elapsed() < bounds.ttl);
                    },
                    Step::Wait(s) => advance(Duration::from_secs(s)).await,
                    Step::Sweep => cache.sweep(&bounds),
                }
                let seen = cache.figures();
                assert!(seen.entries <= entries && seen.bytes <= bytes, "{seen:?}");
                assert_eq!(seen.entries == 0, seen.bytes == 0, "{seen:?}");
            }
        });
    }
}
