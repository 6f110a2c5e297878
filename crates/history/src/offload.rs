//! Work that takes milliseconds, on threads that serve nobody else.

/// Runs it where it keeps nobody waiting.
pub(crate) async fn off_the_runtime<T: Default + Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => {
            // Only at the end of the runtime: nobody waits for the outcome.
            tracing::debug!(%error, "work was given up");
            T::default()
        }
    }
}
