//! Settings: a change takes force and is rolled back; a broken file is said with its line.
