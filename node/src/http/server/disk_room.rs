//! How much room the disk has left for the node's data.

use std::io;
use std::path::Path;

/// Bytes that this process may still write to the disk that holds `folder`. Blocks.
pub fn free_bytes(folder: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(folder)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}
