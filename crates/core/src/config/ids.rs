//! Ids: names that stand in keys.

/// Longest id.
pub const LONGEST: usize = 32;
/// Numbers that are tried for an id of which nobody has the like.
const MOST_TRIED: usize = 100_000;

/// `[a-z0-9-]{1,32}`.
pub fn is_id(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len())
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// The nearest id to what was written, or `None` where nothing is left of it.
pub fn mend(text: &str) -> Option<String> {
    let mut id = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        let c = if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
        if c != '-' || !(id.is_empty() || id.ends_with('-')) {
            id.push(c);
        }
        if id.len() == LONGEST {
            break;
        }
    }
    let id = id.trim_end_matches('-').to_string();
    is_id(&id).then_some(id)
}

/// The first of `base`, `base-2`, `base-3`, … that nobody has; each is an id where `base`
/// is one. `has` has an end: it says yes to no more ids than anybody keeps.
pub fn free(base: &str, has: impl Fn(&str) -> bool) -> String {
    if !has(base) {
        return base.to_owned();
    }
    let with = |n: usize| {
        let end = format!("-{n}");
        let start = base.get(..base.len().min(LONGEST - end.len())).unwrap_or_default();
        format!("{}{end}", start.trim_end_matches('-'))
    };
    (2..=MOST_TRIED).map(with).find(|id| !has(id)).unwrap_or_else(|| base.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_lower_case_words() {
        assert!(is_id("gpu-hot") && is_id("a") && is_id("0"));
        assert!(!is_id("") && !is_id("GPU") && !is_id("gpu_hot") && !is_id("é"));
        assert!(is_id(&"a".repeat(32)) && !is_id(&"a".repeat(33)));
    }

    #[test]
    fn a_bad_id_is_mended_where_something_is_left() {
        assert_eq!(mend("GPU Hot!").as_deref(), Some("gpu-hot"));
        assert_eq!(mend("gpu_hot").as_deref(), Some("gpu-hot"));
        assert_eq!(mend("é"), None);
        assert_eq!(mend(&"a".repeat(40)), Some("a".repeat(32)));
        assert_eq!(mend(&format!("{} b", "a".repeat(31))), Some("a".repeat(31)));
    }

    #[test]
    fn an_id_that_somebody_has_is_numbered_and_stays_one() {
        let beside = |base: &str, taken: &[&str]| free(base, |id| taken.contains(&id));
        assert_eq!(beside("chat", &[]), "chat");
        assert_eq!(beside("chat", &["chat", "chat-3"]), "chat-2");
        assert_eq!(beside("chat", &["chat", "chat-2", "chat-3"]), "chat-4");
        let long = "a".repeat(LONGEST);
        assert_eq!(beside(&long, &[&long]), format!("{}-2", "a".repeat(30)));
        // No dash beside a dash where the cut falls on one.
        let dashed = format!("{}-bb", "a".repeat(29));
        assert_eq!(beside(&dashed, &[&dashed]), format!("{}-2", "a".repeat(29)));
        assert_eq!(free("chat", |_| true), "chat", "it ends where all are taken");
    }
}
