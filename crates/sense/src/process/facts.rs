//! What does not change while a process lives: read once, then kept.

use std::{fs, path::Path};

use super::users::Users;
use crate::text;

/// Longest command line that is kept, in characters.
const MAX_COMMAND: usize = 4096;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub name: String,
    pub command: String,
    pub uid: u32,
    pub user: String,
    pub container: Option<String>,
    pub unit: Option<String>,
}

// === impl Facts ===

impl Facts {
    /// `folder` is `/proc/PID`. What is not told stays empty; `None` where not even its
    /// user can be read, as of a process that ended meanwhile.
    pub fn read(folder: &Path, comm: &[u8], users: &mut Users) -> Option<Self> {
        let file = |name: &str| fs::read(folder.join(name)).unwrap_or_default();
        let cmdline = file("cmdline");
        let uid = uid(&file("status"))?;
        let cgroup = text::string(&file("cgroup"));
        Some(Self {
            name: name(comm, &cmdline),
            command: command(&cmdline),
            uid,
            user: users.name(uid),
            container: container(&cgroup),
            unit: unit(&cgroup),
        })
    }
}

/// The kernel cuts names at 15 bytes; the command line has the rest.
fn name(comm: &[u8], cmdline: &[u8]) -> String {
    if comm.len() == 15 {
        let program = cmdline.split(|&b| b == 0 || b == b' ').next().unwrap_or_default();
        let file = program.rsplit(|&b| b == b'/').next().unwrap_or_default();
        if file.starts_with(comm) && file.len() <= 64 {
            return text::string(file);
        }
    }
    text::string(comm)
}

fn command(cmdline: &[u8]) -> String {
    let end = cmdline.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
    // No character takes more than four bytes: more need not be looked at.
    let bytes = &cmdline[..end.min(4 * MAX_COMMAND)];
    String::from_utf8_lossy(bytes)
        .chars()
        .take(MAX_COMMAND)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The real user of a `status` file.
fn uid(status: &[u8]) -> Option<u32> {
    let line = text::lines(status).find_map(|line| line.strip_prefix(b"Uid:"))?;
    text::number(text::words(line).next()?)?.try_into().ok()
}

/// Short id of the container, or its name for LXC and nspawn.
///
/// Docker, podman, containerd and CRI-O all put the id of 64 hex digits into the
/// path: `/docker/ID`, `/system.slice/docker-ID.scope`, `…/cri-containerd-ID.scope`.
fn container(cgroup: &str) -> Option<String> {
    paths(cgroup).find_map(|path| {
        path.split('/').rev().find_map(|segment| {
            if let Some(name) = segment.strip_prefix("lxc.payload.") {
                return Some(name.to_owned());
            }
            if let Some(name) =
                segment.strip_prefix("machine-").and_then(|s| s.strip_suffix(".scope"))
            {
                return Some(unescape(name));
            }
            let id = segment.strip_suffix(".scope").unwrap_or(segment);
            let id = id.rsplit(['-', ':']).next().unwrap_or(id);
            let is_id = id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit());
            is_id.then(|| id[..12].to_owned())
        })
    })
}

/// The innermost service. What a person started in their session hangs below
/// `user@1000.service`, which says nothing about it.
fn unit(cgroup: &str) -> Option<String> {
    paths(cgroup).find_map(|path| {
        let mut inner = path.split('/').rev().filter(|s| !s.is_empty()).peekable();
        let last = *inner.peek()?;
        let service = inner.find(|segment| segment.ends_with(".service"))?;
        let session = service.starts_with("user@") && last != service && last != "init.scope";
        (!session).then(|| unescape(service))
    })
}

/// The paths of version 2 and of systemd's own hierarchy, then the others.
fn paths(cgroup: &str) -> impl Iterator<Item = &str> {
    let split = |line: &'_ str| -> Option<(bool, usize)> {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let first = controllers.is_empty() || controllers == "name=systemd";
        Some((first, line.len() - path.len()))
    };
    let pass = move |wanted: bool| {
        cgroup.lines().filter_map(move |line| {
            let (first, start) = split(line)?;
            (first == wanted).then(|| &line[start..])
        })
    };
    pass(true).chain(pass(false))
}

/// systemd writes `-` within a name as `\x2d`.
fn unescape(name: &str) -> String {
    name.replace("\\x2d", "-")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "3f4a9c1b2d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8";

    #[test]
    fn containers_are_told_by_their_cgroup() {
        for path in [
            format!("0::/system.slice/docker-{ID}.scope\n"),
            format!("4:memory:/docker/{ID}\n0::/\n"),
            format!(
                "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container\n"
            ),
            format!("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope\n"),
            format!(
                "0::/system.slice/containerd.service/kubepods-besteffort:cri-containerd:{ID}\n"
            ),
        ] {
            assert_eq!(container(&path).as_deref(), Some("3f4a9c1b2d5e"), "{path}");
        }
        assert_eq!(container("0::/lxc.payload.web/init.scope\n").as_deref(), Some("web"));
        assert_eq!(
            container("0::/machine.slice/machine-deb\\x2d12.scope\n").as_deref(),
            Some("deb-12")
        );
        assert_eq!(container("0::/system.slice/ollama.service\n"), None);
    }

    #[test]
    fn units_are_services_and_not_a_persons_session() {
        let of = |path: &str| unit(&format!("0::{path}\n"));
        assert_eq!(of("/system.slice/ollama.service").as_deref(), Some("ollama.service"));
        assert_eq!(
            of("/system.slice/system-vllm.slice/vllm@a\\x2db.service/worker").as_deref(),
            Some("vllm@a-b.service")
        );
        assert_eq!(
            of("/user.slice/user-1000.slice/user@1000.service/app.slice/pipewire.service")
                .as_deref(),
            Some("pipewire.service")
        );
        assert_eq!(
            of("/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox-1.scope"),
            None
        );
        assert_eq!(
            of("/user.slice/user-1000.slice/user@1000.service/init.scope").as_deref(),
            Some("user@1000.service")
        );
        assert_eq!(of("/user.slice/user-1000.slice/session-3.scope"), None);
        assert_eq!(
            unit("9:name=systemd:/system.slice/ssh.service\n4:memory:/\n0::/\n").as_deref(),
            Some("ssh.service")
        );
    }

    #[test]
    fn a_name_that_the_kernel_cut_is_completed() {
        assert_eq!(
            name(b"WebKitWebProces", b"/usr/lib/x/WebKitWebProcess\x004\x00"),
            "WebKitWebProcess"
        );
        assert_eq!(name(b"text-embeddings", b"/bin/python3\0/x.py\0"), "text-embeddings");
        assert_eq!(name(b"sh", b"/bin/bash\0"), "sh");
    }

    #[test]
    fn a_command_line_is_joined_by_blanks_and_cut() {
        assert_eq!(command(b"llama-server\0-m\0a b.gguf\0\0"), "llama-server -m a b.gguf");
        assert_eq!(command(b""), "");
        assert_eq!(command("ä".repeat(9000).as_bytes()).chars().count(), MAX_COMMAND);
    }

    #[test]
    fn the_real_user_is_read() {
        assert_eq!(uid(b"Name:\tx\nUid:\t1000\t0\t0\t0\n"), Some(1000));
        assert_eq!(uid(b"Name:\tx\n"), None);
    }

    proptest! {
        #[test]
        fn garbage_is_no_fact_and_no_panic(text: String, bytes: Vec<u8>) {
            container(&text);
            unit(&text);
            uid(&bytes);
            command(&bytes);
            name(&bytes, &bytes);
        }
    }
}
