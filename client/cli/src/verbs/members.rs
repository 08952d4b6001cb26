//! `etebar members`.

use std::time::Duration;

use etebar::Error;
use etebar::api::{ClusterStatus, NewMember, NodeRole, NodeStage, NodeStatus};
use etebar::duration_text;
use tokio::time::{Instant, sleep};

use crate::arguments::{Members, NewNode};
use crate::output::done::Done;
use crate::output::error::CliError;
use crate::output::paint::Cell;
use crate::output::words::role;
use crate::output::{or_dash, table, yes_or_no};
use crate::session::Session;

/// Pause between two looks at a node that is to catch up.
const LOOK: Duration = Duration::from_millis(500);

pub(crate) async fn run(session: &Session, verb: Members) -> Result<(), CliError> {
    match verb {
        Members::List => {
            let cluster = session.client.cluster().await?.value;
            session.output.either(&cluster.nodes, || shown(&cluster, &cluster.nodes))
        }
        Members::Add(new) => {
            let node = add(session, &new).await?;
            let text = || format!("{}\n{}", sheet(&node), next_step(&node));
            session.report(&node, text, || Done::new("the node is a member").id(node.id))
        }
        Members::Promote { id } => {
            let node = session.write(None, session.client.promote_member(id)).await?.value;
            session.report(&node, || sheet(&node), || Done::new("the node votes").id(id))
        }
        Members::Remove { id } => {
            remove(session, id).await?;
            session.reported(session.output.end("removed"), || Done::new("the node is removed").id(id))
        }
        Members::Replace { old, new, wait } => replace(session, old, &new, wait).await,
    }
}

async fn add(session: &Session, new: &NewNode) -> Result<NodeStatus, CliError> {
    let new = NewMember { api: new.api.as_str().into(), peer: new.peer.as_str().into() };
    Ok(session.write(None, session.client.add_member(&new)).await?.value)
}

async fn remove(session: &Session, id: u64) -> Result<(), CliError> {
    session.write(None, session.client.remove_member(id)).await?;
    Ok(())
}

/// Every step is one that may be repeated, so that an interrupted replacement goes on where it was.
async fn replace(session: &Session, old: u64, new: &NewNode, wait: Duration) -> Result<(), CliError> {
    let before = session.client.cluster().await?.value;
    let is_in_the_way = before.nodes.iter().any(|node| node.id == old && is_at(node, new));
    if is_in_the_way {
        session.output.progress(&format!("node {old} has these addresses, and is removed first"));
        remove(session, old).await?;
    }
    let node = add(session, new).await?;
    if node.id == old {
        return Err(CliError::usage(format!("node {old} is the one with these addresses: give those of the new node")));
    }
    if node.status == Some(NodeStage::Waiting) {
        session.output.progress(&next_step(&node));
    }
    let node = caught_up(session, node, wait).await?;
    if node.role == NodeRole::Learner {
        promote(session, node.id, wait).await?;
    }
    if !is_in_the_way && session.client.cluster().await?.value.nodes.iter().any(|node| node.id == old) {
        remove(session, old).await?;
    }
    let after = session.client.cluster().await?.value;
    session.report(
        &after.nodes,
        || shown(&after, &after.nodes),
        || Done::new(format!("node {} is in the place of node {old}", node.id)).id(node.id),
    )
}

fn is_at(node: &NodeStatus, new: &NewNode) -> bool {
    let api = node.api.split_once("://").map_or(node.api.as_str(), |(_scheme, address)| address);
    [api, node.peer.as_str()].iter().any(|own| **own == new.api || **own == new.peer)
}

/// Waits until a new node may be promoted, or votes already.
async fn caught_up(session: &Session, new: NodeStatus, wait: Duration) -> Result<NodeStatus, CliError> {
    let begun = Instant::now();
    let mut told = new.status;
    loop {
        let cluster = session.client.cluster().await?.value;
        let Some(node) = cluster.nodes.into_iter().find(|node| node.id == new.id) else {
            return Err(CliError::local(format!("node {} was removed meanwhile", new.id)));
        };
        match node.status {
            None | Some(NodeStage::Ready | NodeStage::Voting) => return Ok(node),
            Some(NodeStage::Waiting | NodeStage::CatchingUp) if begun.elapsed() > wait => {
                let waited = duration_text(wait);
                let hint = format!(
                    "it is a member without a vote; run the same again to go on, or `etebar members remove {}`",
                    node.id
                );
                let text = format!("node {} has not caught up within {waited}", node.id);
                return Err(CliError::Advised { text, hint, code: 1 });
            }
            Some(NodeStage::Waiting | NodeStage::CatchingUp) => {}
        }
        if node.status != told {
            session.output.progress(&format!("node {} follows, {} positions behind", node.id, or_dash(node.lag)));
            told = node.status;
        }
        sleep(LOOK).await;
    }
}

/// Promotes a node; one that fell behind again gets another chance.
async fn promote(session: &Session, id: u64, wait: Duration) -> Result<(), CliError> {
    let begun = Instant::now();
    loop {
        match session.client.promote_member(id).await {
            Ok(_voter) => return Ok(()),
            Err(Error::Refused(problem))
                if problem.code == etebar::api::Code::MemberBehind && begun.elapsed() < wait =>
            {
                sleep(LOOK).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// What is to be done with a node that was added.
fn next_step(node: &NodeStatus) -> String {
    match node.status {
        Some(NodeStage::Waiting) => format!(
            "next, on its machine: `etebar-node join --id {0} …` and `etebar-node run …`; then `etebar members promote {0}`",
            node.id
        ),
        Some(NodeStage::CatchingUp) => "it follows; promote it once it is ready".to_owned(),
        Some(NodeStage::Ready) => format!("it has caught up: `etebar members promote {}` gives it a vote", node.id),
        Some(NodeStage::Voting) | None => "nothing is left to do".to_owned(),
    }
}

fn stage(node: &NodeStatus) -> Cell {
    match node.status {
        Some(NodeStage::Waiting) => Cell::waiting("waiting"),
        Some(NodeStage::CatchingUp) => Cell::waiting("catching up"),
        Some(NodeStage::Ready) => Cell::good("ready"),
        Some(NodeStage::Voting) => Cell::good("voting"),
        None => "-".into(),
    }
}

fn sheet(node: &NodeStatus) -> String {
    let role = match node.role {
        NodeRole::Voter => "voter",
        NodeRole::Learner => "learner",
    };
    crate::output::sheet(&[
        ("id", node.id.to_string()),
        ("api", node.api.clone()),
        ("peer", node.peer.clone()),
        ("role", role.to_owned()),
        ("lag", or_dash(node.lag)),
    ])
}

fn shown(cluster: &ClusterStatus, nodes: &[NodeStatus]) -> String {
    let row = |node: &NodeStatus| {
        vec![
            node.id.to_string().into(),
            node.api.clone().into(),
            node.peer.clone().into(),
            role(cluster, node).into(),
            stage(node),
            yes_or_no(node.healthy),
            or_dash(node.lag).into(),
        ]
    };
    table(&[">id", "api", "peer", "role", "status", "healthy", ">lag"], &nodes.iter().map(row).collect::<Vec<_>>())
}
