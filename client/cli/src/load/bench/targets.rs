//! Which nodes a bench sends to.

use serde::{Deserialize, Serialize};

use etebar::api::ClusterStatus;
use etebar::{Client, Endpoint};

use crate::arguments::Target;
use crate::output::error::CliError;

/// Addresses of the API of healthy nodes. Invariant: `first` has one at least.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Targets {
    /// Those of the target.
    first: Vec<String>,
    /// The others, for where one of the first fails.
    rest: Vec<String>,
}

impl Targets {
    pub(crate) fn of(cluster: &ClusterStatus, target: Target) -> Result<Targets, CliError> {
        let leads = |id: u64| cluster.leader == Some(id);
        let is_target = |id: u64| match target {
            Target::Leader => leads(id),
            Target::Follower => !leads(id),
            Target::Any => true,
        };
        let mut targets = Targets { first: Vec::new(), rest: Vec::new() };
        for node in cluster.nodes.iter().filter(|node| node.healthy) {
            let side = if is_target(node.id) { &mut targets.first } else { &mut targets.rest };
            side.push(node.api.clone());
        }
        if targets.first.is_empty() {
            return Err(CliError::local("no healthy node is of the target kind"));
        }
        Ok(targets)
    }

    /// For each first node a list that begins with it: where it fails, the others of the target follow, then the rest.
    pub(crate) fn endpoints(&self, client: &Client) -> Result<Vec<Vec<Endpoint>>, CliError> {
        let rotated = (0..self.first.len()).map(|start| {
            let (behind, ahead) = self.first.split_at(start);
            let addresses = ahead.iter().chain(behind).chain(&self.rest);
            addresses.map(|api| Ok(client.node_endpoint(api)?)).collect()
        });
        rotated.collect()
    }
}
