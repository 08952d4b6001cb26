//! Every member asked itself, at its own address.

use serde::Serialize;
use std::time::Duration;

use etebar::api::{ClusterStatus, Code};
use etebar::{Client, Error};

use crate::output::stop::Stop;

/// Longest wait for one member. Source: a node's own limit of 10 s for a request, and the way.
const PATIENCE: Duration = Duration::from_secs(12);

/// One member's digest at the position asked for, or why it gave none.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct MemberDigest {
    pub(crate) id: u64,
    pub(crate) digest: Option<String>,
    pub(crate) error: Option<String>,
    /// It answers, but the position is too old for it.
    #[serde(skip)]
    pub(crate) too_old: bool,
}

/// The digest of each member of `cluster` at position `applied`.
pub(crate) async fn digests(client: &Client, cluster: &ClusterStatus, applied: u64) -> Result<Vec<MemberDigest>, Stop> {
    let mut members = Vec::with_capacity(cluster.members.len());
    for member in &cluster.members {
        let own = client.at_member(&member.api)?.with_timeout(client.timeout().min(PATIENCE));
        members.push(match own.digest(Some(applied)).await {
            Ok(answer) => {
                MemberDigest { id: member.id, digest: Some(answer.value.digest), error: None, too_old: false }
            }
            Err(error) => {
                let too_old = matches!(&error, Error::Refused(problem) if problem.code == Code::NotFound);
                MemberDigest { id: member.id, digest: None, error: Some(error.to_string()), too_old }
            }
        });
    }
    Ok(members)
}

/// The first two members that answered differently.
pub(crate) fn differing(members: &[MemberDigest]) -> Option<String> {
    let mut answered = members.iter().filter_map(|member| Some((member.id, member.digest.as_ref()?)));
    let (first, digest) = answered.next()?;
    let (other, otherwise) = answered.find(|(_, other)| *other != digest)?;
    Some(format!("node {first} has {digest}, node {other} has {otherwise}"))
}
