//! Newer lists of members that known nodes sent, for a node that was away while others were added, or has no log yet.
//!
//! Without them, a node that is behind would refuse a leader that was added meanwhile, and one that joins would accept a member
//! that was removed meanwhile. Invariant: only a list that is newer
//! than the own one counts, and only from a member of the own list; nothing of it is stored.

use std::collections::BTreeMap;

use ledger::NodeNumber;
use parking_lot::{Mutex, MutexGuard};

use crate::raft::peers::link::message::MemberList;

/// The last list that each peer sent.
#[derive(Debug, Default)]
pub struct ReceivedLists(Mutex<BTreeMap<NodeNumber, MemberList>>);

impl ReceivedLists {
    fn lists(&self) -> MutexGuard<'_, BTreeMap<NodeNumber, MemberList>> {
        self.0.lock()
    }

    /// Stores the list that a node sent.
    pub fn record(&self, from: NodeNumber, list: &MemberList) {
        let mut all = self.lists();
        if all.get(&from).is_none_or(|before| *before != *list) {
            all.insert(from, list.clone());
        }
    }

    /// The members by the list that a node sent last.
    pub fn sent_by(&self, node: NodeNumber) -> Option<Vec<NodeNumber>> {
        self.lists().get(&node).map(|list| list.members.clone())
    }

    /// Forgets the lists of nodes that were removed.
    pub fn keep(&self, is_kept: impl Fn(NodeNumber) -> bool) {
        self.lists().retain(|node, _| is_kept(*node));
    }

    /// Whether the newest list counts `node` among the members; `None` where no peer sent a newer one than that at
    /// `own_index`.
    pub fn counts(&self, node: NodeNumber, own_index: Option<u64>) -> Option<bool> {
        let lists = self.lists();
        let newest = lists.values().max_by_key(|list| list.index)?;
        (newest.index > own_index).then(|| newest.members.contains(&node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(index: u64, members: &[NodeNumber]) -> MemberList {
        MemberList { index: Some(index), members: members.to_vec() }
    }

    #[test]
    fn the_newest_list_counts_and_an_older_one_than_the_own_does_not() {
        let received_lists = ReceivedLists::default();
        assert_eq!(received_lists.counts(4, None), None);
        received_lists.record(1, &list(7, &[1, 2, 4]));
        received_lists.record(2, &list(5, &[1, 2, 3]));
        assert_eq!((received_lists.counts(4, Some(5)), received_lists.counts(3, Some(5))), (Some(true), Some(false)));
        assert_eq!(received_lists.counts(4, Some(7)), None, "the own list is as new");
        received_lists.keep(|node| node != 1);
        assert_eq!(received_lists.counts(4, Some(4)), Some(false));
    }
}
