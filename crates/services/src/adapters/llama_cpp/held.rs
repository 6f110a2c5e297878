//! How much of a model's weights lies in VRAM, from its size and its command line: the
//! server does not say it.

use crate::{adapter::Held, service::Basis};

/// So many layers are all that any model has, as people write it.
const ALL_LAYERS: i64 = 99;
/// These leave a part of the weights to the CPU; how much is not told.
const PARTLY: &[&str] = &[
    "-cmoe",
    "--cpu-moe",
    "-ncmoe",
    "--n-cpu-moe",
    "-ot",
    "--override-tensor",
    "-dev",
    "--device",
];

/// The weights of a model of that size, computed; of one whose layers are put on the
/// card in part, unknown. Without a word the server puts there as much as fits, and
/// what does not fit shows as more than the driver counts.
pub(super) fn weights<'w>(
    size_bytes: Option<u64>,
    words: impl Iterator<Item = &'w str>,
) -> Option<u64> {
    let mut layers = ALL_LAYERS;
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (word, words.peek().copied()),
        };
        if PARTLY.contains(&flag) {
            return None;
        }
        if matches!(flag, "-ngl" | "--gpu-layers" | "--n-gpu-layers") {
            // `auto` and `all` are no numbers, and less than 0 is all.
            layers = value.and_then(|value| value.parse().ok()).unwrap_or(ALL_LAYERS);
        }
    }
    match layers {
        0 => Some(0),
        1..ALL_LAYERS => None,
        _ => size_bytes,
    }
}

/// These weights, of which those of several models are known only all together.
pub(super) fn held(weights_bytes: Option<u64>) -> Held {
    Held { weights_bytes, kv_bytes: None, basis: Basis::Assumed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_known_where_all_or_none_of_the_layers_are_on_the_card() {
        let of = |line: &str| weights(Some(700), line.split_whitespace());
        for all in ["", "-m x", "-ngl 99", "--gpu-layers all", "--n-gpu-layers=-1", "-ngl auto"] {
            assert_eq!(of(all), Some(700), "{all}");
        }
        assert_eq!(of("llama-server -m x -ngl 0"), Some(0));
        // The last one counts, as it does for the server.
        assert_eq!(of("-ngl 5 -ngl 999"), Some(700));
        for part in [
            "-ngl 20",
            "--n-gpu-layers=98",
            "--cpu-moe -ngl 99",
            "-ot exps=CPU",
            "--n-cpu-moe=4",
            "-dev none",
        ] {
            assert_eq!(of(part), None, "{part}");
        }
        assert_eq!(weights(None, std::iter::empty()), None);
    }
}
