//! Requests, bodies and answers as clients and servers write them, and what chance makes of them.
//!
//! `corpus/` holds them by kind; those that begin with `llama-cpp` are recorded from a real
//! server. The tests of the readers change them at random: 5,000 bodies and forms and 1,000
//! answers in the ordinary tests (`PLIMSOLL_FUZZ_ROUNDS` says otherwise), and for ten minutes
//! each (`PLIMSOLL_FUZZ_S`) where `cargo test -p plimsoll-gateway -- --ignored fuzz` asks for
//! it. Each round has its own seed, which a failure names.

use std::{
    env, fs,
    path::Path,
    time::{Duration, Instant},
};

/// Longest text that is made.
const MOST: usize = 256 << 10;

/// What readers stumble over.
const PIECES: [&[u8]; 35] = [
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"\n\n",
    b"data: ",
    b"data:{\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n",
    b"event: response.completed\n",
    b": comment\n",
    b"data: [DONE]\n\n",
    b"\"model\":\"x\",",
    b"\"Model\":\"y\",",
    b"\"stream\":true,",
    b"\"stream_options\":{\"include_usage\":false},",
    b"\"usage\":{\"completion_tokens\":4294967296},",
    b"\"choices\":[],",
    b"\\ud800",
    b"\\",
    b"\"",
    b"{",
    b"}",
    b"[[[[[[[[",
    b"null",
    b"-1e999",
    b"\xff",
    b"\xe2\x80",
    b"--plimsoll-corpus",
    b"--plimsoll-corpus--",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 5\r\n",
    b"Host: evil.example\r\n",
    b"Connection: close, x\r\n",
    b"GET http://h/ HTTP/1.1\r\n",
    b"0\r\n\r\n",
    b"%00",
    b"Content-Disposition: form-data; name=\"model\"\r\n\r\n",
];

/// The files of one kind, by name.
pub fn files(kind: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(kind);
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// The same numbers for the same seed.
pub struct Chance(u64);

// === impl Chance ===

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`; 0 where that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap()
    }

    pub fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let place = self.below(of.len());
        &of[place]
    }

    fn range(&mut self, of: usize) -> std::ops::Range<usize> {
        let from = self.below(of + 1);
        let most = if self.below(4) == 0 { of - from } else { (of - from).min(16) };
        from..from + self.below(most + 1)
    }
}

/// One of the files, with some changes.
pub fn changed(files: &[(String, Vec<u8>)], chance: &mut Chance) -> Vec<u8> {
    let mut text = chance.one_of(files).1.clone();
    for _ in 0..chance.below(6) {
        let range = chance.range(text.len());
        match chance.below(7) {
            0 if !text.is_empty() => {
                let place = chance.below(text.len());
                text[place] ^= 1 << chance.below(8);
            }
            1 if !text.is_empty() => {
                let place = chance.below(text.len());
                text[place] = *chance.one_of(b"{}[]\",:\\\r\n \0aA0-\xff");
            }
            2 => drop(text.drain(range)),
            3 => {
                let again = text[range.clone()].to_vec();
                text.splice(range.end..range.end, again);
            }
            4 => {
                let other = &chance.one_of(files).1;
                let from = chance.range(other.len());
                text.splice(range, other[from].iter().copied());
            }
            5 => text.truncate(range.end),
            _ => {
                drop(text.splice(range.start..range.start, chance.one_of(&PIECES).iter().copied()));
            }
        }
        text.truncate(MOST);
    }
    text
}

/// Calls it for each round of the ordinary tests.
pub fn rounds(usual: u64, mut each: impl FnMut(u64)) {
    let rounds = env::var("PLIMSOLL_FUZZ_ROUNDS").ok().and_then(|n| n.parse().ok());
    (0..rounds.unwrap_or(usual)).for_each(&mut each);
}

/// Calls it for as long as the long run takes; how often it did.
pub fn long_run(mut each: impl FnMut(u64)) -> u64 {
    let seconds = env::var("PLIMSOLL_FUZZ_S").ok().and_then(|s| s.parse().ok());
    let (begin, mut round) = (Instant::now(), 1 << 32);
    while begin.elapsed() < Duration::from_secs(seconds.unwrap_or(600)) {
        each(round);
        round += 1;
    }
    round - (1 << 32)
}
