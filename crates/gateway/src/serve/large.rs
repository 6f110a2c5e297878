//! Work on a whole body, off the thread that passes tokens where the body is large.

use bytes::Bytes;
use plimsoll_core::request::Endpoint;
use tokio::task::spawn_blocking;

use super::refuse::Refused;
use crate::request::{self as body, Understood};

/// From this size on a body takes milliseconds to go through: to read, to copy, to hash.
const LARGE: usize = 128 << 10;

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
    spawn_blocking(work).await.map_err(|_| Refused::gone())
}

#[cfg(test)]
mod tests {
    use std::thread;

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
}
