//! Our own open files, and how many of them are connections.

use std::{fs, os::fd::OwnedFd, path::PathBuf};

use rustix::{
    net::{AddressFamily, SocketAddrAny, getpeername, getsockname},
    process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open},
};

use crate::roots::Roots;

pub struct OpenFiles {
    folder: PathBuf,
    /// Ourselves, through which a file can be looked at by its number. `None` on kernels
    /// before 5.6.
    itself: Option<OwnedFd>,
}

/// How many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub files: u64,
    /// Sockets with somebody at the other end. `None` where a sandbox does not let us
    /// look: then sockets that wait for connections cannot be told from them.
    pub connections: Option<u64>,
}

// === impl OpenFiles ===

impl OpenFiles {
    pub fn new(roots: &Roots) -> Self {
        let itself = pidfd_open(getpid(), PidfdFlags::empty()).ok();
        Self { folder: roots.proc.join("self/fd"), itself }
    }

    pub fn count(&self) -> Option<Counts> {
        let mut files = 0u64;
        let mut connections = Some(0u64);
        for entry in fs::read_dir(&self.folder).ok()?.flatten() {
            files += 1;
            let target = fs::read_link(entry.path());
            if target.is_ok_and(|t| t.as_os_str().as_encoded_bytes().starts_with(b"socket:")) {
                let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
                let connected = number.and_then(|number| self.is_connected(number));
                connections = connections.zip(connected).map(|(sum, one)| sum + u64::from(one));
            }
        }
        // Reading the list takes one itself.
        Some(Counts { files: files.saturating_sub(1), connections })
    }

    /// `None` where we may not look. One that was closed meanwhile is no connection.
    fn is_connected(&self, number: i32) -> Option<bool> {
        match pidfd_getfd(self.itself.as_ref()?, number, PidfdGetfdFlags::empty()) {
            Ok(socket) => Some(is_connected(&socket)),
            Err(rustix::io::Errno::BADF) => Some(false),
            Err(_) => None,
        }
    }
}

/// The runtime talks to itself over a pair of sockets without names: no connection.
fn is_connected(socket: &OwnedFd) -> bool {
    let Ok(peer) = getpeername(socket) else { return false };
    match peer.as_ref().map(SocketAddrAny::address_family) {
        Some(AddressFamily::INET | AddressFamily::INET6) => true,
        Some(AddressFamily::UNIX) | None => {
            peer.is_some_and(|peer| is_named(&peer))
                || getsockname(socket).is_ok_and(|own| is_named(&own))
        }
        Some(_) => false,
    }
}

/// Whether more than its family stands in an address of a local socket.
fn is_named(address: &SocketAddrAny) -> bool {
    address.addr_len() as usize > size_of::<u16>()
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream},
        os::fd::AsRawFd,
        os::unix::net::{UnixListener, UnixStream},
    };

    use super::*;

    #[test]
    fn both_ends_of_a_connection_count_and_who_waits_for_one_does_not() {
        let files = OpenFiles::new(&Roots::default());
        let connected = |socket: &dyn AsRawFd| files.is_connected(socket.as_raw_fd()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (served, _) = listener.accept().unwrap();
        assert!(!connected(&listener) && connected(&client) && connected(&served));

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        let (served, _) = listener.accept().unwrap();
        assert!(!connected(&listener) && connected(&client) && connected(&served));

        let (one, other) = UnixStream::pair().unwrap();
        assert!(!connected(&one) && !connected(&other));
        assert_eq!(files.is_connected(i32::MAX), Some(false));
    }

    #[test]
    fn without_a_way_to_look_connections_are_unknown_and_files_are_not() {
        let files = OpenFiles { itself: None, ..OpenFiles::new(&Roots::default()) };
        let _listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let counts = files.count().unwrap();
        assert!(counts.files >= 4);
        assert_eq!(counts.connections, None);
    }
}
