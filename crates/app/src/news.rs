//! What changes is told to those who listen.

use std::{future::Future, sync::Arc, time::Duration};

use plimsoll_core::{mark::Mark, metric::Metric};
use plimsoll_services::fleet::FleetView;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::{api::Live, app::App, hub::Hub};

/// Shortest time between two words about services: what changes with every look is one of them.
const SERVICES_PAUSE: Duration = Duration::from_secs(1);

/// Starts the followers; they end when `stop` does, or what they follow. `marks` are those that
/// the history makes itself; the others are told as they are recorded.
pub fn follow(app: &App, marks: broadcast::Receiver<Mark>, stop: &CancellationToken) {
    spawn(stop, ticks(app.clone()));
    spawn(stop, processes(app.clone()));
    spawn(stop, services(app.services.view(), app.hub.clone()));
    spawn(stop, config(app.clone()));
    spawn(stop, alerts(app.clone()));
    spawn(stop, history(app.hub.clone(), marks));
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

async fn services(mut view: watch::Receiver<Arc<FleetView>>, hub: Hub) {
    while let Some(view) = next(&mut view).await {
        hub.tell(Live::Services { at_ms: view.at_ms });
        // The last of several changes is told after the pause.
        tokio::time::sleep(SERVICES_PAUSE).await;
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

async fn history(hub: Hub, mut marks: broadcast::Receiver<Mark>) {
    loop {
        match marks.recv().await {
            Ok(mark) => hub.tell(Live::Mark { mark: Arc::new(mark) }),
            // Whoever shows marks asks for all of them again.
            Err(broadcast::error::RecvError::Lagged(messages)) => {
                hub.tell(Live::Missed { messages });
            }
            Err(broadcast::error::RecvError::Closed) => return,
        }
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

#[cfg(test)]
mod tests {
    use plimsoll_core::mark::MarkKind;

    use super::*;
    use crate::api::Subscription;

    #[tokio::test]
    async fn marks_of_the_history_reach_those_who_listen_and_missed_ones_are_told() {
        let hub = Hub::default();
        let mut window = hub.listen(&Subscription::default());
        let (made, marks) = broadcast::channel(2);
        let mark = |at_ms| Mark::new(at_ms, MarkKind::Clock, "The clock was set");
        for at_ms in 1..=3 {
            made.send(mark(at_ms)).unwrap();
        }
        let following = tokio::spawn(history(hub.clone(), marks));
        assert_eq!(window.next().await, Some(Live::Missed { messages: 1 }));
        for at_ms in 2..=3 {
            let mark = Arc::new(mark(at_ms));
            assert_eq!(window.next().await, Some(Live::Mark { mark }));
        }
        drop(made);
        following.await.unwrap();
    }
}
