//! A desktop for one test: a display, a session bus and a driver of their own.

use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::json;
use thirtyfour::{Capabilities, ChromiumLikeCapabilities as _, DesiredCapabilities, WebDriver};
use tokio::time::sleep;

use crate::{
    child::Group,
    keyboard::Keyboard,
    page::Page,
    program::{Home, built, need},
    wait,
    windows::Windows,
};

/// Larger than every window that is tried on it.
const SCREEN: &str = "1600x1000x24";

/// Fields are dropped in order: the driver with its window first, the display last.
#[derive(Debug)]
pub struct Desk {
    driver: Option<Group>,
    pub bus: String,
    _bus: Group,
    display: String,
    _screen: Group,
}

// === impl Desk ===

impl Desk {
    pub fn new(home: &Home) -> Result<Self> {
        need("Xvfb", "xvfb")?;
        need("dbus-daemon", "dbus")?;
        let mut screen = Command::new("Xvfb");
        // It chooses a free display itself and says which.
        screen.args(["-displayfd", "1", "-screen", "0", SCREEN, "-nolisten", "tcp"]);
        screen.stderr(Stdio::null());
        let (screen, number) = Group::start_and_read_line(&mut screen)?;
        let display = format!(":{}", number.trim());

        let mut bus = Command::new("dbus-daemon");
        home.dress(&mut bus);
        bus.args(["--session", "--nofork", "--nopidfile", "--print-address=1"]);
        bus.env("DISPLAY", &display).stderr(Stdio::null());
        let (daemon, address) = Group::start_and_read_line(&mut bus)?;
        let bus = address.trim().to_owned();
        Ok(Self { driver: None, bus, _bus: daemon, display, _screen: screen })
    }

    /// What a program needs to find this desktop and no other.
    fn dress(&self, home: &Home, command: &mut Command) {
        home.dress(command);
        command
            .env("DISPLAY", &self.display)
            .env("DBUS_SESSION_BUS_ADDRESS", &self.bus)
            .env("GDK_BACKEND", "x11")
            .env("LIBGL_ALWAYS_SOFTWARE", "1")
            // Nobody listens for accessibility events here; without it GTK waits for who would.
            .env("NO_AT_BRIDGE", "1")
            // Nor does anybody keep volumes: a dialog for files would wait for who does.
            .env("GIO_USE_VFS", "local")
            .env("GIO_USE_VOLUME_MONITOR", "unix")
            .env_remove("WAYLAND_DISPLAY");
    }

    /// The desktop program, started as a person starts it: nobody drives its page.
    pub fn start(&self, home: &Home, args: &[&str]) -> Result<Group> {
        let mut command = self.command(home, args)?;
        Group::start(&mut command)
    }

    pub fn command(&self, home: &Home, args: &[&str]) -> Result<Command> {
        let mut command = Command::new(built("PLIMSOLL_DESKTOP_BIN")?);
        self.dress(home, &mut command);
        command.arg("--data-dir").arg(home.data()).args(args);
        Ok(command)
    }

    pub fn window_titles(&self) -> Result<Vec<String>> {
        let shown = Windows::of(&self.display)?.shown()?;
        Ok(shown.into_iter().map(|window| window.title).collect())
    }

    /// As a window manager does when a person clicks the cross.
    pub fn ask_windows_to_close(&self, title: &str) -> Result<()> {
        Windows::of(&self.display)?.ask_to_close(title)
    }

    pub fn windows(&self) -> Result<Windows> {
        Windows::of(&self.display)
    }

    /// Answers the desktop's own question for a folder or a file.
    pub async fn choose(&self, title: &str, path: &Path) -> Result<()> {
        let windows = self.windows()?;
        let path = path.to_str().context("a path of letters")?;
        let keyboard = Keyboard::of(&windows)?;
        let dialog = wait::until(title, || async { windows.titled(title) }).await?;
        keyboard.focus(dialog)?;
        // Letters that come before its field has opened are lost: then it is answered again.
        wait::until("the dialog to take the answer", || async {
            if windows.titled(title)?.is_none() {
                return Ok(Some(()));
            }
            keyboard.slash()?;
            sleep(Duration::from_millis(400)).await;
            keyboard.answer(path)?;
            sleep(Duration::from_millis(400)).await;
            Ok(windows.titled(title)?.is_none().then_some(()))
        })
        .await
    }

    /// Opens the real window and takes hold of its page.
    pub async fn window(&mut self, home: &Home, args: &[&str]) -> Result<Page> {
        self.window_of(&built("PLIMSOLL_DESKTOP_BIN")?, home, args).await
    }

    pub async fn window_of(&mut self, program: &Path, home: &Home, args: &[&str]) -> Result<Page> {
        need("WebKitWebDriver", "webkit2gtk-driver")?;
        let (port, native) = (free_port()?, free_port()?);
        let mut command = Command::new("tauri-driver");
        self.dress(home, &mut command);
        command.args(["--port", &port.to_string(), "--native-port", &native.to_string()]);
        self.driver = Some(
            Group::start(&mut command)
                .context("tauri-driver is missing: ./test.sh window installs it")?,
        );
        let mut all = vec!["--data-dir".to_owned(), home.data().display().to_string()];
        all.extend(args.iter().map(|&arg| arg.to_owned()));
        let mut capabilities = Capabilities::new();
        capabilities.set("tauri:options", json!({ "application": program, "args": all }))?;
        // The one that it starts itself must listen as well.
        listens(native).await?;
        let driver = connect(port, capabilities).await?;
        Ok(Page::new(driver))
    }

    /// A browser that a person of this machine opens at `url`.
    pub async fn browser(&mut self, home: &Home, url: &str) -> Result<Page> {
        need("chromedriver", "chromium-driver")?;
        let port = free_port()?;
        let mut command = Command::new("chromedriver");
        self.dress(home, &mut command);
        command.arg(format!("--port={port}")).stdout(Stdio::null());
        self.driver = Some(Group::start(&mut command)?);
        let mut capabilities = DesiredCapabilities::chrome();
        for arg in [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1440,1000",
        ] {
            capabilities.add_arg(arg)?;
        }
        let driver = connect(port, capabilities.into()).await?;
        driver.goto(url).await?;
        Ok(Page::new(driver))
    }
}

async fn connect(port: u16, capabilities: Capabilities) -> Result<WebDriver> {
    listens(port).await?;
    let url = format!("http://127.0.0.1:{port}");
    // The driver is asked over plain HTTP, but its client wants a provider of TLS to be made:
    // built with the workspace it has the client of the services, which names none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    WebDriver::new(url, capabilities).await.context("the window did not open")
}

/// A driver needs a moment before it listens.
async fn listens(port: u16) -> Result<()> {
    wait::until("the driver to listen", || async {
        Ok(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop))
    })
    .await
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Where pictures for people go, where they were asked for.
pub fn shots() -> Option<std::path::PathBuf> {
    let folder = std::env::var_os("PLIMSOLL_SHOTS").filter(|folder| !folder.is_empty())?;
    Some(Path::new(&folder).to_path_buf())
}
