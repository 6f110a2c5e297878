//! Listening sockets as the files of the kernel show them.

use std::{
    fs::{self, File},
    io::{self, Read},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

use rustix::fs::{Mode, OFlags, RawDir, openat, readlinkat_raw};

use crate::text;

/// State of a socket that listens, as the tables write it.
const LISTEN: &[u8] = b"0A";
/// One read of a table; a line has 150 bytes.
const PIECE: usize = 4096;
/// Bound of what is read of one table.
const MAX_TABLE: usize = 1 << 20;
/// Bound of the open files that are followed of one process.
const MAX_HELD: usize = 65_536;

/// A socket that takes connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    pub inode: u64,
    pub address: SocketAddr,
}

/// All that listen in the namespace whose `net` folder this is. `None` where it
/// cannot be read; a machine without IPv6 has only one of the two tables.
pub fn listeners(net: &Path) -> Option<Vec<Listener>> {
    let mut found = Vec::new();
    read_table(&net.join("tcp"), &mut found).ok()?;
    match read_table(&net.join("tcp6"), &mut found) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => None,
        _ => Some(found),
    }
}

/// The kernel writes those that listen before all others, so that a table with
/// thousands of connections need not be read to its end.
fn read_table(path: &Path, found: &mut Vec<Listener>) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::with_capacity(PIECE);
    let mut done = 0;
    loop {
        let length = bytes.len();
        bytes.resize(length + PIECE, 0);
        let read = loop {
            match file.read(&mut bytes[length..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        bytes.truncate(length + read);
        while let Some(end) = bytes[done..].iter().position(|&b| b == b'\n') {
            let line = &bytes[done..done + end];
            done += end + 1;
            match parse(line) {
                Line::Listens(listener) => found.push(listener),
                Line::Connected => return Ok(()),
                Line::Other => {}
            }
        }
        if read == 0 || bytes.len() >= MAX_TABLE {
            return Ok(());
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Line {
    Listens(Listener),
    Connected,
    /// The heading, or something that is not understood.
    Other,
}

/// `sl local:port remote:port state tx:rx tr:when retrnsmt uid timeout inode …`
fn parse(line: &[u8]) -> Line {
    let mut words = text::words(line).skip(1);
    let (local, state) = (words.next(), words.nth(1));
    let Some(address) = local.and_then(address) else { return Line::Other };
    if state != Some(LISTEN) {
        return Line::Connected;
    }
    match words.nth(5).and_then(text::number) {
        Some(inode) if inode != 0 => Line::Listens(Listener { inode, address }),
        _ => Line::Other,
    }
}

/// `0100007F:1F90`: each word of four bytes as this machine holds it, the port as a number.
fn address(word: &[u8]) -> Option<SocketAddr> {
    let (host, port) = std::str::from_utf8(word).ok()?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let part = |index: usize| {
        let part = host.get(index * 8..index * 8 + 8)?;
        Some(u32::from_str_radix(part, 16).ok()?.to_ne_bytes())
    };
    let host: IpAddr = match host.len() {
        8 => Ipv4Addr::from(part(0)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for (index, four) in bytes.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&part(index)?);
            }
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(host, port))
}

/// How many TCP sockets a namespace has in use, listening or not. Costs a
/// microsecond where a table costs a thousand, and says whether one is worth it.
pub fn in_use(net: &Path) -> Option<u64> {
    let count = |file: &str, protocol: &[u8]| {
        let bytes = fs::read(net.join(file)).ok()?;
        let line = text::lines(&bytes).find_map(|line| line.strip_prefix(protocol))?;
        let mut words = text::words(line);
        words.find(|&word| word == b"inuse")?;
        text::number(words.next()?)
    };
    let v4 = count("sockstat", b"TCP:")?;
    Some(v4 + count("sockstat6", b"TCP6:").unwrap_or(0))
}

/// Tells the inode of every socket that a process holds; `folder` is `/proc/PID`.
/// Answers how many open files were followed: none where we may not look.
pub fn held_by(folder: &Path, mut tell: impl FnMut(u64)) -> usize {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(folder) = openat(rustix::fs::CWD, folder.join("fd"), flags, Mode::empty()) else {
        return 0;
    };
    let mut buffer = Vec::with_capacity(PIECE);
    let mut entries = RawDir::new(&folder, buffer.spare_capacity_mut());
    let mut files = 0;
    while let Some(Ok(entry)) = entries.next() {
        if files == MAX_HELD {
            break;
        }
        let name = entry.file_name();
        if name.to_bytes().starts_with(b".") {
            continue;
        }
        files += 1;
        let mut target = [0; 64];
        let Ok(length) = readlinkat_raw(&folder, name, &mut target[..]) else { continue };
        let inode = target[..length].strip_prefix(b"socket:[").and_then(|t| t.strip_suffix(b"]"));
        if let Some(inode) = inode.and_then(text::number) {
            tell(inode);
        }
    }
    files
}

/// Addresses that a process listens on, each once; `folder` is `/proc/PID`.
pub fn addresses(folder: &Path) -> Vec<SocketAddr> {
    let listeners = listeners(&folder.join("net")).unwrap_or_default();
    let mut addresses = Vec::new();
    if !listeners.is_empty() {
        held_by(folder, |inode| {
            let held = listeners.iter().filter(|listener| listener.inode == inode);
            addresses.extend(held.map(|listener| listener.address));
        });
    }
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n";

    fn line(local: &str, state: &str, inode: u64) -> String {
        format!(
            "   0: {local} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  1000 \
             0 {inode} 1 00000000fc68ccf6 100 0 0 10 0\n"
        )
    }

    #[test]
    fn those_that_listen_are_read_and_connections_end_the_table() {
        let dir = tempfile::tempdir().unwrap();
        // On a machine of the other byte order the kernel writes the words the other way round.
        let host = format!("{:08X}", u32::from_ne_bytes([127, 0, 0, 1]));
        let v6 = format!("{:0>24}{:08X}", "", u32::from_ne_bytes([0, 0, 0, 1]));
        let many: String = (1..100).map(|n| line(&format!("{host}:1F90"), "0A", n)).collect();
        let connected = line(&format!("{host}:9C40"), "01", 500);
        let hidden = line(&format!("{host}:0050"), "0A", 600);
        fs::write(dir.path().join("tcp"), format!("{HEAD}{many}{connected}{hidden}")).unwrap();
        let found = listeners(dir.path()).unwrap();
        assert_eq!(found.len(), 99, "without the table of IPv6");
        let first = Listener { inode: 1, address: "127.0.0.1:8080".parse().unwrap() };
        assert_eq!(found[0], first);
        fs::write(dir.path().join("tcp6"), HEAD.to_owned() + &line(&(v6 + ":2CAA"), "0A", 7))
            .unwrap();
        let last = Listener { inode: 7, address: "[::1]:11434".parse().unwrap() };
        assert_eq!(listeners(dir.path()).unwrap().last(), Some(&last));
        fs::remove_file(dir.path().join("tcp")).unwrap();
        assert_eq!(listeners(dir.path()), None, "what cannot be read is not nothing");
    }

    #[test]
    fn sockets_in_use_are_counted_of_both_families() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(in_use(dir.path()), None);
        let v4 = "sockets: used 90\nTCP: inuse 5 orphan 0 tw 2 alloc 9 mem 1\nUDP: inuse 4\n";
        fs::write(dir.path().join("sockstat"), v4).unwrap();
        assert_eq!(in_use(dir.path()), Some(5));
        fs::write(dir.path().join("sockstat6"), "TCP6: inuse 3\nUDP6: inuse 2\n").unwrap();
        assert_eq!(in_use(dir.path()), Some(8));
    }

    #[test]
    fn the_sockets_that_this_process_holds_are_told_among_many_files() {
        let files: Vec<File> = (0..300).map(|_| File::open("/dev/null").unwrap()).collect();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let link = fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd())).unwrap();
        let mut held = Vec::new();
        let followed = held_by(Path::new("/proc/self"), |inode| held.push(inode));
        assert!(followed > files.len(), "{followed}");
        assert!(held.iter().any(|inode| format!("socket:[{inode}]") == link.to_str().unwrap()));
        let address = listener.local_addr().unwrap();
        assert!(addresses(Path::new("/proc/self")).contains(&address));
        assert_eq!(held_by(Path::new("/proc/none"), |_| unreachable!()), 0);
    }

    proptest! {
        #[test]
        fn garbage_is_no_listener_and_no_panic(bytes: Vec<u8>, text: String) {
            prop_assert!(!matches!(parse(&bytes), Line::Listens(_)));
            address(text.as_bytes());
        }
    }
}
