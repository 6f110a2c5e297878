//! From bytes to lines as a person sees them in a terminal: without colours and
//! other control sequences, a progress bar as its last state, never too long.

/// Longest line, in bytes; a cut one ends with `…`.
pub const MAX_LINE: usize = 4 << 10;

/// Takes bytes as they come; lines go out whole.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    line: Vec<u8>,
    cut: bool,
    /// A carriage return came: what follows overwrites the line, unless it ends it.
    returned: bool,
    escape: Escape,
    /// Where the line began is not known: it is left out.
    within: bool,
}

/// Where in a control sequence the last byte stood.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Escape {
    #[default]
    No,
    Begun,
    /// `ESC [`: up to a letter.
    Sequence,
    /// `ESC (`: one more byte names a set of letters.
    Letters,
    /// `ESC ]`: up to a bell, or the next escape.
    Title,
}

// === impl Splitter ===

impl Splitter {
    pub fn begins_within(&mut self, within: bool) {
        *self = Self { within, ..Self::default() };
    }

    pub fn split(&mut self, bytes: &[u8], take: &mut impl FnMut(String)) {
        for &byte in bytes {
            if byte == b'\n' {
                let text = self.text();
                if !self.within {
                    take(text);
                }
                *self = Self::default();
            } else if !self.swallowed(byte) {
                self.push(byte);
            }
        }
    }

    /// What stands in the line that was not ended.
    pub fn finish(&mut self) -> Option<String> {
        let last = std::mem::take(self);
        (!last.line.is_empty() && !last.within).then(|| last.text())
    }

    fn push(&mut self, byte: u8) {
        if std::mem::take(&mut self.returned) {
            self.line.clear();
            self.cut = false;
        }
        if self.line.len() < MAX_LINE - '…'.len_utf8() {
            self.line.push(byte);
        } else {
            self.cut = true;
        }
    }

    /// Whether the byte belongs to no text.
    fn swallowed(&mut self, byte: u8) -> bool {
        let (next, swallowed) = match (self.escape, byte) {
            (_, 0x1b) => (Escape::Begun, true),
            (Escape::Begun, b'[') => (Escape::Sequence, true),
            (Escape::Begun, b']') => (Escape::Title, true),
            (Escape::Begun, b'(' | b')') => (Escape::Letters, true),
            (Escape::Begun | Escape::Letters, _) => (Escape::No, true),
            (Escape::Sequence, 0x40..=0x7e) => (Escape::No, true),
            (Escape::Sequence, _) => (Escape::Sequence, true),
            (Escape::Title, 0x07) => (Escape::No, true),
            (Escape::Title, _) => (Escape::Title, true),
            (Escape::No, b'\r') => {
                self.returned = true;
                (Escape::No, true)
            }
            (Escape::No, b'\t') => (Escape::No, false),
            (Escape::No, 0..=0x1f | 0x7f) => (Escape::No, true),
            (Escape::No, _) => (Escape::No, false),
        };
        self.escape = next;
        swallowed
    }

    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.line);
        // C1 controls are two bytes in UTF-8, and steer some terminals, too.
        let mut text: String = text
            .chars()
            .map(|c| if c == '\t' { ' ' } else { c })
            .filter(|c| !c.is_control())
            .collect();
        let mut end = text.len().min(MAX_LINE - '…'.len_utf8());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        // Bytes that are no text became longer.
        if self.cut || end < text.len() {
            text.truncate(end);
            text.push('…');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(parts: &[&[u8]]) -> Vec<String> {
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        for part in parts {
            splitter.split(part, &mut |line| lines.push(line));
        }
        lines.extend(splitter.finish());
        lines
    }

    #[test]
    fn a_terminal_is_steered_by_nothing_that_is_kept() {
        assert_eq!(lines(&[b"\x1b[1;31merror\x1b[0m: no\r\n"]), ["error: no"]);
        assert_eq!(lines(&[b"\x1b]0;title\x07a\x1b(B\tb\x00\x08c\n"]), ["a bc"]);
        assert_eq!(lines(&["a\u{9b}31mb\n".as_bytes()]), ["a31mb"]);
        // An escape that is cut in two is one all the same.
        assert_eq!(lines(&[b"a\x1b", b"[3", b"1mb\n"]), ["ab"]);
    }

    #[test]
    fn a_progress_bar_is_its_last_state() {
        assert_eq!(
            lines(&[b"load 1 %\rload 50 %\rload 100 %\r\nready\n"]),
            ["load 100 %", "ready"]
        );
        assert_eq!(lines(&[b"10 %\r", b"20 %"]), ["20 %"]);
    }

    #[test]
    fn a_line_without_end_is_cut_and_its_rest_is_gone() {
        let long = vec![b'x'; 100_000];
        let all = lines(&[&long, &long, b"\nnext\n"]);
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].len(), MAX_LINE);
        assert!(all[0].ends_with("x…"));
        let no_text = vec![0xff; 5000];
        let all = lines(&[&no_text, b"\n"]);
        assert!(all[0].len() <= MAX_LINE && all[0].ends_with("\u{fffd}…"));
    }

    proptest! {
        #[test]
        fn whatever_is_written_in_whatever_parts_is_the_same_clean_lines(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0x1b), Just(b'\n')], 0..300),
            cut in 0usize..300,
        ) {
            let whole = lines(&[&bytes]);
            let (a, b) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(&whole, &lines(&[a, b]));
            for line in whole {
                prop_assert!(line.len() <= MAX_LINE && !line.chars().any(char::is_control));
            }
        }
    }
}
