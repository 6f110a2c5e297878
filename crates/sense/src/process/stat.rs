//! `/proc/PID/stat`, the one file that is read of every process at every scan.

use crate::text;

/// Flag of the kernel's own threads (`PF_KTHREAD`).
const KERNEL_THREAD: u64 = 0x0020_0000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat<'a> {
    /// The kernel's name of it: at most 15 bytes, a process may change it.
    pub comm: &'a [u8],
    pub parent: i32,
    /// Number of the first process of its group.
    pub group: i32,
    pub kernel: bool,
    /// Ended, and its parent has not asked yet how.
    pub zombie: bool,
    /// Time in user and kernel mode, in clock ticks.
    pub cpu_ticks: u64,
    pub nice: i32,
    pub threads: u32,
    /// After the start of the machine, in clock ticks.
    pub started_ticks: u64,
    pub rss_pages: u64,
}

// === impl Stat ===

impl<'a> Stat<'a> {
    /// The name stands in brackets and may itself hold blanks and brackets.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let open = bytes.iter().position(|&b| b == b'(')?;
        let close = bytes.iter().rposition(|&b| b == b')')?;
        let comm = bytes.get(open + 1..close)?;
        let mut words = text::words(bytes.get(close + 1..)?.trim_ascii());
        let state = words.next()?;
        let parent = text::signed(words.next()?)?.try_into().ok()?;
        let group = text::signed(words.next()?)?.try_into().ok()?;
        let flags = text::number(words.nth(3)?)?;
        let user = text::number(words.nth(4)?)?;
        let system = text::number(words.next()?)?;
        let nice = text::signed(words.nth(3)?)?.try_into().ok()?;
        let threads = text::number(words.next()?)?.try_into().ok()?;
        let started_ticks = text::number(words.nth(1)?)?;
        let rss_pages = text::signed(words.nth(1)?)?.try_into().unwrap_or(0);
        Some(Self {
            comm,
            parent,
            group,
            kernel: flags & KERNEL_THREAD != 0,
            zombie: state == b"Z",
            cpu_ticks: user.saturating_add(system),
            nice,
            threads,
            started_ticks,
            rss_pages,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_is_read_whole() {
        let line = b"4242 (a (b) c) S 17 4242 4242 0 -1 4194304 1 2 3 4 150 50 9 9 20 -5 12 0 \
                     987654 1000000 2048 18446744073709551615 1 1\n";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(stat.comm, b"a (b) c");
        assert_eq!((stat.parent, stat.group), (17, 4242));
        assert_eq!((stat.kernel, stat.zombie), (false, false));
        assert_eq!((stat.cpu_ticks, stat.nice, stat.threads), (200, -5, 12));
        assert_eq!((stat.started_ticks, stat.rss_pages), (987_654, 2048));
    }

    #[test]
    fn a_thread_of_the_kernel_is_told_by_its_flag() {
        let line = b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 3 0 0 1\n";
        assert!(Stat::parse(line).unwrap().kernel);
    }

    proptest! {
        #[test]
        fn garbage_is_no_process_and_no_panic(bytes: Vec<u8>) {
            Stat::parse(&bytes);
        }

        #[test]
        fn a_line_cut_anywhere_is_no_panic(cut in 0usize..90, name in "[() a]{0,15}") {
            let line = format!("1 ({name}) S 0 1 1 0 -1 4194560 9 9 9 9 9 9 9 9 20 0 1 0 30 9 9 1");
            Stat::parse(&line.as_bytes()[..cut.min(line.len())]);
        }
    }
}
