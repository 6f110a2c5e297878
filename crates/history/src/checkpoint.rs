//! The checkpoint: moves what the write-ahead log holds into the database, and
//! so onto the disk. It has a connection and a task of its own, so that no
//! commit ever waits for it.

use std::{sync::Arc, time::Duration};

use sqlx::SqliteConnection;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    db::{self, HISTORY},
    faults::may_be_killed,
    history::Shared,
    options::Options,
};

pub(crate) fn start(
    shared: Arc<Shared>,
    options: watch::Receiver<Options>,
    mut stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut connection: Option<(u64, SqliteConnection)> = None;
        loop {
            let every = Duration::from_millis(options.borrow().checkpoint_ms.max(1));
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = shared.checkpoint_now.notified() => {}
                _ = stop.changed() => break,
            }
            if !shared.dirty.swap(false, std::sync::atomic::Ordering::Relaxed) {
                continue;
            }
            let generation = shared.generation();
            if connection.as_ref().is_none_or(|(g, _)| *g != generation) {
                if let Some((_, old)) = connection.take() {
                    db::close(old).await;
                }
                match HISTORY.helper(&shared.path).await {
                    Ok(fresh) => connection = Some((generation, fresh)),
                    Err(error) => {
                        tracing::debug!(%error, "no connection for a checkpoint");
                        continue;
                    }
                }
            }
            let Some((_, open)) = connection.as_mut() else { continue };
            if let Err(error) = checkpoint(open).await {
                // The writer meets the same fault and pauses; here it is only tried again.
                tracing::debug!(%error, "checkpoint failed");
                shared.dirty.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        }
        if let Some((_, connection)) = connection {
            db::close(connection).await;
        }
    })
}

async fn checkpoint(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    may_be_killed!("checkpoint");
    sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(connection).await?;
    may_be_killed!("checkpointed");
    Ok(())
}
