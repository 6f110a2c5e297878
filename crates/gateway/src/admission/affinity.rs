//! Which backend knows a conversation.

use rustc_hash::FxHashMap;

/// Which backend has a conversation's KV cache: the last that it was sent to. Two
/// generations, so that what is asked for stays and the rest is forgotten.
#[derive(Clone, Debug, Default)]
pub(super) struct Affinity {
    young: FxHashMap<u64, u32>,
    old: FxHashMap<u64, u32>,
}

// === impl Affinity ===

impl Affinity {
    /// Conversations held, at most twice.
    const HELD: usize = 8192;

    pub(super) fn home(&self, conversation: u64) -> Option<u32> {
        self.young.get(&conversation).or_else(|| self.old.get(&conversation)).copied()
    }

    pub(super) fn remember(&mut self, conversation: u64, backend: u32) {
        if self.young.len() >= Self::HELD && !self.young.contains_key(&conversation) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(conversation, backend);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversations_are_forgotten_in_the_end_but_not_those_that_go_on() {
        let mut affinity = Affinity::default();
        affinity.remember(1, 7);
        for other in 0..3 * Affinity::HELD as u64 {
            affinity.remember(1000 + other, 1);
            if other % 1000 == 0 {
                let home = affinity.home(1);
                assert_eq!(home, Some(7));
                affinity.remember(1, 7);
            }
        }
        assert!(affinity.young.len() + affinity.old.len() <= 2 * Affinity::HELD);
        assert_eq!(affinity.home(1000), None);
    }
}
