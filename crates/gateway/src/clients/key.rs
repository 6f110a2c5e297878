//! Keys that are made here: shown once, kept as a hash.
//!
//! A key is `plm-` and five groups of four out of 58 letters and digits that are not
//! mistaken for each other: 117 bits from the system's source. A guess is hopeless,
//! so that a fast hash does; what is compared is the hash, in constant time.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
};

use plimsoll_core::{config::gateway::matches, request::Priority, traffic::Scope};
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// Most keys that are in force at a time.
pub const MAX_KEYS: usize = 1000;
/// What every key begins with.
pub const PREFIX: &str = "plm-";
/// Base 58: without 0, O, I and l.
const LETTERS: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const GROUPS: usize = 5;
const GROUP: usize = 4;
/// `plm-` and the first group: shown to people, and enough to find a key by.
const BEGINS: usize = PREFIX.len() + GROUP;

/// What is kept of a key. What is 0 or empty sets no limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub id: String,
    /// Its first characters, e.g. `plm-Vk3r`.
    pub begins: String,
    /// SHA-256 of the whole key, in hexadecimal.
    pub digest: String,
    pub name: String,
    pub priority: Priority,
    /// Models or services, by name or pattern.
    pub models: Vec<String>,
    pub scopes: Vec<Scope>,
    pub max_in_flight: u32,
    pub requests_per_min: u32,
    pub tokens_per_min: u32,
    pub made_ms: i64,
    pub used_ms: Option<i64>,
}

/// A key in force.
#[derive(Debug)]
pub struct Key {
    pub kept: Kept,
    pub name: Arc<str>,
    digest: [u8; 32],
    /// 0: never.
    used_ms: AtomicI64,
}

/// All keys in force.
#[derive(Debug, Default)]
pub struct Keys {
    by_beginning: HashMap<String, Vec<Arc<Key>>>,
}

/// The system gave no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers, without which no key is made")]
pub struct NoRandomness;

/// A new key: the text for the person, its beginning, and its hash in hexadecimal.
pub struct Fresh {
    pub key: String,
    pub begins: String,
    pub digest: String,
}

// === impl Fresh ===

impl Fresh {
    pub fn make() -> Result<Self, NoRandomness> {
        let random = SystemRandom::new();
        let mut key = String::from(&PREFIX[..PREFIX.len() - 1]);
        let mut drawn = 0;
        while drawn < GROUPS * GROUP {
            let mut bytes = [0; 64];
            random.fill(&mut bytes).map_err(|_| NoRandomness)?;
            // Bytes that would favour the first letters are passed over: 232 is 4 times 58.
            for byte in bytes.into_iter().filter(|&byte| byte < 232) {
                if drawn == GROUPS * GROUP {
                    break;
                }
                if drawn % GROUP == 0 {
                    key.push('-');
                }
                key.push(char::from(LETTERS[usize::from(byte) % LETTERS.len()]));
                drawn += 1;
            }
        }
        Ok(Self { begins: key[..BEGINS].to_string(), digest: hex(&hash(&key)), key })
    }

    /// What is kept of it, with its name for its id: any model, no scope and no limit.
    pub fn kept(&self, name: &str, made_ms: i64) -> Kept {
        Kept {
            id: name.into(),
            begins: self.begins.clone(),
            digest: self.digest.clone(),
            name: name.into(),
            priority: Priority::Interactive,
            models: Vec::new(),
            scopes: Vec::new(),
            max_in_flight: 0,
            requests_per_min: 0,
            tokens_per_min: 0,
            made_ms,
            used_ms: None,
        }
    }
}

impl std::fmt::Debug for Fresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fresh").field("begins", &self.begins).finish_non_exhaustive()
    }
}

// === impl Keys ===

impl Keys {
    /// Those whose hash cannot be read are left out: they open nothing.
    pub fn new(kept: impl IntoIterator<Item = Kept>) -> Self {
        let mut by_beginning: HashMap<String, Vec<Arc<Key>>> = HashMap::new();
        for kept in kept.into_iter().take(MAX_KEYS) {
            let Some(digest) = unhex(&kept.digest) else { continue };
            let key = Key {
                name: kept.name.as_str().into(),
                digest,
                used_ms: AtomicI64::new(kept.used_ms.unwrap_or(0)),
                kept,
            };
            by_beginning.entry(key.kept.begins.clone()).or_default().push(Arc::new(key));
        }
        Self { by_beginning }
    }

    /// The key of that text. How long this takes says nothing of how much of it is right
    /// beyond its first characters, which are no secret.
    pub fn find(&self, text: &str) -> Option<&Arc<Key>> {
        let same = self.by_beginning.get(text.get(..BEGINS)?)?;
        let asked = hash(text);
        let mut found = None;
        for key in same {
            if bool::from(key.digest.ct_eq(&asked)) {
                found = Some(key);
            }
        }
        found
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.by_beginning.values().flatten()
    }
}

// === impl Key ===

impl Key {
    /// Whether it may ask for this model, or for a service that has it.
    pub fn may_ask<'a>(&self, mut names: impl Iterator<Item = &'a str>) -> bool {
        let models = &self.kept.models;
        models.is_empty() || names.any(|name| models.iter().any(|model| matches(model, name)))
    }

    pub fn may(&self, scope: Scope) -> bool {
        self.kept.scopes.contains(&scope)
    }

    pub fn use_at(&self, now_ms: i64) {
        self.used_ms.store(now_ms, Relaxed);
    }

    pub fn used_ms(&self) -> Option<i64> {
        Some(self.used_ms.load(Relaxed)).filter(|&ms| ms != 0)
    }
}

fn hash(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    hash
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_looks_as_people_know_it_and_no_two_are_alike() {
        let keys: Vec<String> = (0..100).map(|_| Fresh::make().unwrap().key).collect();
        for key in &keys {
            let groups: Vec<&str> = key.split('-').collect();
            assert_eq!((groups.len(), groups[0]), (6, "plm"), "{key}");
            for group in &groups[1..] {
                assert!(group.len() == 4 && group.bytes().all(|b| LETTERS.contains(&b)), "{key}");
            }
        }
        assert_eq!(keys.iter().collect::<std::collections::HashSet<_>>().len(), 100);
    }

    #[test]
    fn a_key_is_found_whole_and_only_whole() {
        let (one, two) = (Fresh::make().unwrap(), Fresh::make().unwrap());
        let keys = Keys::new([one.kept("one", 1), two.kept("two", 1)]);
        assert_eq!(keys.find(&one.key).unwrap().kept.name, "one");
        assert_eq!(keys.find(&two.key).unwrap().kept.name, "two");
        for wrong in [&one.key[..one.key.len() - 1], &one.begins, "plm-", "", "plm-ü"] {
            assert!(keys.find(wrong).is_none(), "{wrong}");
        }
        assert!(keys.find(&format!("{}x", one.key)).is_none());
    }

    #[test]
    fn two_keys_that_begin_alike_are_told_apart() {
        let (one, two) = (Fresh::make().unwrap(), Fresh::make().unwrap());
        let alike = Kept { begins: one.begins.clone(), ..two.kept("two", 1) };
        let keys = Keys::new([one.kept("one", 1), alike]);
        assert_eq!(keys.find(&one.key).unwrap().kept.name, "one");
    }

    #[test]
    fn what_is_kept_holds_no_key_and_a_broken_hash_opens_nothing() {
        let fresh = Fresh::make().unwrap();
        let whole = fresh.kept("one", 1);
        let text = serde_json::to_string(&whole).unwrap();
        assert!(!text.contains(&fresh.key[BEGINS..]), "{text}");
        assert!(!format!("{fresh:?}").contains(&fresh.key), "{fresh:?}");
        for digest in ["", "00", &"zz".repeat(32), &"ü".repeat(32)] {
            let keys = Keys::new([Kept { digest: digest.into(), ..whole.clone() }]);
            assert!(keys.find(&fresh.key).is_none());
        }
    }

    #[test]
    fn a_key_for_some_models_asks_for_no_other() {
        let fresh = Fresh::make().unwrap();
        let models = vec!["qwen*".into(), "embed".into()];
        let keys = Keys::new([Kept { models, ..fresh.kept("one", 1) }]);
        let key = keys.find(&fresh.key).unwrap();
        assert!(key.may_ask(["qwen3:8b"].into_iter()));
        assert!(key.may_ask(["nomic-embed-text", "embed"].into_iter()));
        assert!(!key.may_ask(["llama"].into_iter()));
        assert!(!key.may(Scope::Admin));
    }
}
