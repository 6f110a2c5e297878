//! Where revisions are kept: one narrow trait, and the database behind it.

use futures::future::BoxFuture;
use plimsoll_core::config::{
    digest,
    wire::{Changed, DiffLine, Revision},
};
use plimsoll_history::{State, StoredRevision};
use serde::{Deserialize, Serialize};

use crate::api::{Fault, FaultCode};

/// How many revisions can be gone back to.
const KEPT: u32 = 1000;

/// A revision with the whole text it put in force.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptRevision {
    pub revision: Revision,
    pub text: String,
}

/// Keeps revisions, numbered from 1 without gaps that matter.
pub trait Revisions: Send + Sync + 'static {
    /// Keeps it and answers its number; the one it carries is of no account.
    fn add(&self, kept: KeptRevision) -> BoxFuture<'_, Result<i64, Fault>>;
    fn get(&self, number: i64) -> BoxFuture<'_, Result<Option<KeptRevision>, Fault>>;
    fn newest(&self) -> BoxFuture<'_, Result<Option<KeptRevision>, Fault>>;
    /// Newest first.
    fn list(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Revision>, Fault>>;
}

/// What stands in the database's column `diff`, as JSON.
#[derive(Serialize, Deserialize)]
struct Detail {
    changed: Vec<Changed>,
    diff: Vec<DiffLine>,
    rolled_back_to: Option<i64>,
}

fn kept(stored: StoredRevision) -> KeptRevision {
    // A row that cannot be read still has its text, and that is what a rollback needs.
    let detail = serde_json::from_str(&stored.diff).unwrap_or(Detail {
        changed: Vec::new(),
        diff: Vec::new(),
        rolled_back_to: None,
    });
    KeptRevision {
        revision: Revision {
            number: stored.id,
            at_ms: stored.at_ms,
            by: stored.by,
            rolled_back_to: detail.rolled_back_to,
            changed: detail.changed,
            diff: detail.diff,
        },
        text: stored.text,
    }
}

fn fault(error: impl std::fmt::Display) -> Fault {
    Fault::new(FaultCode::Unavailable, format!("state.db: {error}"))
}

impl Revisions for State {
    fn add(&self, kept: KeptRevision) -> BoxFuture<'_, Result<i64, Fault>> {
        Box::pin(async move {
            let KeptRevision { revision, text } = kept;
            let stored = StoredRevision {
                id: 0,
                at_ms: revision.at_ms,
                summary: super::words::title(&revision),
                digest: digest(&text),
                text,
                by: revision.by,
                diff: serde_json::to_string(&Detail {
                    changed: revision.changed,
                    diff: revision.diff,
                    rolled_back_to: revision.rolled_back_to,
                })
                .map_err(fault)?,
            };
            let number = self.add_revision(&stored).await.map_err(fault)?;
            // It is stored: that an old one stays a while longer fails nothing.
            if let Err(error) = self.forget_revisions(KEPT).await {
                tracing::warn!(%error, "old revisions could not be forgotten");
            }
            Ok(number)
        })
    }

    fn get(&self, number: i64) -> BoxFuture<'_, Result<Option<KeptRevision>, Fault>> {
        Box::pin(async move { Ok(self.revision(number).await.map_err(fault)?.map(kept)) })
    }

    fn newest(&self) -> BoxFuture<'_, Result<Option<KeptRevision>, Fault>> {
        Box::pin(
            async move { Ok(self.revisions(1).await.map_err(fault)?.into_iter().next().map(kept)) },
        )
    }

    fn list(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Revision>, Fault>> {
        Box::pin(async move {
            let rows = self.revisions(limit).await.map_err(fault)?;
            Ok(rows.into_iter().map(|row| kept(row).revision).collect())
        })
    }
}
