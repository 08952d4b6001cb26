//! Leaders and candidates: at most one leader a term, as in Raft's paper (section 5.2).
//!
//! openraft offers two orders of leaders. Its default ranks those of one term by number, so that a node of a higher
//! number may take a term over and a term may have two leaders, one after the other; in its other order a vote is given
//! once a term. This is the other one, over the fields of the default.

use std::cmp::Ordering;
use std::fmt;

use openraft::impls::leader_id_adv;
use openraft::vote::{LeaderIdCompare, RaftLeaderId};

/// A leader that a majority voted for; each entry of the log names the one that proposed it.
pub(crate) type ElectedId = leader_id_adv::LeaderId<u64, u64>;

/// A term, and who was voted for in it. Two of one term cannot be compared: the first vote of a term stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderId {
    /// The term, from 1; 0 before any vote.
    pub term: u64,
    /// The number of the node that was voted for.
    pub node_id: u64,
}

impl PartialOrd for LeaderId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        LeaderIdCompare::std(self, other)
    }
}

/// An elected leader is above all candidates of its term.
impl PartialOrd<ElectedId> for LeaderId {
    fn partial_cmp(&self, other: &ElectedId) -> Option<Ordering> {
        Some(self.term.cmp(&other.term).then(Ordering::Less))
    }
}

/// A candidate is not elected yet.
impl PartialEq<ElectedId> for LeaderId {
    fn eq(&self, _other: &ElectedId) -> bool {
        false
    }
}

impl fmt::Display for LeaderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_committed().fmt(f)
    }
}

impl RaftLeaderId for LeaderId {
    type Term = u64;
    type NodeId = u64;
    type Committed = ElectedId;

    fn new(term: u64, node_id: u64) -> Self {
        Self { term, node_id }
    }

    fn term(&self) -> u64 {
        self.term
    }

    fn node_id(&self) -> &u64 {
        &self.node_id
    }

    fn to_committed(&self) -> ElectedId {
        ElectedId { term: self.term, node_id: self.node_id }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Vote;

    #[test]
    fn a_vote_is_given_once_a_term_and_the_elected_leader_is_followed() {
        let (first, second) = (Vote::new(5, 1), Vote::new(5, 2));
        assert_eq!(first.partial_cmp(&second), None, "neither displaces the other");
        assert!(Vote::new_committed(5, 1) > second, "a node that voted for a loser follows the winner");
        assert!(Vote::new(6, 1) > Vote::new_committed(5, 2), "a new term is above all before it");
    }
}
