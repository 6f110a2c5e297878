//! From the live stream into the page, never faster than the page takes it.
//!
//! A channel of Tauri's never refuses a message: to a page that hangs it would
//! pile them up without bound. So each message is followed by a question that
//! the page's engine answers when it has come that far, and at most [`AHEAD`]
//! messages are unanswered. Behind them stands a queue of fixed size; what does
//! not fit is counted, and the page is told to ask again. Recording and the
//! desktop's own listening hear nothing of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plimsoll_app::api::Live;
use tauri::{
    WebviewWindow,
    ipc::{Channel, InvokeResponseBody},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task::AbortHandle,
};

/// Messages on their way into the page.
const AHEAD: usize = 8;
/// Messages that wait for the page: a minute of ticks.
const QUEUE: usize = 64;

/// The one page that listens, if there is one, and the metrics it shows.
pub struct Listeners {
    current: Mutex<Option<Listener>>,
    wanted: watch::Sender<Vec<String>>,
}

struct Listener {
    /// Of the page's side; tells this listener from one that came before.
    channel: u32,
    queue: mpsc::Sender<Live>,
    missed: u64,
    feeding: AbortHandle,
}

// === impl Listeners ===

impl Default for Listeners {
    fn default() -> Self {
        Self { current: Mutex::default(), wanted: watch::Sender::new(Vec::new()) }
    }
}

impl Listeners {
    /// Feeds `channel` from now on; a listener from before ends.
    pub fn begin(
        &self,
        window: WebviewWindow,
        channel: Channel<InvokeResponseBody>,
        metrics: Vec<String>,
    ) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let id = channel.id();
        let feeding = tokio::spawn(feed(window, channel, waiting)).abort_handle();
        self.replace(Some(Listener { channel: id, queue, missed: 0, feeding }));
        self.wanted.send_replace(metrics);
    }

    /// Ends that listener. One that was replaced meanwhile changes nothing any more.
    pub fn end(&self, channel: u32) {
        let current = self.place().as_ref().map(|listener| listener.channel);
        if current == Some(channel) {
            self.end_all();
        }
    }

    pub fn end_all(&self) {
        self.replace(None);
        self.wanted.send_replace(Vec::new());
    }

    /// Beginnings of the names of the metrics that the page shows.
    pub fn wanted(&self) -> watch::Receiver<Vec<String>> {
        self.wanted.subscribe()
    }

    /// Hands a message on; never waits.
    pub fn tell(&self, message: Live) {
        if let Some(listener) = &mut *self.place() {
            listener.tell(message);
        }
    }

    fn replace(&self, listener: Option<Listener>) {
        if let Some(before) = std::mem::replace(&mut *self.place(), listener) {
            before.feeding.abort();
        }
    }

    fn place(&self) -> MutexGuard<'_, Option<Listener>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Listener ===

impl Listener {
    fn tell(&mut self, message: Live) {
        if self.missed > 0 {
            let missed = Live::Missed { messages: self.missed };
            if self.queue.try_send(missed).is_ok() {
                self.missed = 0;
            }
        }
        // Out of order would be worse than missing: while some are missed, later ones are too.
        if self.missed > 0 || self.queue.try_send(message).is_err() {
            self.missed = self.missed.saturating_add(1);
        }
    }
}

async fn feed(
    window: WebviewWindow,
    channel: Channel<InvokeResponseBody>,
    mut waiting: mpsc::Receiver<Live>,
) {
    let room = Arc::new(Semaphore::new(AHEAD));
    while let Some(message) = waiting.recv().await {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let json = match serde_json::to_string(&message) {
            Ok(json) => json,
            Err(error) => {
                tracing::error!(%error, "a live message has no JSON form");
                continue;
            }
        };
        if channel.send(InvokeResponseBody::Json(json)).is_err() || ask(&window, permit).is_err() {
            // The page is gone.
            return;
        }
    }
}

/// Gives the permit back when the page has come to the question.
fn ask(window: &WebviewWindow, permit: OwnedSemaphorePermit) -> tauri::Result<()> {
    let permit = Mutex::new(Some(permit));
    window.eval_with_callback("0", move |_| {
        permit.lock().unwrap_or_else(PoisonError::into_inner).take();
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(at_ms: i64) -> Live {
        Live::Tick { at_ms, values: Vec::new() }
    }

    #[tokio::test]
    async fn a_page_that_takes_nothing_bounds_the_queue_and_hears_how_much_it_missed() {
        let (queue, mut waiting) = mpsc::channel(QUEUE);
        let feeding = tokio::spawn(std::future::pending::<()>()).abort_handle();
        let mut listener = Listener { channel: 1, queue, missed: 0, feeding };
        for at_ms in 0..1000 {
            listener.tell(tick(at_ms));
        }
        assert_eq!(waiting.len(), QUEUE);
        assert_eq!(listener.missed, 1000 - QUEUE as u64);

        // It comes back: first what was queued, in order, then that some were missed.
        for at_ms in 0..QUEUE as i64 {
            assert_eq!(waiting.recv().await, Some(tick(at_ms)));
        }
        listener.tell(tick(2000));
        let missed = Live::Missed { messages: 1000 - QUEUE as u64 };
        assert_eq!(waiting.recv().await, Some(missed));
        assert_eq!(waiting.recv().await, Some(tick(2000)));
        assert_eq!(listener.missed, 0);
    }

    #[tokio::test]
    async fn a_page_that_does_not_listen_any_more_is_sent_nothing() {
        let listeners = Listeners::default();
        let (queue, mut waiting) = mpsc::channel(QUEUE);
        let feeding = tokio::spawn(std::future::pending::<()>()).abort_handle();
        listeners.replace(Some(Listener { channel: 2, queue, missed: 0, feeding }));
        listeners.wanted.send_replace(vec!["cpu.".into()]);
        // Of a listener from before: the page listens anew, and goes on hearing.
        listeners.end(1);
        listeners.tell(Live::Services { at_ms: 1 });
        assert_eq!(waiting.recv().await, Some(Live::Services { at_ms: 1 }));

        // A window that is hidden ends it; nothing is queued for it, and no metric is asked for.
        listeners.end(2);
        for at_ms in 2..100 {
            listeners.tell(Live::Services { at_ms });
        }
        assert_eq!(waiting.recv().await, None);
        assert_eq!(*listeners.wanted().borrow(), Vec::<String>::new());
    }
}
