//! What `restore` and `recover` take: each makes a cluster of one node out of what is left of another.

use std::path::PathBuf;

use clap::Args;
use etebar_api::read_address;
use uuid::Uuid;

use super::init::parse_hash;

/// The command line of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup; repeat it for its increments, in their order.
    #[arg(long = "from", env = "ETEBAR_BACKUP", value_name = "FILE", required = true, value_delimiter = ',')]
    pub from: Vec<PathBuf>,
    /// The directory to make: absent or empty.
    #[arg(long, env = "ETEBAR_DATA_DIR")]
    pub data_dir: PathBuf,
    /// The last journal entry to restore [default: all of them]
    #[arg(long, value_name = "ENTRY", value_parser = clap::value_parser!(u64).range(1..))]
    pub until: Option<u64>,
    /// The id of the new cluster, a UUID that no cluster of this ledger had [default: a new one, which is printed]
    #[arg(long, env = "ETEBAR_CLUSTER_ID")]
    pub cluster_id: Option<Uuid>,
    /// This node's number in it
    #[arg(long, env = "ETEBAR_ID", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub id: u64,
    /// Where this node will serve the API, `host:port`.
    #[arg(long, env = "ETEBAR_API", value_name = "ADDRESS", value_parser = parse_address)]
    pub api: String,
    /// Where this node will listen for peers, `host:port`.
    #[arg(long, env = "ETEBAR_PEER", value_name = "ADDRESS", value_parser = parse_address)]
    pub peer: String,
    /// BLAKE3 of a new admin key, as `keygen` prints it; the keys of the backup stay valid [default: no new key]
    #[arg(long, env = "ETEBAR_ADMIN_KEY_HASH", value_parser = parse_hash)]
    pub admin_key_hash: Option<String>,
}

/// The command line of `recover`.
#[derive(Debug, Args)]
pub struct RecoverArgs {
    /// The survivor's data directory.
    #[arg(long, env = "ETEBAR_DATA_DIR")]
    pub data_dir: PathBuf,
    /// The id of the new cluster, a UUID that no cluster of this ledger had [default: a new one, which is printed]
    #[arg(long)]
    pub cluster_id: Option<Uuid>,
    /// BLAKE3 of a new admin key, as `keygen` prints it; the keys that there are stay valid [default: no new key]
    #[arg(long, env = "ETEBAR_ADMIN_KEY_HASH", value_parser = parse_hash)]
    pub admin_key_hash: Option<String>,
    /// Says that the other nodes are lost for good: if a majority of them ran on, there would be two ledgers.
    #[arg(long, required = true)]
    pub i_understand_that_the_others_are_gone: bool,
}

fn parse_address(text: &str) -> Result<String, String> {
    read_address(text)
        .map(|_| text.to_owned())
        .map_err(|error| format!("must be host:port, as in 10.0.0.1:7101: {error}"))
}
