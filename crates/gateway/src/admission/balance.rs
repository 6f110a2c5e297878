//! Which of several equal backends. Every policy chooses among those that can take one
//! more now; which those are is the machine's to say.

use std::sync::Arc;

use plimsoll_core::config::gateway::Balance;

use super::{
    Candidate,
    chance::{Chance, hash_of, mix},
    entry::NONE,
    least::{Least, Load},
    parties::Seat,
};

/// The backends of one list of candidates.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) key: Arc<[Candidate]>,
    /// First choices first.
    pub(super) ranks: Vec<Rank>,
    /// Requests that wait, by class.
    pub(super) waiting: [u32; 3],
    /// Requests known here that have these candidates, waiting or in flight.
    pub(super) uses: u32,
}

/// Equals.
#[derive(Clone, Debug)]
pub(super) struct Rank {
    rank: u8,
    pub(super) members: Vec<Member>,
    pub(super) least: Least,
    /// How many members pass, and how many want to be asked.
    pub(super) passing: u32,
    pub(super) probes: u32,
    /// Round robin: who is next.
    cursor: usize,
    /// Weighted: what each has to its credit.
    credit: Vec<i64>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) backend: u32,
    pub(super) weight: u16,
    pub(super) standing: Standing,
    /// Of its name, for consistent hashing: the same after a restart.
    name: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Down, resting, rejecting, or asked by a probe at this moment.
    Out,
    Passing,
    /// It may be asked by one request.
    Probe,
}

// === impl Group ===

impl Group {
    /// `backend` gives the index of a name.
    pub(super) fn new(key: Arc<[Candidate]>, mut backend: impl FnMut(&Candidate) -> u32) -> Self {
        let mut ranks: Vec<Rank> = Vec::new();
        for candidate in key.iter() {
            let member = Member {
                backend: backend(candidate),
                weight: candidate.weight.max(1),
                standing: Standing::Out,
                name: mix(hash_of(&candidate.backend)),
            };
            match ranks.iter_mut().find(|rank| rank.rank == candidate.rank) {
                Some(rank) => rank.members.push(member),
                None => ranks.push(Rank {
                    rank: candidate.rank,
                    members: vec![member],
                    least: Least::new(Vec::new()),
                    passing: 0,
                    probes: 0,
                    cursor: 0,
                    credit: Vec::new(),
                }),
            }
        }
        ranks.sort_by_key(|rank| rank.rank);
        for rank in &mut ranks {
            rank.least = Least::new(vec![Load::default(); rank.members.len()]);
            rank.credit = vec![0; rank.members.len()];
        }
        Self { key, ranks, waiting: [0; 3], uses: 0 }
    }

    /// Where each backend stands in it; the group's own number is not known here.
    pub(super) fn seats(&self) -> Vec<Seat> {
        let ranks = (0..).zip(&self.ranks);
        ranks
            .flat_map(|(rank, equals)| {
                (0..).zip(&equals.members).map(move |(member, one)| Seat {
                    group: NONE,
                    rank,
                    member,
                    backend: one.backend,
                })
            })
            .collect()
    }
}

// === impl Rank ===

impl Rank {
    pub(super) fn set(&mut self, member: usize, standing: Standing, load: Load) {
        let Some(place) = self.members.get_mut(member) else { return };
        let was = std::mem::replace(&mut place.standing, standing);
        let weight = place.weight;
        if was != standing {
            let count = |of: Standing, change: i32, rank: &mut Self| match of {
                Standing::Out => {}
                Standing::Passing => rank.passing = rank.passing.saturating_add_signed(change),
                Standing::Probe => rank.probes = rank.probes.saturating_add_signed(change),
            };
            count(was, -1, self);
            count(standing, 1, self);
        }
        self.least.set(member, Load { weight, ..load });
    }

    /// One of those that are open and `fit`.
    pub(super) fn choose(
        &mut self,
        policy: Balance,
        hash: u64,
        home: Option<u32>,
        chance: &mut Chance,
        fits: impl Fn(u32) -> bool,
    ) -> Option<usize> {
        let members = &self.members;
        let fit = |index: &usize| fits(members[*index].backend);
        let open = || self.least.open().map(|(index, _)| index).filter(fit);
        match policy {
            Balance::LeastInFlight => self.least_that(fit),
            Balance::RoundRobin => {
                let next = open().find(|index| *index >= self.cursor).or_else(|| open().next())?;
                self.cursor = next + 1;
                Some(next)
            }
            Balance::Random => {
                let many = open().count();
                (many > 0).then(|| chance.below(many)).and_then(|n| open().nth(n))
            }
            Balance::Weighted => {
                // Smooth weighted round robin: a, a, b, a rather than a, a, a, b.
                let (mut total, mut best) = (0, None::<(usize, i64)>);
                let these: Vec<usize> = open().collect();
                for index in these {
                    let weight = i64::from(self.members[index].weight);
                    total += weight;
                    self.credit[index] += weight;
                    if best.is_none_or(|(_, credit)| self.credit[index] > credit) {
                        best = Some((index, self.credit[index]));
                    }
                }
                let (index, _) = best?;
                self.credit[index] -= total;
                Some(index)
            }
            Balance::ConsistentHash => open()
                .map(|index| (index, members[index].affection(hash)))
                .reduce(|best, next| if next.1 > best.1 { next } else { best })
                .map(|(index, _)| index),
            Balance::PrefixAffinity => home
                .and_then(|home| open().find(|index| members[*index].backend == home))
                .or_else(|| self.least_that(fit)),
        }
    }

    fn least_that(&self, fit: impl Fn(&usize) -> bool) -> Option<usize> {
        let winner = self.least.winner()?;
        if fit(&winner) {
            return Some(winner);
        }
        self.least.least_of((0..self.members.len()).filter(fit))
    }
}

// === impl Member ===

impl Member {
    /// Rendezvous hashing: the backend with the highest draw has the hash. One that goes
    /// moves only what was its own.
    fn affection(&self, hash: u64) -> f64 {
        let draw = mix(self.name ^ mix(hash));
        // 53 bits, never 0.
        let unit = ((draw >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        f64::from(self.weight) / -unit.ln().min(-f64::MIN_POSITIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(weights: &[u16]) -> Group {
        let key: Arc<[Candidate]> = weights
            .iter()
            .enumerate()
            .map(|(index, weight)| Candidate {
                backend: format!("b{index}").into(),
                rank: 0,
                weight: *weight,
            })
            .collect();
        let mut next = 0;
        let mut group = Group::new(key, |_| {
            next += 1;
            next - 1
        });
        for index in 0..weights.len() {
            group.ranks[0].set(index, Standing::Passing, open(0));
        }
        group
    }

    fn open(in_flight: u32) -> Load {
        Load { open: true, in_flight, weight: 1, last: 0 }
    }

    fn full() -> Load {
        Load { open: false, ..open(9) }
    }

    fn choose(group: &mut Group, policy: Balance, hash: u64) -> Option<usize> {
        group.ranks[0].choose(policy, hash, None, &mut Chance::new(hash), |_| true)
    }

    // MA7
    #[test]
    fn round_robin_takes_one_after_another_and_passes_over_the_full() {
        let mut group = group(&[1, 1, 1]);
        let turn = |group: &mut Group| choose(group, Balance::RoundRobin, 0);
        assert_eq!([turn(&mut group), turn(&mut group), turn(&mut group)], [0, 1, 2].map(Some));
        group.ranks[0].set(1, Standing::Passing, full());
        assert_eq!([turn(&mut group), turn(&mut group), turn(&mut group)], [0, 2, 0].map(Some));
    }

    // MA7
    #[test]
    fn weights_are_kept_and_turns_are_mixed() {
        let mut group = group(&[5, 1, 1]);
        let turns: Vec<_> =
            (0..7).filter_map(|_| choose(&mut group, Balance::Weighted, 0)).collect();
        assert_eq!(turns, [0, 0, 1, 0, 2, 0, 0]);
    }

    // MA7
    #[test]
    fn chance_takes_each_about_as_often() {
        let mut group = group(&[1, 1, 1, 1]);
        let mut chance = Chance::new(1);
        let mut counts = [0; 4];
        for _ in 0..4000 {
            let rank = &mut group.ranks[0];
            if let Some(n) = rank.choose(Balance::Random, 0, None, &mut chance, |_| true) {
                counts[n] += 1;
            }
        }
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
    }

    // MA7
    #[test]
    fn a_hash_keeps_its_backend_when_another_goes() {
        let mut group = group(&[1, 1, 1, 1]);
        let before: Vec<_> =
            (0..1000).map(|hash| choose(&mut group, Balance::ConsistentHash, hash)).collect();
        for index in 0..4 {
            let share = before.iter().filter(|at| **at == Some(index)).count();
            assert!((200..300).contains(&share), "{share}");
        }
        group.ranks[0].set(2, Standing::Out, full());
        for (hash, before) in before.iter().enumerate() {
            let after = choose(&mut group, Balance::ConsistentHash, hash as u64);
            assert!(after != Some(2) && (*before == Some(2) || after == *before));
        }
    }

    // MA7
    #[test]
    fn a_hash_finds_heavier_backends_more_often() {
        let mut group = group(&[3, 1]);
        let heavy = (0..1000)
            .filter(|hash| choose(&mut group, Balance::ConsistentHash, *hash) == Some(0))
            .count();
        assert!((700..800).contains(&heavy), "{heavy}");
    }

    #[test]
    fn a_conversation_goes_home_unless_home_is_full() {
        let mut group = group(&[1, 1, 1]);
        let rank = &mut group.ranks[0];
        rank.set(2, Standing::Passing, open(7));
        let at = |rank: &mut Rank| {
            rank.choose(Balance::PrefixAffinity, 9, Some(2), &mut Chance::new(0), |_| true)
        };
        assert_eq!(at(rank), Some(2));
        rank.set(2, Standing::Passing, full());
        assert_eq!(at(rank), Some(0));
    }

    #[test]
    fn what_does_not_fit_is_not_chosen() {
        let mut group = group(&[1, 1, 1]);
        for policy in [
            Balance::LeastInFlight,
            Balance::RoundRobin,
            Balance::Random,
            Balance::Weighted,
            Balance::ConsistentHash,
            Balance::PrefixAffinity,
        ] {
            let rank = &mut group.ranks[0];
            for hash in 0..20 {
                let mut chance = Chance::new(hash);
                let one = rank.choose(policy, hash, Some(0), &mut chance, |backend| backend == 1);
                assert_eq!(one, Some(1), "{policy:?}");
                let none = rank.choose(policy, hash, Some(0), &mut chance, |_| false);
                assert_eq!(none, None, "{policy:?}");
            }
        }
    }
}
