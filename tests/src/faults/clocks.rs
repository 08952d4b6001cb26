//! Wall clocks of nodes that are set, by Debian's library libfaketime, where it is installed. Monotonic clocks stay as they are.

use std::fs;
use std::path::{Path, PathBuf};

/// The library; a test that needs it says so and ends where there is none.
pub fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).find(|library| library.exists())
}

/// The file that sets the clock of the node with that log.
pub(crate) fn file_beside(log: &Path) -> PathBuf {
    log.with_extension("clock")
}

/// What a node's environment needs, beside the loaded [`library`], so that its clock can be set.
pub(crate) fn settings(log: &Path) -> Vec<(String, String)> {
    let text = |path: &Path| path.to_str().expect("paths of tests are plain text").to_owned();
    let file = file_beside(log);
    set(&file, 0);
    [
        ("FAKETIME_TIMESTAMP_FILE", text(&file)),
        ("FAKETIME_CACHE_DURATION", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("NO_FAKE_STAT", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// Sets the clock so many seconds ahead of the right time, whole or not at all. The library looks once a second.
pub(crate) fn set(file: &Path, ahead_seconds: i64) {
    let new = file.with_extension("clock-new");
    fs::write(&new, format!("{ahead_seconds:+}\n")).expect("the clock can be written");
    fs::rename(&new, file).expect("the clock can be set");
}
