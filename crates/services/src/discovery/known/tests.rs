//! What is known again, told by looks of the test.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::{
    super::candidates::{Candidate, Key, Runner, Within},
    *,
};
use crate::adapter::Identity;

fn sighting(kind: ServiceKind, port: u16, command: &str) -> Sighting {
    let name = command.split(' ').next().unwrap_or_default();
    Sighting {
        candidate: Candidate {
            key: Key { pid: i32::from(port), started: 1, port },
            inode: 0,
            addresses: Vec::new(),
            runner: (!command.is_empty()).then(|| Runner {
                pid: i32::from(port),
                started_ms: 1,
                name: name.into(),
                command: command.into(),
                user: "ada".into(),
                unit: None,
                guessed: false,
            }),
            container: None,
            likely: None,
        },
        identity: Identity::of(kind),
        address: SocketAddr::new([127, 0, 0, 1].into(), port),
    }
}

fn llama(port: u16, model: &str) -> Sighting {
    sighting(ServiceKind::LlamaCpp, port, &format!("llama-server -m {model} --port {port}"))
}

fn redis_in(name: Option<&str>, port: u16) -> Sighting {
    let mut found = sighting(ServiceKind::Redis, port, "redis-server *:6379");
    found.candidate.container = Some(Within {
        id: "3f4a9c1b2d5e".into(),
        name: name.map(Into::into),
        image: None,
        inner_port: 6379,
    });
    found
}

/// What is known, and a minute for every look.
#[derive(Default)]
struct World {
    known: Known,
    manner: Manner,
    now_ms: i64,
}

impl World {
    fn see(&mut self, sightings: &[Sighting]) -> Vec<Event> {
        self.see_with(sightings, &[])
    }

    fn see_with(&mut self, sightings: &[Sighting], undecided: &[u16]) -> Vec<Event> {
        self.now_ms += 60_000;
        let undecided = undecided.iter().map(|&port| Place { ip: None, port }).collect();
        self.known.see(sightings, &undecided, &self.manner, self.now_ms).events
    }

    fn proposed(&self) -> Vec<String> {
        self.known.proposals().into_iter().map(|p| p.id).collect()
    }

    fn url(&self, id: &str) -> &str {
        &self.known.entry(id).unwrap().url
    }
}

fn found(id: &str) -> Event {
    Event::Found { id: id.into() }
}

#[test]
fn found_is_told_once_and_stays_while_it_is_down() {
    let mut world = World::default();
    let one = [llama(8080, "a.gguf")];
    assert_eq!(world.see(&one), [found("llama-cpp")]);
    assert_eq!(world.see(&one), []);
    assert_eq!(world.proposed(), ["llama-cpp"]);
    assert_eq!(world.see(&[]), []);
    assert!(world.proposed().is_empty(), "nobody can accept what is not there");
    assert!(world.known.entry("llama-cpp").is_some());
    assert_eq!(world.see(&one), [], "and it is no news when it comes back");
    assert_eq!(world.proposed(), ["llama-cpp"]);
    assert_eq!(world.url("llama-cpp"), "http://127.0.0.1:8080");
}

#[test]
fn the_same_program_restarted_on_another_port_has_the_same_id() {
    let mut world = World::default();
    world.see(&[llama(8080, "a.gguf")]);
    world.known.judge("llama-cpp", Verdict::Accepted).unwrap();
    world.see(&[]);
    let moved = world.see(&[llama(9001, "a.gguf")]);
    let (from, to) = ("http://127.0.0.1:8080".into(), "http://127.0.0.1:9001".into());
    assert_eq!(moved, [Event::Moved { id: "llama-cpp".into(), from, to }]);
    assert_eq!(world.url("llama-cpp"), "http://127.0.0.1:9001");
    assert_eq!(world.known.entries().len(), 1);
}

#[test]
fn two_instances_of_the_same_program_have_two_ids() {
    let mut world = World::default();
    let both = [llama(8080, "a.gguf"), llama(8081, "a.gguf")];
    assert_eq!(world.see(&both), [found("llama-cpp"), found("llama-cpp-2")]);
    assert_eq!(world.see(&both), []);
    assert_eq!(world.see(&[both[1].clone(), both[0].clone()]), [], "in any order");
    assert_eq!(world.url("llama-cpp-2"), "http://127.0.0.1:8081");
    // One of them moves while the other runs.
    assert_eq!(world.see(&[both[0].clone(), llama(8090, "a.gguf")]), []);
    assert_eq!(world.url("llama-cpp"), "http://127.0.0.1:8080");
    assert_eq!(world.url("llama-cpp-2"), "http://127.0.0.1:8090");
    // A third beside them is a third.
    let third = [both[0].clone(), llama(8090, "a.gguf"), llama(8091, "a.gguf")];
    assert_eq!(world.see(&third), [found("llama-cpp-3")]);
}

#[test]
fn of_two_that_swap_their_ports_each_is_known_by_its_model() {
    let mut world = World::default();
    world.see(&[llama(8080, "a.gguf"), llama(8081, "b.gguf")]);
    assert_eq!(world.see(&[llama(8081, "a.gguf"), llama(8080, "b.gguf")]), []);
    assert_eq!(world.url("llama-cpp"), "http://127.0.0.1:8081");
    assert_eq!(world.url("llama-cpp-2"), "http://127.0.0.1:8080");
}

#[test]
fn a_restart_with_other_flags_on_the_same_port_is_no_new_service() {
    let mut world = World::default();
    world.see(&[llama(8080, "a.gguf")]);
    assert_eq!(world.see(&[llama(8080, "a.gguf -c 32768")]), []);
    // From now on it is known by its new flags.
    assert_eq!(world.see(&[llama(8085, "a.gguf -c 32768")]), []);
    assert_eq!(world.known.entries().len(), 1);
}

#[test]
fn what_still_starts_on_its_old_port_has_not_moved_away() {
    let mut world = World::default();
    world.see(&[llama(8080, "a.gguf")]);
    // Its port is open again, and nobody knows yet what stands there.
    let other = [llama(8081, "a.gguf")];
    assert_eq!(world.see_with(&other, &[8080]), [found("llama-cpp-2")]);
    assert_eq!(world.see(&[llama(8080, "a.gguf"), other[0].clone()]), []);
    assert_eq!(world.url("llama-cpp"), "http://127.0.0.1:8080");
}

#[test]
fn ignored_stays_ignored_wherever_it_goes() {
    let mut world = World::default();
    world.see(&[llama(8080, "a.gguf")]);
    assert_eq!(world.known.judge("llama-cpp", Verdict::Ignored), Ok(true));
    assert_eq!(world.known.judge("llama-cpp", Verdict::Ignored), Ok(false));
    assert_eq!(world.see(&[llama(9001, "a.gguf")]), []);
    assert_eq!(world.see(&[]), []);
    assert_eq!(world.see(&[llama(9002, "a.gguf")]), []);
    assert!(world.proposed().is_empty());
    // Another program where it was is another thing.
    let other = sighting(ServiceKind::LlamaCpp, 9002, "llamafile -m x");
    assert_eq!(world.see(&[other]), [found("llama-cpp-2")]);
    // A word can be taken back.
    world.known.judge("llama-cpp", Verdict::Proposed).unwrap();
    world.see(&[llama(9002, "a.gguf")]);
    assert!(world.proposed().contains(&"llama-cpp".to_string()));
}

#[test]
fn an_accepted_address_is_one_service_whoever_answers_there() {
    let mut world = World::default();
    world.see(&[sighting(ServiceKind::OpenAi, 8000, "uvicorn app")]);
    world.known.judge("openai-compatible-server", Verdict::Accepted).unwrap();
    assert_eq!(world.see(&[sighting(ServiceKind::OpenAi, 8000, "python3 -m app")]), []);
    // Of another kind it is another service.
    let vllm = [sighting(ServiceKind::Vllm, 8000, "python3 -m vllm")];
    assert_eq!(world.see(&vllm), [found("vllm")]);
}

#[test]
fn containers_are_known_by_their_names() {
    let mut world = World::default();
    world.see(&[redis_in(Some("cache"), 6380)]);
    assert_eq!(world.known.entries()[0].id, "cache");
    assert_eq!(world.see(&[]), []);
    assert_eq!(world.see(&[redis_in(Some("queue"), 6381)]), [found("queue")]);
    assert_eq!(world.see(&[redis_in(Some("cache"), 6390), redis_in(Some("queue"), 6381)]), []);
    assert_eq!(world.url("cache"), "redis://127.0.0.1:6390");
    // Made anew without Docker's word, on the port that it had.
    assert_eq!(world.see(&[redis_in(None, 6390)]), []);
}

#[test]
fn accepting_by_itself_can_be_chosen() {
    let mut world = World::default();
    world.manner.accept = true;
    let events = world.see(&[llama(8080, "a.gguf")]);
    assert_eq!(events, [Event::Accepted { id: "llama-cpp".into() }]);
    assert_eq!(world.known.accepted().count(), 1);
    // What was refused before stays so.
    world.known.judge("llama-cpp", Verdict::Ignored).unwrap();
    assert_eq!(world.see(&[llama(8080, "a.gguf")]), []);
    assert_eq!(world.known.accepted().count(), 0);
}

#[test]
fn ids_are_made_from_names_and_nobody_else_has_them() {
    let mut world = World::default();
    world.manner.taken.insert("qwen2-5-7b".into());
    let mut named = llama(8080, "a.gguf");
    named.identity.name = Some("Qwen2.5_7B".into());
    assert_eq!(world.see(&[named]), [found("qwen2-5-7b-2")]);
    for (name, id) in [
        ("Accept", "accept-2"),
        ("\u{1b}[31m日本", "31m"),
        ("日本", "vllm"),
        (&"ab/".repeat(40), "ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab"),
    ] {
        let mut found = sighting(ServiceKind::Vllm, 8000, &format!("x {id}"));
        found.identity.name = Some(name.into());
        let id_of = World::default().see(&[found]);
        assert_eq!(id_of, [Event::Found { id: id.into() }], "{name}");
    }
}

#[test]
fn what_is_kept_survives_the_disk_and_a_look_without_news_writes_nothing() {
    let mut world = World::default();
    let all = [llama(8080, "a.gguf"), redis_in(Some("cache"), 6380)];
    world.see(&all);
    world.known.judge("cache", Verdict::Accepted).unwrap();
    let text = serde_json::to_string(&world.known).unwrap();
    assert!(!text.contains("a.gguf"), "no command line: {text}");
    let mut again: Known = serde_json::from_str(&text).unwrap();
    assert_eq!(again.entries(), world.known.entries());
    let manner = Manner::default();
    let none = BTreeSet::new();
    assert_eq!(again.see(&all, &none, &manner, 120_000), Seen::default());
    assert!(again.see(&all, &none, &manner, 120_000 + SEEN_EVERY_MS).changed);
    assert_eq!(again.see(&all, &none, &manner, 1), Seen::default(), "the clock went back");
}

#[test]
fn what_is_known_has_a_bound_and_accepted_ones_stay() {
    let mut world = World::default();
    world.see(&[llama(8080, "kept.gguf")]);
    world.known.judge("llama-cpp", Verdict::Accepted).unwrap();
    for n in 0..MAX_KNOWN + 50 {
        world.see(&[llama(9000, &format!("{n}.gguf other {n}"))]);
        world.see(&[sighting(ServiceKind::Vllm, 9000, &format!("vllm{n} x"))]);
    }
    assert!(world.known.entries().len() <= MAX_KNOWN);
    assert_eq!(world.known.accepted().count(), 1);
}

#[test]
fn more_than_can_be_watched_cannot_be_accepted() {
    let mut world = World::default();
    let many: Vec<Sighting> =
        (0..=MAX_ACCEPTED).map(|n| llama(8000 + n as u16, &format!("{n}.gguf"))).collect();
    world.see(&many);
    let ids: Vec<String> = world.known.entries().iter().map(|e| e.id.clone()).collect();
    for id in &ids[..MAX_ACCEPTED] {
        world.known.judge(id, Verdict::Accepted).unwrap();
    }
    assert_eq!(world.known.judge(&ids[MAX_ACCEPTED], Verdict::Accepted), Err(KnownError::Full));
    assert!(world.known.give_way(|entry| entry.id == ids[0]));
    assert_eq!(world.known.judge(&ids[MAX_ACCEPTED], Verdict::Accepted), Ok(true));
    // The first comes back when all places are taken: it waits for a word.
    assert!(world.known.give_way(|_| false));
    assert_eq!(world.known.entry(&ids[0]).unwrap().verdict, Verdict::Proposed);
    assert_eq!(world.known.accepted().count(), MAX_ACCEPTED);
    assert!(matches!(world.known.judge("nobody", Verdict::Ignored), Err(KnownError::NoSuch(_))));
}

#[test]
fn what_the_configuration_names_for_a_while_is_afterwards_what_it_was() {
    let mut world = World::default();
    world.see(&[llama(8080, "a.gguf"), llama(8081, "b.gguf"), llama(8082, "c.gguf")]);
    let ids: Vec<String> = world.known.entries().iter().map(|e| e.id.clone()).collect();
    world.known.judge(&ids[0], Verdict::Accepted).unwrap();
    world.known.judge(&ids[1], Verdict::Ignored).unwrap();
    let before: Vec<Entry> = world.known.entries().to_vec();
    assert!(world.known.give_way(|_| true));
    assert_eq!(world.known.entries(), []);
    assert!(!world.known.give_way(|_| true), "nothing is left to give way");
    // On disk it is set aside as well, and a list of before is read as one.
    let text = serde_json::to_string(&world.known).unwrap();
    world.known = serde_json::from_str(&text).unwrap();
    assert!(serde_json::from_str::<Known>("{\"entries\":[]}").is_ok());
    assert!(world.known.give_way(|_| false));
    assert_eq!(world.known.entries(), before);
}

#[test]
fn what_was_said_since_of_what_is_at_that_place_counts_more() {
    let mut world = World::default();
    world.see(&[llama(8080, "a.gguf")]);
    let id = world.known.entries()[0].id.clone();
    world.known.judge(&id, Verdict::Accepted).unwrap();
    world.known.give_way(|entry| entry.id == id);
    // The configuration has its id for something else, and it is found anew.
    world.see(&[llama(8080, "a.gguf")]);
    let anew = world.known.entries()[0].id.clone();
    assert_ne!(anew, id, "its own id is kept for it");
    let kept = world.known.clone();
    world.known.give_way(|_| false);
    assert_eq!(world.known.entries().len(), 1);
    assert_eq!(world.known.entries()[0].verdict, Verdict::Accepted, "nothing was said since");
    assert!(world.known.is_live(&id), "it is there now, and not at the next look only");
    world.known = kept;
    world.known.judge(&anew, Verdict::Ignored).unwrap();
    world.known.give_way(|_| false);
    assert_eq!((world.known.entries().len(), &world.known.entries()[0].id), (1, &anew));
}

proptest! {
    #[test]
    fn ids_are_valid_and_unique_whatever_is_seen(
        looks in prop::collection::vec(
            prop::collection::vec((8000u16..8006, 0usize..4, ".{0,40}"), 0..6), 0..8),
    ) {
        let mut world = World::default();
        for look in &looks {
            let mut ports = BTreeSet::new();
            let seen: Vec<Sighting> = look
                .iter()
                .filter(|(port, _, _)| ports.insert(*port))
                .map(|(port, model, name)| {
                    let mut found = llama(*port, &model.to_string());
                    found.identity.name = (model % 2 == 0).then(|| name.clone());
                    found
                })
                .collect();
            world.see(&seen);
            prop_assert_eq!(world.known.live.len(), seen.len(), "each sighting has its entry");
            let ids: BTreeSet<&str> =
                world.known.entries().iter().map(|e| e.id.as_str()).collect();
            prop_assert_eq!(ids.len(), world.known.entries().len());
            for id in ids {
                prop_assert!((1..=32).contains(&id.len()));
                prop_assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
            }
        }
    }
}

#[test]
fn who_is_at_the_address_of_a_container_now_is_not_who_was_there_before() {
    let at = |name: &str, last: u8| {
        let mut found = redis_in(Some(name), 6379);
        found.address = SocketAddr::new([172, 17, 0, last].into(), 6379);
        found.candidate.addresses = vec![found.address];
        found.candidate.key.pid = i32::from(last);
        found
    };
    let here = sighting(ServiceKind::Redis, 6379, "redis-server 127.0.0.1:6379");
    let mut world = World::default();
    let both = [at("cache", 2), at("queue", 3), here.clone()];
    assert_eq!(world.see(&both), [found("cache"), found("queue"), found("redis")]);
    for id in ["cache", "queue", "redis"] {
        world.known.judge(id, Verdict::Accepted).unwrap();
    }
    assert_eq!(world.url("cache"), "redis://172.17.0.2:6379");
    assert_eq!(world.known.entry("cache").unwrap().container(), Some("cache"));
    assert_eq!(world.known.entry("redis").unwrap().container(), None);
    // Both were started again, in another order.
    let moved = world.see(&[at("queue", 2), at("cache", 3), here.clone()]);
    assert_eq!(moved.len(), 2, "{moved:?}");
    assert_eq!(world.url("cache"), "redis://172.17.0.3:6379");
    assert_eq!(world.url("queue"), "redis://172.17.0.2:6379");
    // One is stopped, and a new one has its address.
    let news = world.see(&[at("queue", 2), at("other", 3), here]);
    assert_eq!(news, [found("other")]);
    assert!(!world.known.is_live("cache"));
    // It comes back with a published port.
    let back = redis_in(Some("cache"), 6400);
    let moved = world.see(&[at("queue", 2), at("other", 3), back]);
    assert!(matches!(&moved[..], [Event::Moved { id, .. }] if id == "cache"), "{moved:?}");
    assert_eq!(world.known.entry("cache").unwrap().container(), None);
}
