//! Start at login: a desktop entry in the person's autostart folder.
//!
//! Written here and not by a plugin because the entry has to carry this start's
//! own arguments, quoted, and to respect `XDG_CONFIG_HOME`.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
};

/// The entry as it should be, or `None` where there should be none.
pub fn follow(folder: &Path, instance: &str, wanted: Option<&[OsString]>) -> io::Result<()> {
    let name = match instance {
        "main" => "plimsoll.desktop".to_owned(),
        other => format!("plimsoll-{other}.desktop"),
    };
    let path = folder.join(name);
    let there = std::fs::read_to_string(&path).ok();
    match wanted.map(entry) {
        Some(text) if there.as_deref() == Some(&text) => Ok(()),
        Some(text) => {
            std::fs::create_dir_all(folder)?;
            std::fs::write(&path, text)
        }
        None if there.is_some() => std::fs::remove_file(&path),
        None => Ok(()),
    }
}

/// `$XDG_CONFIG_HOME/autostart`, else `~/.config/autostart`.
pub fn folder() -> Option<PathBuf> {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))
        .map(|config| config.join("autostart"))
}

fn entry(command: &[OsString]) -> String {
    let words: Vec<String> = command.iter().map(|word| quoted(word)).collect();
    format!(
        "[Desktop Entry]\nType=Application\nName=Plimsoll\n\
         Comment=Started at login because window.start_at_login is on\n\
         Exec={}\nIcon=plimsoll\nTerminal=false\nStartupNotify=false\n",
        words.join(" ")
    )
}

/// Quoted as the Desktop Entry specification asks: the shell's special characters by a backslash
/// inside quotes, that backslash doubled by the rules for strings, and `%` doubled.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    let mut text = String::from("\"");
    for c in word.chars() {
        match c {
            '\\' => text.push_str("\\\\\\\\"),
            '"' | '`' | '$' => {
                text.push_str("\\\\");
                text.push(c);
            }
            '%' => text.push_str("%%"),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn the_entry_comes_changes_and_goes_with_the_setting() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("autostart");
        let path = folder.join("plimsoll.desktop");

        follow(&folder, "main", None).unwrap();
        assert!(!folder.exists(), "nothing is made where nothing is wanted");

        follow(&folder, "main", Some(&words(&["/usr/bin/plimsoll-desktop", "--hidden"]))).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("\nExec=/usr/bin/plimsoll-desktop --hidden\n"), "{text}");

        follow(&folder, "main", Some(&words(&["/usr/bin/plimsoll-desktop"]))).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("\nExec=/usr/bin/plimsoll-desktop\n"), "{text}");

        follow(&folder, "main", None).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn the_demo_has_an_entry_of_its_own() {
        let root = tempfile::tempdir().unwrap();
        follow(root.path(), "demo", Some(&words(&["plimsoll-desktop", "--demo"]))).unwrap();
        assert!(root.path().join("plimsoll-demo.desktop").exists());
    }

    #[test]
    fn a_folder_with_spaces_and_signs_is_quoted() {
        assert_eq!(quoted(OsStr::new("/home/a b/x")), "\"/home/a b/x\"");
        assert_eq!(quoted(OsStr::new("100%$")), "\"100%%\\\\$\"");
        assert_eq!(quoted(OsStr::new("")), "\"\"");
    }
}
