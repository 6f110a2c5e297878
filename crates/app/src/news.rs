//! What changes is told to those who listen.

use std::{future::Future, sync::Arc};

use plimsoll_core::metric::Metric;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{api::Live, app::App};

/// Starts the followers; they end when `stop` does, or what they follow.
pub fn follow(app: &App, stop: &CancellationToken) {
    spawn(stop, ticks(app.clone()));
    spawn(stop, processes(app.clone()));
    spawn(stop, config(app.clone()));
    spawn(stop, alerts(app.clone()));
}

async fn ticks(app: App) {
    let mut pulse = app.pulse.clone();
    let mut states = Vec::new();
    while let Some(pulse) = next(&mut pulse).await {
        app.hub.pulse(&pulse);
        if let Some(cpu) = pulse.tick.get(Metric::SelfCpu, "") {
            app.own_cpu.push(pulse.tick.at.monotonic_ms, cpu);
        }
        let fresh: Vec<_> = pulse.sources.iter().map(|s| (s.state, s.reason.clone())).collect();
        if fresh != states {
            states = fresh;
            app.hub.tell(Live::Sources { sources: pulse.sources.to_vec() });
        }
    }
}

async fn processes(app: App) {
    let mut table = app.processes.clone();
    while let Some(table) = next(&mut table).await {
        app.hub.tell(Live::Processes { at_ms: table.at_ms });
    }
}

async fn config(app: App) {
    let mut view = app.config.watch_view();
    while let Some(view) = next(&mut view).await {
        app.hub.tell(Live::Config { revision: view.revision });
    }
}

async fn alerts(app: App) {
    let mut changed = app.alerts.changed();
    while changed.changed().await.is_ok() {
        changed.borrow_and_update();
        app.hub.tell(Live::Alerts);
    }
}

/// The next value of a channel; `None` when its sender is gone.
async fn next<T>(channel: &mut watch::Receiver<Arc<T>>) -> Option<Arc<T>> {
    channel.changed().await.ok()?;
    Some(channel.borrow_and_update().clone())
}

fn spawn(stop: &CancellationToken, follower: impl Future<Output = ()> + Send + 'static) {
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = follower => {}
        }
    });
}
