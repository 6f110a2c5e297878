//! The protocol of Redis, as far as commands go: arrays of texts, or words in a line.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::Shop;

/// Longest command that is taken.
const MOST_BYTES: usize = 64 << 10;
/// Most words of a command.
const MOST_WORDS: usize = 1024;

/// What stands at the beginning of what came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A command, and its length in bytes. One without a word is passed over.
    Command(Vec<String>, usize),
    /// More has to come.
    Part,
    /// Nobody can read on.
    Strange(&'static str),
}

/// Answers commands until somebody hangs up.
pub(super) async fn converse(shop: &Shop, mut stream: TcpStream) {
    let mut came = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match read(&came) {
            Heard::Command(words, length) => {
                came.drain(..length);
                if words.is_empty() {
                    continue;
                }
                let Some(reply) = shop.with(|store| store.reply(&words)) else { return };
                let over = words[0].eq_ignore_ascii_case("quit");
                if stream.write_all(reply.as_bytes()).await.is_err() || over {
                    return;
                }
            }
            Heard::Strange(why) => {
                let refusal = format!("-ERR Protocol error: {why}\r\n");
                let _ = stream.write_all(refusal.as_bytes()).await;
                return;
            }
            Heard::Part => match stream.read(&mut chunk).await {
                Ok(n) if n > 0 => came.extend_from_slice(&chunk[..n]),
                _ => return,
            },
        }
    }
}

/// The first command of what came in.
pub(super) fn read(came: &[u8]) -> Heard {
    let whole = if came.first() == Some(&b'*') { array(came) } else { inline(came) };
    match whole {
        Ok(Some((words, length))) => Heard::Command(words, length),
        Ok(None) if came.len() >= MOST_BYTES => Heard::Strange("too big mbulk count string"),
        Ok(None) => Heard::Part,
        Err(why) => Heard::Strange(why),
    }
}

type Whole = Result<Option<(Vec<String>, usize)>, &'static str>;

fn inline(came: &[u8]) -> Whole {
    let Some((line, length)) = line(came, 0) else { return Ok(None) };
    let words = String::from_utf8_lossy(line);
    Ok(Some((words.split_whitespace().take(MOST_WORDS).map(str::to_owned).collect(), length)))
}

fn array(came: &[u8]) -> Whole {
    let Some((head, mut at)) = line(came, 0) else { return Ok(None) };
    let count = number(head).filter(|n| *n <= MOST_WORDS).ok_or("invalid multibulk length")?;
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        let Some((head, from)) = line(came, at) else { return Ok(None) };
        if head.first() != Some(&b'$') {
            return Err("expected '$'");
        }
        let long = number(head).filter(|n| *n <= MOST_BYTES).ok_or("invalid bulk length")?;
        let Some(word) = came.get(from..from + long) else { return Ok(None) };
        if came.len() < from + long + 2 {
            return Ok(None);
        }
        words.push(String::from_utf8_lossy(word).into_owned());
        at = from + long + 2;
    }
    Ok(Some((words, at)))
}

/// The line that begins there without its end, and where the next one begins.
fn line(came: &[u8], from: usize) -> Option<(&[u8], usize)> {
    let rest = came.get(from..)?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let line = &rest[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), from + end + 1))
}

/// The number after the sign of a line.
fn number(line: &[u8]) -> Option<usize> {
    std::str::from_utf8(line.get(1..)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str], length: usize) -> Heard {
        Heard::Command(words.iter().map(ToString::to_string).collect(), length)
    }

    #[test]
    fn commands_come_as_arrays_or_in_a_line_and_in_parts() {
        let whole = b"*2\r\n$4\r\nINFO\r\n$6\r\nmemory\r\nPING\r\n";
        assert_eq!(read(whole), words(&["INFO", "memory"], 26));
        assert_eq!(read(&whole[26..]), words(&["PING"], 6));
        assert!((0..26).all(|end| read(&whole[..end]) == Heard::Part));
        assert_eq!(read(b"\r\n"), words(&[], 2));
        assert_eq!(read(b"*0\r\n"), words(&[], 4));
    }

    #[test]
    fn what_is_no_command_is_refused_and_bounded() {
        assert_eq!(read(b"*x\r\n"), Heard::Strange("invalid multibulk length"));
        assert_eq!(read(b"*99999\r\n"), Heard::Strange("invalid multibulk length"));
        assert_eq!(read(b"*1\r\n:1\r\n"), Heard::Strange("expected '$'"));
        assert_eq!(read(b"*1\r\n$-1\r\n"), Heard::Strange("invalid bulk length"));
        let long = vec![b'x'; MOST_BYTES];
        assert!(matches!(read(&long), Heard::Strange(_)));
    }
}
