//! The program's frame: what is started in which order, and how it ends.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use plimsoll_core::config::{self, Config, Environment, OnClose};
use tauri::{Manager as _, RunEvent, WindowEvent};
use tauri_plugin_window_state::StateFlags;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    args::Args,
    commands, follow,
    graphics::Graphics,
    host::Host,
    pump::Listeners,
    tray::{self, Tray},
    window,
};

/// What the parts of the window share.
pub struct Desk {
    pub args: Args,
    /// Tells this window from others that may stand beside it.
    pub instance: String,
    /// WebKit's own cache and storage.
    pub webview_folder: PathBuf,
    on_close: Mutex<OnClose>,
    tray_present: AtomicBool,
    tray_icon: Mutex<Option<Tray>>,
    asking: AtomicBool,
}

// === impl Desk ===

impl Desk {
    fn new(args: Args, instance: String, data: &Path, config: &Config) -> Self {
        Self {
            args,
            instance,
            webview_folder: data.join("webview"),
            on_close: Mutex::new(config.window.close),
            tray_present: AtomicBool::new(false),
            tray_icon: Mutex::default(),
            asking: AtomicBool::new(false),
        }
    }

    pub fn on_close(&self) -> OnClose {
        *self.on_close.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_on_close(&self, to: OnClose) {
        *self.on_close.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }

    pub fn tray_present(&self) -> bool {
        self.tray_present.load(Relaxed)
    }

    pub fn set_tray_present(&self, present: bool) {
        self.tray_present.store(present, Relaxed);
    }

    pub fn has_tray_icon(&self) -> bool {
        self.tray_icon.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub fn set_tray_icon(&self, tray: Tray) {
        *self.tray_icon.lock().unwrap_or_else(PoisonError::into_inner) = Some(tray);
    }

    pub fn with_tray(&self, work: impl FnOnce(&mut Tray)) {
        if let Some(tray) = &mut *self.tray_icon.lock().unwrap_or_else(PoisonError::into_inner) {
            work(tray);
        }
    }

    /// False where the question stands on the screen already.
    pub fn begin_asking(&self) -> bool {
        !self.asking.swap(true, Relaxed)
    }

    pub fn end_asking(&self) {
        self.asking.store(false, Relaxed);
    }
}

/// Runs until the person quits. Answers the exit code.
pub fn run(args: Args, graphics: Graphics) -> Result<u8, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("plimsoll")
        .enable_all()
        .build()?;
    tauri::async_runtime::set(runtime.handle().clone());

    let options = args.options();
    let places = options.places()?;
    let data = places.data;
    let instance = args.instance(&data);
    // Read ahead of the engine for the few things that decide how the window opens.
    let config = config::load(&places.config, &Environment::of_process()).config;
    let desk = Desk::new(args.clone(), instance.clone(), &data, &config);
    let hidden = args.hidden || config.window.start_hidden;
    let mut options = Some(options);
    let handle = runtime.handle().clone();

    let app = tauri::Builder::default()
        // First: a second start shows the first one's window and ends before it starts anything.
        .plugin(
            tauri_plugin_single_instance::Builder::new()
                .dbus_id(format!("org.plimsoll.desktop.{instance}"))
                .callback(|app, _, _| {
                    if let Err(error) = window::show(app) {
                        tracing::error!(%error, "the window could not be shown");
                    }
                })
                .build(),
        )
        .plugin(
            tauri_plugin_window_state::Builder::new()
                .with_state_flags(StateFlags::SIZE | StateFlags::POSITION | StateFlags::MAXIMIZED)
                // An absolute path: each data folder remembers its own window.
                .with_filename(data.join("window.json").to_string_lossy())
                .build(),
        )
        .plugin(tauri_plugin_dialog::init())
        .plugin(tauri_plugin_notification::init())
        .manage(desk)
        .manage(Listeners::default())
        .invoke_handler(tauri::generate_handler![
            commands::call,
            commands::subscribe,
            commands::unsubscribe,
            commands::painted,
            commands::save_file,
        ])
        .setup(move |app| {
            // The engine starts beside the window: neither waits for the other.
            if let Some(options) = options.take() {
                app.manage(Host::start(&handle, options));
            }
            if !hidden {
                window::show(app.handle())?;
            }
            handle.spawn(follow::run(app.handle().clone(), graphics));
            handle.spawn(tray::follow(app.handle().clone()));
            handle.spawn(end_on_signal(app.handle().clone()));
            Ok(())
        })
        .build(tauri::generate_context!())?;

    let code = app.run_return(|app, event| match event {
        RunEvent::WindowEvent { label, event, .. } if label == window::LABEL => match event {
            WindowEvent::CloseRequested { api, .. } if !window::may_close(app) => {
                api.prevent_close();
            }
            WindowEvent::Destroyed => window::destroyed(app),
            _ => {}
        },
        // The last window closed: the program stays, recording, until somebody quits.
        RunEvent::ExitRequested { code: None, api, .. } => api.prevent_exit(),
        RunEvent::Exit => {
            let stopping = async { app.state::<Host>().stop().await };
            tauri::async_runtime::block_on(stopping);
        }
        _ => {}
    });
    Ok(u8::try_from(code).unwrap_or(1))
}

async fn end_on_signal(app: tauri::AppHandle) {
    let wait = async || -> io::Result<()> {
        let (mut term, mut int) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        Ok(())
    };
    match wait().await {
        Ok(()) => app.exit(0),
        Err(error) => tracing::warn!(%error, "signals cannot be heard"),
    }
}
