//! The groups that wait to be proposed: small ones and large ones in lanes of their own, which take turns.
//!
//! An entry of 8,000 commands takes as long as hundreds of small ones, so a small group waits for one large entry at most,
//! however many large groups came before it, and shares no entry with one. Within a lane groups go in the order in which they
//! came.

use std::collections::VecDeque;

use super::group::{ENTRY_BYTES, ENTRY_COMMANDS, Group};

/// Most commands of a small group: deciding so many takes less than a millisecond.
const SMALL_COMMANDS: usize = 256;

/// See the head of this file. Bounded by the permits that its groups hold.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    small: VecDeque<Group>,
    large: VecDeque<Group>,
    /// Whether the last entry was of large groups.
    large_was_last: bool,
}

impl Lanes {
    /// Whether no group waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.small.is_empty() && self.large.is_empty()
    }

    /// A group more.
    pub(crate) fn push(&mut self, group: Group) {
        let lane = if group.commands.len() > SMALL_COMMANDS { &mut self.large } else { &mut self.small };
        lane.push_back(group);
    }

    /// The groups of the next entry: of the lane whose turn it is, as many as fit, and one at least where any waits.
    pub(crate) fn next_entry(&mut self) -> Vec<Group> {
        let is_large = self.small.is_empty() || (!self.large_was_last && !self.large.is_empty());
        self.large_was_last = is_large;
        let lane = if is_large { &mut self.large } else { &mut self.small };
        let (mut count, mut bytes, mut fitting) = (0, 0, 0);
        for group in lane.iter() {
            count += group.commands.len();
            bytes += group.bytes;
            if fitting > 0 && (count > ENTRY_COMMANDS || bytes > ENTRY_BYTES) {
                break;
            }
            fitting += 1;
        }
        lane.drain(..fitting).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ledger::{Action, Command, CreateSeller, Name};
    use tokio::sync::{Semaphore, oneshot};

    use super::*;
    use crate::raft::peers::link::message::Commands;

    /// A group of so many commands.
    fn group(commands: usize) -> Group {
        let command = Command {
            actor: 1,
            idempotency_key: None,
            origin: None,
            action: Action::CreateSeller(CreateSeller { name: Name::new("shop").unwrap() }),
        };
        let commands = Commands::from(vec![command; commands]);
        let bytes = commands.iter().map(Command::weight).sum();
        let held = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        Group { commands, bytes, _held: held, stage: Arc::default(), answer: oneshot::channel().0 }
    }

    fn lanes(groups: &[usize]) -> Lanes {
        let mut lanes = Lanes::default();
        for commands in groups {
            lanes.push(group(*commands));
        }
        lanes
    }

    fn entries(mut lanes: Lanes) -> Vec<Vec<usize>> {
        let mut entries = Vec::new();
        while !lanes.is_empty() {
            entries.push(lanes.next_entry().iter().map(|group| group.commands.len()).collect());
        }
        entries
    }

    #[test]
    fn a_small_group_waits_for_one_large_entry_at_most_and_shares_none() {
        let mut lanes = lanes(&[8_000, 8_000, 1, 8_000, 2]);
        assert_eq!(lanes.next_entry().len(), 1, "a large one");
        assert_eq!(lanes.next_entry().iter().map(|group| group.commands.len()).collect::<Vec<_>>(), [1, 2]);
        lanes.push(group(3));
        assert_eq!(entries(lanes), [vec![8_000], vec![3], vec![8_000]]);
    }

    #[test]
    fn large_groups_do_not_wait_for_small_ones_that_keep_coming() {
        let mut lanes = lanes(&[1, 8_000]);
        let mut large = 0;
        for _ in 0..4 {
            large += lanes.next_entry().iter().filter(|group| group.commands.len() == 8_000).count();
            lanes.push(group(1));
            lanes.push(group(8_000));
        }
        assert_eq!(large, 2, "every other entry");
    }

    #[test]
    fn an_entry_takes_what_fits_in_the_order_in_which_it_came() {
        let thousands = [1_000; 10];
        assert_eq!(entries(lanes(&thousands)), [vec![1_000; 8], vec![1_000; 2]]);
        assert_eq!(entries(lanes(&[200; 50])), [vec![200; 40], vec![200; 10]]);
    }
}
