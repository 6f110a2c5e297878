//! The nearest known word to one that is not known.

/// The candidate that is most like `word`, where one is like enough to be meant.
///
/// Of dotted names the last part must be alike for itself: a long beginning that
/// is right says nothing about an end that is another word altogether.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Very long words are not slips.
    if word.len() > 256 {
        return None;
    }
    candidates
        // Each letter more or less is one slip at least.
        .filter(|candidate| like_enough(word, candidate.len().abs_diff(word.len()), candidate))
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|&(slips, candidate)| like_enough(word, slips, candidate))
        .filter(|(_, candidate)| {
            let (a, b) = (last(word), last(candidate));
            like_enough(a, strsim::damerau_levenshtein(a, b), b)
        })
        .min_by_key(|&(slips, _)| slips)
        .map(|(_, candidate)| candidate)
}

/// Three letters of ten may be wrong: two in a short word, and never so many that
/// `gpu.enabled` is offered for `alerts.enabled`.
fn like_enough(a: &str, slips: usize, b: &str) -> bool {
    slips * 10 <= a.chars().count().max(b.chars().count()) * 3
}

fn last(dotted: &str) -> &str {
    dotted.rsplit('.').next().unwrap_or(dotted)
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
        assert_eq!(near("gpu.enabled"), None);
        assert_eq!(near(&"x".repeat(100_000)), None);
    }

    #[test]
    fn a_right_beginning_does_not_excuse_another_end() {
        let known = ["history.keep", "alerts.rules.gpu-hot.clear"];
        let near = |word| nearest(word, known.iter().copied());
        assert_eq!(near("history.speed"), None);
        assert_eq!(near("alerts.rules.gpu-hot.metric"), None);
        assert_eq!(near("alerts.rules.gpu-hot.claer"), Some("alerts.rules.gpu-hot.clear"));
    }
}
