//! One subscription for the whole program: the desktop's own needs (its
//! settings, the tray's figures, notifications) and what the page shows.

use std::{sync::Arc, time::Instant};

use futures::StreamExt as _;
use plimsoll_app::{
    api::{Command, Fault, Live, Nothing, Subscription},
    session::Session,
};
use plimsoll_core::config::wire::{ConfigView, SettingValue};
use tauri::{AppHandle, Manager as _};

use crate::{
    desktop::Desk,
    graphics::Graphics,
    host::Host,
    login, notices,
    pump::Listeners,
    tray::{self, Figures},
    window,
};

pub async fn run(app: AppHandle, graphics: Graphics) {
    notices::listen(&app);
    let mut session = None;
    let mut first = true;
    while let Some(next) = app.state::<Host>().session_after(session.as_ref()).await {
        if std::mem::take(&mut first) {
            // The log is open since the session is there.
            graphics.log();
        }
        follow(&app, &next).await;
        session = Some(next);
    }
}

/// Until the stream ends.
async fn follow(app: &AppHandle, session: &Arc<Session>) {
    let mut wanted = app.state::<Listeners>().wanted();
    let ask = |page: &[String]| {
        let own = tray::METRICS.iter().map(|metric| metric.name().to_owned());
        Subscription { metrics: own.chain(page.iter().cloned()).collect() }
    };
    let mut live = Box::pin(session.subscribe(ask(&wanted.borrow_and_update())));
    // After it listens: what changes or is told meanwhile is not missed.
    settings(app, session).await;
    loop {
        tokio::select! {
            changed = wanted.changed() => {
                if changed.is_err() {
                    return;
                }
                let metrics = ask(&wanted.borrow_and_update());
                // The new one listens before the old one is dropped: nothing falls between them.
                live = Box::pin(session.subscribe(metrics));
            }
            message = live.next() => match message {
                Some(message) => hear(app, session, message).await,
                None => return,
            },
        }
    }
}

async fn hear(app: &AppHandle, session: &Arc<Session>, message: Live) {
    match &message {
        Live::Tick { values, .. } => {
            let figures = Figures::of(values);
            app.state::<Desk>().with_tray(|tray| tray.show(&figures, Instant::now()));
        }
        Live::Config { .. } | Live::Missed { .. } => settings(app, session).await,
        Live::Notice { title, advice, .. } => notices::show(app, title, advice),
        _ => {}
    }
    app.state::<Listeners>().tell(message);
}

/// Takes up the settings of the window that are the desktop's to follow.
async fn settings(app: &AppHandle, session: &Arc<Session>) {
    session.settings_changed().await;
    let view = match view(session).await {
        Ok(view) => view,
        Err(fault) => {
            tracing::warn!(%fault, "the window's settings could not be read; they stay as they were");
            return;
        }
    };
    let desk = app.state::<Desk>();
    if let Some(on_close) = text(&view, "window.close").and_then(window::on_close_named) {
        desk.set_on_close(on_close);
    }
    let Some(folder) = login::folder() else { return };
    let command = switch(&view, "window.start_at_login").then(|| {
        let program = std::env::current_exe().unwrap_or_else(|_| "plimsoll-desktop".into());
        let mut words = vec![program.into_os_string()];
        words.extend(desk.args.again());
        words
    });
    if let Err(error) = login::follow(&folder, &desk.instance, command.as_deref()) {
        tracing::warn!(%error, folder = %folder.display(), "start at login could not be set");
    }
}

async fn view(session: &Session) -> Result<ConfigView, Fault> {
    session.call(Command::Config(Nothing {})).await
}

fn value<'a>(view: &'a ConfigView, key: &str) -> Option<&'a SettingValue> {
    view.settings.iter().find(|setting| setting.key == key).map(|setting| &setting.value)
}

fn text<'a>(view: &'a ConfigView, key: &str) -> Option<&'a str> {
    match value(view, key) {
        Some(SettingValue::Text(text)) => Some(text),
        _ => None,
    }
}

fn switch(view: &ConfigView, key: &str) -> bool {
    matches!(value(view, key), Some(SettingValue::Switch(true)))
}
