//! The digest of every node, asked at its own address.

use serde::Serialize;
use std::time::Duration;

use etebar::api::{ClusterStatus, Code};
use etebar::{Client, Error};

use crate::output::error::CliError;

/// Longest wait for one node. Source: a node's own limit of 10 s for a request, and two seconds for the network.
const NODE_TIMEOUT: Duration = Duration::from_secs(12);

/// One node's digest at the requested position, or why it gave none.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct NodeDigest {
    pub(crate) id: u64,
    pub(crate) digest: Option<String>,
    pub(crate) error: Option<String>,
    /// It answers, but the position is too old for it.
    #[serde(skip)]
    pub(crate) too_old: bool,
}

/// The digest of each node of `cluster` at position `applied`.
pub(crate) async fn digests(
    client: &Client,
    cluster: &ClusterStatus,
    applied: u64,
) -> Result<Vec<NodeDigest>, CliError> {
    let mut digests = Vec::with_capacity(cluster.nodes.len());
    for node in &cluster.nodes {
        let own = client.at_node(&node.api)?.with_timeout(client.timeout().min(NODE_TIMEOUT));
        digests.push(match own.digest(Some(applied)).await {
            Ok(answer) => NodeDigest { id: node.id, digest: Some(answer.value.digest), error: None, too_old: false },
            Err(error) => {
                let too_old = matches!(&error, Error::Refused(problem) if problem.code == Code::NotFound);
                NodeDigest { id: node.id, digest: None, error: Some(error.to_string()), too_old }
            }
        });
    }
    Ok(digests)
}

/// The first two nodes that answered differently.
pub(crate) fn differing(digests: &[NodeDigest]) -> Option<String> {
    let mut answered = digests.iter().filter_map(|node| Some((node.id, node.digest.as_ref()?)));
    let (first, digest) = answered.next()?;
    let (other, otherwise) = answered.find(|(_, other)| *other != digest)?;
    Some(format!("node {first} has {digest}, node {other} has {otherwise}"))
}
