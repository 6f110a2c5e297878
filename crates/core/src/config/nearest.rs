//! The nearest known word to one that is not known.

/// The candidate that is most like `word`, where one is like enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A similarity of 0.7 finds a slip of two letters in a short word, and does
    // not offer `gpu.enabled` for `alerts.enabled`. Very long words are not slips.
    if word.len() > 256 {
        return None;
    }
    candidates
        .map(|candidate| (strsim::normalized_damerau_levenshtein(word, candidate), candidate))
        .filter(|(like, _)| *like >= 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_finds_none() {
        let known = ["history.max_mib", "history.enabled", "alerts.enabled"];
        let near = |word| nearest(word, known.iter().copied());
        assert_eq!(near("history.max_mb"), Some("history.max_mib"));
        assert_eq!(near("histroy.enabled"), Some("history.enabled"));
        assert_eq!(near("entirely.else"), None);
        assert_eq!(near(&"x".repeat(100_000)), None);
    }
}
