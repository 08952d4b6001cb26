//! The backup file: pages of the history up to one position, which a reader checks one by one and knows whole or cut.
//!
//! Eight bytes `etbbckup`, the version of the file (4, big-endian), then frames: each a length (4, big-endian) and so many
//! bytes, sealed by the codec under a key of its own. The head comes first, under `head`, then each page, under its number,
//! then the end, under `end`. So one page's worth of memory is enough, and a frame in another one's place is refused.
//!
//! Pages never change but by growing. A file that was cut is therefore continued with the pages of a later stream, and an
//! increment carries only pages that an earlier file lacks.
//!
//! Read in this order: `head`, `frame` (bytes), [`Writer`], [`Reader`] (one file), [`Chain`] (a file and its increments).

mod backup_page;
mod chain;
mod error;
mod frame;
mod head;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use self::backup_page::{BackupPage, PagePlace, Progress};
pub use self::chain::{Chain, ChainError};
pub use self::error::BackupError;
pub use self::frame::{FRAME_BYTES_MAX, MAGIC, VERSION};
pub use self::head::{Continues, Head, Position};
pub use self::reader::{Reader, read_page};
pub use self::writer::Writer;
