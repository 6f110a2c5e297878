//! The windows on a display, and how a window manager asks one to close. The display of a test has
//! no window manager: the test is it.

use anyhow::{Context as _, Result, ensure};
use x11rb::{
    connection::Connection as _,
    protocol::xproto::{
        Atom, AtomEnum, ClientMessageEvent, ConfigureWindowAux, ConnectionExt as _, EventMask,
        MapState, Window,
    },
    rust_connection::RustConnection,
};

/// A window somebody can see.
#[derive(Clone, Debug)]
pub struct Shown {
    pub id: Window,
    pub title: String,
}

pub struct Windows {
    pub(crate) display: RustConnection,
    pub(crate) root: Window,
}

// === impl Windows ===

impl Windows {
    pub fn of(display: &str) -> Result<Self> {
        let (display, screen) = x11rb::connect(Some(display))?;
        let root = display.setup().roots[screen].root;
        Ok(Self { display, root })
    }

    pub fn shown(&self) -> Result<Vec<Shown>> {
        let mut found = Vec::new();
        self.collect(self.root, &mut found)?;
        Ok(found)
    }

    fn collect(&self, parent: Window, found: &mut Vec<Shown>) -> Result<()> {
        for id in self.display.query_tree(parent)?.reply()?.children {
            // A window may go while we look.
            let Ok(attributes) = self.display.get_window_attributes(id)?.reply() else { continue };
            if attributes.map_state == MapState::VIEWABLE
                && let Some(title) = self.title(id)?
            {
                found.push(Shown { id, title });
            }
            // Not deeper: without a window manager a program's windows stand on the root.
        }
        Ok(())
    }

    fn title(&self, id: Window) -> Result<Option<String>> {
        for property in [self.atom("_NET_WM_NAME")?, AtomEnum::WM_NAME.into()] {
            let asked = self.display.get_property(false, id, property, AtomEnum::ANY, 0, 256)?;
            if let Ok(reply) = asked.reply()
                && !reply.value.is_empty()
            {
                return Ok(Some(String::from_utf8_lossy(&reply.value).into_owned()));
            }
        }
        Ok(None)
    }

    /// The window with that title, where there is one.
    pub fn titled(&self, title: &str) -> Result<Option<Window>> {
        Ok(self.shown()?.into_iter().find(|window| window.title == title).map(|window| window.id))
    }

    pub fn size(&self, window: Window) -> Result<(u16, u16)> {
        let geometry = self.display.get_geometry(window)?.reply()?;
        Ok((geometry.width, geometry.height))
    }

    /// As a person does who drags its corner.
    pub fn resize(&self, window: Window, (width, height): (u16, u16)) -> Result<()> {
        let size = ConfigureWindowAux::new().width(u32::from(width)).height(u32::from(height));
        self.display.configure_window(window, &size)?.check()?;
        Ok(())
    }

    /// Asks every window with that title to close. The program may do otherwise.
    pub fn ask_to_close(&self, title: &str) -> Result<()> {
        let all = self.shown()?;
        let of_it: Vec<_> = all.iter().filter(|window| window.title == title).collect();
        ensure!(!of_it.is_empty(), "there is no window {title:?} among {all:?}");
        for window in of_it {
            let data = [self.atom("WM_DELETE_WINDOW")?, x11rb::CURRENT_TIME, 0, 0, 0];
            let message = ClientMessageEvent::new(32, window.id, self.atom("WM_PROTOCOLS")?, data);
            self.display.send_event(false, window.id, EventMask::NO_EVENT, message)?;
        }
        // An answer to a later question says that the display has read all before it.
        self.display.get_input_focus()?.reply().context("the display")?;
        Ok(())
    }

    fn atom(&self, name: &str) -> Result<Atom> {
        Ok(self.display.intern_atom(false, name.as_bytes())?.reply()?.atom)
    }
}
