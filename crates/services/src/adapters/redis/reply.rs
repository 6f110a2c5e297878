//! The replies of Redis's protocol, as far as they are needed: a line, an error,
//! or a text of announced length.

/// Longest line that a reply may begin with; the refusal of the protected mode
/// has some 900 bytes.
const LONGEST_LINE: usize = 4096;

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Text(String),
    /// E.g. `NOAUTH Authentication required.`
    Refusal(String),
}

/// What has come of an answer so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// More is to come.
    Part,
    /// All that was asked for, or a refusal after which nothing more comes.
    Whole(Vec<Reply>),
    /// Not of this protocol, or more than is taken; in words.
    Strange(String),
}

/// Reads `wanted` replies of at most `most` bytes each.
pub(super) fn read(mut bytes: &[u8], wanted: usize, most: usize) -> Heard {
    let mut replies = Vec::new();
    while replies.len() < wanted {
        let Some(&kind) = bytes.first() else { return Heard::Part };
        if !b"+-$=".contains(&kind) {
            return Heard::Strange("it is not a reply of Redis".into());
        }
        let window = &bytes[..bytes.len().min(LONGEST_LINE)];
        let Some(end) = window.windows(2).position(|two| two == b"\r\n") else {
            if bytes.len() >= LONGEST_LINE {
                return Heard::Strange("its first line does not end".into());
            }
            return Heard::Part;
        };
        let line = String::from_utf8_lossy(&bytes[1..end]).into_owned();
        let rest = &bytes[end + 2..];
        match kind {
            b'-' => {
                let last = ends_the_talk(&line);
                replies.push(Reply::Refusal(line));
                if last {
                    return Heard::Whole(replies);
                }
                bytes = rest;
            }
            b'+' => {
                replies.push(Reply::Text(line));
                bytes = rest;
            }
            // `=` is the third protocol's text with a word on its format before it.
            _ => match (line.as_str(), line.parse::<usize>()) {
                ("-1", _) => {
                    replies.push(Reply::Text(String::new()));
                    bytes = rest;
                }
                (_, Ok(length)) if length > most => {
                    return Heard::Strange(format!("it announces {length} bytes"));
                }
                (_, Ok(length)) => {
                    let Some(text) = rest.get(..length) else { return Heard::Part };
                    match rest.get(length..length + 2) {
                        None => return Heard::Part,
                        Some(b"\r\n") => {}
                        Some(_) => return Heard::Strange("its text has not its length".into()),
                    }
                    let text = String::from_utf8_lossy(text);
                    let text = if kind == b'=' { text.get(4..).unwrap_or_default() } else { &text };
                    replies.push(Reply::Text(text.into()));
                    bytes = &rest[length + 2..];
                }
                (_, Err(_)) => return Heard::Strange("it announces no length".into()),
            },
        }
    }
    Heard::Whole(replies)
}

/// Refusals that come at once, whatever was asked, before the connection is closed.
fn ends_the_talk(refusal: &str) -> bool {
    refusal.starts_with("DENIED") || refusal.starts_with("ERR max number of clients")
}

/// A command in the form that takes any bytes.
pub(super) fn command(words: &[&str]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(bytes: &[u8], wanted: usize) -> Vec<Reply> {
        match read(bytes, wanted, 1000) {
            Heard::Whole(replies) => replies,
            other => panic!("{other:?}"),
        }
    }

    fn strange(bytes: &[u8]) -> bool {
        matches!(read(bytes, 1, 1000), Heard::Strange(_))
    }

    #[test]
    fn replies_are_read_one_after_the_other() {
        let text = |t: &str| Reply::Text(t.into());
        assert_eq!(whole(b"+OK\r\n$4\r\na:1\n\r\n", 2), [text("OK"), text("a:1\n")]);
        assert_eq!(whole(b"=7\r\ntxt:a:1\r\n", 1), [text("a:1")]);
        assert_eq!(whole(b"$-1\r\n", 1), [text("")]);
        assert_eq!(whole(b"$0\r\n\r\n", 1), [text("")]);
        let refusal = Reply::Refusal("ERR no password is set".into());
        assert_eq!(whole(b"-ERR no password is set\r\n+x\r\n", 2), [refusal, text("x")]);
    }

    #[test]
    fn a_refusal_before_the_connection_closes_is_the_whole_answer() {
        assert_eq!(whole(b"-ERR max number of clients reached\r\n", 2).len(), 1);
        assert_eq!(whole(b"-DENIED Redis is running in protected mode\r\n", 2).len(), 1);
    }

    #[test]
    fn every_beginning_of_an_answer_is_a_part_of_it() {
        let answer = b"+OK\r\n$6\r\na:1\r\nb\r\n";
        for end in 0..answer.len() {
            assert_eq!(read(&answer[..end], 2, 1000), Heard::Part, "{end}");
        }
    }

    #[test]
    fn what_is_not_of_this_protocol_is_known_by_its_first_bytes() {
        assert!(strange(b"HTTP/1.1 400 Bad Request\r\n"));
        assert!(strange(b"SSH-2.0-OpenSSH_9.2\r\n"));
        assert!(strange(b"ERROR\r\n"));
        assert!(strange(b"$99999999999\r\n"));
        assert!(strange(b"$-2\r\n"));
        assert!(strange(b"$x\r\n"));
        assert!(strange(b"$1\r\nab\r\n"));
        assert!(strange(&[b'+'; 5000]));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes, 2, 100);
        }

        #[test]
        fn nothing_that_is_nearly_a_reply_panics(
            text in "([-+$=][0-9-]{0,3}[a-z]{0,3}(\r\n|\r|\n)?[a-zé]{0,4}(\r\n)?){0,4}",
        ) {
            let _ = read(text.as_bytes(), 3, 100);
        }
    }

    #[test]
    fn a_command_holds_its_words_whatever_they_are() {
        assert_eq!(command(&["AUTH", "a b"]), b"*2\r\n$4\r\nAUTH\r\n$3\r\na b\r\n");
    }
}
