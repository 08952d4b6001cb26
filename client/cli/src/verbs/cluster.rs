//! `etebar cluster status`, `etebar cluster open`, `etebar leader` and `etebar digest`.

use serde::Serialize;

use etebar::api::{ClockHealth, ClusterStatus};

use crate::books::nodes::{self, NodeDigest};
use crate::output::done::Done;
use crate::output::error::CliError;
use crate::output::paint::Cell;
use crate::output::words::role;
use crate::output::{or_dash, table, yes_or_no};
use crate::session::Session;

pub(crate) async fn status(session: &Session) -> Result<(), CliError> {
    let cluster = session.client.cluster().await?.value;
    session.output.either(&cluster, || shown(&cluster))
}

pub(crate) async fn lead(session: &Session, id: u64) -> Result<(), CliError> {
    let cluster = session.write(None, session.client.lead(id)).await?.value;
    session.report(&cluster, || shown(&cluster), || Done::new(format!("node {id} leads")))
}

pub(crate) async fn open(session: &Session) -> Result<(), CliError> {
    let cluster = session.write(None, session.client.open_ledger()).await?.value;
    session.report(&cluster, || shown(&cluster), || Done::new("the ledger is open"))
}

fn shown(cluster: &ClusterStatus) -> String {
    let rows: Vec<Vec<Cell>> = cluster
        .nodes
        .iter()
        .map(|node| {
            vec![
                node.id.to_string().into(),
                node.api.clone().into(),
                role(cluster, node).into(),
                yes_or_no(node.healthy),
                or_dash(node.applied).into(),
                or_dash(node.lag).into(),
                or_dash(node.build.as_ref()).into(),
                or_dash(node.rules).into(),
            ]
        })
        .collect();
    let leader = or_dash(cluster.leader);
    let nodes = table(&[">id", "api", "role", "healthy", ">applied", ">lag", "build", ">rules"], &rows);
    format!(
        "leader {leader}, term {}, applied {}, rules {}, version {}{}{}\n{nodes}",
        cluster.term,
        cluster.applied,
        or_dash(cluster.rules),
        Cell::from(cluster.version.as_str()),
        clock(cluster.clock),
        hold(cluster.on_hold)
    )
}

fn hold(on_hold: Option<bool>) -> &'static str {
    match on_hold {
        Some(true) => "; on hold after a restore: writes are refused until `etebar cluster open`",
        Some(false) | None => "",
    }
}

fn clock(health: Option<ClockHealth>) -> &'static str {
    match health {
        None | Some(ClockHealth::Agrees | ClockHealth::Alone) => "",
        Some(ClockHealth::Differs) => "; this node's clock and the only other one that it receives differ",
        Some(ClockHealth::Off) => "; this node's clock is off, and it does not lead",
        Some(ClockHealth::NotFollowed) => "; this node's clock was set, and ledger time does not follow it",
    }
}

/// What `digest --json` prints.
#[derive(Serialize)]
struct Digests {
    applied: u64,
    agree: bool,
    #[serde(rename = "members")]
    nodes: Vec<NodeDigest>,
}

pub(crate) async fn digest(session: &Session, applied: Option<u64>) -> Result<(), CliError> {
    let applied = match applied {
        Some(applied) => applied,
        None => session.client.digest(None).await?.value.applied,
    };
    let cluster = session.client.cluster().await?.value;
    let found = nodes::digests(&session.client, &cluster, applied).await?;
    let agree = nodes::differing(&found).is_none();
    let digests = Digests { applied, agree, nodes: found };
    let printed = session.output.either(&digests, || {
        let rows = digests
            .nodes
            .iter()
            .map(|node| vec![node.id.to_string(), or_dash(node.digest.as_ref()), or_dash(node.error.as_ref())]);
        format!("at position {applied}\n{}", table(&[">id", "digest", "error"], &rows.collect::<Vec<_>>()))
    });
    match nodes::differing(&digests.nodes) {
        Some(difference) => Err(CliError::Broken(difference)),
        None => printed,
    }
}
