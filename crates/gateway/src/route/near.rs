//! Names of models that are like one which nobody has.

use std::sync::Arc;

/// Most names that are offered.
pub(super) const MOST: usize = 3;
/// Longest name that is compared: nobody mistypes a longer one.
const LONGEST: usize = 128;

/// The names that were most likely meant, the most alike first. Of equal ones the shorter,
/// then the first by the alphabet.
pub(super) fn nearest<'n>(asked: &str, names: impl Iterator<Item = &'n Arc<str>>) -> Vec<Arc<str>> {
    if asked.is_empty() || asked.len() > LONGEST {
        return Vec::new();
    }
    let asked = asked.to_lowercase();
    let mut found: Vec<(usize, &Arc<str>)> = names
        .filter(|name| name.len() <= LONGEST)
        .filter_map(|name| Some((distance(&asked, &name.to_lowercase())?, name)))
        .collect();
    found.sort_by_key(|(far, name)| (*far, name.len(), (*name).clone()));
    found.into_iter().take(MOST).map(|(_, name)| name.clone()).collect()
}

/// How far a name is from what was asked; `None` where it is another word. A part of the
/// other is near: `qwen3` for `qwen3:4b`, or `Qwen3-4B` for `Qwen/Qwen3-4B-Instruct`.
fn distance(asked: &str, name: &str) -> Option<usize> {
    let slips = strsim::damerau_levenshtein(asked, name);
    let longer = asked.chars().count().max(name.chars().count());
    if slips * 10 <= longer * 3 {
        return Some(slips);
    }
    // Behind every slip, and the nearer the more of it is the same.
    let part = asked.len() >= 3 && name.contains(asked) || name.len() >= 3 && asked.contains(name);
    part.then_some(LONGEST + slips)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(asked: &str, names: &[&str]) -> Vec<String> {
        let names: Vec<Arc<str>> = names.iter().map(|&name| name.into()).collect();
        nearest(asked, names.iter()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn slips_come_before_parts_and_strangers_are_not_offered() {
        let names = ["qwen3:4b", "qwen3:8b", "llama3.2:3b", "Qwen/Qwen3-4B-Instruct"];
        assert_eq!(near("qwen3:4", &names), ["qwen3:4b", "qwen3:8b"]);
        assert_eq!(near("QWEN3:8B", &names)[0], "qwen3:8b");
        assert_eq!(near("qwen3-4b", &names)[2], "Qwen/Qwen3-4B-Instruct");
        assert_eq!(near("gpt-4o-mini", &names), [""; 0]);
        assert_eq!(near("", &names), [""; 0]);
        assert_eq!(near(&"x".repeat(100_000), &names), [""; 0]);
    }

    #[test]
    fn no_more_are_offered_than_a_sentence_takes() {
        let names: Vec<String> = (0..100).map(|n| format!("model-{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(near("model-x", &names).len(), MOST);
    }
}
