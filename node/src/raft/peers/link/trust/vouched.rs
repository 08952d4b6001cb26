//! Members that this one does not know yet, since it was away while they were added: a node that it knows vouches for them.
//!
//! Without that, a node that is behind could never hear from a leader that was added meanwhile. Invariant: only a members'
//! list that is newer than the own one vouches, and only a node of the own list can tell it; nothing of it is kept.

use std::collections::BTreeMap;

use ledger::NodeNumber;
use parking_lot::{Mutex, MutexGuard};

use crate::raft::peers::link::message::MemberList;

/// The newest list that each peer told.
#[derive(Debug, Default)]
pub struct Vouched(Mutex<BTreeMap<NodeNumber, MemberList>>);

impl Vouched {
    fn lists(&self) -> MutexGuard<'_, BTreeMap<NodeNumber, MemberList>> {
        self.0.lock()
    }

    /// Takes in what a node said of the members.
    pub fn record(&self, from: NodeNumber, list: &MemberList) {
        let mut all = self.lists();
        if all.get(&from).is_none_or(|before| *before != *list) {
            all.insert(from, list.clone());
        }
    }

    /// Forgets what those said who are not to be kept: they were removed.
    pub fn keep(&self, is_kept: impl Fn(NodeNumber) -> bool) {
        self.lists().retain(|node, _| is_kept(*node));
    }

    /// Whether the newest list counts `node` among the members; `None` where nobody told a newer one than that at `own_index`.
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
        let vouched = Vouched::default();
        assert_eq!(vouched.counts(4, None), None);
        vouched.record(1, &list(7, &[1, 2, 4]));
        vouched.record(2, &list(5, &[1, 2, 3]));
        assert_eq!((vouched.counts(4, Some(5)), vouched.counts(3, Some(5))), (Some(true), Some(false)));
        assert_eq!(vouched.counts(4, Some(7)), None, "the own list is as new");
        vouched.keep(|node| node != 1);
        assert_eq!(vouched.counts(4, Some(4)), Some(false));
    }
}
