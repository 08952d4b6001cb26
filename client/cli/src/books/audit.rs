//! A node's own audit, awaited until it covers an entry, as long as it comes nearer.

use std::time::Duration;

use tokio::time::Instant;

use etebar::api::{Audit, Code};
use etebar::{Client, Error};

/// Longest wait for an audit that comes no nearer, where one call may take as long. Source: an audit that keeps up is a second behind at most.
const STALLED: Duration = Duration::from_secs(30);
/// Longest time for one question.
const ASK: Duration = Duration::from_secs(12);

/// The audit of the node asked, once it covers entry `entry`. Where a node started lately it audits from the first entry on, and
/// that takes its time.
///
/// # Errors
/// Where it comes no nearer for a while, or no node answers.
pub(crate) async fn covering(client: &Client, entry: u64) -> Result<Audit, Error> {
    let patience = client.timeout().min(STALLED);
    let client = client.with_timeout(client.timeout().min(ASK));
    let (mut furthest, mut moved) = (0, Instant::now());
    loop {
        let error = match client.audit(Some(entry)).await {
            Ok(audit) => return Ok(audit.value),
            Err(error) if error.problem().is_some_and(|problem| problem.code == Code::Behind) => error,
            Err(error) => return Err(error),
        };
        let audited = client.cluster().await.ok().and_then(|cluster| cluster.value.audited);
        let reached = audited.map_or(0, |audited| audited.entries);
        if reached > furthest {
            (furthest, moved) = (reached, Instant::now());
        } else if moved.elapsed() >= patience {
            return Err(error);
        }
    }
}
