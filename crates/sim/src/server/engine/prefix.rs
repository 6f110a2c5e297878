//! What of a prompt was computed before. llama.cpp keeps the last sequence of each
//! slot and gives a request the slot that begins most like it; vLLM keeps blocks of
//! 16 tokens, whoever asked, until their room is needed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Tokens of one block.
pub const BLOCK_TOKENS: u32 = 16;
/// Characters that count as one token.
pub const TOKEN_CHARS: usize = 4;

#[derive(Clone, Debug)]
pub(super) enum Prefixes {
    BySlot {
        /// The last sequence of each slot, and when it was used.
        kept: Vec<(Arc<[u64]>, u64)>,
        uses: u64,
    },
    Shared {
        room: usize,
        used: HashMap<u64, u64>,
        oldest: BTreeMap<u64, u64>,
        uses: u64,
    },
}

/// Each block's number says what it holds and all that stands before it.
pub fn hashes_of(text: &[u8]) -> Arc<[u64]> {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    text.chunks_exact(BLOCK_TOKENS as usize * TOKEN_CHARS)
        .map(|block| {
            for byte in block {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
            hash
        })
        .collect()
}

fn tokens(blocks: usize) -> u32 {
    u32::try_from(blocks).unwrap_or(u32::MAX).saturating_mul(BLOCK_TOKENS)
}

// === impl Prefixes ===

impl Prefixes {
    pub fn by_slot(slots: usize) -> Self {
        Self::BySlot { kept: vec![(Arc::default(), 0); slots], uses: 0 }
    }

    pub fn shared(room: usize) -> Self {
        Self::Shared { room, used: HashMap::new(), oldest: BTreeMap::new(), uses: 0 }
    }

    pub fn are_by_slot(&self) -> bool {
        matches!(self, Self::BySlot { .. })
    }

    pub fn forget(&mut self) {
        *self = match self {
            Self::BySlot { kept, .. } => Self::by_slot(kept.len()),
            Self::Shared { room, .. } => Self::shared(*room),
        };
    }

    /// The free slot for a prompt, and how many of its tokens are known there.
    pub fn find(&mut self, prefix: &[u64], free: &[usize]) -> (Option<usize>, u32) {
        match self {
            Self::BySlot { kept, .. } => {
                let known = |slot: usize| {
                    kept[slot].0.iter().zip(prefix).take_while(|(a, b)| a == b).count()
                };
                // Of those that know as much, the one that was used the longest ago.
                let best = free
                    .iter()
                    .copied()
                    .max_by_key(|&slot| (known(slot), std::cmp::Reverse((kept[slot].1, slot))));
                (best, best.map_or(0, |slot| tokens(known(slot))))
            }
            Self::Shared { used, .. } => {
                let known = prefix.iter().take_while(|hash| used.contains_key(hash)).count();
                (free.first().copied(), tokens(known))
            }
        }
    }

    /// A sequence that was computed stays known.
    pub fn keep(&mut self, slot: usize, prefix: &Arc<[u64]>) {
        match self {
            Self::BySlot { kept, uses } => {
                *uses += 1;
                kept[slot] = (prefix.clone(), *uses);
            }
            Self::Shared { room, used, oldest, uses } => {
                for &hash in prefix.iter() {
                    *uses += 1;
                    if let Some(before) = used.insert(hash, *uses) {
                        oldest.remove(&before);
                    }
                    oldest.insert(*uses, hash);
                }
                while used.len() > *room
                    && let Some((_, hash)) = oldest.pop_first()
                {
                    used.remove(&hash);
                }
            }
        }
    }
}
