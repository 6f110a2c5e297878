//! What a client sent and got, where a person asked for it: of one client at a time, for an
//! hour at most, cut, and in memory only.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::live::lock;

/// So much of each is kept.
pub const MAX_TEXT: usize = 256 << 10;
/// Longest time for which a client's bodies are kept.
pub const MAX_BODIES: Duration = Duration::from_secs(3600);
/// Requests whose bodies are kept, the oldest go first; and requests under way whose bodies
/// are gathered, further ones are not.
const MAX_KEPT: usize = 64;
/// Clients whose bodies are kept at once.
const MAX_CLIENTS: usize = 8;

/// A body as it passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    pub request: Vec<u8>,
    pub answer: Vec<u8>,
    /// One of them was longer.
    pub cut: bool,
}

#[derive(Default)]
pub(super) struct Bodies {
    /// Nothing is asked of the rest before somebody wants any.
    any: AtomicBool,
    /// Requests under way whose bodies are gathered.
    gathered: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Until when, by client.
    clients: Vec<(Arc<str>, Instant)>,
    kept: VecDeque<Kept>,
}

struct Kept {
    id: i64,
    client: Arc<str>,
    until: Instant,
    passed: Passed,
}

// === impl Bodies ===

impl Bodies {
    /// Keeps those of a client from now on; with no time no longer, and forgets what there is.
    /// `false`: too many clients' are kept already.
    pub(super) fn keep(&self, client: &str, time: Duration, now: Instant) -> bool {
        let mut state = lock(&self.state);
        state.forget(now);
        state.clients.retain(|(name, _)| &**name != client);
        if time.is_zero() {
            state.kept.retain(|kept| &*kept.client != client);
        } else if state.clients.len() >= MAX_CLIENTS {
            return false;
        } else {
            state.clients.push((client.into(), now + time.min(MAX_BODIES)));
        }
        self.any.store(!state.clients.is_empty() || !state.kept.is_empty(), Relaxed);
        true
    }

    /// Clients whose bodies are kept now, and for how long yet.
    pub(super) fn clients(&self, now: Instant) -> Vec<(Arc<str>, Duration)> {
        if !self.any.load(Relaxed) {
            return Vec::new();
        }
        let mut state = lock(&self.state);
        state.forget(now);
        self.any.store(!state.clients.is_empty() || !state.kept.is_empty(), Relaxed);
        state.clients.iter().map(|(name, until)| (name.clone(), *until - now)).collect()
    }

    /// Whether those of a request are to be gathered; each that are end with [`Self::put`].
    pub(super) fn begin(&self, client: &str, now: Instant) -> bool {
        let wanted = self.any.load(Relaxed)
            && lock(&self.state)
                .clients
                .iter()
                .any(|(name, until)| &**name == client && now < *until);
        let one_more = |count: usize| (count < MAX_KEPT).then_some(count + 1);
        wanted && self.gathered.fetch_update(Relaxed, Relaxed, one_more).is_ok()
    }

    pub(super) fn put(&self, id: i64, client: &Arc<str>, passed: Passed, now: Instant) {
        let _ = self.gathered.fetch_update(Relaxed, Relaxed, |count| count.checked_sub(1));
        let mut state = lock(&self.state);
        state.forget(now);
        // They are forgotten when nothing more is kept of that client.
        let Some(&(_, until)) = state.clients.iter().find(|(name, _)| name == client) else {
            return;
        };
        if state.kept.len() >= MAX_KEPT {
            state.kept.pop_front();
        }
        state.kept.push_back(Kept { id, client: client.clone(), until, passed });
    }

    pub(super) fn of(&self, id: i64, now: Instant) -> Option<Passed> {
        let mut state = lock(&self.state);
        state.forget(now);
        state.kept.iter().find(|kept| kept.id == id).map(|kept| kept.passed.clone())
    }
}

// === impl State ===

impl State {
    fn forget(&mut self, now: Instant) {
        self.clients.retain(|(_, until)| now < *until);
        self.kept.retain(|kept| now < kept.until);
    }
}

// === impl Passed ===

impl Passed {
    pub(super) fn asked(&mut self, bytes: &[u8]) {
        self.cut |= append(&mut self.request, bytes);
    }

    pub(super) fn answered(&mut self, bytes: &[u8]) {
        self.cut |= append(&mut self.answer, bytes);
    }
}

/// Whether something was left out.
fn append(text: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let room = MAX_TEXT - text.len();
    text.extend_from_slice(&bytes[..bytes.len().min(room)]);
    bytes.len() > room
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bodies_are_kept_of_the_client_alone_cut_and_for_their_time() {
        let bodies = Bodies::default();
        let now = Instant::now();
        let client: Arc<str> = "agent".into();
        assert!(!bodies.begin("agent", now));
        assert!(bodies.keep("agent", Duration::from_secs(7200), now));
        assert!(bodies.begin("agent", now) && !bodies.begin("curl", now));
        let mut passed = Passed::default();
        passed.asked(&vec![b'x'; MAX_TEXT - 1]);
        passed.asked(b"yy");
        passed.answered(b"hello");
        assert_eq!((passed.request.len(), passed.cut), (MAX_TEXT, true));
        bodies.put(7, &client, passed.clone(), now);
        bodies.put(8, &"curl".into(), passed.clone(), now);
        assert_eq!(bodies.of(7, now), Some(passed));
        assert_eq!(bodies.of(8, now), None, "nobody asked for these");
        let hour = now + MAX_BODIES;
        assert_eq!(bodies.of(7, hour), None, "an hour at most");
        assert!(!bodies.begin("agent", hour) && bodies.clients(hour).is_empty());
    }

    // MV13
    #[tokio::test(start_paused = true)]
    async fn of_many_requests_under_way_only_so_many_are_gathered_and_each_end_lets_one_in() {
        let bodies = Bodies::default();
        let (now, client): (_, Arc<str>) = (Instant::now(), "agent".into());
        bodies.keep("agent", MAX_BODIES, now);
        assert!((0..MAX_KEPT).all(|_| bodies.begin("agent", now)));
        assert!(!bodies.begin("agent", now));
        bodies.put(1, &client, Passed::default(), now);
        assert!(bodies.begin("agent", now));
        assert!(!bodies.begin("agent", now));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_person_ends_is_forgotten_and_all_of_it_is_bounded() {
        let bodies = Bodies::default();
        let (now, client): (_, Arc<str>) = (Instant::now(), "agent".into());
        bodies.keep("agent", MAX_BODIES, now);
        for id in 0..100 {
            bodies.put(id, &client, Passed::default(), now);
        }
        assert_eq!(lock(&bodies.state).kept.len(), MAX_KEPT);
        assert_eq!((bodies.of(0, now), bodies.of(99, now)), (None, Some(Passed::default())));
        bodies.keep("agent", Duration::ZERO, now);
        assert_eq!(bodies.of(99, now), None);
        for n in 0..MAX_CLIENTS {
            assert!(bodies.keep(&n.to_string(), MAX_BODIES, now));
        }
        assert!(!bodies.keep("one more", MAX_BODIES, now));
    }
}
