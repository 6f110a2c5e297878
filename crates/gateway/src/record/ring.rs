//! The last so many spans of equal length, whatever came in them.

/// Slots by number: the one that is written is the newest, those before it that nobody wrote
/// are empty.
#[derive(Clone, Debug)]
pub(super) struct Ring<T, const N: usize> {
    slots: [T; N],
    newest: u64,
}

// === impl Ring ===

impl<T: Default, const N: usize> Default for Ring<T, N> {
    fn default() -> Self {
        Self { slots: std::array::from_fn(|_| T::default()), newest: 0 }
    }
}

impl<T: Default, const N: usize> Ring<T, N> {
    /// The slot of that number; an older one than the ring holds is counted to its oldest.
    pub(super) fn at(&mut self, slot: u64) -> &mut T {
        self.move_to(slot);
        let slot = slot.max(self.newest.saturating_sub(N as u64 - 1));
        &mut self.slots[(slot % N as u64) as usize]
    }

    /// The last `N` slots before and with that one, the oldest first.
    pub(super) fn until(&mut self, slot: u64) -> impl Iterator<Item = &T> {
        self.move_to(slot);
        let first = self.newest + 1;
        let slots = &self.slots;
        (0..N as u64).map(move |i| &slots[((first + i) % N as u64) as usize])
    }

    fn move_to(&mut self, slot: u64) {
        let steps = slot.saturating_sub(self.newest).min(N as u64);
        for i in 0..steps {
            self.slots[((slot - i) % N as u64) as usize] = T::default();
        }
        self.newest = self.newest.max(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // MV13
    #[test]
    fn what_is_older_than_the_ring_is_gone() {
        let mut ring = Ring::<u32, 4>::default();
        *ring.at(10) += 1;
        *ring.at(12) += 5;
        assert_eq!(ring.until(12).copied().collect::<Vec<_>>(), [0, 1, 0, 5]);
        assert_eq!(ring.until(14).copied().collect::<Vec<_>>(), [0, 5, 0, 0]);
        *ring.at(3) += 7;
        assert_eq!(ring.until(14).copied().collect::<Vec<_>>(), [7, 5, 0, 0]);
        assert_eq!(ring.until(1000).copied().sum::<u32>(), 0);
    }
}
