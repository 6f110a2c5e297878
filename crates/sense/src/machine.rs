//! What the machine is: read once, at the start.

use std::{fs, path::Path};

use plimsoll_core::device::MachineInfo;

use crate::{
    roots::Roots,
    system::{Meminfo, Times},
    text,
};

/// Facts about this machine. What cannot be found out stays empty.
pub fn machine_info(roots: &Roots) -> MachineInfo {
    let proc = |name: &str| read(&roots.proc.join(name));
    MachineInfo {
        hostname: proc("sys/kernel/hostname").trim().to_owned(),
        os: os_name(&read(&roots.etc.join("os-release"))),
        kernel: proc("sys/kernel/osrelease").trim().to_owned(),
        cpu_model: cpu_model(&proc("cpuinfo")),
        cores: cores(proc("stat").as_bytes()),
        memory_bytes: Meminfo::parse(proc("meminfo").as_bytes()).total.filter(|&bytes| bytes > 0),
        container: container(roots).or_else(|| virtual_machine(roots)),
    }
}

fn read(path: &Path) -> String {
    fs::read(path).map(|bytes| text::string(&bytes)).unwrap_or_default()
}

/// `PRETTY_NAME` of `/etc/os-release`, without its quotes.
fn os_name(release: &str) -> String {
    let value = |key: &str| {
        release.lines().find_map(|line| {
            let value = line.strip_prefix(key)?.strip_prefix('=')?;
            Some(value.trim_matches(['"', '\'']).to_owned())
        })
    };
    value("PRETTY_NAME").or_else(|| value("NAME")).unwrap_or_else(|| "Linux".into())
}

/// x86 says `model name`, ARM boards `Model` or `Hardware`.
fn cpu_model(cpuinfo: &str) -> String {
    ["model name", "Model", "Hardware", "cpu model"]
        .iter()
        .find_map(|wanted| {
            cpuinfo.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                (key.trim() == *wanted).then(|| value.trim().to_owned())
            })
        })
        .unwrap_or_default()
}

fn cores(stat: &[u8]) -> Option<u32> {
    let lines = text::lines(stat).map_while(Times::parse);
    let cores = lines.filter(|(core, _)| core.is_some()).count();
    u32::try_from(cores).ok().filter(|&cores| cores > 0)
}

fn container(roots: &Roots) -> Option<String> {
    // systemd and podman tell pid 1 which kind of container it is in.
    let environment = fs::read(roots.proc.join("1/environ")).unwrap_or_default();
    let told = environment.split(|&b| b == 0).find_map(|entry| entry.strip_prefix(b"container="));
    if let Some(kind) = told.filter(|kind| !kind.is_empty()) {
        return Some(text::string(kind));
    }
    let root = roots.proc.join("1/root");
    if root.join(".dockerenv").exists() {
        return Some("docker".into());
    }
    if root.join("run/.containerenv").exists() {
        return Some("podman".into());
    }
    let cgroup = read(&roots.proc.join("1/cgroup"));
    ["kubepods", "docker", "libpod", "lxc"]
        .into_iter()
        .find(|kind| cgroup.contains(kind))
        .map(Into::into)
}

fn virtual_machine(roots: &Roots) -> Option<String> {
    let dmi = |name: &str| read(&roots.sys.join("class/dmi/id").join(name)).trim().to_owned();
    let (vendor, product) = (dmi("sys_vendor"), dmi("product_name"));
    let known = ["QEMU", "VMware", "innotek", "Xen", "Amazon EC2", "Google", "Parallels"];
    if known.iter().any(|name| vendor.starts_with(name)) || product.contains("Virtual") {
        return Some(format!("virtual machine ({product})"));
    }
    let flags = read(&roots.proc.join("cpuinfo"));
    let hypervisor = flags
        .lines()
        .find(|line| line.starts_with("flags"))
        .is_some_and(|line| line.split_whitespace().any(|flag| flag == "hypervisor"));
    hypervisor.then(|| "virtual machine".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_unknown_and_not_zero() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots::below(dir.path());
        let machine = machine_info(&roots);
        assert_eq!((machine.cores, machine.memory_bytes), (None, None));
        assert_eq!((&*machine.hostname, &*machine.cpu_model), ("", ""));

        fs::create_dir_all(&roots.proc).unwrap();
        fs::write(roots.proc.join("stat"), "cpu  9 9 9 9\ncpu0 5 5 5 5\ncpu1 4 4 4 4\nintr 1\n")
            .unwrap();
        fs::write(roots.proc.join("meminfo"), "MemTotal: 1024 kB\n").unwrap();
        let machine = machine_info(&roots);
        assert_eq!((machine.cores, machine.memory_bytes), (Some(2), Some(1 << 20)));
    }
}
