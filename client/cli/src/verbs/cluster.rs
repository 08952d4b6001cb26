//! `etebar cluster status` and `etebar digest`.

use serde::Serialize;

use etebar::api::ClusterStatus;

use super::super::books::members::{self, MemberDigest};
use super::super::output::{or_dash, table, yes_or_no};
use crate::output::paint::Cell;
use crate::output::stop::Stop;
use crate::output::words::role;
use crate::session::Session;

pub(crate) async fn status(session: &Session) -> Result<(), Stop> {
    let cluster = session.client.cluster().await?.value;
    session.output.either(&cluster, || shown(&cluster))
}

fn shown(cluster: &ClusterStatus) -> String {
    let rows: Vec<Vec<Cell>> = cluster
        .members
        .iter()
        .map(|member| {
            vec![
                member.id.to_string().into(),
                member.api.clone().into(),
                role(cluster, member).into(),
                yes_or_no(member.healthy),
                or_dash(member.applied).into(),
                or_dash(member.lag).into(),
            ]
        })
        .collect();
    let leader = or_dash(cluster.leader);
    let members = table(&[">id", "api", "role", "healthy", ">applied", ">lag"], &rows);
    format!(
        "leader {leader}, term {}, applied {}, version {}\n{members}",
        cluster.term,
        cluster.applied,
        Cell::from(cluster.version.as_str())
    )
}

/// What `digest --json` prints.
#[derive(Serialize)]
struct Digests {
    applied: u64,
    agree: bool,
    members: Vec<MemberDigest>,
}

pub(crate) async fn digest(session: &Session, applied: Option<u64>) -> Result<(), Stop> {
    let applied = match applied {
        Some(applied) => applied,
        None => session.client.digest(None).await?.value.applied,
    };
    let cluster = session.client.cluster().await?.value;
    let members = members::digests(&session.client, &cluster, applied).await?;
    let agree = members::differing(&members).is_none();
    let digests = Digests { applied, agree, members };
    let printed = session.output.either(&digests, || {
        let rows = digests
            .members
            .iter()
            .map(|member| vec![member.id.to_string(), or_dash(member.digest.as_ref()), or_dash(member.error.as_ref())]);
        format!("at position {applied}\n{}", table(&[">id", "digest", "error"], &rows.collect::<Vec<_>>()))
    });
    match members::differing(&digests.members) {
        Some(difference) => Err(Stop::Broken(difference)),
        None => printed,
    }
}
