//! The machine: what /proc shows, files, ports, disk.

use std::{
    fs,
    io::ErrorKind,
    net::TcpListener,
    path::{Path, PathBuf},
};

use rustix::{
    fs::statvfs,
    process::{Resource, getrlimit},
};

use plimsoll_core::config::gateway::Gateway;

use super::{Patient, check};
use crate::{
    api::{Check, Verdict},
    words::{quoted, whole_bytes},
};

const GIB: u64 = 1 << 30;

pub fn checks(patient: &Patient) -> Vec<Check> {
    vec![pressure(), processes(), open_files(), ports(patient), disk(patient)]
}

fn pressure() -> Check {
    let by_hand = "cat /proc/pressure/memory";
    match fs::read_to_string("/proc/pressure/memory") {
        Ok(_) => check("Pressure (PSI)", Verdict::Good, "The kernel reports it.", "", by_hand),
        Err(error) => check(
            "Pressure (PSI)",
            Verdict::Limited,
            format!("The kernel does not report it ({error})."),
            "Memory alerts use available memory alone. To have it, boot with psi=1.",
            by_hand,
        ),
    }
}

fn processes() -> Check {
    let by_hand = "grep -w /proc /proc/mounts; ps -e | wc -l";
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let hidden = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            (words.next() == Some("/proc")).then(|| words.nth(1).unwrap_or_default().to_owned())
        })
        .any(|options| {
            options.split(',').any(|o| {
                matches!(o, "hidepid=1" | "hidepid=2" | "hidepid=noaccess" | "hidepid=invisible")
            })
        });
    if hidden {
        check(
            "Processes",
            Verdict::Limited,
            "/proc hides the processes of other users (hidepid).",
            "Only your own are shown. To see all: sudo mount -o remount,hidepid=0 /proc.",
            by_hand,
        )
    } else {
        check("Processes", Verdict::Good, "All processes can be seen.", "", by_hand)
    }
}

fn open_files() -> Check {
    let by_hand = "ulimit -Sn; ulimit -Hn; ls /proc/$(pgrep -o plimsoll)/fd | wc -l";
    let limit = getrlimit(Resource::Nofile);
    let open = fs::read_dir("/proc/self/fd").map(Iterator::count).unwrap_or_default();
    let words = |limit: Option<u64>| limit.map_or("no limit".into(), |n| n.to_string());
    let finding = format!(
        "{open} open, limit {} (could be raised to {}).",
        words(limit.current),
        words(limit.maximum)
    );
    if limit.current.is_none_or(|current| current >= 1024) {
        check("Open files", Verdict::Good, finding, "", by_hand)
    } else {
        check(
            "Open files",
            Verdict::Limited,
            finding,
            "Raise it to 1024 or more: LimitNOFILE= in the systemd unit, or /etc/security/limits.conf.",
            by_hand,
        )
    }
}

/// Whether the gateway listens, or could.
fn ports(patient: &Patient) -> Check {
    let Gateway { enabled, address, .. } = &patient.config.gateway;
    let port = address.rsplit(':').next().unwrap_or_default();
    let by_hand = format!("ss -ltnp 'sport = :{port}'");
    let good = |finding: String| check("Ports", Verdict::Good, finding, "", by_hand.as_str());
    let limited = |finding: String, advice: &str| {
        check("Ports", Verdict::Limited, finding, advice, by_hand.as_str())
    };
    if !enabled {
        return good("The gateway is turned off (gateway.enabled); no port is needed.".into());
    }
    if let Some(status) = &patient.status {
        // It says itself by whom an address is taken, and what to do.
        if let Some(trouble) = &status.gateway_trouble {
            return limited(trouble.clone(), "");
        }
        if let Some(at) = &status.gateway {
            return good(format!("The gateway listens at {at}."));
        }
    }
    match TcpListener::bind(address.as_str()) {
        Ok(_) => good(format!("{address}, where the gateway will listen, is free.")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => limited(
            format!("{address}, where the gateway will listen, is taken by another program."),
            "See who has it with the command; end that, or set another gateway.address.",
        ),
        Err(error) => limited(
            format!("{address}, where the gateway will listen, cannot be had: {error}."),
            "Set another gateway.address; where that is this machine's own, the loopback \
             interface may be down: ip link set lo up.",
        ),
    }
}

fn disk(patient: &Patient) -> Check {
    let folder = existing(&patient.data);
    let by_hand = format!("df -h {}", quoted(&folder));
    match statvfs(&folder) {
        Ok(space) => {
            let available = space.f_bavail * space.f_frsize;
            let limit = patient.config.history.max_mib << 20;
            let finding = format!(
                "{} free where the data is kept; the history takes {} at most.",
                whole_bytes(available),
                whole_bytes(limit)
            );
            if available < GIB / 4 {
                let advice =
                    "Recording pauses when the disk is full. Free some space, or move the data.";
                check("Disk", Verdict::Bad, finding, advice, by_hand)
            } else if available < limit {
                let advice =
                    "The limit may not be reached. Lower history.max_mib, or move the data.";
                check("Disk", Verdict::Limited, finding, advice, by_hand)
            } else {
                check("Disk", Verdict::Good, finding, "", by_hand)
            }
        }
        Err(error) => check("Disk", Verdict::Unknown, format!("Not known: {error}."), "", by_hand),
    }
}

/// The folder itself, or the nearest one above that exists.
pub fn existing(path: &Path) -> PathBuf {
    path.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/")).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateways_own_address_is_looked_at_and_only_where_it_wants_one() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut patient = Patient::default();
        patient.config.gateway.address = held.local_addr().unwrap().to_string();
        let taken = ports(&patient);
        assert_eq!(taken.verdict, Verdict::Limited);
        assert!(taken.finding.starts_with(&patient.config.gateway.address), "{}", taken.finding);
        patient.config.gateway.enabled = false;
        assert_eq!(ports(&patient).verdict, Verdict::Good);
        patient.config.gateway.enabled = true;
        patient.config.gateway.address = "127.0.0.1:0".into();
        assert_eq!(ports(&patient).verdict, Verdict::Good);
    }
}
