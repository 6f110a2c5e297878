//! The keys of the gateway: made, changed and revoked by a person, kept as hashes.

use std::sync::Arc;

use plimsoll_core::{
    mark::{Mark, MarkKind},
    record::Record,
};
use plimsoll_gateway::clients::{Fresh, Kept, Keys, MAX_KEYS};
use plimsoll_history::State;
use tokio::sync::{Mutex, watch};

use crate::{
    api::{Done, Fault, FaultCode, KeyInfo, KeyMade, KeySpec},
    words::quoted,
};

/// Under this name they are kept in the state.
const KEY: &str = "keys";
/// What could not be read is set aside here, once.
const DAMAGED: &str = "keys.damaged";
const MAX_NAME: usize = 64;
const MAX_MODELS: usize = 64;
const MAX_MODEL: usize = 256;

/// All keys, and the one place where they change.
pub struct KeyRing {
    state: Arc<State>,
    /// Takes the marks.
    record: Arc<dyn Record>,
    kept: Mutex<Vec<Kept>>,
    publish: watch::Sender<Arc<Keys>>,
}

// === impl KeyRing ===

impl KeyRing {
    /// Takes up the keys of earlier runs. What cannot be read opens nothing, and is set aside.
    pub async fn open(state: Arc<State>, record: Arc<dyn Record>) -> Result<Self, Fault> {
        let text = state.kept(KEY).await?.unwrap_or_else(|| "[]".into());
        let kept: Vec<Kept> = match serde_json::from_str(&text) {
            Ok(kept) => kept,
            Err(error) => {
                tracing::error!(%error, "the keys could not be read: none is in force");
                state.keep(DAMAGED, &text).await?;
                Vec::new()
            }
        };
        let (publish, _) = watch::channel(Arc::new(Keys::new(kept.iter().cloned())));
        Ok(Self { state, record, kept: Mutex::new(kept), publish })
    }

    /// The keys in force, for the gateway.
    pub fn watch(&self) -> watch::Receiver<Arc<Keys>> {
        self.publish.subscribe()
    }

    pub async fn list(&self) -> Vec<KeyInfo> {
        let kept = self.kept.lock().await;
        self.with_uses(&kept).iter().map(info).collect()
    }

    pub async fn add(&self, spec: KeySpec, now_ms: i64) -> Result<KeyMade, Fault> {
        let mut kept = self.kept.lock().await;
        let spec = checked(spec, &kept, None)?;
        if kept.len() >= MAX_KEYS {
            let words = format!("There are {MAX_KEYS} keys, and no more are kept.");
            return Err(Fault::new(FaultCode::Conflict, words).hint("Revoke one that is not used."));
        }
        let fresh = Fresh::make()
            .map_err(|error| Fault::new(FaultCode::Unavailable, format!("{error}.")))?;
        let mut new = kept_of(spec, &fresh, now_ms);
        new.id = free_id(&new.begins, &kept);
        let mut next = self.with_uses(&kept);
        next.push(new.clone());
        self.put(&mut kept, next).await?;
        self.mark(now_ms, format!("A key was made for {}", quoted(&new.name)));
        Ok(KeyMade { key: fresh.key, info: info(&new) })
    }

    pub async fn change(&self, id: &str, spec: KeySpec, now_ms: i64) -> Result<KeyInfo, Fault> {
        let mut kept = self.kept.lock().await;
        let mut next = self.with_uses(&kept);
        let place = place(&next, id)?;
        let spec = checked(spec, &kept, Some(id))?;
        next[place] = of_spec(spec, &next[place]);
        let changed = info(&next[place]);
        self.put(&mut kept, next).await?;
        self.mark(now_ms, format!("The key of {} was changed", quoted(&changed.spec.name)));
        Ok(changed)
    }

    /// It opens nothing from the next request on.
    pub async fn revoke(&self, id: &str, now_ms: i64) -> Result<Done, Fault> {
        let mut kept = self.kept.lock().await;
        let mut next = self.with_uses(&kept);
        let gone = next.remove(place(&next, id)?);
        self.put(&mut kept, next).await?;
        let words = format!("The key of {} was revoked", quoted(&gone.name));
        self.mark(now_ms, words.clone());
        Ok(Done { message: format!("{words}: it opens nothing any more.") })
    }

    /// Keeps when each was used last; for now and then, and for the end.
    pub async fn save_uses(&self) -> Result<(), Fault> {
        let mut kept = self.kept.lock().await;
        let next = self.with_uses(&kept);
        if *kept == next {
            return Ok(());
        }
        self.state.keep(KEY, &text(&next)?).await?;
        *kept = next;
        Ok(())
    }

    /// First kept, then in force.
    async fn put(&self, kept: &mut Vec<Kept>, next: Vec<Kept>) -> Result<(), Fault> {
        self.state.keep(KEY, &text(&next)?).await?;
        self.publish.send_replace(Arc::new(Keys::new(next.iter().cloned())));
        *kept = next;
        Ok(())
    }

    fn with_uses(&self, kept: &[Kept]) -> Vec<Kept> {
        let keys = self.publish.borrow().clone();
        let mut kept = kept.to_vec();
        for one in &mut kept {
            if let Some(key) = keys.all().find(|key| key.kept.id == one.id) {
                one.used_ms = key.used_ms();
            }
        }
        kept
    }

    fn mark(&self, now_ms: i64, title: String) {
        self.record.mark(Mark::new(now_ms, MarkKind::Change, title));
    }
}

fn text(kept: &[Kept]) -> Result<String, Fault> {
    serde_json::to_string(kept)
        .map_err(|error| Fault::new(FaultCode::Internal, format!("Keys have no JSON: {error}.")))
}

fn place(kept: &[Kept], id: &str) -> Result<usize, Fault> {
    kept.iter().position(|key| key.id == id || key.name == id).ok_or_else(|| {
        Fault::new(FaultCode::NotFound, format!("There is no key {}.", quoted(id)))
            .hint("`plimsoll keys` lists them.")
    })
}

/// The beginning of the key, and a number where another begins alike.
fn free_id(begins: &str, kept: &[Kept]) -> String {
    let mut id = begins.to_string();
    let mut number = 2;
    while kept.iter().any(|key| key.id == id) {
        id = format!("{begins}-{number}");
        number += 1;
    }
    id
}

fn checked(mut spec: KeySpec, kept: &[Kept], own: Option<&str>) -> Result<KeySpec, Fault> {
    let invalid = |words: String| Err(Fault::new(FaultCode::Invalid, words));
    spec.name = spec.name.trim().to_string();
    let length = spec.name.chars().count();
    if length == 0 || length > MAX_NAME || spec.name.chars().any(char::is_control) {
        return invalid(format!("A key needs a name of 1 to {MAX_NAME} characters in one line."));
    }
    let other = kept
        .iter()
        .find(|key| key.name == spec.name && own.is_none_or(|id| key.id != id && key.name != id));
    if let Some(other) = other {
        let words = format!("{} has a key already: {}.", quoted(&spec.name), other.begins);
        return Err(Fault::new(FaultCode::Conflict, words).hint("Revoke it, or take another name."));
    }
    if spec.models.len() > MAX_MODELS {
        return invalid(format!("A key names at most {MAX_MODELS} models."));
    }
    for model in &mut spec.models {
        *model = model.trim().to_string();
        if model.is_empty() || model.len() > MAX_MODEL {
            return invalid(format!("A model is a name or a pattern of 1 to {MAX_MODEL} bytes."));
        }
    }
    let mut seen = Vec::new();
    spec.scopes.retain(|scope| {
        !seen.contains(scope) && {
            seen.push(*scope);
            true
        }
    });
    Ok(spec)
}

fn kept_of(spec: KeySpec, fresh: &Fresh, now_ms: i64) -> Kept {
    of_spec(spec, &fresh.kept("", now_ms))
}

fn of_spec(spec: KeySpec, before: &Kept) -> Kept {
    Kept {
        name: spec.name,
        priority: spec.priority,
        models: spec.models,
        scopes: spec.scopes,
        max_in_flight: spec.max_in_flight,
        requests_per_min: spec.requests_per_min,
        tokens_per_min: spec.tokens_per_min,
        ..before.clone()
    }
}

fn info(kept: &Kept) -> KeyInfo {
    KeyInfo {
        id: kept.id.clone(),
        begins: kept.begins.clone(),
        spec: KeySpec {
            name: kept.name.clone(),
            priority: kept.priority,
            models: kept.models.clone(),
            scopes: kept.scopes.clone(),
            max_in_flight: kept.max_in_flight,
            requests_per_min: kept.requests_per_min,
            tokens_per_min: kept.tokens_per_min,
        },
        made_ms: kept.made_ms,
        used_ms: kept.used_ms,
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_core::record::Nowhere;

    use super::*;

    async fn ring(folder: &std::path::Path) -> KeyRing {
        let state = Arc::new(State::open(folder).await.unwrap());
        KeyRing::open(state, Arc::new(Nowhere)).await.unwrap()
    }

    fn spec(name: &str) -> KeySpec {
        KeySpec { name: name.into(), ..KeySpec::default() }
    }

    #[tokio::test]
    async fn a_key_is_shown_once_and_opens_until_it_is_revoked_and_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = ring(folder.path()).await;
        let keys = first.watch();
        let made = first.add(spec("notebook"), 7).await.unwrap();
        assert!(keys.borrow().find(&made.key).is_some());
        let listed = serde_json::to_string(&first.list().await).unwrap();
        assert!(!listed.contains(&made.key) && listed.contains(&made.info.begins), "{listed}");
        keys.borrow().find(&made.key).unwrap().use_at(99);
        first.save_uses().await.unwrap();
        drop((first, keys));

        let second = ring(folder.path()).await;
        let keys = second.watch();
        assert!(keys.borrow().find(&made.key).is_some());
        assert_eq!(second.list().await[0].used_ms, Some(99));
        assert!(!format!("{made:?}").contains(&made.key));
        second.revoke("notebook", 8).await.unwrap();
        assert!(keys.borrow().find(&made.key).is_none());
        assert_eq!(second.list().await, []);
        let fault = second.revoke(&made.info.id, 9).await.unwrap_err();
        assert_eq!(fault.code, FaultCode::NotFound);
    }

    #[tokio::test]
    async fn a_change_keeps_the_key_and_a_name_belongs_to_one() {
        let folder = tempfile::tempdir().unwrap();
        let ring = ring(folder.path()).await;
        let made = ring.add(spec("one"), 1).await.unwrap();
        ring.add(spec("two"), 1).await.unwrap();
        assert_eq!(ring.add(spec(" one "), 2).await.unwrap_err().code, FaultCode::Conflict);
        let change = KeySpec { max_in_flight: 2, ..spec("one") };
        let changed = ring.change(&made.info.id, change, 3).await.unwrap();
        assert_eq!((changed.spec.max_in_flight, changed.made_ms), (2, 1));
        assert!(ring.watch().borrow().find(&made.key).is_some());
        let taken = ring.change(&made.info.id, spec("two"), 4).await.unwrap_err();
        assert_eq!(taken.code, FaultCode::Conflict);
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused_with_what_is_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let ring = ring(folder.path()).await;
        for bad in [
            spec(""),
            spec(&"x".repeat(MAX_NAME + 1)),
            spec("two\nlines"),
            KeySpec { models: vec![String::new()], ..spec("x") },
            KeySpec { models: vec!["m".into(); MAX_MODELS + 1], ..spec("x") },
        ] {
            assert_eq!(ring.add(bad, 1).await.unwrap_err().code, FaultCode::Invalid);
        }
        assert_eq!(ring.list().await, []);
    }

    // MV17
    #[tokio::test]
    async fn a_thousand_keys_are_kept_and_one_more_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let ring = ring(folder.path()).await;
        let fresh = Fresh::make().unwrap();
        let many = (1..MAX_KEYS).map(|number| Kept {
            id: number.to_string(),
            ..kept_of(spec(&format!("client {number}")), &fresh, 1)
        });
        ring.kept.lock().await.extend(many);
        ring.add(spec("the last"), 2).await.unwrap();
        let kept = ring.kept.lock().await.clone();
        assert_eq!(kept.len(), 1000);
        let fault = ring.add(spec("one more"), 3).await.unwrap_err();
        assert_eq!(fault.code, FaultCode::Conflict);
        assert!(fault.message.contains("1000"), "{}", fault.message);
        assert_eq!(*ring.kept.lock().await, kept);
    }

    #[tokio::test]
    async fn keys_that_cannot_be_read_open_nothing_and_are_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).await.unwrap();
        state.keep(KEY, "[{\"id\":").await.unwrap();
        drop(state);
        let damaged = ring(folder.path()).await;
        assert_eq!(damaged.list().await, []);
        damaged.add(spec("new"), 1).await.unwrap();
        assert_eq!(damaged.state.kept(DAMAGED).await.unwrap().as_deref(), Some("[{\"id\":"));
    }
}
