//! What may run at once, from the configuration, the keys and the rooms of the
//! services.

use std::collections::BTreeMap;

use plimsoll_core::config::{
    Config,
    gateway::{ClientEntry, Gates as Written},
};

use crate::{
    admission::{
        AdaptiveLimits, BackendId, BackendLimits, BreakerLimits, ClientLimits, Gate, Gates, Limits,
    },
    clients::{Keys, is_word_for, narrows},
    route::{Room, counted},
};

/// The first pause of a breaker; each probe that fails doubles it.
const FIRST_PAUSE_MS: u64 = 5000;

/// Every limit that admission keeps. A service whose room is not known has one request.
pub fn limits(config: &Config, keys: &Keys, rooms: &BTreeMap<BackendId, Room>) -> Limits {
    let gateway = &config.gateway;
    let queue = gateway.queue.max;
    let rejecting = u64::from(gateway.breaker.rejecting_s) * 1000;
    let backend = |room: &Room| BackendLimits {
        room: Some(room.requests),
        kv_tokens: room.tokens,
        adaptive: gateway.adaptive.enabled.then(|| AdaptiveLimits {
            min: gateway.adaptive.min.min(room.requests),
            max: room.requests,
            tolerance: f64::from(gateway.adaptive.tolerance_percent) / 100.0,
        }),
    };
    let routes = gateway.routes.iter().filter(|(_, route)| route.enabled);
    Limits {
        in_flight: Some(gateway.max_in_flight),
        queue,
        // A quarter is kept for people.
        queue_batch: queue - queue / 4,
        ageing: u64::from(gateway.queue.age_s) * 1000,
        backends: rooms.iter().map(|(id, room)| (id.clone(), backend(room))).collect(),
        backend: BackendLimits { room: Some(1), ..BackendLimits::default() },
        models: routes
            .filter(|(_, route)| route.max_in_flight > 0)
            .map(|(id, route)| (counted(id), route.max_in_flight))
            .collect(),
        clients: clients(config, keys),
        client: each(config),
        breaker: BreakerLimits {
            failures: gateway.breaker.failures,
            rate: f64::from(gateway.breaker.rate_percent) / 100.0,
            at_least: gateway.breaker.rate_min,
            pause: rejecting.min(FIRST_PAUSE_MS),
            pause_max: rejecting,
            ..BreakerLimits::default()
        },
        gates: gates(&gateway.gates),
    }
}

/// What each client may have that nothing else is said of.
fn each(config: &Config) -> ClientLimits {
    let each = &config.gateway.clients;
    let none = ClientLimits::default();
    over(none, each.max_in_flight, each.requests_per_min, each.tokens_per_min)
}

/// Those that are named, by a key or by the configuration, whose word for that key alone goes
/// before the key's. Its word for several keys narrows each of them, for itself.
fn clients(config: &Config, keys: &Keys) -> BTreeMap<std::sync::Arc<str>, ClientLimits> {
    let each = each(config);
    let entries = &config.gateway.clients.entries;
    let said = |base: ClientLimits, entry: &ClientEntry| {
        over(base, entry.max_in_flight, entry.requests_per_min, entry.tokens_per_min)
    };
    let mut named: BTreeMap<_, _> = keys
        .all()
        .map(|key| {
            let kept = &key.kept;
            let own = over(each, kept.max_in_flight, kept.requests_per_min, kept.tokens_per_min);
            let narrower = entries.values().filter(|entry| narrows(entry, &key.name));
            let own = narrower.fold(own, |own, e| least(own, said(ClientLimits::default(), e)));
            (key.name.clone(), own)
        })
        .collect();
    let entries: Vec<_> = entries
        .iter()
        .map(|(id, entry)| {
            let key = named.get(entry.key.as_str()).filter(|_| is_word_for(entry, &entry.key));
            let own = said(key.copied().unwrap_or(each), entry);
            // A key of the entry's own name that it is not about keeps its limits.
            let own = match named.get(id.as_str()) {
                Some(other) if !is_word_for(entry, id) => least(own, *other),
                _ => own,
            };
            (id.as_str().into(), own)
        })
        .collect();
    named.extend(entries);
    named
}

/// Of each limit the narrower one.
fn least(a: ClientLimits, b: ClientLimits) -> ClientLimits {
    let least = |a: Option<u32>, b: Option<u32>| match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    ClientLimits {
        in_flight: least(a.in_flight, b.in_flight),
        queue: a.queue,
        requests_per_minute: least(a.requests_per_minute, b.requests_per_minute),
        tokens_per_minute: least(a.tokens_per_minute, b.tokens_per_minute),
    }
}

/// With 0 nothing else is said.
fn over(base: ClientLimits, in_flight: u32, requests: u32, tokens: u32) -> ClientLimits {
    let set = |number: u32, base: Option<u32>| if number > 0 { Some(number) } else { base };
    ClientLimits {
        in_flight: set(in_flight, base.in_flight),
        queue: base.queue,
        requests_per_minute: set(requests, base.requests_per_minute),
        tokens_per_minute: set(tokens, base.tokens_per_minute),
    }
}

/// Each opens again a little on the other side of where it closed, so that it does not flap.
fn gates(gates: &Written) -> Gates {
    let memory = f64::from(gates.memory.available_percent);
    let stalled = f64::from(gates.memory.stalled_percent);
    let cpu = f64::from(gates.cpu.busy_percent);
    let margin = f64::from(gates.temperature.margin_c);
    let gate = |mode, close, open| Some(Gate { mode, close, open });
    Gates {
        memory: gate(gates.memory.mode, memory, memory * 1.2),
        memory_stall: gate(gates.memory.mode, stalled, stalled * 0.5),
        cpu: gate(gates.cpu.mode, cpu, cpu * 0.9),
        heat: gate(gates.temperature.mode, margin, margin + 3.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clients::{Fresh, Kept},
        route::Room,
    };
    use plimsoll_core::{
        config::{Environment, Loaded, gateway::GateMode},
        traffic::RoomBasis,
    };

    fn of(text: &str, keys: &Keys, rooms: &[(&str, u32)]) -> Limits {
        let read = Loaded::of(text.into(), &Environment::default());
        assert_eq!(read.problems, []);
        let room =
            |requests| Room { requests, basis: RoomBasis::Told, tokens: Some(9000), outside: None };
        let rooms = rooms.iter().map(|(id, n)| ((*id).into(), room(*n))).collect();
        limits(&read.config, keys, &rooms)
    }

    fn key(name: &str, max_in_flight: u32) -> Kept {
        let kept = Fresh::make().unwrap().kept(name, 0);
        Kept { max_in_flight, requests_per_min: 30, ..kept }
    }

    #[test]
    fn each_service_has_its_room_and_one_of_which_nothing_is_known_has_one_request() {
        let limits = of("", &Keys::default(), &[("chat", 4)]);
        let chat = limits.backends["chat"];
        assert_eq!((chat.room, chat.kv_tokens, chat.adaptive), (Some(4), Some(9000), None));
        assert_eq!(limits.backend.room, Some(1));
        assert_eq!((limits.in_flight, limits.queue, limits.queue_batch), (Some(512), 1000, 750));
    }

    #[test]
    fn what_is_not_set_is_what_admission_without_a_configuration_has() {
        let of_config = of("", &Keys::default(), &[]);
        let Limits { in_flight, backend, ref gates, .. } = of_config;
        // Only these are bounded there by the configuration alone.
        assert_eq!(of_config, Limits { in_flight, backend, gates: *gates, ..Limits::default() });
    }

    #[test]
    fn a_limit_that_moves_stays_within_the_room() {
        let text = "gateway.adaptive = { enabled = true, min = 8, tolerance_percent = 200 }";
        let chat = of(text, &Keys::default(), &[("chat", 4)]).backends["chat"];
        assert_eq!(chat.adaptive, Some(AdaptiveLimits { min: 4, max: 4, tolerance: 2.0 }));
    }

    #[test]
    fn the_configuration_goes_before_the_key_and_the_key_before_what_each_may() {
        let text = "[gateway.clients]\nmax_in_flight = 8\ntokens_per_min = 1000\n\
                    [gateway.clients.nightly]\nkey = \"batch-key\"\nmax_in_flight = 2\n\
                    [gateway.clients.ide]\nprogram = \"code\"\nrequests_per_min = 5\n";
        let keys = Keys::new([key("batch-key", 3)]);
        let limits = of(text, &keys, &[]);
        let of = |limits: ClientLimits| {
            (limits.in_flight, limits.requests_per_minute, limits.tokens_per_minute)
        };
        assert_eq!(of(limits.client), (Some(8), None, Some(1000)));
        assert_eq!(of(limits.clients["batch-key"]), (Some(3), Some(30), Some(1000)));
        assert_eq!(of(limits.clients["nightly"]), (Some(2), Some(30), Some(1000)));
        assert_eq!(of(limits.clients["ide"]), (Some(8), Some(5), Some(1000)));
    }

    #[test]
    fn an_entry_for_several_keys_or_for_some_use_of_one_widens_no_key() {
        let text = "[gateway.clients.all]\nkey = \"n*\"\nmax_in_flight = 4\n\
                    requests_per_min = 10\n\
                    [gateway.clients.ide]\nkey = \"nightly\"\nagent = \"code*\"\n\
                    max_in_flight = 64\n\
                    [gateway.clients.nightly]\nprogram = \"python3\"\nmax_in_flight = 32\n";
        let limits = of(text, &Keys::new([key("nightly", 1), key("noon", 8)]), &[]);
        let of = |name| (limits.clients[name].in_flight, limits.clients[name].requests_per_minute);
        assert_eq!(of("noon"), (Some(4), Some(10)));
        assert_eq!(of("nightly"), (Some(1), Some(10)), "of its own name, and about another");
    }

    #[test]
    fn routes_with_a_limit_are_counted_by_their_ids() {
        let text = "[gateway.routes.a]\nmodels = [\"x\"]\nmax_in_flight = 2\n\
                    [gateway.routes.b]\nmodels = [\"y\"]\n\
                    [gateway.routes.c]\nmodels = [\"z\"]\nmax_in_flight = 3\nenabled = false\n";
        let limits = of(text, &Keys::default(), &[]);
        let models: Vec<_> = limits.models.iter().map(|(name, most)| (&**name, *most)).collect();
        assert_eq!(models, [("route:a", 2)]);
    }

    #[test]
    fn gates_only_observe_at_first_and_open_on_the_other_side_of_where_they_close() {
        let gates = of("", &Keys::default(), &[]).gates;
        let observes = |close, open| Some(Gate { mode: GateMode::Observe, close, open });
        assert_eq!(gates.memory, observes(10.0, 12.0));
        assert_eq!(gates.memory_stall, observes(10.0, 5.0));
        assert_eq!(gates.cpu, observes(95.0, 85.5));
        assert_eq!(gates.heat, observes(3.0, 6.0));
        let text = "gateway.gates.cpu.mode = \"enforce\"";
        let cpu = of(text, &Keys::default(), &[]).gates.cpu;
        assert_eq!(cpu.map(|gate| gate.mode), Some(GateMode::Enforce));
    }

    // MV8
    #[test]
    fn a_breakers_pause_grows_up_to_the_longest_one() {
        let breaker = of("", &Keys::default(), &[]).breaker;
        assert_eq!((breaker.failures, breaker.pause, breaker.pause_max), (5, 5000, 60_000));
        let text = "gateway.breaker.rejecting_s = 2";
        let breaker = of(text, &Keys::default(), &[]).breaker;
        assert_eq!((breaker.pause, breaker.pause_max), (2000, 2000));
    }
}
