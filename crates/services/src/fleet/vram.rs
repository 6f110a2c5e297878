//! What lies in VRAM for a service: the whole by the driver's count, its parts as far
//! as the server lets them be known.

use crate::{
    adapter::Held,
    service::{Basis, VramSplit},
};

/// The parts of `total`, which they never exceed; `None` where nothing is held, or how
/// much is not known.
pub(super) fn split(total: Option<u64>, held: Option<Held>) -> Option<VramSplit> {
    let total_bytes = total.filter(|&bytes| bytes > 0)?;
    let basis = held.map_or(Basis::Assumed, |held| held.basis);
    let part = |bytes: Option<u64>, room: u64| match basis {
        // The driver's count may be some seconds older than the server's word.
        Basis::Told => bytes.map(|bytes| bytes.min(room)),
        // What does not fit lies elsewhere in part, and in which part is not known.
        Basis::Assumed => bytes.filter(|&bytes| bytes <= room),
    };
    let weights_bytes = part(held.and_then(|held| held.weights_bytes), total_bytes);
    let rest = total_bytes - weights_bytes.unwrap_or(0);
    let kv_bytes = part(held.and_then(|held| held.kv_bytes), rest);
    let other_bytes = rest - kv_bytes.unwrap_or(0);
    Some(VramSplit { total_bytes, weights_bytes, kv_bytes, other_bytes, basis })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(total: u64, weights: Option<u64>, kv: Option<u64>, basis: Basis) -> VramSplit {
        let held = Held { weights_bytes: weights, kv_bytes: kv, basis };
        split(Some(total), Some(held)).unwrap()
    }

    #[test]
    fn what_is_not_told_apart_is_other() {
        assert_eq!(split(None, None), None);
        assert_eq!(split(Some(0), None), None);
        let whole = split(Some(100), None).unwrap();
        assert_eq!((whole.weights_bytes, whole.kv_bytes, whole.other_bytes), (None, None, 100));
        let told = parts(100, Some(60), Some(30), Basis::Told);
        assert_eq!((told.weights_bytes, told.kv_bytes, told.other_bytes), (Some(60), Some(30), 10));
        let weights = parts(100, Some(60), None, Basis::Assumed);
        assert_eq!((weights.kv_bytes, weights.other_bytes), (None, 40));
    }

    #[test]
    fn what_does_not_fit_is_cut_where_it_was_told_and_unknown_where_it_was_computed() {
        let told = parts(100, Some(90), Some(90), Basis::Told);
        assert_eq!((told.weights_bytes, told.kv_bytes, told.other_bytes), (Some(90), Some(10), 0));
        let computed = parts(100, Some(900), Some(30), Basis::Assumed);
        let known = (computed.weights_bytes, computed.kv_bytes, computed.other_bytes);
        assert_eq!(known, (None, Some(30), 70));
    }

    proptest! {
        #[test]
        fn the_parts_are_the_whole(
            total in 1u64..,
            weights in any::<Option<u64>>(),
            kv in any::<Option<u64>>(),
            told in any::<bool>(),
        ) {
            let basis = if told { Basis::Told } else { Basis::Assumed };
            let split = parts(total, weights, kv, basis);
            let known = u128::from(split.weights_bytes.unwrap_or(0))
                + u128::from(split.kv_bytes.unwrap_or(0))
                + u128::from(split.other_bytes);
            prop_assert_eq!(known, u128::from(total));
        }
    }
}
