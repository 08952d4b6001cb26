//! Raft's values as they are written to the disk and to the peer link: structs of our own, so that no release of openraft and
//! no rule of today moves or refuses a byte.
//!
//! Invariant: decoding looks at structure alone. Whether a list of members can be one is checked where it becomes openraft's
//! ([`TryFrom`]); all else is total ([`From`]). Layout: `docs/format.md`.

use std::collections::{BTreeMap, BTreeSet};

use openraft::{EntryPayload, Membership};
use serde::{Deserialize, Serialize};

use super::leader_id::{ElectedId, LeaderId};
use super::{LogEntry, LogId, NodeAddresses, Payload, StoredMembership, Vote};

/// Term, leader and index of one log entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainLogId {
    /// The term of the leader that proposed it.
    pub term: u64,
    /// That leader's number.
    pub leader: u64,
    /// Its place in the log.
    pub index: u64,
}

/// What a node voted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainVote {
    /// The term.
    pub term: u64,
    /// The number of the candidate or leader.
    pub node: u64,
    /// Whether a majority gave it: then it is a leader's.
    pub committed: bool,
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainEntry {
    /// Its log id.
    pub id: PlainLogId,
    /// What it holds.
    pub content: PlainContent,
}

/// What an entry of the log holds. Encoded by position: add at the end, never remove or reorder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlainContent {
    /// Nothing: a new leader's first entry.
    Blank,
    /// Encoded commands, shared with the entry that they come from.
    Commands(Payload),
    /// The members from here on.
    Members(PlainMembers),
}

/// A list of members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainMembers {
    /// The sets of voters of which each needs a majority: one, or two while they change. Ascending.
    pub voters: Vec<Vec<u64>>,
    /// All members, learners too, by ascending number.
    pub nodes: Vec<PlainNode>,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainNode {
    /// Its number.
    pub number: u64,
    /// Where it listens.
    pub addresses: NodeAddresses,
}

/// A list of members, and the entry that made it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainMembership {
    /// The entry; none before the first.
    pub made_by: Option<PlainLogId>,
    /// The list.
    pub members: PlainMembers,
}

/// A list of members that no cluster can have; the text says why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no list of members: {0}")]
pub struct NoMembers(String);

impl From<LogId> for PlainLogId {
    fn from(id: LogId) -> Self {
        let ElectedId { term, node_id } = id.leader_id;
        Self { term, leader: node_id, index: id.index }
    }
}

impl From<PlainLogId> for LogId {
    fn from(id: PlainLogId) -> Self {
        Self { leader_id: ElectedId { term: id.term, node_id: id.leader }, index: id.index }
    }
}

impl From<Vote> for PlainVote {
    fn from(vote: Vote) -> Self {
        let LeaderId { term, node_id } = vote.leader_id;
        Self { term, node: node_id, committed: vote.committed }
    }
}

impl From<PlainVote> for Vote {
    fn from(vote: PlainVote) -> Self {
        Self { leader_id: LeaderId { term: vote.term, node_id: vote.node }, committed: vote.committed }
    }
}

/// Copies no payload: its bytes are shared.
impl From<&LogEntry> for PlainEntry {
    fn from(entry: &LogEntry) -> Self {
        let content = match &entry.payload {
            EntryPayload::Blank => PlainContent::Blank,
            EntryPayload::Normal(payload) => PlainContent::Commands(payload.clone()),
            EntryPayload::Membership(membership) => PlainContent::Members(membership.into()),
        };
        Self { id: entry.log_id.into(), content }
    }
}

impl TryFrom<PlainEntry> for LogEntry {
    type Error = NoMembers;

    fn try_from(entry: PlainEntry) -> Result<Self, NoMembers> {
        let payload = match entry.content {
            PlainContent::Blank => EntryPayload::Blank,
            PlainContent::Commands(payload) => EntryPayload::Normal(payload),
            PlainContent::Members(members) => EntryPayload::Membership(members.try_into()?),
        };
        Ok(Self { log_id: entry.id.into(), payload })
    }
}

impl From<&Membership<u64, NodeAddresses>> for PlainMembers {
    fn from(membership: &Membership<u64, NodeAddresses>) -> Self {
        let voters = membership.get_joint_config().iter().map(|set| set.iter().copied().collect()).collect();
        let nodes = membership.nodes();
        let nodes = nodes.map(|(number, addresses)| PlainNode { number: *number, addresses: addresses.clone() });
        Self { voters, nodes: nodes.collect() }
    }
}

impl TryFrom<PlainMembers> for Membership<u64, NodeAddresses> {
    type Error = NoMembers;

    fn try_from(members: PlainMembers) -> Result<Self, NoMembers> {
        // Before the first entry there is no list, which openraft's constructor refuses.
        if members == PlainMembers::default() {
            return Ok(Self::default());
        }
        if members.voters.is_empty() {
            return Err(NoMembers("nobody votes".to_owned()));
        }
        let is_ascending = members.voters.iter().all(|set| set.is_sorted_by(|one, next| one < next))
            && members.nodes.is_sorted_by(|one, next| one.number < next.number);
        if !is_ascending {
            return Err(NoMembers("its numbers do not ascend".to_owned()));
        }
        let voters: Vec<BTreeSet<u64>> = members.voters.into_iter().map(|set| set.into_iter().collect()).collect();
        let nodes: BTreeMap<_, _> = members.nodes.into_iter().map(|node| (node.number, node.addresses)).collect();
        Self::new(voters, nodes).map_err(|error| NoMembers(error.to_string()))
    }
}

impl From<&StoredMembership> for PlainMembership {
    fn from(stored: &StoredMembership) -> Self {
        Self { made_by: stored.log_id().map(PlainLogId::from), members: stored.membership().into() }
    }
}

impl TryFrom<PlainMembership> for StoredMembership {
    type Error = NoMembers;

    fn try_from(membership: PlainMembership) -> Result<Self, NoMembers> {
        Ok(Self::new(membership.made_by.map(LogId::from), membership.members.try_into()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(voters: &[&[u64]], nodes: &[u64]) -> PlainMembers {
        let addresses = NodeAddresses { api: "a".to_owned(), peer: "p".to_owned() };
        let node = |number: &u64| PlainNode { number: *number, addresses: addresses.clone() };
        PlainMembers {
            voters: voters.iter().map(|set| set.to_vec()).collect(),
            nodes: nodes.iter().map(node).collect(),
        }
    }

    fn check(members: &PlainMembers) -> Result<(), NoMembers> {
        let list = Membership::try_from(members.clone())?;
        assert_eq!(PlainMembers::from(&list), *members);
        Ok(())
    }

    #[test]
    fn every_list_of_members_comes_back() {
        for list in
            [PlainMembers::default(), members(&[&[1, 2, 3]], &[1, 2, 3]), members(&[&[1, 2], &[2, 3]], &[1, 2, 3, 9])]
        {
            assert_eq!(check(&list), Ok(()));
        }
    }

    #[test]
    fn what_can_be_no_list_of_members_is_refused() {
        for wrong in [
            members(&[&[2, 1]], &[1, 2]),
            members(&[&[1, 1]], &[1]),
            members(&[&[1]], &[1, 1]),
            members(&[&[1, 2]], &[1]),
            members(&[&[]], &[1]),
            members(&[], &[1]),
        ] {
            assert!(check(&wrong).is_err(), "{wrong:?}");
        }
    }
}
