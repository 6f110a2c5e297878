//! Names of users, from `/etc/passwd`.
//!
//! The library's call would ask name services, which may ask the network and
//! hang; who is not in the file is shown by number.

use std::{fs, path::PathBuf};

use rustc_hash::FxHashMap;

use crate::text;

/// The file is read again for a number that is not in it, but not more often than
/// once in this many look-ups.
const READ_AGAIN_AFTER: u32 = 256;

pub struct Users {
    path: PathBuf,
    names: FxHashMap<u32, String>,
    misses: u32,
}

// === impl Users ===

impl Users {
    pub fn new(path: PathBuf) -> Self {
        let mut users = Self { path, names: FxHashMap::default(), misses: 0 };
        users.read();
        users
    }

    pub fn name(&mut self, uid: u32) -> String {
        if !self.names.contains_key(&uid) {
            if self.misses.is_multiple_of(READ_AGAIN_AFTER) {
                self.read();
            }
            self.misses = self.misses.wrapping_add(1);
        }
        self.names.get(&uid).cloned().unwrap_or_else(|| uid.to_string())
    }

    fn read(&mut self) {
        let Ok(bytes) = fs::read(&self.path) else { return };
        self.names = text::lines(&bytes).filter_map(parse).collect();
    }
}

/// `name:password:uid:…`
fn parse(line: &[u8]) -> Option<(u32, String)> {
    let mut fields = line.split(|&b| b == b':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let uid = text::number(fields.nth(1)?)?.try_into().ok()?;
    Some((uid, text::string(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_who_comes_later_is_found_and_a_stranger_is_a_number() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwd");
        fs::write(&path, "root:x:0:0:root:/root:/bin/bash\nbroken\n").unwrap();
        let mut users = Users::new(path.clone());
        assert_eq!(users.name(0), "root");
        fs::write(&path, "root:x:0:0::/:\nada:x:1000:1000::/home/ada:/bin/sh\n").unwrap();
        assert_eq!(users.name(1000), "ada");
        assert_eq!(users.name(4711), "4711");
    }
}
