//! Members that this one does not know yet, since it was away while they were added: a member that it knows vouches for them.
//!
//! Without that, a member that is behind could never hear from a leader that was added meanwhile. Invariant: only a members'
//! list that is newer than the own one vouches, and only a member of the own list can tell it; nothing of it is kept.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ledger::NodeNumber;

use crate::raft::peers::link::message::MembersTold;

/// The newest list that each peer told.
#[derive(Debug, Default)]
pub struct Vouched(Mutex<BTreeMap<NodeNumber, MembersTold>>);

impl Vouched {
    fn told(&self) -> MutexGuard<'_, BTreeMap<NodeNumber, MembersTold>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what a member said of the members.
    pub fn hear(&self, from: NodeNumber, told: &MembersTold) {
        let mut all = self.told();
        if all.get(&from).is_none_or(|before| *before != *told) {
            all.insert(from, told.clone());
        }
    }

    /// Forgets what those said who are not to be kept: they were removed.
    pub fn keep(&self, is_kept: impl Fn(NodeNumber) -> bool) {
        self.told().retain(|node, _| is_kept(*node));
    }

    /// Whether the newest list counts `node` among the members; `None` where nobody told a newer one than that at `own_index`.
    pub fn counts(&self, node: NodeNumber, own_index: Option<u64>) -> Option<bool> {
        let told = self.told();
        let newest = told.values().max_by_key(|told| told.index)?;
        (newest.index > own_index).then(|| newest.members.contains(&node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(index: u64, members: &[NodeNumber]) -> MembersTold {
        MembersTold { index: Some(index), members: members.to_vec() }
    }

    #[test]
    fn the_newest_list_counts_and_an_older_one_than_the_own_does_not() {
        let vouched = Vouched::default();
        assert_eq!(vouched.counts(4, None), None);
        vouched.hear(1, &list(7, &[1, 2, 4]));
        vouched.hear(2, &list(5, &[1, 2, 3]));
        assert_eq!((vouched.counts(4, Some(5)), vouched.counts(3, Some(5))), (Some(true), Some(false)));
        assert_eq!(vouched.counts(4, Some(7)), None, "the own list is as new");
        vouched.keep(|node| node != 1);
        assert_eq!(vouched.counts(4, Some(4)), Some(false));
    }
}
