//! What goes over network interfaces, from `/proc/net/dev`.

use std::{path::PathBuf, sync::Arc};

use plimsoll_core::{metric::Metric, reading::Reading};
use rustc_hash::FxHashMap;

use crate::{kept::Kept, roots::Roots, text};

/// Bound of the names that are remembered: containers make and drop interfaces.
const MAX_NAMES: usize = 1024;

/// Beginnings of names of interfaces that carry the same bytes a second time,
/// inside the machine: loopback, and the ends and bridges of containers and
/// virtual machines.
const INNER: &[&str] = &[
    "lo",
    "veth",
    "docker",
    "br-",
    "virbr",
    "vnet",
    "lxc",
    "lxd",
    "cni",
    "flannel",
    "cali",
    "podman",
    "kube",
    "nodelocaldns",
    "cilium",
    "ifb",
    "dummy",
    "tap",
];

pub struct Network {
    dev: Kept,
    class: PathBuf,
    /// Every name that was seen; `None` for what is left out.
    known: FxHashMap<Vec<u8>, Option<Arc<str>>>,
}

// === impl Network ===

impl Network {
    pub fn new(roots: &Roots) -> Self {
        Self {
            // `/proc/net` is a link to `self/net`: of the process, whatever the thread.
            dev: Kept::new(roots.proc.join("net/dev")),
            class: roots.sys.join("class/net"),
            known: FxHashMap::default(),
        }
    }

    pub fn read(&mut self, out: &mut Vec<Reading>) {
        let Ok(bytes) = self.dev.read() else { return };
        for (name, received, sent) in text::lines(bytes).filter_map(parse) {
            if !self.known.contains_key(name) {
                if self.known.len() >= MAX_NAMES {
                    self.known.clear();
                }
                let subject = is_outer(&self.class, name).then(|| text::string(name).into());
                self.known.insert(name.to_vec(), subject);
            }
            let Some(Some(subject)) = self.known.get(name) else { continue };
            // An interface that never carried anything is no series.
            if received > 0 || sent > 0 {
                out.push(Reading::counter(Metric::NetReceived, subject, received));
                out.push(Reading::counter(Metric::NetSent, subject, sent));
            }
        }
    }
}

fn is_outer(class: &std::path::Path, name: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let inner = INNER.iter().any(|&inner| match inner {
        "lo" => name == "lo",
        beginning => name.starts_with(beginning),
    });
    !inner && !class.join(name).join("bridge").exists()
}

/// Name, bytes received, bytes sent. Columns after the colon: bytes, packets, errs,
/// drop, fifo, frame, compressed, multicast; then the same for sending.
pub fn parse(line: &[u8]) -> Option<(&[u8], u64, u64)> {
    let colon = line.iter().position(|&b| b == b':')?;
    let name = line[..colon].trim_ascii();
    let mut words = text::words(&line[colon + 1..]);
    let received = text::number(words.next()?)?;
    let sent = text::number(words.nth(7)?)?;
    (!name.is_empty()).then_some((name, received, sent))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs
    lo: 1000 1 0 0 0 0 0 0 1000 1 0 0 0 0 0 0
  eth0: 5000 1 0 0 0 0 0 0 7000 1 0 0 0 0 0 0
veth12: 5000 1 0 0 0 0 0 0 7000 1 0 0 0 0 0 0
docker0: 5000 1 0 0 0 0 0 0 7000 1 0 0 0 0 0 0
 lanbr: 5000 1 0 0 0 0 0 0 7000 1 0 0 0 0 0 0
 wlan0:    0 0 0 0 0 0 0 0    0 0 0 0 0 0 0 0
 local:    1 0 0 0 0 0 0 0    2 0 0 0 0 0 0 0
";

    #[test]
    fn inner_interfaces_and_silent_ones_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots::below(dir.path());
        std::fs::create_dir_all(roots.proc.join("net")).unwrap();
        std::fs::create_dir_all(roots.sys.join("class/net/lanbr/bridge")).unwrap();
        std::fs::write(roots.proc.join("net/dev"), TEXT).unwrap();
        let mut out = Vec::new();
        Network::new(&roots).read(&mut out);
        let eth0 = Arc::from("eth0");
        let local = Arc::from("local");
        assert_eq!(
            out,
            [
                Reading::counter(Metric::NetReceived, &eth0, 5000),
                Reading::counter(Metric::NetSent, &eth0, 7000),
                Reading::counter(Metric::NetReceived, &local, 1),
                Reading::counter(Metric::NetSent, &local, 2),
            ]
        );
    }

    proptest! {
        #[test]
        fn garbage_is_no_interface_and_no_panic(bytes: Vec<u8>) {
            text::lines(&bytes).for_each(|line| { parse(line); });
        }
    }
}
