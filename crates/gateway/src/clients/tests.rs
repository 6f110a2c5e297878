use std::net::SocketAddr;

use plimsoll_core::config::{
    Config,
    gateway::{AsPriority, ClientEntry, Demand},
};

use super::*;

struct Place {
    clients: Clients,
    keys: watch::Sender<Arc<Keys>>,
    _rules: watch::Sender<Arc<Rules>>,
}

fn entry(program: &str, agent: &str, key: &str, priority: AsPriority) -> ClientEntry {
    ClientEntry {
        program: program.into(),
        agent: agent.into(),
        key: key.into(),
        priority,
        max_in_flight: 0,
        requests_per_min: 0,
        tokens_per_min: 0,
    }
}

fn place(keys: Vec<Kept>, demand: Demand, entries: Vec<(&str, ClientEntry)>) -> Place {
    let mut gateway = Config::default().gateway;
    gateway.keys = demand;
    gateway.clients.entries =
        entries.into_iter().map(|(id, entry)| (id.to_string(), entry)).collect();
    let (send_keys, keys) = watch::channel(Arc::new(Keys::new(keys)));
    let (send_rules, rules) = watch::channel(Arc::new(Rules::new(&gateway)));
    Place { clients: Clients::new(keys, rules), keys: send_keys, _rules: send_rules }
}

/// It ranks as batch: its own priority is told from the usual one.
fn kept(fresh: &Fresh, name: &str) -> Kept {
    Kept { priority: Priority::Batch, ..fresh.kept(name, 1) }
}

fn near() -> Peer {
    peer("127.0.0.1:50000", "127.0.0.1:1876")
}

fn peer(there: &str, here: &str) -> Peer {
    Peer::new(there.parse::<SocketAddr>().unwrap(), here.parse().unwrap())
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    pairs.iter().map(pair).collect()
}

const LOCAL: Demand = Demand::BeyondThisMachine;

#[test]
fn on_this_machine_a_key_of_anothers_make_is_no_key_and_no_hindrance() {
    let place = place(Vec::new(), LOCAL, Vec::new());
    let said = headers(&[("authorization", "Bearer sk-none"), ("user-agent", "OpenAI/Python 1.5")]);
    let client = place.clients.who(&said, &near(), 1).unwrap();
    assert_eq!((&*client.name, client.basis), ("OpenAI/Python", ClientBasis::UserAgent));
}

#[test]
fn a_key_names_its_client_wherever_it_stands() {
    let fresh = Fresh::make().unwrap();
    let place = place(vec![kept(&fresh, "notebook")], LOCAL, Vec::new());
    let bearer = format!("Bearer {}", fresh.key);
    for (name, value) in
        [("authorization", &bearer), ("x-api-key", &fresh.key), ("api-key", &fresh.key)]
    {
        let client = place.clients.who(&headers(&[(name, value)]), &near(), 5).unwrap();
        assert_eq!((&*client.name, client.basis), ("notebook", ClientBasis::Key), "{name}");
        assert_eq!(client.priority, Some(Priority::Batch));
        assert_eq!(client.key.as_ref().unwrap().used_ms(), Some(5));
    }
}

#[test]
fn a_key_of_ours_that_is_wrong_is_refused_even_on_this_machine() {
    let place = place(Vec::new(), LOCAL, Vec::new());
    let wrong = headers(&[("authorization", "Bearer plm-1111-2222-3333-4444-5555")]);
    assert_eq!(place.clients.who(&wrong, &near(), 1).unwrap_err(), Stranger::WrongKey);
}

#[test]
fn beyond_loopback_and_where_always_demanded_a_key_must_be_shown() {
    let fresh = Fresh::make().unwrap();
    let right = headers(&[("authorization", &format!("Bearer {}", fresh.key))]);
    let other = headers(&[("authorization", "Bearer sk-x")]);
    for (demand, peer) in [
        (LOCAL, peer("192.168.1.7:5000", "192.168.1.2:1876")),
        (LOCAL, peer("172.17.0.2:5000", "172.17.0.1:1876")),
        // From this machine, to an address that others reach, too.
        (LOCAL, peer("192.168.1.2:5000", "192.168.1.2:1876")),
        (Demand::Always, near()),
    ] {
        let place = place(vec![kept(&fresh, "one")], demand, Vec::new());
        assert_eq!(place.clients.who(&headers(&[]), &peer, 1).unwrap_err(), Stranger::NoKey);
        assert_eq!(place.clients.who(&other, &peer, 1).unwrap_err(), Stranger::WrongKey);
        assert_eq!(&*place.clients.who(&right, &peer, 1).unwrap().name, "one");
    }
}

#[test]
fn who_asks_through_a_proxy_shows_a_key_though_the_proxy_is_on_this_machine() {
    let fresh = Fresh::make().unwrap();
    let place = place(vec![kept(&fresh, "one")], LOCAL, Vec::new());
    let peer = near();
    for (name, value) in [
        ("forwarded", "for=192.0.2.1"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-real-ip", "127.0.0.1"),
        ("via", "1.1 proxy"),
    ] {
        // On a connection that was let in without one, too.
        assert_eq!(&*place.clients.who(&headers(&[]), &peer, 1).unwrap().name, "unknown");
        let through = headers(&[(name, value)]);
        assert_eq!(place.clients.who(&through, &peer, 1).unwrap_err(), Stranger::NoKey, "{name}");
        let other = headers(&[(name, value), ("x-api-key", "sk-x")]);
        assert_eq!(place.clients.who(&other, &peer, 1).unwrap_err(), Stranger::WrongKey, "{name}");
        let right = headers(&[(name, value), ("x-api-key", &fresh.key)]);
        assert_eq!(&*place.clients.who(&right, &peer, 1).unwrap().name, "one", "{name}");
    }
}

#[test]
fn a_program_is_known_by_its_name_and_the_configuration_may_give_it_another() {
    let entries = vec![
        ("nightly", entry("python3*", "", "", AsPriority::Batch)),
        ("chat", entry("", "open-webui*", "", AsPriority::Interactive)),
    ];
    let place = place(Vec::new(), LOCAL, entries);
    let who = |program: Option<&str>, agent: &str| {
        let peer = near();
        peer.is_program(program.map(Into::into));
        let client = place.clients.who(&headers(&[("user-agent", agent)]), &peer, 1).unwrap();
        (client.name.to_string(), client.priority)
    };
    assert_eq!(who(Some("python3 train.py"), "x"), ("nightly".into(), Some(Priority::Batch)));
    assert_eq!(who(None, "open-webui/0.5"), ("chat".into(), Some(Priority::Interactive)));
    assert_eq!(who(Some("cursor"), "node"), ("cursor".into(), None));
    assert_eq!(who(None, ""), ("unknown".into(), None));
}

#[test]
fn a_key_sheds_neither_its_name_nor_its_priority_with_another_user_agent_or_program() {
    let fresh = Fresh::make().unwrap();
    let said = headers(&[("x-api-key", &fresh.key), ("user-agent", "code/1")]);
    let who = |entries| {
        let mut nightly = kept(&fresh, "nightly");
        nightly.max_in_flight = 1;
        let place = place(vec![nightly], LOCAL, entries);
        let peer = near();
        peer.is_program(Some("python3".into()));
        let client = place.clients.who(&said, &peer, 1).unwrap();
        assert_eq!(client.basis, ClientBasis::Key);
        (client.name.to_string(), client.priority.unwrap())
    };
    let ide = || ("ide", entry("", "code*", "", AsPriority::Interactive));
    let unchanged = ("nightly".to_owned(), Priority::Batch);
    assert_eq!(who(vec![ide()]), unchanged);
    assert_eq!(who(vec![("py", entry("python3", "", "", AsPriority::Interactive))]), unchanged);
    // Nor does an entry for several keys, or for this one's use by some program, raise it.
    assert_eq!(who(vec![("all", entry("", "", "n*", AsPriority::Interactive))]), unchanged);
    let in_ide = ("ide", entry("", "code*", "nightly", AsPriority::Interactive));
    assert_eq!(who(vec![in_ide]), unchanged);
    // The person's word for this very key does.
    let own = ("mine", entry("", "", "nightly", AsPriority::Interactive));
    assert_eq!(who(vec![ide(), own]), ("mine".to_owned(), Priority::Interactive));
}

#[test]
fn an_entry_may_hold_a_key_back_where_some_program_uses_it() {
    let fresh = Fresh::make().unwrap();
    let mut day = kept(&fresh, "day");
    day.priority = Priority::Interactive;
    let entries = vec![("cron", entry("", "cron*", "d*", AsPriority::Batch))];
    let place = place(vec![day], LOCAL, entries);
    let who = |agent| {
        let said = headers(&[("x-api-key", &fresh.key), ("user-agent", agent)]);
        let client = place.clients.who(&said, &near(), 1).unwrap();
        (client.name.to_string(), client.priority.unwrap())
    };
    assert_eq!(who("cron/1"), ("day".to_owned(), Priority::Batch));
    assert_eq!(who("code/1"), ("day".to_owned(), Priority::Interactive));
}

#[test]
fn what_a_connection_said_is_told_once_and_a_revoked_key_opens_nothing_at_once() {
    let fresh = Fresh::make().unwrap();
    let place = place(vec![kept(&fresh, "one")], LOCAL, Vec::new());
    let said = headers(&[("authorization", &format!("Bearer {}", fresh.key))]);
    let peer = near();
    let first = place.clients.who(&said, &peer, 1).unwrap();
    let again = place.clients.who(&said, &peer, 2).unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    assert_eq!(again.key.as_ref().unwrap().used_ms(), Some(2));
    // Another word on the same connection is another client.
    assert_eq!(&*place.clients.who(&headers(&[]), &peer, 3).unwrap().name, "unknown");
    place.keys.send_replace(Arc::default());
    assert_eq!(place.clients.who(&said, &peer, 4).unwrap_err(), Stranger::WrongKey);
}

#[test]
fn a_name_that_a_client_gives_itself_is_short_and_plain() {
    assert_eq!(short("curl/8.5.0").unwrap(), "curl");
    assert_eq!(short("OpenAI/Python 1.50").unwrap(), "OpenAI/Python");
    assert_eq!(short(""), None);
    assert_eq!(short(&"a".repeat(500)).unwrap().len(), MAX_NAME);
    assert_eq!(short("evil\u{7}name").unwrap(), "evilname");
}

#[test]
fn the_client_of_the_docs_is_the_script_that_they_speak_of() {
    use plimsoll_core::config::{parse::parse, wire::SettingValue};

    let docs = include_str!("../../../../docs/gateway.md");
    let example = docs.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let parsed = parse(example);
    assert_eq!(parsed.problems, []);
    let program =
        parsed.entries.iter().find(|entry| entry.key == "gateway.clients.nightly.program");
    let SettingValue::Text(program) = &program.unwrap().value else { panic!("no text") };
    // `python3 nightly_job.py` goes by the name of its script.
    assert!(example.contains(&format!("# runs as python3 {program}.py")), "{example}");
    let mut gateway = Config::default().gateway;
    let entry = entry(program, "", "", AsPriority::Batch);
    gateway.clients.entries = [("nightly".to_owned(), entry)].into();
    let rules = Rules::new(&gateway);
    assert_eq!(rules.of(Some("nightly_job"), "").map(|rule| &*rule.name), Some("nightly"));
    assert_eq!(rules.of(Some("python3"), ""), None);
}
