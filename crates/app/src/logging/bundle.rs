//! The bundle of `doctor --bundle`: a `.tar.gz` of redacted texts that a person
//! can look through before sending it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use flate2::{Compression, write::GzEncoder};

use super::redact::Redactor;

/// Longest text of one file; of a longer one the end is kept.
const LONGEST: usize = 4 << 20;
/// Most files of a bundle.
const FILES: usize = 100;
/// Most bytes of all files together: it is redacted in memory, and sent by mail.
const MOST: usize = 16 << 20;

/// Collects texts, each redacted as it comes in.
#[derive(Debug, Default)]
pub struct Bundle {
    redactor: Redactor,
    files: Vec<(String, String)>,
}

// === impl Bundle ===

impl Bundle {
    pub fn new(redactor: Redactor) -> Self {
        Self { redactor, files: Vec::new() }
    }

    /// Adds a text under a name like `config.toml` or `logs/plimsoll.log`. What
    /// comes when the bundle is full is left out: add what matters most first.
    pub fn add(&mut self, name: &str, text: &str) {
        let mut start = text.len().saturating_sub(LONGEST);
        while !text.is_char_boundary(start) {
            start += 1;
        }
        self.keep(name, &text[start..], start as u64);
    }

    /// Adds a file, of which no more than its end is read.
    ///
    /// # Errors
    /// When it cannot be read; the bundle goes without it.
    pub fn add_file(&mut self, name: &str, path: &Path) -> io::Result<()> {
        let mut file = File::open(path)?;
        let start = file.metadata()?.len().saturating_sub(LONGEST as u64);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(LONGEST as u64).read_to_end(&mut bytes)?;
        self.keep(name, &String::from_utf8_lossy(&bytes), start);
        Ok(())
    }

    /// `before` bytes of the text are missing at its beginning.
    fn keep(&mut self, name: &str, text: &str, before: u64) {
        // Half a line may be the half of a secret whose name is in the other one.
        let cut = if before > 0 { text.find('\n').map_or(text.len(), |at| at + 1) } else { 0 };
        let mut text = self.redactor.redact(&text[cut..]);
        if before > 0 {
            text = format!("[{} bytes before this]\n{text}", before + cut as u64);
        }
        let taken: usize = self.files.iter().map(|(_, text)| text.len()).sum();
        if self.files.len() < FILES && taken + text.len() <= MOST {
            self.files.push((name.to_string(), text));
        }
    }

    /// Names and sizes, for the person to see what is in it.
    pub fn contents(&self) -> impl Iterator<Item = (&str, usize)> {
        self.files.iter().map(|(name, text)| (name.as_str(), text.len()))
    }

    /// Writes the bundle and answers its size in bytes. Blocks: not for the
    /// runtime's threads.
    ///
    /// # Errors
    /// When the file exists already or cannot be written; nothing is left of it then.
    pub fn write(&self, path: &Path, at_ms: i64) -> io::Result<u64> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let done = (|| {
            let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
            for (name, text) in &self.files {
                let mut header = tar::Header::new_gnu();
                header.set_size(text.len() as u64);
                header.set_mode(0o600);
                header.set_mtime(u64::try_from(at_ms / 1000).unwrap_or(0));
                archive.append_data(&mut header, format!("plimsoll/{name}"), text.as_bytes())?;
            }
            let mut file = archive.into_inner()?.finish()?;
            file.flush()?;
            file.sync_all()?;
            Ok(file.metadata()?.len())
        })();
        if done.is_err() {
            let _ = std::fs::remove_file(path);
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    #[test]
    fn a_bundle_holds_redacted_texts_and_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bundle.tar.gz");
        let mut bundle = Bundle::new(Redactor::of("/home/ada", "ada", "lovelace"));
        bundle.add("config.toml", "nvml_path = \"/home/ada/lib.so\"\n");
        bundle.add("logs/plimsoll.log", "token=abcdef on lovelace\n");
        let size = bundle.write(&path, 1_763_650_000_000).unwrap();
        assert_eq!(size, std::fs::metadata(&path).unwrap().len());

        let mut archive = tar::Archive::new(GzDecoder::new(std::fs::File::open(&path).unwrap()));
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            found.push((entry.path().unwrap().display().to_string(), text));
        }
        assert_eq!(
            found,
            [
                ("plimsoll/config.toml".into(), "nvml_path = \"[home]/lib.so\"\n".into()),
                ("plimsoll/logs/plimsoll.log".into(), "token=[secret] on [host]\n".to_string()),
            ]
        );
        assert_eq!(bundle.write(&path, 0).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn of_a_long_text_the_last_whole_lines_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let long = format!("{}api_key={}\nend\n", "é\n".repeat(10), "x".repeat(LONGEST - 8));
        let path = dir.path().join("log");
        std::fs::write(&path, &long).unwrap();
        let mut bundle = Bundle::default();
        bundle.add("text", &long);
        bundle.add_file("file", &path).unwrap();
        for (name, text) in &bundle.files {
            // The name of the secret lies before the cut: none of its line is kept.
            let before = long.len() - "end\n".len();
            assert_eq!(*text, format!("[{before} bytes before this]\nend\n"), "{name}");
        }
        assert!(bundle.add_file("none", &dir.path().join("none")).is_err());
    }

    #[test]
    fn a_bundle_that_is_full_takes_no_more() {
        let mut bundle = Bundle::default();
        let line = format!("{}\n", "x".repeat(1023));
        (0..10).for_each(|n| bundle.add(&n.to_string(), &line.repeat(3 << 10)));
        assert_eq!(bundle.contents().count(), MOST / (3 << 20));
    }
}
