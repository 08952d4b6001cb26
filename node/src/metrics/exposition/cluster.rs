//! The cluster as this node sees it: leader, positions, members, clocks.

use std::fmt::Result;

use super::sheet::Sheet;
use crate::identity::FORMAT;
use crate::raft::{ClockHealth, LINK_VERSIONS, Observation, VotingRole};

pub(super) fn write(sheet: &mut Sheet<'_>, seen: &Observation) -> Result {
    let build = [
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("data_format", FORMAT.to_string()),
        ("peer_link", LINK_VERSIONS.to_string()),
    ];
    sheet.gauges("build_info", "The build of this node; always 1", [(build, 1.0)])?;
    leader(sheet, seen)?;
    positions(sheet, seen)?;
    members(sheet, seen)?;
    clocks(sheet, seen)
}

fn leader(sheet: &mut Sheet<'_>, seen: &Observation) -> Result {
    let has_leader = "1 where this node knows a leader that is alive, else 0";
    sheet.flag("has_leader", has_leader, seen.cluster.leader.is_some())?;
    sheet.flag("is_leader", "1 where this node leads and a majority answers it, else 0", seen.is_leader)?;
    sheet.gauge("term", "The Raft term that this node is in", seen.cluster.term as f64)?;
    let recovered = "1 once what was committed before the start is applied, before that 0";
    sheet.flag("recovered", recovered, seen.recovered)?;
    sheet.flag("failed", "1 where this node stopped itself and is about to end, else 0", seen.faults.failed)
}

fn positions(sheet: &mut Sheet<'_>, seen: &Observation) -> Result {
    let committed = "The last position of the Raft log that this node knows to be committed";
    sheet.gauge("committed_position", committed, seen.committed as f64)?;
    sheet.gauge("applied_position", "The position that this node's state reflects", seen.cluster.applied as f64)?;
    let last = "The last position in this node's Raft log, durable or not";
    sheet.gauge("log_last_position", last, seen.last_position as f64)?;
    let purged = "The position up to which this node's Raft log was purged; 0 where it never was";
    sheet.gauge("log_purged_position", purged, seen.purged as f64)
}

fn members(sheet: &mut Sheet<'_>, seen: &Observation) -> Result {
    let members = &seen.cluster.members;
    let of_role = |role| members.iter().filter(|member| member.role == role).count() as f64;
    let roles = [("voter", VotingRole::Voter), ("learner", VotingRole::Learner)];
    let counts = roles.map(|(name, role)| ([("role", name)], of_role(role)));
    sheet.gauges("members", "Members of the cluster, by their part in votes", counts)?;
    let healthy = members.iter().filter(|member| member.role == VotingRole::Voter && member.healthy).count() as f64;
    let majority = (of_role(VotingRole::Voter) / 2.0).floor() + 1.0;
    let help = "Voters that may still fail before those that are healthy are no majority; negative without one";
    sheet.gauge("spare_voters", help, healthy - majority)?;
    let applied = members.iter().filter_map(|member| Some(([("member", member.id)], member.applied? as f64)));
    sheet.gauges("member_applied_position", "The position of each member, where it was ever received", applied)?;
    let lag = members.iter().filter_map(|member| Some(([("member", member.id)], member.lag? as f64)));
    sheet.gauges("member_lag_positions", "Positions that each member is behind the furthest one", lag)?;
    let healthy = members.iter().map(|member| ([("member", member.id)], f64::from(member.healthy)));
    let help = "1 where a member's status arrived within the last second and reports no failure, else 0";
    sheet.gauges("member_healthy", help, healthy)?;
    let help = "1 while no other member's digest was seen to differ from this node's at the same position, else 0";
    sheet.flag("digests_equal", help, seen.books.digests_equal)
}

fn clocks(sheet: &mut Sheet<'_>, seen: &Observation) -> Result {
    let offsets = seen.clock_offsets_ms.iter().map(|(peer, ahead_ms)| ([("peer", *peer)], *ahead_ms as f64 / 1_000.0));
    let help = "How far a peer's clock is ahead of this node's, the way back of its answer not deducted";
    sheet.gauges("clock_offset_seconds", help, offsets)?;
    let is_right = match seen.cluster.clock {
        ClockHealth::Agrees | ClockHealth::Alone => true,
        ClockHealth::Differs | ClockHealth::Off { .. } | ClockHealth::NotFollowed { .. } => false,
    };
    sheet.flag("clock_ok", "0 where this node's clock may be wrong: /readyz says why; else 1", is_right)
}
