//! Numbers out of the kernel's text files, without allocation and without panics.

/// The lines of a file, without their ends.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|&b| b == b'\n').filter(|line| !line.is_empty())
}

/// The words of a line, split at blanks and tabs.
pub fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&b| b == b' ' || b == b'\t').filter(|word| !word.is_empty())
}

/// A whole number that fills the word; `None` for anything else.
pub fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0u64, |sum, &b| {
        b.is_ascii_digit().then(|| sum.checked_mul(10)?.checked_add(u64::from(b - b'0')))?
    })
}

/// A number with a sign, as some sensors write it.
pub fn signed(word: &[u8]) -> Option<i64> {
    match word.strip_prefix(b"-") {
        Some(rest) => number(rest)?.try_into().ok().map(|n: i64| -n),
        None => number(word)?.try_into().ok(),
    }
}

/// A number with a fraction, e.g. `0.27`; `None` for anything that is not finite.
pub fn decimal(word: &[u8]) -> Option<f64> {
    std::str::from_utf8(word).ok()?.parse().ok().filter(|v: &f64| v.is_finite())
}

/// The one number of a file such as `temp1_input`.
pub fn only_number(bytes: &[u8]) -> Option<u64> {
    number(bytes.trim_ascii())
}

/// Text for people: what is not UTF-8 is replaced.
pub fn string(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_that_do_not_fit_are_no_numbers() {
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(number(b"18446744073709551616"), None);
        assert_eq!(number(b"12x"), None);
        assert_eq!(number(b""), None);
        assert_eq!(signed(b"-42"), Some(-42));
        assert_eq!(decimal(b"inf"), None);
        assert_eq!(only_number(b" 42\n"), Some(42));
    }

    proptest! {
        #[test]
        fn a_number_reads_as_it_was_written(n: u64, i: i64) {
            prop_assert_eq!(number(n.to_string().as_bytes()), Some(n));
            // The one value whose magnitude does not fit is left out.
            prop_assert_eq!(signed(i.to_string().as_bytes()), (i != i64::MIN).then_some(i));
        }
    }
}
