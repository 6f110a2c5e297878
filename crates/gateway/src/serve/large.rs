//! Work on a whole body, off the thread that passes tokens where the body is large.

use bytes::Bytes;
use plimsoll_core::request::Endpoint;
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::refuse::Refused;
use crate::request::{self as body, Understood};

/// From this size on a body takes milliseconds to go through: to read, to copy, to hash.
const LARGE: usize = 128 << 10;
/// So many are gone through at once: what is begun goes on with its bytes where its client has
/// left meanwhile, and nothing counts them then.
const AT_ONCE: usize = 4;
static ROOM: Semaphore = Semaphore::const_new(AT_ONCE);

/// What a body asks for.
pub async fn understand(
    endpoint: Endpoint,
    bytes: &Bytes,
    content_type: Option<&str>,
) -> Result<Understood, Refused> {
    if bytes.len() <= LARGE {
        return Ok(body::understand(endpoint, bytes, content_type)?);
    }
    let (bytes, kind) = (bytes.clone(), content_type.map(str::to_owned));
    let understood = elsewhere(move || body::understand(endpoint, &bytes, kind.as_deref())).await?;
    Ok(understood?)
}

/// Works on a body that was understood.
pub async fn with_body<T: Send + 'static>(
    understood: &Understood,
    bytes: &Bytes,
    work: impl FnOnce(&Understood, Bytes) -> T + Send + 'static,
) -> Result<T, Refused> {
    let bytes = bytes.clone();
    if bytes.len() <= LARGE {
        return Ok(work(understood, bytes));
    }
    let understood = understood.clone();
    elsewhere(move || work(&understood, bytes)).await
}

async fn elsewhere<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    let Ok(room) = ROOM.acquire().await else { return Err(Refused::gone()) };
    let work = move || {
        let done = work();
        drop(room);
        done
    };
    spawn_blocking(work).await.map_err(|_| Refused::gone())
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, mpsc},
        thread,
    };

    use futures::FutureExt as _;

    use super::*;

    fn chat(bytes: usize) -> Bytes {
        format!(r#"{{"model":"m","messages":[],"x":"{}"}}"#, "x".repeat(bytes)).into()
    }

    #[tokio::test]
    async fn a_large_body_is_worked_on_elsewhere_and_a_small_one_here() {
        let here = thread::current().id();
        for (bytes, is_here) in [(100, true), (LARGE, false)] {
            let body = chat(bytes);
            let understood = understand(Endpoint::Chat, &body, None).await.unwrap();
            assert_eq!(understood.model.as_deref(), Some("m"));
            let work = |_: &Understood, body: Bytes| (thread::current().id(), body.len());
            let (at, len) = with_body(&understood, &body, work).await.unwrap();
            assert_eq!((at == here, len), (is_here, body.len()));
        }
    }

    #[tokio::test]
    async fn who_leaves_before_its_large_body_is_begun_takes_it_along() {
        let (begun, begins) = mpsc::channel();
        let (ends, end) =
            (0..AT_ONCE).map(|_| mpsc::channel::<()>()).unzip::<_, _, Vec<_>, Vec<_>>();
        let busy: Vec<_> = end
            .into_iter()
            .map(|end| {
                let begun = begun.clone();
                tokio::spawn(elsewhere(move || {
                    begun.send(()).unwrap();
                    end.recv().is_err()
                }))
            })
            .collect();
        tokio::task::yield_now().await;
        let begins = tokio::task::spawn_blocking(move || begins.iter().take(AT_ONCE).count());
        assert_eq!(begins.await.unwrap(), AT_ONCE);
        let body = Arc::new(());
        let kept = body.clone();
        let mut late = Box::pin(elsewhere(move || drop(kept)));
        assert!(late.as_mut().now_or_never().is_none());
        drop(late);
        assert_eq!(Arc::strong_count(&body), 1);
        drop(ends);
        for one in busy {
            assert!(one.await.unwrap().unwrap());
        }
        elsewhere(move || drop(body)).await.unwrap();
    }
}
