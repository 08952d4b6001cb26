//! What the fuzzers call: a function for each door of a node, which takes arbitrary bytes and panics where a promise
//! about what comes in breaks.
//!
//! A module of the crate `etebar-node` in its tests and under its feature `fuzzing`, and absent from every other build: the
//! doors see what the node's own modules see. [`main`](../src/main.rs) hands them to libFuzzer; the tests give them every file
//! below `tests/fuzz/seeds` again, among them every input that once broke something.

mod backup;
mod disk;
mod frames;
mod http;
mod ledger_of_a_few;
mod seeds;
mod snapshot;
mod texts;

#[cfg(test)]
pub(crate) use http::at_the_node;
pub use ledger_of_a_few::admin_key;
pub use seeds::write_seeds;

/// A door, and what is done with the bytes that come to it.
pub type Door = (&'static str, fn(&[u8]));

/// All doors, by the names of their seeds' folders.
pub const DOORS: [Door; 6] = [
    ("peer-frames", frames::peer_frames),
    ("snapshot-stream", snapshot::snapshot_stream),
    ("stored-values", disk::stored_values),
    ("backup-file", backup::backup_file),
    ("http", http::http),
    ("texts", texts::texts),
];
