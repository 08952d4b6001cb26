//! Faults of a node's disk that a loaded library plays: syncs that fail or never end, slow ones, a torn write.
//!
//! What each fault does stands in `tests/shim/disk_faults.c`, which is built once in a test run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::machine::programs;

/// What a disk does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// Nothing.
    None,
    /// Syncs fail.
    FailSync,
    /// Writes and syncs wait.
    Stall,
    /// Each sync takes so many milliseconds more.
    Slow(u64),
    /// The next write of some length is written by half, and the process ends there.
    Tear,
}

/// The file that sets the fault of the node with that log.
pub(crate) fn file_beside(log: &Path) -> PathBuf {
    log.with_extension("fault")
}

/// What a node's environment needs, beside the loaded [`library`], so that its disk can be made to fail.
pub(crate) fn settings(log: &Path) -> [(String, String); 1] {
    let file = file_beside(log).to_str().expect("paths of tests are plain text").to_owned();
    [("DISK_FAULT_FILE".to_owned(), file)]
}

/// Sets the fault, whole or not at all.
pub(crate) fn set(file: &Path, fault: DiskFault) {
    let words = match fault {
        DiskFault::None => "none".to_owned(),
        DiskFault::FailSync => "fail".to_owned(),
        DiskFault::Stall => "stall".to_owned(),
        DiskFault::Slow(milliseconds) => format!("slow {milliseconds}"),
        DiskFault::Tear => "tear".to_owned(),
    };
    let new = file.with_extension("fault-new");
    fs::write(&new, words).expect("the fault can be written");
    fs::rename(&new, file).expect("the fault can be set");
}

/// The library, built now where it was not.
pub fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = programs::root().join("tests/shim/disk_faults.c");
        let folder = programs::target().join("shim");
        fs::create_dir_all(&folder).expect("a folder for the library");
        // Under a name of this process, then moved: another test run may build it at the same time.
        let (new, built) = (folder.join(format!("{}.so", std::process::id())), folder.join("disk_faults.so"));
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&new).arg(source).arg("-ldl");
        let status = compiler.status().expect("cc starts: Rust needs it too");
        assert!(status.success(), "the disk faults do not build");
        fs::rename(&new, &built).expect("the library can be moved");
        built
    })
}
