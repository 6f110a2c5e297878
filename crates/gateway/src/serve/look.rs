//! A backend that is down and asked for all the same is looked at anew: its watch looks ever
//! less often at one that does not answer, and who is refused is told when it is worth asking
//! again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, timeout};

use super::state::State;
use crate::{
    admission::{BackendId, Limit, Refusal},
    route::{Table, Way},
};

/// One backend is looked at at most so often.
const EVERY: Duration = Duration::from_secs(1);
/// The longest that one look takes.
const LONGEST: Duration = Duration::from_secs(10);

/// When each was looked at last, because somebody was refused.
#[derive(Debug, Default)]
pub struct Looks(Mutex<HashMap<BackendId, Instant>>);

// === impl Looks ===

impl Looks {
    /// Whether it is looked at now; of those that are gone nothing is kept.
    fn due(&self, id: &BackendId, table: &Table) -> bool {
        let now = Instant::now();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.retain(|id, at| now - *at < EVERY && table.backend(id).is_some());
        if last.contains_key(id) {
            return false;
        }
        last.insert(id.clone(), now);
        true
    }
}

// === impl State ===

impl State {
    /// Where nobody could answer, those that are down are looked at.
    pub fn look_again(self: &Arc<Self>, table: &Table, way: &Way, refusal: &Refusal) {
        if refusal.limit != Limit::Backends || self.is_stopping() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let down = way.candidates.iter().map(|candidate| &candidate.backend);
        for id in down.filter(|id| table.backend(id).is_some_and(|backend| !backend.up)) {
            if !self.looks.due(id, table) {
                continue;
            }
            let (state, id) = (self.clone(), id.clone());
            let look = async move {
                tokio::select! {
                    biased;
                    () = state.stop.cancelled() => {}
                    // What it shows is told to all by whoever watches it.
                    _ = timeout(LONGEST, state.world.running(&id)) => {}
                }
            };
            self.tasks.spawn_on(look, &runtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use futures::future::BoxFuture;
    use plimsoll_core::request::Endpoint;
    use tokio::time::{advance, sleep};

    use super::{super::state::tests::state, *};
    use crate::{route::Backend, serve::World};

    #[derive(Default)]
    struct Counting(AtomicU32);

    impl World for Counting {
        fn running(&self, id: &BackendId) -> BoxFuture<'static, Option<u32>> {
            assert_eq!(&**id, "down");
            self.0.fetch_add(1, Relaxed);
            Box::pin(std::future::ready(Some(0)))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_is_down_is_looked_at_when_it_is_asked_for_once_a_second() {
        let backend = |id: &str, up| Backend {
            id: id.into(),
            kind: None,
            url: "http://127.0.0.1:9".into(),
            key: None,
            trust: None,
            models: vec!["m".into()],
            loaded: None,
            up,
        };
        let table = Table::of([backend("down", false), backend("up", true)]);
        let way = table.way(Endpoint::Chat, "m").unwrap();
        let world = Arc::new(Counting::default());
        let state = state(world.clone());
        let refusal = |limit| Refusal { limit, reason: String::new(), retry_after: None };
        let mut looks = Vec::new();
        for limit in [Limit::Queue, Limit::Backends, Limit::Backends] {
            state.look_again(&table, &way, &refusal(limit));
            sleep(Duration::from_millis(1)).await;
            looks.push(world.0.load(Relaxed));
        }
        advance(EVERY).await;
        state.look_again(&table, &way, &refusal(Limit::Backends));
        sleep(Duration::from_millis(1)).await;
        looks.push(world.0.load(Relaxed));
        assert_eq!(looks, [0, 1, 1, 2]);
    }
}
