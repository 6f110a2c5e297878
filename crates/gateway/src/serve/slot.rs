//! The slot of a request that nobody waits for any more.
//!
//! Its connection is closed by then, and its backend should stop. Until that says that the slot
//! is free its room stays taken, so that the next request does not meet a server that is still
//! busy. What the server tells is a number alone, of all that it works on: it is compared with
//! what is there of ours by now, which is not what holds room. A request that was admitted has
//! perhaps not been sent yet, and one that was sent may still be on its way.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};

use super::{state::State, world::Orphan};
use crate::admission::{AtWork, BackendId, Outcome, Permit};

/// How often a slot is looked at after its client left: at first, and at most.
const SLOT_LOOK: Duration = Duration::from_millis(25);
const SLOT_LOOK_MAX: Duration = Duration::from_millis(500);
/// Looks that showed nothing: this backend does not tell what it runs.
const BLIND_LOOKS: u32 = 4;
/// Looks in a row that can be read in two ways. What goes on beside others is there one too many
/// as soon as they have come, and a request takes less than this to come.
const UNCLEAR_LOOKS: u32 = 4;

/// What a backend's own count says of those whose clients left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// It works on no more than is there of others.
    Free,
    /// On as many as others, if all of these have come.
    Unclear,
    /// On more than there are others.
    Busy,
}

// === impl Seen ===

impl Seen {
    /// Those that left are not among `others`, though they hold room: they should run no more.
    fn of(running: u32, others: AtWork) -> Self {
        match running {
            _ if running <= others.answering => Self::Free,
            _ if running <= others.sent => Self::Unclear,
            _ => Self::Busy,
        }
    }
}

// === impl State ===

impl State {
    /// The client left while a backend was at work. Its connection is closed by now; the
    /// permit is held until the backend's own count says that the slot is free. Where the
    /// gateway stops there is no next request, and nothing is watched any more.
    pub fn leave(
        self: &Arc<Self>,
        permit: Permit,
        model: &Arc<str>,
        request: i64,
        end: (Outcome, Option<u32>),
    ) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            permit.end(end.0, end.1);
            return;
        };
        permit.left();
        let state = self.clone();
        let model = model.clone();
        let watch = async move {
            tokio::select! {
                biased;
                () = state.stop.cancelled() => {}
                () = state.watch_slot(&permit.grant.backend, &model, request) => {}
            }
            permit.end(end.0, end.1);
        };
        self.tasks.spawn_on(watch, &runtime);
    }

    /// Until the backend says that the slot is free, or has worked on for too long. A look
    /// that fails says nothing: it is looked again, and only a backend that never told
    /// anything is believed to be free after a few of them.
    async fn watch_slot(&self, backend: &BackendId, model: &Arc<str>, request: i64) {
        let left = Instant::now();
        let watch = self.options().slot_watch;
        let (mut pause, mut blind, mut unclear, mut was_busy) = (SLOT_LOOK, 0, 0, false);
        loop {
            // One look may take its time, too.
            let look = timeout_at(left + watch, self.world.running(backend)).await;
            match look.ok().flatten().map(|running| Seen::of(running, self.desk.at_work(backend))) {
                Some(Seen::Free) => return,
                Some(Seen::Unclear) => unclear += 1,
                Some(Seen::Busy) => (unclear, was_busy) = (0, true),
                None => blind += 1,
            }
            if unclear >= UNCLEAR_LOOKS || (!was_busy && blind >= BLIND_LOOKS) {
                return;
            }
            if left.elapsed() >= watch {
                break;
            }
            sleep(pause).await;
            pause = (pause * 2).min(SLOT_LOOK_MAX);
        }
        // What nobody saw running is no orphan.
        if was_busy {
            let after_ms = u64::try_from(left.elapsed().as_millis()).unwrap_or(u64::MAX);
            let (backend, model) = (backend.clone(), model.to_string());
            self.world.orphaned(Orphan { backend, model, request, after_ms });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    };

    use futures::future::BoxFuture;
    use plimsoll_core::{config::gateway::Balance, request::Priority};

    use super::{super::state::tests::state, *};
    use crate::{
        admission::{Ask, Candidate},
        serve::{Alone, World},
    };

    /// Says that it works on so many.
    #[derive(Default)]
    struct Works {
        on: AtomicU32,
        orphans: Mutex<Vec<i64>>,
    }

    impl World for Works {
        fn running(&self, _: &BackendId) -> BoxFuture<'static, Option<u32>> {
            Box::pin(std::future::ready(Some(self.on.load(Relaxed))))
        }

        fn orphaned(&self, orphan: Orphan) {
            self.orphans.lock().unwrap().push(orphan.request);
        }
    }

    fn works(on: u32) -> Arc<Works> {
        Arc::new(Works { on: on.into(), ..Works::default() })
    }

    async fn admitted(state: &State, id: u64) -> Permit {
        let ask = Ask {
            id,
            client: "one".into(),
            model: "m".into(),
            priority: Priority::Interactive,
            tokens: 0,
            deadline: state.desk.deadline_in(Duration::from_secs(1)),
            candidates: [Candidate { backend: "b".into(), rank: 0, weight: 1 }].into(),
            policy: Balance::LeastInFlight,
            hash: 0,
        };
        state.desk.admit(ask).await.unwrap()
    }

    /// One that was sent, and whose client leaves now.
    async fn leaves(state: &Arc<State>, id: u64) {
        let permit = admitted(state, id).await;
        permit.sent();
        state.leave(permit, &"m".into(), i64::try_from(id).unwrap(), (Outcome::Unknown, None));
    }

    /// In flight so many milliseconds from now.
    async fn after(state: &State, ms: u64) -> u32 {
        sleep(Duration::from_millis(ms)).await;
        state.desk.in_flight()
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_tells_nothing_keeps_its_room_for_four_looks_and_no_longer() {
        let state = state(Arc::new(Alone));
        leaves(&state, 1).await;
        assert_eq!((after(&state, 170).await, after(&state, 10).await), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_admitted_and_not_sent_is_not_what_its_backend_works_on() {
        let world = works(1);
        let state = state(world.clone());
        leaves(&state, 1).await;
        let next = admitted(&state, 2).await;
        assert_eq!(after(&state, 5_000).await, 2, "it works on what nobody waits for");
        // That ends at last, and the next one is sent.
        next.sent();
        next.answered();
        assert_eq!(after(&state, 600).await, 1);
        assert_eq!(*world.orphans.lock().unwrap(), [0; 0]);
        // Where it does not end it is told, and its room is given to the next.
        leaves(&state, 3).await;
        world.on.store(2, Relaxed);
        assert_eq!((after(&state, 9_900).await, after(&state, 700).await), (2, 1));
        assert_eq!(*world.orphans.lock().unwrap(), [3]);
        drop(next);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_sent_may_be_on_its_way_for_a_few_looks() {
        let world = works(1);
        let state = state(world.clone());
        let other = admitted(&state, 1).await;
        other.sent();
        leaves(&state, 2).await;
        assert_eq!(after(&state, 60).await, 2, "either of them may be the one that runs");
        // The other one has come, and there are two.
        world.on.store(2, Relaxed);
        assert_eq!(after(&state, 2_000).await, 2, "it goes on");
        world.on.store(1, Relaxed);
        assert_eq!(after(&state, 2_100).await, 1, "nothing was there beside the other one");
        assert_eq!(*world.orphans.lock().unwrap(), [0; 0]);
        // Whose answer has begun is there for certain.
        other.answered();
        leaves(&state, 3).await;
        assert_eq!(after(&state, 1).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn of_several_who_left_none_counts_as_one_who_is_there() {
        let state = state(works(1));
        leaves(&state, 1).await;
        leaves(&state, 2).await;
        assert_eq!(after(&state, 5_000).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn no_slot_is_watched_any_more_when_the_gateway_stops() {
        let state = state(works(9));
        leaves(&state, 1).await;
        assert_eq!(after(&state, 9_000).await, 1, "it is watched");
        state.tasks.close();
        state.stop.cancel();
        let stopped = Instant::now();
        state.tasks.wait().await;
        assert_eq!((state.desk.in_flight(), stopped.elapsed()), (0, Duration::ZERO));
    }
}
