//! Sockets of our own network namespace, asked of the kernel directly: those that
//! listen, and the one at the other end of a connection.
//!
//! `sock_diag(7)` walks only those that listen and takes twenty microseconds; the
//! tables below `/proc` walk every bucket of every connection and take a thousand.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::OwnedFd,
};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

use super::sockets::Listener;

/// `SOCK_DIAG_BY_FAMILY`
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`
const DUMP: u16 = 0x301;
/// `NLM_F_REQUEST`
const ONE: u16 = 1;
/// `NLMSG_DONE`
const DONE: u16 = 3;
/// `IPPROTO_TCP`
const TCP: u8 = 6;
/// `1 << TCP_LISTEN`
const LISTEN: u32 = 1 << 10;
/// Whatever its state.
const ANY: u32 = u32::MAX;
/// Length of `struct nlmsghdr`.
const HEAD: usize = 16;
/// Length of `struct inet_diag_req_v2`.
const REQUEST: usize = 56;
/// Length of the two ends of a connection in `struct inet_diag_sockid`.
const ENDS: usize = 36;
/// Answers are made in pieces of at most this size.
const PIECE: usize = 32 * 1024;
/// Bound of the pieces of one answer.
const MAX_PIECES: usize = 64;

/// `None` where the kernel cannot be asked: it was built without, or a sandbox forbids it.
pub fn listeners() -> Option<Vec<Listener>> {
    let mut found = Vec::new();
    let (v4, v6) = (AddressFamily::INET, AddressFamily::INET6);
    ask(u8::try_from(v4.as_raw()).ok()?, &mut found)?;
    ask(u8::try_from(v6.as_raw()).ok()?, &mut found)?;
    Some(found)
}

/// A connected socket of our network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connected {
    pub inode: u64,
    /// The user who opened it.
    pub user: u32,
}

/// Asks for one connected socket after the other.
pub struct Asks {
    socket: OwnedFd,
    piece: Vec<u8>,
}

// === impl Asks ===

impl Asks {
    /// `None` where the kernel cannot be asked.
    pub fn open() -> Option<Self> {
        Some(Self { socket: open()?, piece: vec![0; 1024] })
    }

    /// The one connected socket that has these ends; its own is `local`. Takes a few
    /// microseconds however many connections there are.
    pub fn connected(&mut self, local: SocketAddr, remote: SocketAddr) -> Option<Connected> {
        let family = match local {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let mut request = request(u8::try_from(family.as_raw()).ok()?, ONE, ANY)?;
        let ends = ends(local, remote);
        request.truncate(HEAD + REQUEST - ENDS - 12);
        request.extend(&ends);
        // An interface, and a cookie that is not known.
        request.extend([0; 4]);
        request.extend([0xff; 8]);
        send(&self.socket, &request, SendFlags::empty()).ok()?;
        let (length, _) = recv(&self.socket, &mut self.piece[..], RecvFlags::DONTWAIT).ok()?;
        let message = self.piece.get(..length)?;
        // Anything else is the kernel's word that there is none.
        (u16::from_ne_bytes(part(message, 4)?) == BY_FAMILY).then_some(())?;
        // An answer to another question is none to this.
        (message.get(HEAD + 4..HEAD + 4 + ENDS)? == ends).then_some(())?;
        let user = u32::from_ne_bytes(part(message, HEAD + 64)?);
        let inode = u64::from(u32::from_ne_bytes(part(message, HEAD + 68)?));
        (inode != 0).then_some(Connected { inode, user })
    }
}

/// The head of `struct inet_diag_sockid`: both ports in network order, then both addresses
/// in 16 bytes each.
fn ends(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let mut ends = Vec::with_capacity(ENDS);
    ends.extend(local.port().to_be_bytes());
    ends.extend(remote.port().to_be_bytes());
    for address in [local.ip(), remote.ip()] {
        let end = ends.len() + 16;
        match address {
            IpAddr::V4(ip) => ends.extend(ip.octets()),
            IpAddr::V6(ip) => ends.extend(ip.octets()),
        }
        ends.resize(end, 0);
    }
    ends
}

fn open() -> Option<OwnedFd> {
    let protocol = Some(netlink::SOCK_DIAG);
    let flags = SocketFlags::CLOEXEC;
    socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol).ok()
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`, its socket not named.
fn request(family: u8, flags: u16, states: u32) -> Option<Vec<u8>> {
    let mut request = Vec::with_capacity(HEAD + REQUEST);
    request.extend(u32::try_from(HEAD + REQUEST).ok()?.to_ne_bytes());
    request.extend(BY_FAMILY.to_ne_bytes());
    request.extend(flags.to_ne_bytes());
    request.extend([0; 8]);
    request.extend([family, TCP, 0, 0]);
    request.extend(states.to_ne_bytes());
    request.resize(HEAD + REQUEST, 0);
    Some(request)
}

fn ask(family: u8, found: &mut Vec<Listener>) -> Option<()> {
    let socket = open()?;
    send(&socket, &request(family, DUMP, LISTEN)?, SendFlags::empty()).ok()?;
    let mut piece = vec![0; PIECE];
    for _ in 0..MAX_PIECES {
        // The kernel makes the answer while it is asked: there is nothing to wait for.
        let (length, _) = recv(&socket, &mut piece[..], RecvFlags::DONTWAIT).ok()?;
        match parse(&piece[..length], found)? {
            End::More => {}
            End::Done => return Some(()),
        }
    }
    None
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    More,
    Done,
}

/// One piece of an answer: messages of any number. `None` for an error of the kernel's.
fn parse(mut bytes: &[u8], found: &mut Vec<Listener>) -> Option<End> {
    while bytes.len() >= HEAD {
        let length = u32::from_ne_bytes(part(bytes, 0)?) as usize;
        let message = bytes.get(..length).filter(|message| message.len() >= HEAD)?;
        match u16::from_ne_bytes(part(message, 4)?) {
            DONE => return Some(End::Done),
            BY_FAMILY => found.extend(listener(&message[HEAD..])),
            _ => return None,
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(End::More)
}

/// `struct inet_diag_msg`: family, state, two bytes, then the socket's own port and
/// the other's in network order, its address and the other's in 16 bytes each, …, inode.
fn listener(message: &[u8]) -> Option<Listener> {
    let port = u16::from_be_bytes(part(message, 4)?);
    let host: IpAddr =
        if AddressFamily::from_raw(u16::from(*message.first()?)) == AddressFamily::INET {
            Ipv4Addr::from(part::<4>(message, 8)?).into()
        } else {
            Ipv6Addr::from(part::<16>(message, 8)?).into()
        };
    let inode = u64::from(u32::from_ne_bytes(part(message, 68)?));
    (inode != 0).then(|| Listener { inode, address: SocketAddr::new(host, port) })
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        net::{TcpListener, TcpStream},
        os::fd::AsRawFd,
        path::Path,
    };

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_kernel_says_the_same_as_its_tables() {
        let held =
            [TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("[::]:0").unwrap()];
        let held = held.each_ref().map(|listener| listener.local_addr().unwrap());
        let ours = |found: Vec<Listener>| -> BTreeSet<(u64, SocketAddr)> {
            let ours = found.into_iter().filter(|listener| held.contains(&listener.address));
            ours.map(|listener| (listener.inode, listener.address)).collect()
        };
        let asked = ours(listeners().unwrap());
        assert_eq!(asked.len(), 2);
        let read = super::super::sockets::listeners(Path::new("/proc/self/net")).unwrap();
        assert_eq!(asked, ours(read));
    }

    #[test]
    fn more_listeners_than_fit_one_piece_are_all_told() {
        let held: Vec<TcpListener> =
            (0..600).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let found: BTreeSet<SocketAddr> =
            listeners().unwrap().into_iter().map(|listener| listener.address).collect();
        for listener in &held {
            assert!(found.contains(&listener.local_addr().unwrap()));
        }
    }

    #[test]
    fn both_ends_of_a_connection_are_told_apart_and_one_that_is_not_there_is_not_told() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(host).unwrap();
            let there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (here, _) = listener.accept().unwrap();
            let inode = |stream: &TcpStream| {
                let link = std::fs::read_link(format!("/proc/self/fd/{}", stream.as_raw_fd()));
                let link = link.unwrap().to_str().unwrap().to_string();
                let number = link.strip_prefix("socket:[").unwrap().strip_suffix(']').unwrap();
                number.parse::<u64>().unwrap()
            };
            let (a, b) = (there.local_addr().unwrap(), here.local_addr().unwrap());
            let mut asks = Asks::open().unwrap();
            let mut told = |local, remote| asks.connected(local, remote).map(|found| found.inode);
            assert_eq!(told(a, b), Some(inode(&there)), "{host}");
            assert_eq!(told(b, a), Some(inode(&here)), "{host}");
            let other = SocketAddr::new(b.ip(), 1);
            assert_eq!(told(a, other), None, "{host}");
            let found = asks.connected(a, b).unwrap();
            assert_eq!(found.user, rustix::process::geteuid().as_raw(), "{host}");
        }
    }

    proptest! {
        #[test]
        fn garbage_is_no_panic_and_ends(bytes: Vec<u8>) {
            let mut found = Vec::new();
            parse(&bytes, &mut found);
            prop_assert!(found.len() <= bytes.len());
        }
    }
}
