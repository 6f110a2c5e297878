//! How many connections one upstream may have: what fits this machine, unless
//! the upstream's own settings say otherwise (AR3, MV9).

use std::time::Duration;

/// Bounds of the connections to one upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// At once, idle ones included.
    pub connections: usize,
    /// Kept open for the next call.
    pub idle: usize,
    /// How long an idle one is kept.
    pub idle_life: Duration,
}

// === impl Limits ===

impl Limits {
    /// What fits a machine of so many CPUs. A container is given half: it shares
    /// its machine, and often a limit of open files, with others.
    pub fn of(cpus: usize, in_container: bool) -> Self {
        let cpus = cpus.max(1);
        if in_container {
            Self {
                connections: cpus.saturating_mul(2).min(10),
                idle: cpus.min(5),
                idle_life: Duration::from_secs(15),
            }
        } else {
            Self {
                connections: cpus.saturating_mul(4).min(20),
                idle: cpus.saturating_mul(2).min(8),
                idle_life: Duration::from_secs(30),
            }
        }
    }

    /// What fits this machine.
    pub fn here() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::of(cpus, in_container())
    }
}

/// Whether this process runs in a container: by the files that Docker and Podman
/// leave, or by the variable that systemd-nspawn and Podman set.
fn in_container() -> bool {
    ["/.dockerenv", "/run/.containerenv"].iter().any(|path| std::path::Path::new(path).exists())
        || std::env::var_os("container").is_some_and(|value| !value.is_empty())
        || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    // AR3, MV9
    #[test]
    fn limits_fit_the_machine_and_are_smaller_in_a_container() {
        let of = |cpus, container| {
            let l = Limits::of(cpus, container);
            (l.connections, l.idle, l.idle_life.as_secs())
        };
        assert_eq!(of(1, true), (2, 1, 15));
        assert_eq!(of(2, true), (4, 2, 15));
        assert_eq!(of(64, true), (10, 5, 15));
        assert_eq!(of(1, false), (4, 2, 30));
        assert_eq!(of(2, false), (8, 4, 30));
        assert_eq!(of(64, false), (20, 8, 30));
        // A machine that does not tell its CPUs can still make a call.
        assert_eq!(of(0, true), (2, 1, 15));
    }
}
