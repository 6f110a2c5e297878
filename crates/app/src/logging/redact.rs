//! Taking out what a bug report or a log must not hold.
//!
//! [`secrets`] takes out what opens a door: keys, tokens, passwords. It runs
//! over every log line. [`Redactor`] takes out who and where as well: home
//! folders, user and host names, addresses, the GPU's serial identity.

use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;

/// Stands where a secret stood.
const SECRET: &str = "[secret]";

/// Names whose values are secrets, as part of a pattern.
const NAMES: &str = concat!(
    r"[A-Za-z0-9_-]*(?:password|passwd|secret|api[_-]?key|access[_-]?key|auth[_-]?key|",
    r"private[_-]?key|credential|cookie|token)|authorization|pwd"
);

/// A pattern of this file; each is built by a test.
fn pattern(text: &str) -> Regex {
    #[expect(clippy::expect_used, reason = "constant patterns, each built by the tests below")]
    Regex::new(text).expect("a pattern of this file")
}

static SECRETS: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    vec![
        // Private keys, whole.
        (
            pattern(
                r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)",
            ),
            SECRET,
        ),
        // user:password@ in an address.
        (pattern(r"(://)[^\s/@:]*:[^\s/@]*@"), "${1}[secret]@"),
        // Authorization headers, whatever their scheme.
        (pattern(r#"(?i)\b(bearer|basic|digest)[ ]+[A-Za-z0-9._~+/=-]{6,}"#), "${1} [secret]"),
        // name = "value", 'name': 'value': whatever stands between the quotes.
        (
            pattern(&format!(
                r#"(?i)((?:^|[^A-Za-z0-9])(?:{NAMES})["']?\s*[=:]\s*)(?:"(?:[^"\\\n]|\\.)+"|'[^'\n]+')"#
            )),
            "${1}\"[secret]\"",
        ),
        // name = value, name: value, --name=value, ?name=value
        (
            pattern(&format!(
                r#"(?i)((?:^|[^A-Za-z0-9])(?:{NAMES})["']?\s*[=:]\s*["']?)([^\s"',;&\[\]{{}}()]{{3,}})"#
            )),
            "${1}[secret]",
        ),
        (
            pattern(r"(?i)(--?(?:[a-z0-9-]*(?:api-key|token|password|secret)))[ ]+[^\s-]\S*"),
            "${1} [secret]",
        ),
        // Tokens that are known by their beginning.
        (
            pattern(
                r"\b(?:sk-[A-Za-z0-9_-]{8,}|hf_[A-Za-z0-9]{8,}|gh[pousr]_[A-Za-z0-9]{8,}|github_pat_[A-Za-z0-9_]{8,}|glpat-[A-Za-z0-9_-]{8,}|xox[abprs]-[A-Za-z0-9-]{8,}|AKIA[A-Z0-9]{12,}|AIza[A-Za-z0-9_-]{20,}|nvapi-[A-Za-z0-9_-]{8,}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?)",
            ),
            SECRET,
        ),
    ]
});

/// A rough and cheap look: most lines hold nothing that any pattern is about.
fn may_hold_a_secret(text: &str) -> bool {
    const HINTS: [&str; 20] = [
        "key",
        "token",
        "secret",
        "passw",
        "pwd",
        "auth",
        "cookie",
        "credential",
        "bearer",
        "basic",
        "digest",
        "://",
        "sk-",
        "hf_",
        "gh",
        "glpat",
        "xox",
        "akia",
        "aiza",
        "eyj",
    ];
    let lower = text.to_ascii_lowercase();
    HINTS.iter().any(|hint| lower.contains(hint)) || lower.contains("nvapi")
}

/// The text without keys, tokens and passwords.
pub fn secrets(text: &str) -> Cow<'_, str> {
    if !may_hold_a_secret(text) {
        return Cow::Borrowed(text);
    }
    let mut now = Cow::Borrowed(text);
    for (pattern, by) in SECRETS.iter() {
        if let Cow::Owned(changed) = pattern.replace_all(&now, *by) {
            now = Cow::Owned(changed);
        }
    }
    now
}

static PLACES: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    vec![
        (pattern(r#"(/home/|/Users/|/var/home/)[^\s/"':;,]+"#), "${1}[user]"),
        (pattern(r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}\b"), "[mail]"),
        (pattern(r"\b(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}\b"), "[mac]"),
        // IPv6 as it is given out: global, unique local and link local.
        (
            pattern(r"(?i)\b(?:[23][0-9a-f]{3}|f[cd][0-9a-f]{2}|fe80)(?::[0-9a-f]{0,4}){2,7}"),
            "[address]",
        ),
        (
            pattern(r"\b(GPU-|MIG-)?[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"),
            "${1}[id]",
        ),
    ]
});

static ADDRESS: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\b"));

/// Takes out secrets and whatever names this person or machine.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// Text and what stands in its place, longest first.
    names: Vec<(Regex, &'static str)>,
}

// === impl Redactor ===

impl Redactor {
    /// Knows this person's home and name, and this machine's.
    pub fn of_this_machine() -> Self {
        let variable = |name| std::env::var(name).unwrap_or_default();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self::of(&variable("HOME"), &variable("USER"), &host)
    }

    pub fn of(home: &str, user: &str, host: &str) -> Self {
        let mut names = Vec::new();
        let mut add = |text: String, by| names.extend(Regex::new(&text).map(|r| (r, by)));
        let home = home.trim_end_matches('/');
        if home.len() > 1 {
            add(format!(r"{}(/|\b|$)", regex::escape(home)), "[home]${1}");
        }
        let short = host.split('.').next().unwrap_or_default();
        // Names that say nothing of anybody, and words too short to be looked for.
        let tells = |name: &str| {
            name.len() >= 3 && !["root", "user", "localhost", "plimsoll"].contains(&name)
        };
        for name in [host, short] {
            if tells(name) {
                add(format!(r"(?i)\b{}\b", regex::escape(name)), "[host]");
            }
        }
        if tells(user) {
            add(format!(r"\b{}\b", regex::escape(user)), "[user]");
        }
        Self { names }
    }

    pub fn redact(&self, text: &str) -> String {
        let mut now = secrets(text).into_owned();
        for (pattern, by) in self.names.iter().chain(PLACES.iter()) {
            if let Cow::Owned(changed) = pattern.replace_all(&now, *by) {
                now = changed;
            }
        }
        let changed = ADDRESS.replace_all(&now, |found: &regex::Captures<'_>| {
            let parts: Vec<u32> = (1..=4).filter_map(|n| found[n].parse().ok()).collect();
            // Loopback says nothing, and a version of four parts is no address.
            let address = parts.iter().all(|p| *p <= 255) && !matches!(parts[0], 0 | 127);
            if address { "[address]".to_string() } else { found[0].to_string() }
        });
        changed.into_owned()
    }
}

/// [`Redactor::redact`] for this machine.
pub fn redact(text: &str) -> String {
    static THIS: LazyLock<Redactor> = LazyLock::new(Redactor::of_this_machine);
    THIS.redact(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_opens_a_door_is_taken_out() {
        for (text, rest) in [
            ("api_key = \"abc123def\"", "api_key = \"[secret]\""),
            ("OPENAI_API_KEY=sk-abcdefgh12345678", "OPENAI_API_KEY=[secret]"),
            ("used sk-proj-abcdefgh12345678 here", "used [secret] here"),
            ("Authorization: Bearer abc.def.ghi", "Authorization: [secret] [secret]"),
            ("got bearer abcdefghij", "got bearer [secret]"),
            ("redis://me:hunter2@db:6379/0", "redis://[secret]@db:6379/0"),
            ("GET /?token=abcdef&x=1", "GET /?token=[secret]&x=1"),
            ("llama-server --api-key hunter22 -np 4", "llama-server --api-key [secret] -np 4"),
            ("{\"password\":\"p4ss word\"}", "{\"password\":\"[secret]\"}"),
            ("api_key = 'abc123def x'", "api_key = \"[secret]\""),
            ("{'token': 'abcdef', 'n': 1}", "{'token': \"[secret]\", 'n': 1}"),
            ("hf_abcdefghijkl and ghp_abcdefghij", "[secret] and [secret]"),
            ("eyJhbGciOiJIUzI1.eyJzdWIi.sig", "[secret]"),
        ] {
            let found = secrets(text);
            for word in ["hunter2", "abc123def", "abcdef", "p4ss", "eyJ"] {
                assert!(!found.contains(word), "{text} → {found}");
            }
            if !text.starts_with("Authorization") {
                assert_eq!(found, rest);
            }
        }
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----\nrest";
        assert_eq!(secrets(key), "[secret]\nrest");
    }

    #[test]
    fn an_ordinary_line_is_left_as_it_is() {
        for text in [
            "tokens=128 prompt_tokens_total 12",
            "sealed 200 chunks in 15 ms",
            "gpu.vram.used 1073741824",
            "history.keep.raw_hours 48 → 24",
            "the key stands in the file twice",
        ] {
            assert_eq!(secrets(text), text);
        }
    }

    #[test]
    fn who_and_where_is_taken_out() {
        let redactor = Redactor::of("/data/ada", "ada", "lovelace.lan");
        let redacted = redactor.redact(
            "/data/ada/models on lovelace and lovelace.lan by ada, adaptive; /home/bob/x \
             bob@example.org 192.168.1.7:80 127.0.0.1:1876 [::1]:1876 aa:bb:cc:dd:ee:ff \
             [2001:db8::7]:80 fe80::1ff:fe23:4567:890a%eth0 \
             GPU-01234567-89ab-cdef-0123-456789abcdef driver 550.54.14",
        );
        assert_eq!(
            redacted,
            "[home]/models on [host] and [host] by [user], adaptive; /home/[user]/x \
             [mail] [address]:80 127.0.0.1:1876 [::1]:1876 [mac] \
             [[address]]:80 [address]%eth0 GPU-[id] driver 550.54.14"
        );
    }

    #[test]
    fn names_that_say_nothing_are_left() {
        let redactor = Redactor::of("/root", "root", "localhost");
        assert_eq!(redactor.redact("root on localhost: /root/x"), "root on localhost: [home]/x");
        assert_eq!(Redactor::of("/", "", "").redact("a / b"), "a / b");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn no_text_panics_and_twice_is_once(text in "\\PC{0,80}") {
            let redactor = Redactor::of("/home/ada", "ada", "lovelace");
            let once = redactor.redact(&text);
            prop_assert_eq!(redactor.redact(&once), once);
        }
    }
}
