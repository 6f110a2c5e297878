//! By what a service is known again when its port or its process is another.
//!
//! **Surely the same** are two sightings of one kind, both in a container or both
//! not, that nothing speaks against (two containers, two units, two users, two
//! models) and something speaks for:
//! - the name of the container, or
//! - the unit of systemd, or
//! - the same program with the same command line, its port left out of it, or
//! - where the program is not told: the same model.
//!
//! That two of them run at once makes them two services all the same; this is
//! judged in [`super::known`], which knows what else is there.

use serde::{Deserialize, Serialize};

use super::{candidates::Candidate, identify::Sighting};
use crate::kind::ServiceKind;

/// Longest text that is kept of any of them, in characters.
const LONGEST: usize = 120;

/// What is kept of a service to know it again. Written to disk by the caller: it
/// holds no command line, which may hold a key, but a number made from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    pub kind: ServiceKind,
    /// In a container, whether its name is known or not.
    #[serde(default)]
    pub contained: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Sixteen hex digits that stand for the command line without its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// The name that the adapter proposed, e.g. that of its only model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

// === impl Signature ===

impl Signature {
    pub fn of(sighting: &Sighting) -> Self {
        let Candidate { key, runner, container, .. } = &sighting.candidate;
        // What a container publishes can change without a change inside it.
        let port = container.as_ref().map_or(key.port, |within| within.inner_port);
        let runner = runner.as_ref();
        let text = |text: &str| {
            let text: String = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
            (!text.is_empty()).then_some(text)
        };
        Self {
            kind: sighting.identity.kind,
            contained: container.is_some(),
            container: container.as_ref().and_then(|within| text(within.name.as_deref()?)),
            unit: runner.and_then(|runner| text(runner.unit.as_deref()?)),
            user: runner.and_then(|runner| text(&runner.user)),
            program: runner.and_then(|runner| text(&runner.name)),
            line: runner.and_then(|runner| line(&runner.command, port)),
            model: sighting.identity.name.as_deref().and_then(text),
        }
    }

    /// Whether something speaks for it that both are one service, and nothing against it.
    pub fn is_same(&self, other: &Signature) -> bool {
        if self.kind != other.kind
            || self.contained != other.contained
            || differ(&self.container, &other.container)
            || differ(&self.unit, &other.unit)
            || differ(&self.user, &other.user)
        {
            return false;
        }
        let same_model = agree(&self.model, &other.model);
        let told = self.line.is_some() && other.line.is_some();
        agree(&self.container, &other.container)
            || agree(&self.unit, &other.unit)
            || agree(&self.program, &other.program)
                && agree(&self.line, &other.line)
                && !differ(&self.model, &other.model)
            || !told && same_model && !differ(&self.program, &other.program)
    }

    /// Whether they are in two containers, by name.
    pub fn is_another_container(&self, other: &Signature) -> bool {
        differ(&self.container, &other.container)
    }

    /// Whether two that listen on the same port, one after the other, may be one
    /// service whose flags were changed: the same kind, and no other program.
    pub fn may_be(&self, other: &Signature) -> bool {
        self.kind == other.kind && !differ(&self.program, &other.program)
    }
}

fn agree(a: &Option<String>, b: &Option<String>) -> bool {
    a.is_some() && a == b
}

fn differ(a: &Option<String>, b: &Option<String>) -> bool {
    a.is_some() && b.is_some() && a != b
}

/// A number for a command line in which the port plays no part: `--port 8080`, `-p
/// 8080` and `--port=8080` are left out, and within a word (`127.0.0.1:8080`) a sign
/// stands for it. `None` where there is no command line.
fn line(command: &str, port: u16) -> Option<String> {
    let port = port.to_string();
    let mut words: Vec<String> = Vec::new();
    for word in command.split_whitespace() {
        let word = without_port(word, &port);
        let option = words.last().is_some_and(|last| last.starts_with('-'));
        if word == "#" && option {
            words.pop();
        } else if !(word.starts_with('-') && word.ends_with("=#")) {
            words.push(word);
        }
    }
    if words.is_empty() {
        return None;
    }
    // FNV-1a: the same in every version of this program, which the standard library's is not.
    let hash = words.join(" ").bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Some(format!("{hash:016x}"))
}

/// A word with `#` for each number in it that is the port.
fn without_port(word: &str, port: &str) -> String {
    let mut text = String::with_capacity(word.len());
    let mut digits = String::new();
    let flush = |digits: &mut String, text: &mut String| {
        text.push_str(if digits == port { "#" } else { digits });
        digits.clear();
    };
    for c in word.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
        } else {
            flush(&mut digits, &mut text);
            text.push(c);
        }
    }
    flush(&mut digits, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn signature() -> Signature {
        Signature {
            kind: ServiceKind::Redis,
            contained: false,
            container: None,
            unit: None,
            user: Some("ada".into()),
            program: Some("redis-server".into()),
            line: Some("a".into()),
            model: None,
        }
    }

    fn some(text: &str) -> Option<String> {
        Some(text.into())
    }

    #[test]
    fn a_command_line_is_the_same_on_every_port() {
        let plain = line("llama-server -m a.gguf -c 8192", 8080);
        for (command, port) in [
            ("llama-server -m a.gguf -c 8192 --port 8080", 8080),
            ("llama-server --port=9001 -m a.gguf -c 8192", 9001),
            ("llama-server  -p 81 -m a.gguf -c 8192", 81),
        ] {
            assert_eq!(line(command, port), plain, "{command}");
        }
        assert_eq!(
            line("redis-server 127.0.0.1:6379", 6379),
            line("redis-server 127.0.0.1:7000", 7000)
        );
        assert_ne!(line("redis-server *:6379", 6379), line("redis-server 127.0.0.1:6379", 6379));
        assert_ne!(line("llama-server -m a.gguf -c 8080", 80), plain);
        assert_ne!(line("llama-server -m b.gguf", 1), line("llama-server -m a.gguf", 1));
        assert_eq!(line("", 8080), None);
    }

    #[test]
    fn the_number_of_a_line_is_the_same_in_every_version() {
        // It lies on disk: another way of counting would forget every service.
        assert_eq!(line("a", 1).unwrap(), "af63dc4c8601ec8c");
    }

    #[test]
    fn a_key_on_a_command_line_is_not_kept() {
        let kept = line("vllm serve m --api-key sk-secret", 8000).unwrap();
        assert!(!kept.contains("secret") && kept.len() == 16);
    }

    #[test]
    fn the_same_program_with_the_same_line_is_the_same() {
        let a = signature();
        assert!(a.is_same(&a));
        assert!(!a.is_same(&Signature { line: some("b"), ..signature() }));
        assert!(!a.is_same(&Signature { program: some("valkey"), ..signature() }));
        assert!(!a.is_same(&Signature { kind: ServiceKind::Vllm, ..signature() }));
        assert!(!a.is_same(&Signature { user: some("bob"), ..signature() }));
        assert!(!a.is_same(&Signature { contained: true, ..signature() }));
        let of = |model| Signature { model: some(model), ..signature() };
        assert!(of("x").is_same(&of("x")) && !of("x").is_same(&of("y")));
    }

    #[test]
    fn a_unit_and_a_container_keep_their_service_when_flags_change() {
        let unit = |unit, line| Signature { unit: some(unit), line: some(line), ..signature() };
        assert!(unit("a.service", "1").is_same(&unit("a.service", "2")));
        assert!(!unit("a.service", "1").is_same(&unit("b.service", "1")));
        let within = |name, line| Signature {
            contained: true,
            container: some(name),
            line: some(line),
            ..signature()
        };
        assert!(within("cache", "1").is_same(&within("cache", "2")));
        assert!(!within("cache", "1").is_same(&within("queue", "1")));
    }

    #[test]
    fn nothing_known_of_either_is_no_proof() {
        let bare = Signature { user: None, program: None, line: None, ..signature() };
        assert!(!bare.is_same(&bare));
        let model = Signature { model: some("qwen"), ..bare.clone() };
        assert!(model.is_same(&model));
        assert!(!model.is_same(&bare));
    }

    proptest! {
        #[test]
        fn any_command_line_gives_a_number_or_nothing(command: String, port: u16) {
            let found = line(&command, port);
            prop_assert_eq!(found.is_some_and(|hash| hash.len() != 16), false);
        }
    }
}
