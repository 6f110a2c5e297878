//! Bounded waiting for what another process does.

use std::{future::Future, time::Duration};

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// Longer than anything here takes on a busy machine with two cores.
pub const PATIENCE: Duration = Duration::from_secs(45);
const STEP: Duration = Duration::from_millis(50);

/// Asks again until `probe` answers something, and gives up after [`PATIENCE`] with its last error.
pub async fn until<T, F>(what: &str, mut probe: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let end = Instant::now() + PATIENCE;
    loop {
        let outcome = probe().await;
        if let Ok(Some(found)) = outcome {
            return Ok(found);
        }
        if Instant::now() > end {
            match outcome {
                Err(error) => bail!("waited {PATIENCE:?} for {what}: {error:#}"),
                _ => bail!("waited {PATIENCE:?} for {what}"),
            }
        }
        sleep(STEP).await;
    }
}
