//! The least loaded of many, in O(log n): a tournament. Each change replays the
//! matches on one way to the root, and the root names the winner.

/// How much a backend has to do, for comparison with its equals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// It can take one more.
    pub(super) open: bool,
    pub(super) in_flight: u32,
    /// At least 1. Twice the weight carries twice the load.
    pub(super) weight: u16,
    /// When it was chosen last, counted in grants: of two equals the one that rested longer.
    pub(super) last: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Least {
    loads: Vec<Load>,
    /// A heap-shaped tree of winners; leaves are the loads themselves, from `loads.len()` on.
    winners: Vec<u32>,
    #[cfg(test)]
    pub(super) matches: u64,
}

// === impl Load ===

impl Load {
    /// A total order but for equals, of which the first in the list wins.
    fn beats(&self, other: &Self) -> bool {
        if self.open != other.open {
            return self.open;
        }
        let mine = u64::from(self.in_flight) * u64::from(other.weight);
        let theirs = u64::from(other.in_flight) * u64::from(self.weight);
        (mine, self.last) < (theirs, other.last)
    }
}

// === impl Least ===

impl Least {
    pub(super) fn new(loads: Vec<Load>) -> Self {
        let n = loads.len();
        let mut least = Self {
            winners: vec![0; n.max(1)],
            loads,
            #[cfg(test)]
            matches: 0,
        };
        for node in (1..n).rev() {
            least.play(node);
        }
        least
    }

    pub(super) fn set(&mut self, index: usize, load: Load) {
        let Some(place) = self.loads.get_mut(index) else { return };
        if *place == load {
            return;
        }
        *place = load;
        let mut node = (self.loads.len() + index) / 2;
        while node >= 1 {
            self.play(node);
            node /= 2;
        }
    }

    /// The least loaded of those that are open.
    pub(super) fn winner(&self) -> Option<usize> {
        let winner = if self.loads.len() > 1 { self.winners[1] as usize } else { 0 };
        self.loads.get(winner).filter(|load| load.open).map(|_| winner)
    }

    /// All that are open, in their order.
    pub(super) fn open(&self) -> impl Iterator<Item = (usize, &Load)> {
        self.loads.iter().enumerate().filter(|(_, load)| load.open)
    }

    /// Of `these`, the least loaded.
    pub(super) fn least_of(&self, these: impl Iterator<Item = usize>) -> Option<usize> {
        these.filter(|index| self.loads.get(*index).is_some_and(|load| load.open)).reduce(
            |best, next| if self.loads[next].beats(&self.loads[best]) { next } else { best },
        )
    }

    fn play(&mut self, node: usize) {
        let (left, right) = (self.at(2 * node), self.at(2 * node + 1));
        // Of equals the one that stands first in the list.
        let (first, second) = if left < right { (left, right) } else { (right, left) };
        let second_wins = self.loads[second].beats(&self.loads[first]);
        #[cfg(test)]
        {
            self.matches += 1;
        }
        self.winners[node] = u32::try_from(if second_wins { second } else { first }).unwrap_or(0);
    }

    fn at(&self, node: usize) -> usize {
        match node.checked_sub(self.loads.len()) {
            Some(leaf) => leaf,
            None => self.winners[node] as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn load(in_flight: u32) -> Load {
        Load { open: true, in_flight, weight: 1, last: 0 }
    }

    // MV7
    #[test]
    fn the_least_loaded_of_a_thousand_is_found_in_ten_comparisons() {
        let mut least = Least::new((0..1024).map(|n| load(n + 5)).collect());
        least.matches = 0;
        least.set(700, load(1));
        assert_eq!(least.winner(), Some(700));
        assert_eq!(least.matches, 10);
    }

    #[test]
    fn twice_the_weight_carries_twice_the_load() {
        let heavy = Load { weight: 2, ..load(3) };
        let mut least = Least::new(vec![load(2), heavy]);
        assert_eq!(least.winner(), Some(1));
        least.set(1, Load { weight: 2, ..load(5) });
        assert_eq!(least.winner(), Some(0));
    }

    #[test]
    fn none_open_has_no_winner() {
        assert_eq!(Least::new(vec![]).winner(), None);
        assert_eq!(Least::new(vec![Load::default()]).winner(), None);
        assert_eq!(Least::new(vec![Load::default(); 3]).winner(), None);
    }

    proptest! {
        // MV7
        #[test]
        fn the_tournament_finds_what_a_look_at_all_finds(
            n in 1_usize..40,
            changes in prop::collection::vec(
                (any::<prop::sample::Index>(), any::<bool>(), 0_u32..6, 1_u16..4, 0_u64..4), 0..60),
        ) {
            let mut least = Least::new(vec![Load::default(); n]);
            for (index, open, in_flight, weight, last) in changes {
                least.matches = 0;
                least.set(index.index(n), Load { open, in_flight, weight, last });
                prop_assert!(least.matches <= u64::from(n.next_power_of_two().ilog2()));
                let best = least.least_of(0..n);
                let (found, best) = (least.winner(), best);
                match (found, best) {
                    (Some(found), Some(best)) => {
                        let (a, b) = (least.loads[found], least.loads[best]);
                        prop_assert!(!a.beats(&b) && !b.beats(&a), "{a:?} {b:?}");
                    }
                    (found, best) => prop_assert_eq!(found, best),
                }
            }
        }
    }
}
