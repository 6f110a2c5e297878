//! Redis, and its successors that speak its protocol (Valkey, KeyDB, Dragonfly).
//!
//! - `INFO` is asked on a connection of its own, after `AUTH` where there is a key.
//!   Both are sent at once; two replies come back, texts of announced length. Any
//!   user may be denied `INFO` (`NOPERM`). It counts as a command of the server.
//! - `rediss://` is the same over TLS, whose certificate the system must trust.
//! - The key file holds the password, or on two lines a user and its password.
//! - `maxmemory` 0 means that there is no limit, which is `None` here.
//!   `mem_fragmentation_ratio` says nothing without `mem_fragmentation_bytes`: it is
//!   high on every small server, and below 1 where data was swapped out.
//! - While it loads its data it answers `INFO` with `loading:1`, and most else with
//!   `-LOADING`. Some refusals come before anything was asked, and then it hangs up:
//!   `-DENIED` (protected mode, asked from another machine) and
//!   `-ERR max number of clients reached`.
//! - Sections and fields differ by version; those that are not known are passed over.
//! - Spoken to in HTTP it writes a warning of an attack into its log, so it is asked
//!   first where the process's name makes it likely, and never where something has
//!   already answered in HTTP.
//!
//! The `redis` crate is not used: it can bound neither the length of a reply nor the
//! memory that a hostile one takes, its connections reconnect by themselves, and two
//! commands need none of it. The plain conversation has the bounds of every call.

mod info;
mod reply;

use async_trait::async_trait;

use self::{
    info::{Before, Info},
    reply::{Heard, Reply, command},
};
use crate::{
    adapter::{Adapter, Condition, Identity, Memory, Probe, Scrape},
    client::{CallError, Target},
    kind::ServiceKind,
    service::Hint,
};

/// Longest refusal that is quoted.
const LONGEST: usize = 120;

/// A Redis.
#[derive(Clone, Copy, Debug, Default)]
pub struct Redis;

/// The answer to `INFO`.
enum Said {
    Info(String),
    /// In the server's words, e.g. `NOAUTH Authentication required.`
    Refusal(String),
}

#[async_trait]
impl Adapter for Redis {
    fn kind(&self) -> ServiceKind {
        ServiceKind::Redis
    }

    async fn identify(&self, probe: &Probe) -> Option<Identity> {
        if probe.spoke_http().await {
            return None;
        }
        let mut identity = Identity::of(ServiceKind::Redis);
        match ask(probe.target()).await.ok()? {
            Said::Info(text) => {
                let info = Info::read(&text);
                if !info.is_redis() {
                    return None;
                }
                identity.version = info.version();
            }
            Said::Refusal(refusal) => match first_word(&refusal) {
                "NOAUTH" | "WRONGPASS" | "NOPERM" => identity.wants_key = true,
                "DENIED" | "LOADING" | "MASTERDOWN" => {}
                _ => return None,
            },
        }
        Some(identity)
    }

    async fn scrape(&self, target: &Target, memory: &mut Memory) -> Result<Scrape, CallError> {
        match ask(target).await? {
            Said::Info(text) => {
                let info = Info::read(&text);
                if !info.is_redis() {
                    return Err(not_understood(target, "it tells no redis_version"));
                }
                let before = memory.of::<Before>();
                before.take(&info);
                Ok(Scrape {
                    condition: info.condition(before),
                    version: info.version(),
                    figures: info.figures(),
                    hints: info.hints(before),
                    ..Scrape::default()
                })
            }
            Said::Refusal(refusal) => Ok(refused(&refusal)),
        }
    }
}

/// Asks for `INFO`.
async fn ask(target: &Target) -> Result<Said, CallError> {
    let mut request = Vec::new();
    let mut wanted = 1;
    if let Some(key) = target.key() {
        let mut words = vec!["AUTH"];
        words.extend(key.reveal().splitn(2, '\n').map(str::trim));
        request.extend(command(&words));
        wanted = 2;
    }
    request.extend(command(&["INFO"]));
    let most = target.bounds().max_body;
    let is_whole = |so_far: &[u8]| reply::read(so_far, wanted, most) != Heard::Part;
    let answer = target.talk(&request, is_whole).await?;
    let replies = match reply::read(&answer, wanted, most) {
        Heard::Whole(replies) => replies,
        Heard::Strange(why) => return Err(not_understood(target, &why)),
        Heard::Part => return Err(not_understood(target, "it is not whole")),
    };
    let (auth, info) = match replies.as_slice() {
        [auth, info] => (Some(auth), Some(info)),
        [info] => (None, Some(info)),
        _ => (None, None),
    };
    Ok(match (auth, info) {
        // A key that is not needed does no harm.
        (_, Some(Reply::Text(text))) => Said::Info(text.clone()),
        // The refusal of the key says more than that of what came after it.
        (Some(Reply::Refusal(refusal)), _) | (_, Some(Reply::Refusal(refusal))) => {
            Said::Refusal(quoted(refusal))
        }
        _ => return Err(not_understood(target, "it is empty")),
    })
}

/// What a refusal of `INFO` says of the server.
fn refused(refusal: &str) -> Scrape {
    let (condition, hint) = match first_word(refusal) {
        "NOAUTH" => (
            Condition::Locked("it wants a key".into()),
            Some(Hint::warning(
                "wants-a-key",
                "It says nothing without its password.",
                "Write the password into a file and name that as key_file; a user is put on a line before it.",
            )),
        ),
        "WRONGPASS" => (
            Condition::Locked("it does not take the key".into()),
            Some(Hint::warning(
                "wrong-key",
                "The password in its key file is not the one it wants.",
                "Put the right one into the file; a user is put on a line before it.",
            )),
        ),
        "ERR" if refusal.contains("invalid password") => {
            (Condition::Locked("it does not take the key".into()), None)
        }
        "NOPERM" => (
            Condition::Locked("its user may not ask INFO".into()),
            Some(Hint::warning(
                "may-not-ask",
                "The user of the key may not ask INFO.",
                "Allow it: ACL SETUSER <user> +info.",
            )),
        ),
        "DENIED" => (
            Condition::Locked("it is in protected mode and answers only its own machine".into()),
            Some(Hint::warning(
                "protected-mode",
                "It is in protected mode.",
                "Give it a password, and the same to its key file here.",
            )),
        ),
        "LOADING" => (Condition::Loading("loads its data".into()), None),
        _ if refusal.contains("max number of clients") => (
            Condition::Ailing("it takes no more clients".into()),
            Some(Hint::warning(
                "too-many-clients",
                "It has as many clients as it takes.",
                "Look who keeps connections open, or raise maxclients.",
            )),
        ),
        _ => (Condition::Ailing(format!("refuses INFO: {refusal}")), None),
    };
    Scrape { condition, hints: hint.into_iter().collect(), ..Scrape::default() }
}

fn first_word(refusal: &str) -> &str {
    refusal.split(' ').next().unwrap_or_default()
}

fn quoted(refusal: &str) -> String {
    refusal.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

fn not_understood(target: &Target, detail: &str) -> CallError {
    CallError::NotUnderstood {
        place: target.place().to_string(),
        path: "INFO".into(),
        detail: detail.into(),
    }
}

#[cfg(test)]
mod tests;
