//! A keyboard on a display, for the desktop's own dialogs: no page stands in them, so no driver
//! reaches them.

use anyhow::{Context as _, Result, ensure};
use x11rb::{
    connection::Connection as _,
    protocol::{
        xproto::{
            ConnectionExt as _, InputFocus, KEY_PRESS_EVENT, KEY_RELEASE_EVENT, Keycode, Window,
        },
        xtest::ConnectionExt as _,
    },
};

use crate::windows::Windows;

/// Keysyms of keys that write nothing.
const SHIFT: u32 = 0xffe1;
const CONTROL: u32 = 0xffe3;
const ENTER: u32 = 0xff0d;

/// What a key of the display writes alone and with Shift.
struct Key {
    code: Keycode,
    plain: u32,
    shifted: u32,
}

pub struct Keyboard<'a> {
    windows: &'a Windows,
    keys: Vec<Key>,
}

// === impl Keyboard ===

impl<'a> Keyboard<'a> {
    pub fn of(windows: &'a Windows) -> Result<Self> {
        let setup = windows.display.setup();
        let (first, last) = (setup.min_keycode, setup.max_keycode);
        let map = windows.display.get_keyboard_mapping(first, last - first + 1)?.reply()?;
        let width = usize::from(map.keysyms_per_keycode);
        ensure!(width >= 2, "the display has no keys");
        let keys = (first..=last)
            .zip(map.keysyms.chunks(width))
            .map(|(code, syms)| Key { code, plain: syms[0], shifted: syms[1] })
            .collect();
        Ok(Self { windows, keys })
    }

    /// Gives the window the focus, as a window manager does.
    pub fn focus(&self, window: Window) -> Result<()> {
        let display = &self.windows.display;
        display.set_input_focus(InputFocus::PARENT, window, x11rb::CURRENT_TIME)?;
        self.settle()
    }

    /// What a slash opens in a list of folders: a field for a path.
    pub fn slash(&self) -> Result<()> {
        self.press(u32::from(b'/'))?;
        self.settle()
    }

    /// Writes over what a field holds, and presses Enter.
    pub fn answer(&self, text: &str) -> Result<()> {
        self.held(CONTROL, |it| it.press(u32::from(b'a')))?;
        for letter in text.chars() {
            ensure!(letter.is_ascii_graphic(), "{letter:?} is on no key that is known");
            self.press(u32::from(letter))?;
        }
        self.press(ENTER)?;
        self.settle()
    }

    /// An answer of the display says that it has read all before.
    fn settle(&self) -> Result<()> {
        self.windows.display.get_input_focus()?.reply().context("the display")?;
        Ok(())
    }

    fn press(&self, keysym: u32) -> Result<()> {
        let find = |of: fn(&Key) -> u32| self.keys.iter().find(|key| of(key) == keysym);
        if let Some(key) = find(|key| key.plain) {
            self.send(KEY_PRESS_EVENT, key.code)?;
            return self.send(KEY_RELEASE_EVENT, key.code);
        }
        let key = find(|key| key.shifted).with_context(|| format!("no key writes {keysym:#x}"))?;
        let code = key.code;
        self.held(SHIFT, |it| {
            it.send(KEY_PRESS_EVENT, code)?;
            it.send(KEY_RELEASE_EVENT, code)
        })
    }

    fn held(&self, keysym: u32, then: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        let key = self.keys.iter().find(|key| key.plain == keysym).context("a key to hold")?;
        self.send(KEY_PRESS_EVENT, key.code)?;
        then(self)?;
        self.send(KEY_RELEASE_EVENT, key.code)
    }

    fn send(&self, kind: u8, code: Keycode) -> Result<()> {
        let root = self.windows.root;
        self.windows.display.xtest_fake_input(kind, code, x11rb::CURRENT_TIME, root, 0, 0, 0)?;
        Ok(())
    }
}
