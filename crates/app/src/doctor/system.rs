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

use super::{Patient, check};
use crate::{
    api::{Check, Verdict},
    words::{quoted, whole_bytes},
};

/// Where the gateway will listen.
const GATEWAY_PORT: u16 = 1876;
const GIB: u64 = 1 << 30;

pub fn checks(patient: &Patient) -> Vec<Check> {
    vec![pressure(), processes(), open_files(), ports(), disk(patient)]
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

fn ports() -> Check {
    let by_hand = format!("ss -ltnp 'sport = :{GATEWAY_PORT}'");
    match TcpListener::bind(("127.0.0.1", GATEWAY_PORT)) {
        Ok(_) => check(
            "Ports",
            Verdict::Good,
            format!(
                "Port {GATEWAY_PORT} (for the gateway to come) is free; nothing else is needed."
            ),
            "",
            by_hand,
        ),
        Err(error) if error.kind() == ErrorKind::AddrInUse => check(
            "Ports",
            Verdict::Limited,
            format!(
                "Port {GATEWAY_PORT}, where the gateway will listen, is taken by another program."
            ),
            "Nothing needs it yet. See who has it with the command.",
            by_hand,
        ),
        Err(error) => check(
            "Ports",
            Verdict::Limited,
            format!("Port {GATEWAY_PORT} cannot be listened on: {error}."),
            "The loopback interface may be down: ip link set lo up.",
            by_hand,
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
