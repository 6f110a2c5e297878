//! A person's word about what was found: watch it, propose it no more, propose it again.

use plimsoll_core::config::Config;
use plimsoll_services::{
    discovery::{Entry, KnownError, Verdict},
    fleet::MAX_SERVICES,
};

use super::{Found, told};
use crate::api::{Done, Fault, FaultCode};

// === impl Found ===

impl Found {
    /// Watches one from now on.
    pub async fn accept(&self, config: &Config, id: &str) -> Result<Done, Fault> {
        let entry = self.found(config, id)?;
        let named = config.services.entries.len();
        let room = named + self.known().accepted().count() < MAX_SERVICES;
        if entry.verdict != Verdict::Accepted && !room {
            return Err(full());
        }
        if !self.judge(id, Verdict::Accepted).await? {
            return Ok(done(format!("{} is watched already.", told(&entry))));
        }
        let words = format!("{} is watched from now on", told(&entry));
        self.mark(id, words.clone());
        Ok(done(words + "."))
    }

    /// Watches all that wait for a word, as many as there is room for.
    pub async fn accept_all(&self, config: &Config) {
        let waiting = self.offers().borrow().proposed.clone();
        for proposed in waiting {
            if let Err(fault) = self.accept(config, &proposed.id).await {
                tracing::warn!(service = %proposed.id, %fault, "a service was not accepted");
                return;
            }
        }
    }

    /// Proposes one no more.
    pub async fn ignore(&self, config: &Config, id: &str) -> Result<Done, Fault> {
        let entry = self.found(config, id)?;
        let changed = self.judge(id, Verdict::Ignored).await?;
        let told = told(&entry);
        Ok(done(match entry.verdict {
            Verdict::Accepted if changed => format!("{told} is watched and proposed no more."),
            _ => format!("{told} is not proposed any more."),
        }))
    }

    /// Proposes one again that was ignored.
    pub async fn restore(&self, config: &Config, id: &str) -> Result<Done, Fault> {
        let entry = self.found(config, id)?;
        if entry.verdict == Verdict::Accepted {
            return Err(Fault::new(FaultCode::Conflict, format!("{} is watched.", told(&entry)))
                .hint("To let it go is `services remove`; it is proposed again then."));
        }
        self.judge(id, Verdict::Proposed).await?;
        Ok(done(format!("{} is proposed again while it is there.", told(&entry))))
    }

    /// Watches an accepted one no more. One that is not accepted has nothing to remove.
    pub async fn let_go(&self, id: &str) -> Result<String, Fault> {
        let Some(entry) = self.entry(id) else { return Err(self.no_such(id)) };
        let told = told(&entry);
        match entry.verdict {
            Verdict::Accepted => {
                self.judge(id, Verdict::Proposed).await?;
                let words = format!("{told} is watched no more");
                self.mark(id, words.clone());
                Ok(format!("{words}. It is proposed again while it is there."))
            }
            Verdict::Proposed => Err(Fault::new(
                FaultCode::Conflict,
                format!("{told} was found and is only proposed: there is nothing to remove."),
            )
            .hint(format!("`plimsoll services ignore {id}` proposes it no more."))),
            Verdict::Ignored => Err(Fault::new(
                FaultCode::Conflict,
                format!("{told} is ignored already: there is nothing to remove."),
            )),
        }
    }

    fn found(&self, config: &Config, id: &str) -> Result<Entry, Fault> {
        if config.services.entries.contains_key(id) {
            return Err(Fault::new(
                FaultCode::Conflict,
                format!(
                    "The service {id} stands in the configuration: it was not found by itself."
                ),
            )
            .hint(format!("`plimsoll services remove {id}` takes it out.")));
        }
        self.entry(id).ok_or_else(|| self.no_such(id))
    }

    fn no_such(&self, id: &str) -> Fault {
        let ids: Vec<String> = self.ids().into_iter().collect();
        let hint = match &ids[..] {
            [] => "None was found so far: `plimsoll services add URL` names one.".into(),
            ids => format!("There are: {}.", ids.join(", ")),
        };
        Fault::new(FaultCode::NotFound, format!("There is no service {id:?} that was found."))
            .hint(hint)
    }

    async fn judge(&self, id: &str, verdict: Verdict) -> Result<bool, Fault> {
        let judged = self.known().judge(id, verdict);
        let changed = judged.map_err(|error| match error {
            KnownError::NoSuch(id) => self.no_such(&id),
            KnownError::Full => full(),
        })?;
        if changed {
            self.publish();
            self.save().await.map_err(|error| {
                Fault::new(
                    FaultCode::Unavailable,
                    format!("This holds until Plimsoll ends, and could not be kept: {error}."),
                )
                .hint("Look at the disk of the data folder; it is tried again by and by.")
            })?;
        }
        Ok(changed)
    }
}

fn full() -> Fault {
    Fault::new(FaultCode::Conflict, format!("{MAX_SERVICES} services are watched already."))
        .hint("Remove one first: `plimsoll services remove ID`.")
}

fn done(message: String) -> Done {
    Done { message }
}
