//! The settings of `etebar-node join`, which makes the data directory of a member that was added.

use std::path::PathBuf;

use clap::Args;
use etebar_api::read_address;
use uuid::Uuid;

use crate::tls::TlsPaths;

/// The settings of `join`.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// The directory to make: absent or empty. One that is this node's already is left as it is.
    #[arg(long, env = "ETEBAR_DATA_DIR")]
    pub data_dir: PathBuf,
    /// This node's number, as `etebar members add` gave it.
    #[arg(long, env = "ETEBAR_ID", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub id: u64,
    /// The cluster's id, a UUID.
    #[arg(long, env = "ETEBAR_CLUSTER_ID")]
    pub cluster_id: Uuid,
    /// The peer address of a member to ask, `host:port`; give several, which are asked one after the other.
    #[arg(long = "seed", env = "ETEBAR_SEEDS", value_name = "PEER_ADDRESS", required = true, num_args = 1.., value_delimiter = ',', value_parser = parse_seed)]
    pub seeds: Vec<String>,
    /// The authorities of the nodes' certificates, PEM: ca.pem of `pki ca`
    #[arg(long, env = "ETEBAR_PEER_CA", value_name = "FILE")]
    pub peer_ca: PathBuf,
    /// This node's certificate, PEM: node-N.pem of `pki node`
    #[arg(long, env = "ETEBAR_PEER_CERT", value_name = "FILE")]
    pub peer_cert: PathBuf,
    /// Its private key, PEM: node-N.key
    #[arg(long, env = "ETEBAR_PEER_KEY", value_name = "FILE")]
    pub peer_key: PathBuf,
    /// The authorities' revocation lists, PEM: crl.pem of `pki revoke` [default: no list]
    #[arg(long, env = "ETEBAR_PEER_CRL", value_name = "FILE")]
    pub peer_crl: Option<PathBuf>,
}

impl JoinArgs {
    /// What this node proves its number with.
    pub fn peer_files(&self) -> TlsPaths {
        TlsPaths {
            certificate: self.peer_cert.clone(),
            key: self.peer_key.clone(),
            authority: Some(self.peer_ca.clone()),
            revoked: self.peer_crl.clone(),
        }
    }
}

fn parse_seed(text: &str) -> Result<String, String> {
    read_address(text)
        .map(|_| text.to_owned())
        .map_err(|error| format!("must be a peer address, as in 10.0.0.1:7121: {error}"))
}
