//! Closing, the tray, the second start, start at login, notifications: the window as a part of a desktop.

use anyhow::{Context as _, Result};
use plimsoll_tests::{bus::Panel, child::Group, desk::Desk, program::Home, wait};

/// The desktop program, running on that desk, with the page in it or without.
struct Started {
    group: Group,
}

// === impl Started ===

impl Started {
    fn new(desk: &Desk, home: &Home, args: &[&str]) -> Result<Self> {
        Ok(Self { group: desk.start(home, args)? })
    }

    /// Whether WebKit draws for it: the page is a process of its own.
    fn has_page(&self) -> Result<bool> {
        let own = self.group.pid().to_string();
        for entry in std::fs::read_dir("/proc")? {
            let path = entry?.path();
            let Ok(status) = std::fs::read_to_string(path.join("status")) else { continue };
            let field =
                |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            if field("PPid:") == Some(&own)
                && field("Name:").is_some_and(|name| name.starts_with("WebKitWebProces"))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn page_is(&self, there: bool) -> Result<()> {
        wait::until(if there { "the page to open" } else { "the page to go" }, || async {
            Ok((self.has_page()? == there).then_some(()))
        })
        .await
    }
}

async fn recording(home: &Home) -> Result<()> {
    wait::until("the engine", || async {
        Ok((home.plimsoll(&["status"])?["recording"] == "recording").then_some(()))
    })
    .await
}

/// Closes the window as a window manager does: by asking.
fn close(desk: &Desk) -> Result<()> {
    desk.ask_windows_to_close("Plimsoll")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_to_the_tray_ends_the_page_and_the_tray_brings_it_back() -> Result<()> {
    let home = Home::new()?;
    let desk = Desk::new(&home)?;
    let panel = Panel::open(&desk.bus).await?;
    let mut program = Started::new(&desk, &home, &[])?;
    program.page_is(true).await?;
    wait::until("the tray icon", || async { Ok(panel.has_icon().then_some(())) }).await?;

    // Without a card: RAM and CPU, in the menu and beside the icon.
    wait::until("the figures", || async {
        let lines = panel.menu().await?;
        let has = |start: &str, end: &str| {
            lines.iter().any(|(_, line)| line.starts_with(start) && line.ends_with(end))
        };
        Ok((has("RAM ", " GiB") && has("CPU ", " %")).then_some(()))
    })
    .await?;
    let label = panel.label().await?;
    assert!(label.contains("GiB · "), "{label}");

    close(&desk)?;
    program.page_is(false).await?;
    assert!(!program.group.has_ended()?, "it goes on recording behind the tray icon");
    recording(&home).await?;

    panel.choose("Open Plimsoll").await?;
    program.page_is(true).await?;
    panel.choose("Quit Plimsoll").await?;
    assert!(program.group.wait()?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_start_shows_the_window_of_the_first() -> Result<()> {
    let home = Home::new()?;
    let desk = Desk::new(&home)?;
    let mut first = Started::new(&desk, &home, &["--hidden"])?;
    recording(&home).await?;
    assert!(!first.has_page()?, "a hidden start opens no page");

    let mut second = Group::start(&mut desk.command(&home, &[])?)?;
    assert!(second.wait()?.success(), "it hands over and ends");
    first.page_is(true).await?;
    assert!(first.group.terminate()?.success());
    Ok(())
}

#[test]
fn a_display_that_does_not_answer_is_said_in_words() -> Result<()> {
    let home = Home::new()?;
    let desk = Desk::new(&home)?;
    // Far above any that a desk is given.
    let output = desk.command(&home, &[])?.env("DISPLAY", ":64999").output()?;
    let words = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(1), "{words}");
    for part in ["the display :64999 does not answer", "plimsoll up --ui"] {
        assert!(words.contains(part), "{part} is missing in {words}");
    }
    assert!(!home.data().join("plimsoll.lock").exists(), "nothing was begun");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_quits_where_the_settings_say_so() -> Result<()> {
    let home = Home::new()?;
    std::fs::write(home.config_file(), "[window]\nclose = \"quit\"\n")?;
    let desk = Desk::new(&home)?;
    let mut program = Started::new(&desk, &home, &[])?;
    program.page_is(true).await?;
    recording(&home).await?;
    close(&desk)?;
    assert!(program.group.wait()?.success());
    assert!(home.plimsoll(&["status"]).is_err(), "nobody owns the folder any more");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_size_is_remembered_over_a_restart() -> Result<()> {
    const CHOSEN: (u16, u16) = (1180, 777);
    let home = Home::new()?;
    std::fs::write(home.config_file(), "[window]\nclose = \"quit\"\n")?;
    let desk = Desk::new(&home)?;
    let windows = desk.windows()?;
    let size_is = |wanted: (u16, u16)| {
        let windows = &windows;
        wait::until("the window in its size", move || async move {
            let Some(window) = windows.titled("Plimsoll")? else { return Ok(None) };
            Ok((windows.size(window)? == wanted).then_some(window))
        })
    };

    let mut first = Started::new(&desk, &home, &[])?;
    first.page_is(true).await?;
    let window = size_is((1440, 900)).await?;
    windows.resize(window, CHOSEN)?;
    size_is(CHOSEN).await?;
    recording(&home).await?;
    close(&desk)?;
    assert!(first.group.wait()?.success());

    let mut second = Started::new(&desk, &home, &[])?;
    second.page_is(true).await?;
    size_is(CHOSEN).await?;
    assert!(second.group.terminate()?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_tray_closing_asks_and_the_program_stays_until_answered() -> Result<()> {
    let home = Home::new()?;
    let desk = Desk::new(&home)?;
    let mut program = Started::new(&desk, &home, &[])?;
    program.page_is(true).await?;
    recording(&home).await?;
    close(&desk)?;
    wait::until("the question", || async {
        Ok(desk.window_titles()?.iter().any(|title| title == "Close Plimsoll").then_some(()))
    })
    .await?;
    assert!(!program.group.has_ended()?);
    assert!(program.has_page()?, "the window stays while the question stands");
    assert!(program.group.terminate()?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_at_login_writes_the_entry_and_takes_it_away() -> Result<()> {
    let home = Home::new()?;
    let desk = Desk::new(&home)?;
    let mut program = Started::new(&desk, &home, &["--hidden"])?;
    recording(&home).await?;
    let entries = || -> Vec<String> {
        let folder = std::fs::read_dir(home.path().join("config/autostart"));
        folder.map_or_else(
            |_| Vec::new(),
            |entries| entries.flatten().map(|e| e.path().display().to_string()).collect(),
        )
    };
    home.plimsoll(&["config", "set", "window.start_at_login=true"])?;
    let entry = wait::until("the entry", || async { Ok(entries().pop()) }).await?;
    let text = std::fs::read_to_string(&entry)?;
    let data = home.data().display().to_string();
    let exec = text.lines().find(|line| line.starts_with("Exec=")).context("Exec")?;
    assert!(exec.contains("plimsoll-desktop") && exec.contains(&data), "{text}");

    home.plimsoll(&["config", "set", "window.start_at_login=false"])?;
    wait::until("the entry to go", || async { Ok(entries().is_empty().then_some(())) }).await?;
    assert!(program.group.terminate()?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_becomes_one_notification_of_the_desktop() -> Result<()> {
    let home = Home::new()?;
    // Of this machine's RAM some is always in use: the rule holds at once.
    std::fs::write(
        home.config_file(),
        "[alerts.rules.memory-warn]\nthreshold = 1\nclear = 0.5\nfor_s = 0\n",
    )?;
    let desk = Desk::new(&home)?;
    let panel = Panel::open(&desk.bus).await?;
    let mut program = Started::new(&desk, &home, &["--hidden"])?;
    let of_memory = || -> Vec<_> {
        let all = panel.notified();
        all.into_iter().filter(|one| one.title.contains("RAM")).collect()
    };
    wait::until("the notification", || async { Ok((!of_memory().is_empty()).then_some(())) })
        .await?;
    // Two ticks later it is still the only one.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let told = of_memory();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(!told[0].body.is_empty(), "it says what to do");
    assert!(program.group.terminate()?.success());
    Ok(())
}
