//! What `backup` takes.

use std::path::PathBuf;

use clap::Args;

/// The command line of `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The node's data directory.
    #[arg(long, env = "ETEBAR_DATA_DIR", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Write an increment onto a backup of so many records; 0 writes a whole backup.
    #[arg(long, default_value_t = 0, value_name = "RECORDS")]
    pub after: u64,
}
