//! What `pages` takes.

use std::path::PathBuf;

use clap::Args;

/// The command line of `pages`.
#[derive(Debug, Args)]
pub struct PagesArgs {
    /// The node's data directory.
    #[arg(long, env = "ETEBAR_DATA_DIR", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// The first page to write; page P begins with record P * 64 + 1.
    #[arg(long, default_value_t = 0, value_name = "PAGE")]
    pub from: u64,
}
