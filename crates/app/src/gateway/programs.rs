//! Finds the programs at the other ends of connections, for all who wait at once.
//!
//! A look follows the open files of other processes and costs milliseconds of a core, so
//! only one goes on at a time. Whoever comes meanwhile shares the next one: it begins after
//! they connected, so it sees them all, and it costs as much for two hundred as for one.
//! Nobody is turned away for having come together with others: a client that is not told
//! apart is not kept to its limits either.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use plimsoll_gateway::serve::Sought;
use plimsoll_sense::{Ends, Peers};
use tokio::{runtime::Handle, sync::oneshot};

/// Clients that wait for one look; a gateway has hardly more connections.
const MAX_WAITING: usize = 16_384;
/// Longest rest after a look. It rests as long as it looked, so that strangers who come and
/// go all the time cost half a core and no more.
const LONGEST_REST: Duration = Duration::from_millis(5);

/// What looks: names of the programs at these ends, in their order.
pub(super) trait Find: Send {
    fn programs(&mut self, ends: &[Ends]) -> Vec<Option<String>>;
}

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Programs(Arc<Shared>);

struct Shared {
    desk: Mutex<Desk>,
    finder: Mutex<Box<dyn Find>>,
}

#[derive(Default)]
struct Desk {
    waiting: Vec<Waits>,
    /// Somebody looks, and looks again while somebody waits.
    looked_for: bool,
}

struct Waits {
    ends: Ends,
    answer: oneshot::Sender<Sought>,
}

/// One who looks. However that ends, the next who asks looks anew.
struct Looker(Programs);

// === impl Programs ===

impl Default for Programs {
    fn default() -> Self {
        Self::by(Box::new(Peers::default()))
    }
}

impl Programs {
    pub(super) fn by(finder: Box<dyn Find>) -> Self {
        Self(Arc::new(Shared { desk: Mutex::default(), finder: Mutex::new(finder) }))
    }

    /// The program at the first of these ends. Call it on a runtime: the look goes on there
    /// also when nobody waits any more, and the next one finds it quicker.
    pub(super) fn seek(&self, ends: Ends) -> BoxFuture<'static, Sought> {
        let (answer, told) = oneshot::channel();
        let begins = {
            let mut desk = self.desk();
            if desk.waiting.len() < MAX_WAITING {
                desk.waiting.push(Waits { ends, answer });
            }
            !std::mem::replace(&mut desk.looked_for, true)
        };
        if begins {
            let looker = Looker(self.clone());
            Handle::current().spawn_blocking(move || looker.look());
        }
        // Who found no room, or whose look failed, may ask again.
        Box::pin(async move { told.await.unwrap_or(Sought::NotYet) })
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Looker ===

impl Looker {
    fn look(self) {
        loop {
            let waiting = {
                let mut desk = self.0.desk();
                if desk.waiting.is_empty() {
                    desk.looked_for = false;
                    return;
                }
                std::mem::take(&mut desk.waiting)
            };
            let began = Instant::now();
            let ends: Vec<Ends> = waiting.iter().map(|waits| waits.ends).collect();
            let found = {
                let mut finder = self.0.0.finder.lock().unwrap_or_else(PoisonError::into_inner);
                finder.programs(&ends)
            };
            for (waits, found) in waiting.into_iter().zip(found) {
                let sought = found.map_or(Sought::Nobody, |name| Sought::Found(name.into()));
                // Who does not wait any more needs no answer.
                let _ = waits.answer.send(sought);
            }
            thread::sleep(began.elapsed().min(LONGEST_REST));
        }
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        if thread::panicking() {
            let mut desk = self.0.desk();
            desk.looked_for = false;
            desk.waiting.clear();
        }
    }
}

// === impl Find for Peers ===

impl Find for Peers {
    fn programs(&mut self, ends: &[Ends]) -> Vec<Option<String>> {
        Peers::programs(self, ends)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::SocketAddr,
        sync::{
            atomic::{AtomicUsize, Ordering::Relaxed},
            mpsc,
        },
    };

    use futures::future::join_all;

    use super::*;

    /// Knows each program by its port, and looks when it is let.
    struct Led {
        let_go: mpsc::Receiver<()>,
        looks: Arc<AtomicUsize>,
    }

    impl Find for Led {
        fn programs(&mut self, ends: &[Ends]) -> Vec<Option<String>> {
            self.looks.fetch_add(1, Relaxed);
            self.let_go.recv().unwrap();
            let name = |port: u16| (port != 1).then(|| format!("program {}", port % 4));
            ends.iter().map(|(there, _)| name(there.port())).collect()
        }
    }

    fn led() -> (Programs, mpsc::Sender<()>, Arc<AtomicUsize>) {
        let (go, let_go) = mpsc::channel();
        let looks = Arc::new(AtomicUsize::new(0));
        (Programs::by(Box::new(Led { let_go, looks: looks.clone() })), go, looks)
    }

    fn ends(port: u16) -> Ends {
        (SocketAddr::from(([127, 0, 0, 1], port)), SocketAddr::from(([127, 0, 0, 1], 1876)))
    }

    #[tokio::test]
    async fn all_who_come_while_somebody_looks_share_the_next_look_and_are_told_apart() {
        let (programs, go, looks) = led();
        let first = programs.seek(ends(1000));
        // However many there are within one second.
        let others: Vec<_> = (1001..1200).map(|port| programs.seek(ends(port))).collect();
        go.send(()).unwrap();
        assert_eq!(first.await, Sought::Found("program 0".into()));
        go.send(()).unwrap();
        let found = join_all(others).await;
        for (port, sought) in (1001..1200).zip(found) {
            assert_eq!(sought, Sought::Found(format!("program {}", port % 4).into()));
        }
        // Those who asked before the first look began may have come into it.
        assert!(looks.load(Relaxed) <= 2, "{looks:?}");
        go.send(()).unwrap();
        assert_eq!(programs.seek(ends(1)).await, Sought::Nobody);
    }

    #[tokio::test]
    async fn a_look_that_fails_is_not_the_last_and_whoever_waited_may_ask_again() {
        let (programs, go, _) = led();
        let waits = programs.seek(ends(1000));
        drop(go);
        assert_eq!(waits.await, Sought::NotYet);
        let (go, let_go) = mpsc::channel();
        *programs.0.finder.lock().unwrap_or_else(PoisonError::into_inner) =
            Box::new(Led { let_go, looks: Arc::default() });
        go.send(()).unwrap();
        // The one that failed may still be on its way out.
        let mut sought = programs.seek(ends(1001)).await;
        while sought == Sought::NotYet {
            sought = programs.seek(ends(1001)).await;
        }
        assert_eq!(sought, Sought::Found("program 1".into()));
    }

    #[tokio::test]
    async fn who_waits_no_more_holds_nobody_up() {
        let (programs, go, _) = led();
        drop(programs.seek(ends(1000)));
        go.send(()).unwrap();
        go.send(()).unwrap();
        assert_eq!(programs.seek(ends(1002)).await, Sought::Found("program 2".into()));
    }

    #[tokio::test]
    async fn more_than_may_wait_are_not_yet_told() {
        let (programs, go, looks) = led();
        let first = programs.seek(ends(1000));
        while looks.load(Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let mut more: Vec<_> = (0..=MAX_WAITING + 1).map(|_| programs.seek(ends(1001))).collect();
        assert_eq!(more.pop().unwrap().await, Sought::NotYet);
        go.send(()).unwrap();
        go.send(()).unwrap();
        assert_eq!(first.await, Sought::Found("program 0".into()));
        assert_eq!(more.swap_remove(0).await, Sought::Found("program 1".into()));
    }
}
