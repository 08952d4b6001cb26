//! What `check` takes.

use std::path::PathBuf;

use clap::Args;
use uuid::Uuid;

/// The command line of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The node's data directory, which no process serves
    #[arg(long, env = "ETEBAR_DATA_DIR", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Also check that it is this node's
    #[arg(long, env = "ETEBAR_ID")]
    pub id: Option<u64>,
    /// Also check that it is of this cluster
    #[arg(long, env = "ETEBAR_CLUSTER_ID")]
    pub cluster_id: Option<Uuid>,
    /// Where the databases are copied to for the check: as large as they are. On the data's own file system, where that
    /// shares blocks between files (XFS, Btrfs), the copy takes no time and no room [default: the system's folder for
    /// temporary files]
    #[arg(long, env = "ETEBAR_CHECK_SCRATCH", value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
