//! From the configuration, and from what was found, to what is watched.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path, sync::Arc, time::Duration};

use plimsoll_core::config::{Config, ServiceEntry};
use plimsoll_services::{
    client::{Bounds, Secret, Trust},
    discovery::Entry,
    fleet::{Wanted, Watched},
    kind::ServiceKind,
    service::Origin,
};

use super::found::{Offers, is_named};

/// Longest file of a key.
const MAX_KEY: u64 = 16 << 10;
/// Longest file of certificates.
const MAX_CERTIFICATES: u64 = 1 << 20;

/// What the configuration asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    pub wanted: Arc<Wanted>,
    /// Why the key of a service could not be read, by its id.
    pub keyless: BTreeMap<String, String>,
    /// Why nobody is believed where a service is, by its id.
    pub distrusting: BTreeMap<String, String>,
}

// === impl Asked ===

impl Asked {
    /// Reads the key files; blocks. What the configuration names is its own, whatever was
    /// found there.
    pub fn of(config: &Config, offers: &Offers) -> Self {
        let (mut keyless, mut distrusting) = (BTreeMap::new(), BTreeMap::new());
        let mut watched = Vec::new();
        for (id, entry) in &config.services.entries {
            let key = read_key(&entry.key_file).unwrap_or_else(|why| {
                keyless.insert(id.clone(), why);
                None
            });
            // A weaker trust than the one that was asked for is none.
            let trust = read_trust(&entry.ca_file).unwrap_or_else(|why| {
                distrusting.insert(id.clone(), why);
                Some(Trust::nobody())
            });
            watched.push(Watched { key, trust, ..watched_of(config, id, entry) });
        }
        let accepted = offers.accepted.iter().filter(|of| !is_named(config, &of.id, &of.url));
        watched.extend(accepted.map(|entry| accepted_of(config, entry)));
        let proposed = offers.proposed.iter().filter(|of| !is_named(config, &of.id, &of.url));
        let proposed = proposed.cloned().collect();
        Self { wanted: Arc::new(Wanted { watched, proposed }), keyless, distrusting }
    }
}

/// A service that was found and accepted. It has no settings of its own but for its limits,
/// which are not needed to look at it.
pub fn accepted_of(config: &Config, entry: &Entry) -> Watched {
    Watched {
        name: entry.name.clone(),
        container: entry.container().map(Into::into),
        pace: ms(config.services.scrape_ms),
        bounds: bounds(config),
        ..Watched::new(&entry.id, Some(entry.signature.kind), &entry.url, Origin::Accepted)
    }
}

/// A service of the configuration, without its key and trust.
pub fn watched_of(config: &Config, id: &str, entry: &ServiceEntry) -> Watched {
    // `auto` names no kind.
    let kind = ServiceKind::named(&entry.kind);
    Watched {
        name: if entry.name.is_empty() { id.to_owned() } else { entry.name.clone() },
        cadence: (entry.scrape_ms > 0).then(|| ms(entry.scrape_ms)),
        pace: ms(config.services.scrape_ms),
        bounds: Bounds {
            connections: (entry.max_connections > 0).then_some(entry.max_connections as usize),
            ..bounds(config)
        },
        enabled: entry.enabled,
        ..Watched::new(id, kind, &entry.url, Origin::Configured)
    }
}

/// Bounds of asking what has none of its own.
pub fn bounds(config: &Config) -> Bounds {
    Bounds {
        budget: ms(config.services.timeout_ms),
        max_body: (config.services.max_body_kib as usize) << 10,
        connections: None,
    }
}

/// One line; two for a store that wants a user and a password.
fn is_key(text: &str) -> bool {
    text.len() as u64 <= MAX_KEY
        && text.lines().count() <= 2
        && !text.lines().any(|line| line.contains(char::is_control))
}

/// The key of a service; `None` where it wants none and names no file. Blocks.
pub fn read_key(file: &str) -> Result<Option<Secret>, String> {
    if file.is_empty() {
        return Ok(None);
    }
    let cannot =
        |why: &dyn std::fmt::Display| format!("Its key file {file} cannot be used: {why}.");
    let text = plain(Path::new(file), MAX_KEY).map_err(|why| cannot(&why))?;
    let text = String::from_utf8(text).map_err(|error| cannot(&error))?;
    match text.trim() {
        "" => Err(cannot(&"it is empty")),
        key if !is_key(key) => {
            Err(cannot(&"it holds more than a key, or a user and a password on two lines"))
        }
        key => Ok(Some(Secret::new(key))),
    }
}

/// Whose certificates a service is believed by; `None` where it names no file. Blocks.
pub fn read_trust(file: &str) -> Result<Option<Trust>, String> {
    if file.is_empty() {
        return Ok(None);
    }
    let text = plain(Path::new(file), MAX_CERTIFICATES).and_then(|text| match text.len() as u64 {
        length if length > MAX_CERTIFICATES => Err("it is longer than 1 MiB".into()),
        _ => Trust::of(&text).map(Some),
    });
    text.map_err(|why| format!("Its file of certificates {file} cannot be used: {why}."))
}

/// At most one byte more than `most` of a plain file.
fn plain(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    if !path.is_absolute() {
        return Err("it is no whole path, from / on".into());
    }
    // A pipe would be waited for.
    if !path.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("it is no plain file".into());
    }
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(most + 1).read_to_end(&mut text))
        .map_err(|error| error.to_string())?;
    Ok(text)
}

fn ms(ms: u32) -> Duration {
    Duration::from_millis(u64::from(ms))
}

#[cfg(test)]
mod tests {
    use plimsoll_core::config::{Environment, Loaded};

    use super::*;

    fn asked(text: &str) -> Asked {
        let loaded = Loaded::of(text.into(), &Environment::default());
        assert_eq!(loaded.problems, []);
        Asked::of(&loaded.config, &Offers::default())
    }

    #[test]
    fn a_service_has_its_own_settings_and_else_those_of_all() {
        let asked = asked(
            "[services]\nscrape_ms = 500\ntimeout_ms = 700\nmax_body_kib = 64\n\
             [services.cache]\nurl = \"redis://127.0.0.1\"\n\
             [services.llama]\nurl = \"http://127.0.0.1:8080\"\nkind = \"llama-cpp\"\n\
             name = \"The big one\"\nscrape_ms = 2000\nmax_connections = 3\nenabled = false\n",
        );
        let [cache, llama] = &asked.wanted.watched[..] else { panic!("{asked:?}") };
        assert_eq!((&*cache.id, &*cache.name, cache.kind), ("cache", "cache", None));
        assert_eq!((cache.cadence, cache.pace), (None, Duration::from_millis(500)));
        let all =
            Bounds { budget: Duration::from_millis(700), max_body: 64 << 10, connections: None };
        assert_eq!((cache.bounds, cache.enabled), (all, true));
        assert_eq!((&*llama.name, llama.kind), ("The big one", Some(ServiceKind::LlamaCpp)));
        assert_eq!(llama.cadence, Some(Duration::from_secs(2)));
        assert_eq!((llama.bounds.connections, llama.enabled), (Some(3), false));
    }

    #[test]
    fn certificates_that_cannot_be_read_leave_nobody_to_believe() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("house.pem");
        std::fs::write(&file, "sk-1").unwrap();
        let text = format!(
            "[services.x]\nurl = \"https://127.0.0.1:1\"\nca_file = \"{}\"\n",
            file.display()
        );
        let asked = asked(&text);
        let why = &asked.distrusting["x"];
        assert!(why.contains("house.pem") && why.contains("no certificate"), "{why}");
        assert_eq!(asked.wanted.watched[0].trust, Some(Trust::nobody()));
        assert_eq!(read_trust(""), Ok(None));
        assert!(read_trust("house.pem").unwrap_err().contains("no whole path"));
    }

    #[test]
    fn a_key_is_one_line_of_a_plain_file_and_anything_else_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let read = |path: &str| {
            let text =
                format!("[services.x]\nurl = \"http://127.0.0.1:1\"\nkey_file = \"{path}\"\n");
            let mut asked = asked(&text);
            let key = asked.wanted.watched[0].key.as_ref().map(|key| key.reveal().to_owned());
            (key, asked.keyless.remove("x"))
        };
        assert_eq!(read(&file("good", "sk-1\n")), (Some("sk-1".into()), None));
        assert_eq!(read(""), (None, None));
        for (path, why) in [
            (file("three", "a\nb\nc\n"), "more than a key"),
            (file("long", &"x".repeat(20_000)), "more than a key"),
            (file("empty", " \n"), "empty"),
            (dir.path().join("none").display().to_string(), "No such file"),
            (dir.path().display().to_string(), "no plain file"),
            (pipe.display().to_string(), "no plain file"),
            ("key".into(), "no whole path"),
        ] {
            let (key, said) = read(&path);
            assert_eq!(key, None, "{path}");
            assert!(said.as_ref().is_some_and(|said| said.contains(why)), "{path}: {said:?}");
        }
    }
}
