//! How much room a file system has.

use std::io;
use std::path::Path;

/// Bytes that this process may still write to the file system that holds `folder`. Blocks.
///
/// # Errors
/// Where the kernel does not say.
pub fn free_bytes(folder: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(folder)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}
