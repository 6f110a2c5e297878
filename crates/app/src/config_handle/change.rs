//! Changing the configuration: what an edit would do, applying it on the text it
//! started from, and going back to an earlier revision.

use std::path::PathBuf;

use plimsoll_core::config::{
    Loaded, WriteError, changed_between,
    diff::diff,
    file, needs_restart,
    wire::{Preview, Revision},
};

use super::{
    BROWSER, ConfigHandle, KeptRevision, Standing, browser, files, read,
    words::{refused, something, who},
};
use crate::api::{ConfigEdit, Fault, FaultCode, RollbackRequest};

// === impl ConfigHandle ===

impl ConfigHandle {
    /// What an edit would do to the file as it is now.
    ///
    /// # Errors
    /// When the edit is neither changes nor a text.
    pub async fn preview(&self, edit: &ConfigEdit) -> Result<Preview, Fault> {
        something(edit)?;
        let good = self.inner.standing.lock().await.good.clone();
        let disk = read(&self.inner.path, &self.inner.environment).await;
        let mut preview = self.preview_on(good, disk, edit).await?;
        // A browser is told no more of a file than that it may not name one.
        if edit.by != BROWSER {
            preview.problems.extend(files::judge(&edit.changes).await?);
        }
        Ok(preview)
    }

    /// Writes the edit into the file and puts it in force as a new revision.
    ///
    /// # Errors
    /// `Conflict` where the file is not the one the edit started from, `Invalid`
    /// where the result would not be a sound configuration, `Denied` or
    /// `Unavailable` where the file cannot be written. Nothing has changed then.
    pub async fn apply(&self, edit: &ConfigEdit) -> Result<Revision, Fault> {
        something(edit)?;
        let Some(base) = &edit.base else {
            return Err(Fault::new(
                FaultCode::Invalid,
                "A change needs the digest of the text it started from.",
            )
            .hint("Ask for `config` first and pass its digest as `base`."));
        };
        let by = who(&edit.by)?;
        let mut standing = self.inner.standing.lock().await;
        self.catch_up(&mut standing).await;
        if *base != standing.disk.digest {
            return Err(self.conflict());
        }
        let (good, disk) = (standing.good.clone(), standing.disk.clone());
        // What a browser may not is refused as such, below.
        let unasked = ConfigEdit { by: String::new(), ..edit.clone() };
        let preview = self.preview_on(good, disk, &unasked).await?;
        if !preview.problems.is_empty() {
            return Err(refused(&preview.problems));
        }
        if by != BROWSER {
            let problems = files::judge(&edit.changes).await?;
            if !problems.is_empty() {
                return Err(refused(&problems));
            }
        }
        self.replace(&mut standing, preview.text, by, None).await
    }

    /// Puts the text of an earlier revision in force, as a new revision.
    ///
    /// # Errors
    /// `NotFound` where there is no such revision, else as for [`Self::apply`].
    pub async fn rollback(&self, request: &RollbackRequest) -> Result<Revision, Fault> {
        let by = who(&request.by)?;
        let kept = self.kept(request.revision).await?;
        let mut standing = self.inner.standing.lock().await;
        // A sound change of the file becomes a revision first, so that nothing is lost.
        self.catch_up(&mut standing).await;
        self.put_back(&mut standing, kept.text, by, request.revision).await
    }

    pub(super) async fn kept(&self, number: i64) -> Result<KeptRevision, Fault> {
        self.inner.revisions.get(number).await?.ok_or_else(|| {
            Fault::new(FaultCode::NotFound, format!("There is no revision {number}."))
                .hint("`plimsoll config revisions` lists them.")
        })
    }

    /// Puts the text of the revision of that number in force.
    pub(super) async fn put_back(
        &self,
        standing: &mut Standing,
        text: String,
        by: &str,
        number: i64,
    ) -> Result<Revision, Fault> {
        let next = Loaded::of(text, &self.inner.environment);
        if !next.sound {
            return Err(refused(&next.problems));
        }
        if !standing.disk.sound {
            self.set_aside(&standing.disk.text).await?;
        }
        self.replace(standing, next.text, by, Some(number)).await
    }

    /// Reading and comparing a large text takes a while: not on the runtime.
    pub(super) async fn preview_on(
        &self,
        good: Loaded,
        disk: Loaded,
        edit: &ConfigEdit,
    ) -> Result<Preview, Fault> {
        let (environment, edit) = (self.inner.environment.clone(), edit.clone());
        let work = move || {
            let mut preview = match edit.text {
                Some(text) if edit.changes.is_empty() => disk.preview_text(text, &environment),
                // What was set goes into the text as it was edited by hand.
                Some(text) => {
                    let edited = Loaded::of(text, &environment);
                    let made = edited.preview_changes(&edit.changes, &environment);
                    Preview { diff: diff(&disk.text, &made.text), ..made }
                }
                None => disk.preview_changes(&edit.changes, &environment),
            };
            if preview.problems.is_empty() {
                // Against what runs, which differs from the file where that is broken.
                let next = Loaded::of(preview.text.clone(), &environment);
                preview.restart = needs_restart(&changed_between(&good.settings, &next.settings));
                if edit.by == BROWSER {
                    preview.problems = browser::foresee(&good, &preview.text, &environment);
                }
            }
            preview
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Fault::new(FaultCode::Internal, error.to_string()))
    }

    /// Writes a sound text over the file as it was last read, and puts it in force.
    pub(super) async fn replace(
        &self,
        standing: &mut Standing,
        text: String,
        by: &str,
        rolled_back_to: Option<i64>,
    ) -> Result<Revision, Fault> {
        if text == standing.disk.text
            && standing.disk.sound
            && let Some(kept) = self.inner.revisions.get(standing.revision).await?
        {
            // Nothing would change: what is asked for is already so.
            return Ok(kept.revision);
        }
        let (path, base) = (self.inner.path.clone(), standing.disk.digest.clone());
        let environment = self.inner.environment.clone();
        let in_force = (by == BROWSER).then(|| standing.good.clone());
        let written = tokio::task::spawn_blocking(move || {
            if let Some(good) = in_force {
                browser::judge(&good, &text, &environment)?;
            }
            Ok::<_, Fault>(
                file::write(&path, &base, &text).map(|()| Loaded::of(text, &environment)),
            )
        })
        .await
        .map_err(|error| Fault::new(FaultCode::Internal, error.to_string()))??;
        match written {
            Ok(next) => self.adopt(standing, next, by, rolled_back_to).await,
            Err(WriteError::Conflict { .. }) => {
                self.catch_up(standing).await;
                Err(self.conflict())
            }
            Err(WriteError::Io { path, source }) => Err(Fault::new(
                match source.kind() {
                    std::io::ErrorKind::PermissionDenied
                    | std::io::ErrorKind::ReadOnlyFilesystem => FaultCode::Denied,
                    _ => FaultCode::Unavailable,
                },
                format!("{} could not be written: {source}.", path.display()),
            )
            .hint("Nothing was changed. Look at the file's owner, mode and disk space.")),
        }
    }

    fn conflict(&self) -> Fault {
        Fault::new(
            FaultCode::Conflict,
            format!(
                "{} was changed since you opened it; nothing was written.",
                self.inner.path.display()
            ),
        )
        .hint("Look at the file as it is now, then apply again what you meant: your change is still yours.")
    }

    /// Keeps a broken text that a rollback is about to replace.
    async fn set_aside(&self, text: &str) -> Result<(), Fault> {
        let mut name = self.inner.path.clone().into_os_string();
        name.push(".broken");
        let (name, text) = (PathBuf::from(name), text.to_string());
        let shown = name.display().to_string();
        let done = tokio::task::spawn_blocking(move || std::fs::write(&name, text)).await;
        match done {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Fault::new(
                FaultCode::Unavailable,
                format!("The broken file could not be kept as {shown}: {error}."),
            )
            .hint("Nothing was changed. Make room for it, or move the broken file away yourself.")),
            Err(error) => Err(Fault::new(FaultCode::Internal, error.to_string())),
        }
    }
}
