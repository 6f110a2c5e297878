mod changes;
mod compared;
mod listed;
mod recorded;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use plimsoll_core::{
    clock::ManualClock,
    config::{
        Environment, Loaded,
        wire::{Change, ConfigView, SettingValue},
    },
    record::Record as _,
    request::{Endpoint, Finish, RequestRow},
    traffic::RoomBasis,
};
use plimsoll_gateway::route::Room;
use plimsoll_history::{History, Options};
use tokio::sync::watch;

/// 2026-11-22T01:00:00Z
pub const START: i64 = 1_795_309_200_000;

pub fn view_of(loaded: &Loaded) -> ConfigView {
    ConfigView {
        path: "/home/x/plimsoll.toml".into(),
        text: loaded.text.clone(),
        revision: 3,
        digest: loaded.digest.clone(),
        settings: loaded.settings.clone(),
        problems: loaded.problems.clone(),
    }
}

pub fn read(text: &str) -> Loaded {
    let loaded = Loaded::of(text.into(), &Environment::default());
    assert_eq!(loaded.problems, []);
    loaded
}

pub fn change(key: &str, value: impl Into<Option<i64>>) -> Change {
    Change { key: key.into(), value: value.into().map(SettingValue::Integer) }
}

pub fn rooms(requests: u32, basis: RoomBasis) -> BTreeMap<String, Room> {
    let room = Room { requests, basis, tokens: None, outside: None };
    BTreeMap::from([("chat".to_owned(), room)])
}

/// The `n`th request, which waited so long and was then at work so long.
pub fn row(n: i64, at_ms: i64, wait_ms: u64, held_ms: u64) -> RequestRow {
    RequestRow {
        client: "ide".into(),
        model: "m".into(),
        backend: Some("chat".into()),
        stream: true,
        status: 200,
        wait_us: wait_ms * 1000,
        overhead_us: 90,
        ttft_us: Some((wait_ms + held_ms / 4) * 1000),
        total_us: (wait_ms + held_ms) * 1000,
        tokens_in: Some(100),
        tokens_out: Some(50),
        ..RequestRow::new(at_ms * 4096 + n % 4096, at_ms, Endpoint::Chat, Finish::Answered)
    }
}

/// A history in which these requests are written down.
pub async fn history(folder: &Path, rows: Vec<RequestRow>) -> (History, watch::Sender<Options>) {
    let clock = Arc::new(ManualClock::at(START));
    let (sender, options) = watch::channel(Options::default());
    let history = History::open(folder, options, clock).await.unwrap();
    history.recorder().requests(rows.into_iter().map(Arc::new).collect());
    assert!(history.settle().await);
    (history, sender)
}
