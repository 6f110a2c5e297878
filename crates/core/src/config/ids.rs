//! Ids: names that stand in keys.

/// Longest id.
pub const LONGEST: usize = 32;

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
    }
}
