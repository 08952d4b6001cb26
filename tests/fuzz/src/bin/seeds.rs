//! Writes the seeds that are made of this build's own encodings into the folder `seeds`, after an encoding has changed:
//! `cargo run --bin seeds`, in `tests/fuzz`. The other seeds stay.

use std::path::Path;

fn main() -> std::io::Result<()> {
    etebar_node::fuzzing::write_seeds(&Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds"))
}
