//! How a program is connected: addresses, and the models that it can ask for.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

use plimsoll_core::request::Endpoint;
use plimsoll_gateway::serve::PORT;

use super::{Traffic, local};
use crate::api::{Connect, ConnectContainer, ConnectModel};

/// Bridges that containers reach this machine by.
const BRIDGES: [&str; 3] = ["docker0", "podman0", "cni-podman0"];
/// By what names models for embeddings are told from others; no server says it beforehand.
const EMBED: [&str; 6] = ["embed", "bge-", "e5-", "gte-", "minilm", "nomic"];

// === impl Traffic ===

impl Traffic {
    pub fn connect(&self) -> Connect {
        let listening = self.listening.borrow().addresses.clone();
        let asked = self.options.borrow().listen.first().copied();
        let main = listening.first().copied().or(asked);
        let main = main.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)));
        let container = bridge(Path::new("/proc/net")).map(|bridge| {
            let address = SocketAddr::new(IpAddr::V4(bridge), main.port());
            ConnectContainer {
                url: format!("http://host.docker.internal:{}/v1", main.port()),
                address: address.to_string(),
                listening: listening.iter().any(|listens| {
                    *listens == address
                        || listens.ip().is_unspecified() && listens.port() == address.port()
                }),
            }
        });
        let bridge = container.as_ref().map(|container| container.address.clone());
        let beyond = listening
            .iter()
            .any(|address| !address.ip().is_loopback() && Some(address.to_string()) != bridge);
        let table = self.table.borrow().clone();
        let models = table.models().iter().map(|listed| ConnectModel {
            name: listed.name.to_string(),
            services: listed.backends.iter().map(ToString::to_string).collect(),
            route: listed.stands_for.as_deref().map(str::to_owned),
            endpoint: endpoint_of(listed.stands_for.as_deref().unwrap_or(&listed.name)),
        });
        Connect {
            local_url: format!("http://{}/v1", local(main)),
            container,
            beyond,
            models: models.collect(),
        }
    }
}

/// What such a model is asked for.
pub(super) fn endpoint_of(model: &str) -> Endpoint {
    let name = model.to_ascii_lowercase();
    match EMBED.iter().any(|part| name.contains(part)) {
        true => Endpoint::Embeddings,
        false => Endpoint::Chat,
    }
}

/// This machine's own address on the bridge of its containers.
fn bridge(proc_net: &Path) -> Option<Ipv4Addr> {
    let routes = fs::read_to_string(proc_net.join("route")).ok()?;
    let trie = fs::read_to_string(proc_net.join("fib_trie")).ok()?;
    let (network, mask) = BRIDGES.iter().find_map(|bridge| network_of(&routes, bridge))?;
    own_addresses(&trie).find(|own| u32::from(*own) & mask == network & mask)
}

/// Network and mask of an interface: `docker0 000011AC 00000000 0001 0 0 0 0000FFFF`, each
/// as this machine holds it.
fn network_of(routes: &str, interface: &str) -> Option<(u32, u32)> {
    let word = |text: &str| u32::from_str_radix(text, 16).ok().map(u32::swap_bytes);
    routes.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (network, mask) = (word(fields.get(1)?)?, word(fields.get(7)?)?);
        (fields[0] == interface && mask != 0).then_some((network, mask))
    })
}

/// Addresses with the line `/32 host LOCAL` below them.
fn own_addresses(trie: &str) -> impl Iterator<Item = Ipv4Addr> {
    trie.lines().zip(trie.lines().skip(1)).filter_map(|(address, kind)| {
        let own = kind.trim_start().starts_with("/32 host LOCAL");
        own.then(|| address.trim().strip_prefix("|-- ")?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bridge_of_containers_is_found_and_nothing_is_taken_for_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(bridge(folder.path()), None);
        let head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n";
        let lan = "eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n";
        let docker = "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\n";
        let trie = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.1\n        /32 host LOCAL\n     \
                    |-- 172.17.0.0\n        /16 link UNICAST\n     |-- 172.17.0.1\n        \
                    /32 host LOCAL\n     |-- 192.168.0.7\n        /32 host LOCAL\n";
        fs::write(folder.path().join("fib_trie"), trie).unwrap();
        fs::write(folder.path().join("route"), format!("{head}{lan}")).unwrap();
        assert_eq!(bridge(folder.path()), None);
        fs::write(folder.path().join("route"), format!("{head}{lan}{docker}")).unwrap();
        assert_eq!(bridge(folder.path()), Some(Ipv4Addr::new(172, 17, 0, 1)));
    }

    #[test]
    fn models_for_embeddings_are_told_by_their_names() {
        assert_eq!(endpoint_of("nomic-embed-text:latest"), Endpoint::Embeddings);
        assert_eq!(endpoint_of("BAAI/bge-m3"), Endpoint::Embeddings);
        assert_eq!(endpoint_of("Qwen/Qwen3-8B"), Endpoint::Chat);
    }
}
