//! Limits where no Plimsoll runs: from the file, the services as they are written down, and
//! what was recorded.

use std::{collections::BTreeMap, sync::Arc};

use plimsoll_core::{
    clock::{Clock, SystemClock},
    config::{
        Environment,
        wire::{Change, ConfigView},
    },
};
use plimsoll_gateway::clients::Keys;
use plimsoll_history::{OpenError, Reader, State};

use super::{Facts, Ground, Source, draft, effects, unwritable, view, words::unknown};
use crate::{
    api::{Fault, LimitsEffect, LimitsView},
    dispatch::blocking,
    offline,
    session::Options,
};

/// Every limit, as the file and the environment have it.
///
/// # Errors
/// When the folders cannot be found.
pub async fn view_alone(options: &Options) -> Result<LimitsView, Fault> {
    let places = options.places()?;
    let loaded = offline::configuration(&places.config).await?;
    let listed = offline::services(options).await?;
    let path = places.config.clone();
    let unwritable = blocking(move || unwritable(&path)).await?;
    let current = ConfigView {
        path: places.config.display().to_string(),
        text: loaded.text,
        revision: 0,
        digest: loaded.digest,
        settings: loaded.settings,
        problems: loaded.problems,
    };
    let nothing = BTreeMap::new();
    let facts = Facts {
        view: &current,
        config: &loaded.config,
        services: &listed.services,
        rooms: &BTreeMap::new(),
        starts: &nothing,
        unwritable: unwritable.as_deref(),
        memory_bytes: None,
    };
    // A draft that cannot be read hides no limit; whoever runs Plimsoll is told of the database.
    let kept = State::peek(&places.data, draft::KEPT_AS).await.unwrap_or_default();
    Ok(LimitsView { draft: draft::of(kept, &current), ..view(&facts) })
}

/// What changes would have done to what was recorded last.
///
/// # Errors
/// When the history cannot be read.
pub async fn effects_alone(options: &Options, changes: &[Change]) -> Result<LimitsEffect, Fault> {
    let places = options.places()?;
    let reader = match Reader::open_readonly(&places.data).await {
        Ok(reader) => reader,
        Err(OpenError::Missing { .. }) => {
            let none =
                |change: &Change| unknown(vec![change.key.clone()], "nothing was recorded yet.");
            let effects = changes.iter().map(none).collect();
            return Ok(LimitsEffect { effects, together: None });
        }
        Err(error) => return Err(error.into()),
    };
    let listed = offline::services(options).await?;
    let ground = Ground {
        source: Source::Alone(&reader),
        reader: &reader,
        loaded: offline::configuration(&places.config).await?,
        environment: Environment::of_process(),
        keys: Arc::new(Keys::default()),
        rooms: BTreeMap::new(),
        services: &listed.services,
        table: None,
        vram_used: None,
        vram_total: None,
        memory_bytes: None,
        now_ms: SystemClock.now().wall_ms,
        launch_changed: BTreeMap::new(),
    };
    effects(&ground, changes).await
}
