//! How the gateway listens, how long it is patient, and how much it holds.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use plimsoll_core::config::{Config, Gateway};
use plimsoll_services::client;

use super::Sharing;
use crate::serve::{Bounds, Budgets, Consult, Idle, Options, Patience, Retry};

/// A total of 0 is no limit; a year is none, either.
const ANY_TIME: Duration = Duration::from_secs(365 * 86_400);
/// What fits a client that asks one thing after another is too few for many at once: a
/// connection that is let go has to be opened again, which costs more than a request.
const POOL: usize = 64;

/// From the configuration, and from what fits this machine.
pub fn options(config: &Config) -> Options {
    options_on(config, client::Limits::here())
}

fn options_on(config: &Config, here: client::Limits) -> Options {
    let gateway = &config.gateway;
    let usual = Options::default();
    let client = s(gateway.timeout.client_s);
    let (listen, of_address) = listen(gateway);
    Options {
        listen,
        of_address,
        hosts: gateway.hosts.clone(),
        origins: gateway.origins.clone(),
        ask_usage: usual.ask_usage,
        wait: s(gateway.queue.wait_s),
        batch_wait: s(gateway.queue.batch_wait_s),
        bounds: Bounds {
            connections: gateway.max_connections as usize,
            body_bytes: mib(gateway.max_body_mib),
            bodies_bytes: mib(gateway.held_mib),
            ..usual.bounds
        },
        patience: Patience {
            head: s(gateway.timeout.head_s),
            body: client,
            idle: s(gateway.timeout.idle_s),
            write: client,
        },
        budgets: Budgets {
            connect: ms(gateway.timeout.connect_ms),
            first_byte: s(gateway.timeout.first_byte_s),
            between: s(gateway.timeout.between_s),
            total: if gateway.timeout.total_s == 0 { ANY_TIME } else { s(gateway.timeout.total_s) },
        },
        retry: Retry {
            most: u8::try_from(gateway.retry.tries).unwrap_or(u8::MAX),
            payload_bytes: mib(gateway.retry.payload_mib),
            held_bytes: mib(gateway.retry.held_mib),
            pause: ms(gateway.retry.pause_ms),
            ..usual.retry
        },
        idle: Idle {
            most: match gateway.pool.idle {
                0 => here.connections.saturating_mul(POOL),
                most => most as usize,
            },
            life: if gateway.pool.idle_s == 0 { here.idle_life } else { s(gateway.pool.idle_s) },
        },
        consult: Consult {
            models: gateway.consult.max_models as usize,
            held_bytes: mib(gateway.consult.held_mib),
        },
        sharing: Sharing::of(gateway),
        drain: s(gateway.drain_s),
        slot_watch: usual.slot_watch,
    }
}

/// Every address once, and how many of them the first setting means. Programs that look
/// `localhost` up come to either of its two.
fn listen(gateway: &Gateway) -> (Vec<SocketAddr>, usize) {
    let mut all: Vec<SocketAddr> = Vec::new();
    if !gateway.enabled {
        return (all, 0);
    }
    let mut add = |address: &str| {
        let Ok(address) = address.parse::<SocketAddr>() else { return all.len() };
        let local = address.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST);
        let other = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), address.port());
        for address in [Some(address), local.then_some(other)].into_iter().flatten() {
            if !all.contains(&address) {
                all.push(address);
            }
        }
        all.len()
    };
    let of_address = add(&gateway.address);
    for address in &gateway.also {
        add(address);
    }
    (all, of_address)
}

fn s(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

fn ms(milliseconds: u32) -> Duration {
    Duration::from_millis(milliseconds.into())
}

fn mib(mib: u32) -> usize {
    (mib as usize) << 20
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_core::config::{Environment, Loaded};

    fn of(text: &str) -> Options {
        let read = Loaded::of(text.into(), &Environment::default());
        assert_eq!(read.problems, []);
        options_on(&read.config, client::Limits::of(2, false))
    }

    fn listens(text: &str) -> Vec<String> {
        of(text).listen.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn it_listens_on_both_addresses_of_this_machine_and_on_those_that_are_named() {
        assert_eq!(listens(""), ["127.0.0.1:1876", "[::1]:1876"]);
        let free = listens("gateway.address = \"127.0.0.1:0\"");
        assert_eq!(free, ["127.0.0.1:0", "[::1]:0"]);
        let more = "gateway.also = [\"172.17.0.1:1876\", \"[::1]:1876\"]";
        assert_eq!(listens(more), ["127.0.0.1:1876", "[::1]:1876", "172.17.0.1:1876"]);
        assert_eq!(listens("gateway.enabled = false"), [""; 0]);
        // Each is still known by the setting that it is from.
        let options = of(more);
        let keys: Vec<_> = options.listen.iter().map(|at| options.key_of(*at)).collect();
        assert_eq!(keys, ["gateway.address", "gateway.address", "gateway.also"]);
    }

    // AR3: connections that fit the machine, fewer in a container, and another number by word
    #[test]
    fn idle_connections_fit_the_machine_unless_a_number_is_set() {
        let config = Config::default();
        let at = |cpus, container| {
            let idle = options_on(&config, client::Limits::of(cpus, container)).idle;
            (idle.most, idle.life.as_secs())
        };
        assert_eq!((at(2, false), at(16, false)), ((512, 30), (1280, 30)));
        assert_eq!((at(2, true), at(16, true)), ((256, 15), (640, 15)));
        let idle = of("gateway.pool = { idle = 3, idle_s = 7 }").idle;
        assert_eq!((idle.most, idle.life.as_secs()), (3, 7));
    }

    #[test]
    fn what_is_not_set_is_what_a_gateway_without_a_configuration_has() {
        let of_config = options_on(&Config::default(), client::Limits::of(2, false));
        // Only what fits the machine is another matter.
        assert_eq!(of_config, Options { idle: of_config.idle, ..Options::default() });
    }

    // DE2
    #[test]
    fn the_budget_of_retries_is_the_configurations() {
        let retry = of("").retry;
        assert_eq!((retry.held_bytes, retry.payload_bytes), (100 << 20, 50 << 20));
        assert_eq!(of("gateway.retry.tries = 0").retry.most, 0);
    }

    // DE4
    #[test]
    fn five_models_are_consulted_at_most_within_512_mib() {
        assert_eq!(of("").consult, Consult { models: 5, held_bytes: 512 << 20 });
    }

    #[test]
    fn times_and_sizes_keep_their_units() {
        let options = of("gateway.timeout = { connect_ms = 50, total_s = 0, client_s = 9 }\n\
                          gateway.queue = { wait_s = 5, batch_wait_s = 50 }\n");
        assert_eq!(options.budgets.connect, Duration::from_millis(50));
        assert_eq!(options.budgets.first_byte, Duration::from_secs(300));
        assert_eq!(options.budgets.total, ANY_TIME);
        assert_eq!((options.patience.body, options.patience.write), (s(9), s(9)));
        assert_eq!((options.wait, options.batch_wait), (s(5), s(50)));
        assert_eq!(options.bounds.body_bytes, 64 << 20);
    }
}
