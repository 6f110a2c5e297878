//! A card's energy, shared out over the requests that ran on it.
//!
//! Between two readings of a card's energy, each moment belongs in equal parts to the
//! requests that ran then. With `n` of them, a clock of shares runs at `1/n`: the shares of a
//! request are what the clock went on while it ran, whatever came and left beside it, and
//! joining or leaving costs the same with one or a thousand. When the next reading comes, that
//! interval's watts turn its shares into joules. What a card took while nothing ran
//! through Plimsoll belongs to no request.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::live::lock;

/// Cards that are reckoned with.
const MAX_CARDS: usize = 16;
/// Cards on which one request runs at once.
const MAX_PER_REQUEST: usize = 4;
/// Readings that are remembered: with one a second, an hour and eight minutes. A request
/// that lasted longer does not know its joules.
const MAX_READINGS: usize = 4096;

/// Which cards a request runs on, and when by their clocks of shares.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Ran([Option<Stay>; MAX_PER_REQUEST]);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Stay {
    card: usize,
    from: f64,
    to: f64,
}

/// What is known of a request's energy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Joules {
    Known(f64),
    /// The reading after its end is still to come.
    Later,
    /// It ran on no card that tells its energy.
    Unknown,
}

#[derive(Default)]
pub(super) struct Energy {
    /// Nothing is asked of the rest before a card was heard of.
    any: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    cards: Vec<Card>,
    by_backend: FxHashMap<Arc<str>, Vec<usize>>,
}

struct Card {
    name: Arc<str>,
    /// Requests that run on it.
    running: u32,
    /// Its clock of shares, in seconds.
    shares: f64,
    moved: Instant,
    read: Option<Instant>,
    /// The clock at each reading, and the joules of one who had run alone since ever.
    readings: VecDeque<(f64, f64)>,
}

// === impl Energy ===

impl Energy {
    /// Which cards the backends hold memory on.
    pub(super) fn place(&self, places: &[(Arc<str>, Vec<Arc<str>>)]) {
        let mut state = lock(&self.state);
        state.by_backend.clear();
        for (backend, names) in places {
            let cards = names.iter().filter_map(|name| state.card(name)).collect();
            state.by_backend.insert(backend.clone(), cards);
        }
        self.any.store(!state.cards.is_empty(), Relaxed);
    }

    /// What the card took since the last time this was told.
    pub(super) fn read(&self, card: &str, joules: f64, now: Instant) {
        let mut state = lock(&self.state);
        if let Some(card) = state.cards.iter_mut().find(|c| &*c.name == card) {
            card.read(joules, now);
        }
    }

    /// The card's reading is missing, or too long ago to say anything of now.
    pub(super) fn lose(&self, card: &str) {
        let mut state = lock(&self.state);
        if let Some(card) = state.cards.iter_mut().find(|c| &*c.name == card) {
            card.read = None;
            card.readings.clear();
        }
    }

    pub(super) fn join(&self, backend: &Arc<str>, now: Instant) -> Ran {
        let mut ran = Ran::default();
        if !self.any.load(Relaxed) {
            return ran;
        }
        let mut state = lock(&self.state);
        let State { cards, by_backend } = &mut *state;
        let on = by_backend.get(backend).map_or(&[][..], Vec::as_slice);
        for (stay, &card) in ran.0.iter_mut().zip(on) {
            cards[card].advance(now);
            cards[card].running += 1;
            *stay = Some(Stay { card, from: cards[card].shares, to: f64::NAN });
        }
        ran
    }

    /// It runs there no more, and nothing is asked of what it took.
    pub(super) fn leave(&self, ran: &Ran, now: Instant) {
        self.end(&mut ran.clone(), now);
    }

    pub(super) fn end(&self, ran: &mut Ran, now: Instant) {
        if ran.0[0].is_none() {
            return;
        }
        let mut state = lock(&self.state);
        for stay in ran.0.iter_mut().flatten() {
            let card = &mut state.cards[stay.card];
            card.advance(now);
            card.running = card.running.saturating_sub(1);
            stay.to = card.shares;
        }
    }

    /// What the request took, where the next reading has come.
    pub(super) fn joules(&self, ran: &Ran) -> Joules {
        if ran.0[0].is_none() {
            return Joules::Unknown;
        }
        let state = lock(&self.state);
        let mut sum = 0.0;
        for stay in ran.0.iter().flatten() {
            match state.cards[stay.card].joules(stay) {
                Joules::Known(joules) => sum += joules,
                other => return other,
            }
        }
        Joules::Known(sum)
    }
}

// === impl State ===

impl State {
    fn card(&mut self, name: &Arc<str>) -> Option<usize> {
        if let Some(at) = self.cards.iter().position(|card| card.name == *name) {
            return Some(at);
        }
        (self.cards.len() < MAX_CARDS).then(|| {
            self.cards.push(Card::new(name.clone()));
            self.cards.len() - 1
        })
    }
}

// === impl Card ===

impl Card {
    fn new(name: Arc<str>) -> Self {
        Self {
            name,
            running: 0,
            shares: 0.0,
            moved: Instant::now(),
            read: None,
            readings: VecDeque::new(),
        }
    }

    fn advance(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.moved).as_secs_f64();
        self.moved = self.moved.max(now);
        if self.running > 0 {
            self.shares += passed / f64::from(self.running);
        }
    }

    fn read(&mut self, joules: f64, now: Instant) {
        self.advance(now);
        let Some(before) = self.read.replace(now) else {
            // The first one only begins an interval.
            self.readings.push_back((self.shares, 0.0));
            return;
        };
        let Some(&(from, sum)) = self.readings.back() else { return };
        let watts = joules / now.saturating_duration_since(before).as_secs_f64();
        if self.shares > from && watts.is_finite() && watts >= 0.0 {
            if self.readings.len() == MAX_READINGS {
                self.readings.pop_front();
            }
            self.readings.push_back((self.shares, sum + watts * (self.shares - from)));
        }
    }

    fn joules(&self, stay: &Stay) -> Joules {
        let (Some(first), Some(last)) = (self.readings.front(), self.readings.back()) else {
            return Joules::Unknown;
        };
        if stay.from < first.0 {
            Joules::Unknown
        } else if stay.to > last.0 {
            Joules::Later
        } else {
            Joules::Known((self.at(stay.to) - self.at(stay.from)).max(0.0))
        }
    }

    /// Joules of one who had run alone until the clock stood there.
    fn at(&self, shares: f64) -> f64 {
        let after = self.readings.partition_point(|&(clock, _)| clock < shares);
        let Some(&(to, high)) = self.readings.get(after) else { return 0.0 };
        let Some(&(from, low)) = after.checked_sub(1).and_then(|at| self.readings.get(at)) else {
            return high;
        };
        low + (high - low) * (shares - from) / (to - from)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn energy() -> (Energy, Arc<str>) {
        let energy = Energy::default();
        let chat: Arc<str> = "chat".into();
        energy.place(&[(chat.clone(), vec!["GPU-1".into()])]);
        (energy, chat)
    }

    fn known(energy: &Energy, ran: &Ran) -> f64 {
        match energy.joules(ran) {
            Joules::Known(joules) => joules,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn two_that_run_at_once_share_and_the_sum_is_what_the_card_took() {
        let (energy, chat) = energy();
        let t = Instant::now();
        energy.read("GPU-1", 0.0, t);
        let mut a = energy.join(&chat, t);
        let mut b = energy.join(&chat, t + S / 2);
        energy.read("GPU-1", 200.0, t + S);
        energy.end(&mut a, t + S + S / 2);
        assert_eq!(energy.joules(&a), Joules::Later, "the second is not read yet");
        energy.end(&mut b, t + 2 * S);
        energy.read("GPU-1", 400.0, t + 2 * S);
        // Half a second alone and two halves shared: 3/4 of the first second, 1/4 of the other.
        let (a, b) = (known(&energy, &a), known(&energy, &b));
        assert!((a - 250.0).abs() < 1e-9 && (b - 350.0).abs() < 1e-9, "{a} {b}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_card_takes_while_nothing_runs_is_nobodys() {
        let (energy, chat) = energy();
        let t = Instant::now();
        energy.read("GPU-1", 0.0, t);
        energy.read("GPU-1", 30.0, t + S);
        let mut a = energy.join(&chat, t + S);
        energy.end(&mut a, t + S + S / 4);
        energy.read("GPU-1", 100.0, t + 2 * S);
        assert!((known(&energy, &a) - 25.0).abs() < 1e-9);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_card_or_a_reading_nothing_is_made_up() {
        let (energy, chat) = energy();
        let t = Instant::now();
        let mut early = energy.join(&chat, t);
        energy.read("GPU-1", 5.0, t + S);
        energy.end(&mut early, t + 2 * S);
        energy.read("GPU-1", 5.0, t + 2 * S);
        assert_eq!(energy.joules(&early), Joules::Unknown, "it began before the first reading");
        let mut other = energy.join(&"cpu".into(), t);
        energy.end(&mut other, t + S);
        assert_eq!(energy.joules(&other), Joules::Unknown);
    }

    #[tokio::test(start_paused = true)]
    async fn readings_are_bounded_and_a_day_long_request_says_unknown() {
        let (energy, chat) = energy();
        let mut t = Instant::now();
        energy.read("GPU-1", 0.0, t);
        let mut long = energy.join(&chat, t);
        for _ in 0..5000 {
            t += S;
            energy.read("GPU-1", 10.0, t);
        }
        energy.end(&mut long, t);
        assert_eq!(energy.joules(&long), Joules::Unknown);
        assert_eq!(lock(&energy.state).cards[0].readings.len(), MAX_READINGS);
    }
}
