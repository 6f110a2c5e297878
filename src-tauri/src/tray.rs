//! The tray: an icon, the two figures that matter, a way back to the window and a way out.
//!
//! Whether there is a tray is asked on the session bus: a desktop with one has
//! somebody who owns `org.kde.StatusNotifierWatcher`. It may come later than we
//! do at login, and go.
//!
//! There is no Pause here. What can be paused is what a page shows, and its own
//! switch stands beside the charts that it holds; behind a closed window nothing
//! is shown. A word in the tray would promise that recording stops, which it
//! must not do by a slip of the hand.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use plimsoll_app::{api::LiveValue, words::gib};
use plimsoll_core::metric::Metric;
use tauri::{
    AppHandle, Manager as _, Wry,
    image::Image,
    menu::{Menu, MenuItem, PredefinedMenuItem},
    tray::{TrayIcon, TrayIconBuilder},
};

use crate::{desktop::Desk, window};

const WATCHER: &str = "org.kde.StatusNotifierWatcher";
/// Every change of a label travels over the bus and redraws the panel.
const EVERY: Duration = Duration::from_secs(3);
/// The metrics of the figures; nothing else is asked for while there is no window.
pub const METRICS: &[Metric] = &[
    Metric::VramUsed,
    Metric::VramTotal,
    Metric::GpuBusy,
    Metric::CpuBusy,
    Metric::MemoryUsed,
    Metric::MemoryTotal,
];

/// The figures as they were last measured. With a card VRAM and GPU, without one RAM and CPU.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    vram: Part,
    gpu_busy: Option<f64>,
    ram: Part,
    cpu_busy: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Part {
    used: Option<f64>,
    total: Option<f64>,
}

pub struct Tray {
    icon: TrayIcon,
    room: MenuItem<Wry>,
    busy: MenuItem<Wry>,
    shown: Figures,
    at: Option<Instant>,
}

// === impl Figures ===

impl Figures {
    /// Takes a tick's values; a figure that is not among them is unknown from now on.
    pub fn of(values: &[LiveValue]) -> Self {
        let value = |metric: Metric| {
            values.iter().find(|one| one.key.metric == metric.name()).map(|one| one.value)
        };
        Self {
            vram: Part { used: value(Metric::VramUsed), total: value(Metric::VramTotal) },
            gpu_busy: value(Metric::GpuBusy),
            ram: Part { used: value(Metric::MemoryUsed), total: value(Metric::MemoryTotal) },
            cpu_busy: value(Metric::CpuBusy),
        }
    }

    fn has_card(&self) -> bool {
        self.vram.used.is_some() || self.gpu_busy.is_some()
    }

    /// The menu's two lines.
    pub fn lines(&self) -> [String; 2] {
        if self.has_card() {
            [self.vram.line("VRAM"), busy_line("GPU", self.gpu_busy)]
        } else {
            [self.ram.line("RAM"), busy_line("CPU", self.cpu_busy)]
        }
    }

    /// Beside the icon, where the panel shows a label.
    pub fn label(&self) -> String {
        let (part, busy) =
            if self.has_card() { (&self.vram, self.gpu_busy) } else { (&self.ram, self.cpu_busy) };
        let room = part.used.map_or_else(|| "–".to_owned(), |used| format!("{} GiB", gib(used)));
        let busy = busy.map_or_else(|| "–".to_owned(), |busy| format!("{busy:.0} %"));
        format!("{room} · {busy}")
    }
}

// === impl Part ===

impl Part {
    fn line(&self, name: &str) -> String {
        match (self.used, self.total) {
            (Some(used), Some(total)) => format!("{name} {} of {} GiB", gib(used), gib(total)),
            (Some(used), None) => format!("{name} {} GiB", gib(used)),
            (None, _) => format!("{name} unknown"),
        }
    }
}

fn busy_line(name: &str, busy: Option<f64>) -> String {
    busy.map_or_else(|| format!("{name} unknown"), |busy| format!("{name} {busy:.0} %"))
}

// === impl Tray ===

impl Tray {
    /// Call it on the main thread.
    fn build(app: &AppHandle) -> tauri::Result<Self> {
        let [room, busy] = Figures::default().lines();
        let room = MenuItem::with_id(app, "room", room, false, None::<&str>)?;
        let busy = MenuItem::with_id(app, "busy", busy, false, None::<&str>)?;
        let open = MenuItem::with_id(app, "open", "Open Plimsoll", true, None::<&str>)?;
        let quit = MenuItem::with_id(app, "quit", "Quit Plimsoll", true, None::<&str>)?;
        let line = PredefinedMenuItem::separator(app)?;
        let menu = Menu::with_items(app, &[&room, &busy, &line, &open, &quit])?;
        let icon = TrayIconBuilder::with_id("plimsoll")
            .icon(Image::from_bytes(include_bytes!("../../icons/32.png"))?)
            .menu(&menu)
            .tooltip("Plimsoll")
            .on_menu_event(|app, event| match event.id().as_ref() {
                "open" => {
                    if let Err(error) = window::show(app) {
                        tracing::error!(%error, "the window could not be opened");
                    }
                }
                "quit" => app.exit(0),
                _ => {}
            })
            .build(app)?;
        Ok(Self { icon, room, busy, shown: Figures::default(), at: None })
    }

    /// Shows the figures, unless they stand there already or others were shown a moment ago.
    pub fn show(&mut self, figures: &Figures, now: Instant) {
        let early = self.at.is_some_and(|at| now.duration_since(at) < EVERY);
        if early || *figures == self.shown {
            return;
        }
        let [room, busy] = figures.lines();
        let label = figures.label();
        let done = self
            .room
            .set_text(&room)
            .and_then(|()| self.busy.set_text(&busy))
            .and_then(|()| self.icon.set_title(Some(&label)))
            .and_then(|()| self.icon.set_tooltip(Some(format!("{room}\n{busy}"))));
        if let Err(error) = done {
            tracing::debug!(%error, "the tray did not take the figures");
        }
        self.shown = figures.clone();
        self.at = Some(now);
    }
}

/// Follows whether there is a tray, and puts the icon there as soon as there is one.
pub async fn follow(app: AppHandle) {
    if let Err(error) = watch(&app).await {
        tracing::info!(%error, "no session bus: there is no tray");
    }
}

async fn watch(app: &AppHandle) -> zbus::Result<()> {
    let bus = zbus::Connection::session().await?;
    let names = zbus::fdo::DBusProxy::new(&bus).await?;
    // Listens first and asks then, so that no change falls between the two.
    let mut changes = names.receive_name_owner_changed_with_args(&[(0, WATCHER)]).await?;
    present(app, names.name_has_owner(WATCHER.try_into()?).await?);
    while let Some(change) = changes.next().await {
        present(app, change.args()?.new_owner().is_some());
    }
    Ok(())
}

fn present(app: &AppHandle, present: bool) {
    let desk = app.state::<Desk>();
    desk.set_tray_present(present);
    if !present || desk.has_tray_icon() {
        return;
    }
    let on_main = app.clone();
    let sent = app.run_on_main_thread(move || {
        // The library behind it is loaded by name and panics where it is missing.
        let built = std::panic::catch_unwind(AssertUnwindSafe(|| Tray::build(&on_main)));
        let desk = on_main.state::<Desk>();
        match built {
            Ok(Ok(tray)) => desk.set_tray_icon(tray),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the tray icon could not be made");
                desk.set_tray_present(false);
            }
            Err(_) => {
                tracing::warn!("libayatana-appindicator3 is missing: there is no tray icon");
                desk.set_tray_present(false);
            }
        }
    });
    if let Err(error) = sent {
        tracing::debug!(%error, "stopping: no tray icon is made any more");
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_core::series::SeriesKey;

    use super::*;

    fn values(of: &[(Metric, f64)]) -> Vec<LiveValue> {
        of.iter()
            .map(|(metric, value)| LiveValue {
                key: SeriesKey { metric: metric.name().into(), subject: String::new() },
                value: *value,
            })
            .collect()
    }

    const GIB: f64 = 1_073_741_824.0;

    #[test]
    fn with_a_card_the_figures_are_vram_and_gpu() {
        let figures = Figures::of(&values(&[
            (Metric::VramUsed, 14.25 * GIB),
            (Metric::VramTotal, 24.0 * GIB),
            (Metric::GpuBusy, 87.0),
            (Metric::CpuBusy, 12.0),
        ]));
        assert_eq!(figures.lines(), ["VRAM 14.2 of 24.0 GiB", "GPU 87 %"]);
        assert_eq!(figures.label(), "14.2 GiB · 87 %");
    }

    #[test]
    fn without_a_card_they_are_ram_and_cpu_and_unknown_is_a_word() {
        let figures = Figures::of(&values(&[
            (Metric::MemoryUsed, 3.0 * GIB),
            (Metric::MemoryTotal, 128.0 * GIB),
        ]));
        assert_eq!(figures.lines(), ["RAM 3.00 of 128 GiB", "CPU unknown"]);
        assert_eq!(figures.label(), "3.00 GiB · –");
    }

    #[test]
    fn three_digits_are_kept_across_a_rounding() {
        assert_eq!(gib(9.994 * GIB), "9.99");
        assert_eq!(gib(9.996 * GIB), "10.0");
        assert_eq!(gib(99.96 * GIB), "100");
    }
}
