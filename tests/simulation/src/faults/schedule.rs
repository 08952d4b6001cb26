//! The order in which faults are injected: all kinds of a seed once, in a random order, and then again.

use etebar_node::storage::model::Dice;

use crate::plan::FaultKind;

/// Picks a kind at random, each kind once before any comes again.
#[derive(Debug)]
pub struct FaultSchedule {
    kinds: Vec<FaultKind>,
    left: Vec<FaultKind>,
}

impl FaultSchedule {
    /// A schedule of these kinds without the triggered ones.
    pub fn new(kinds: &[FaultKind]) -> Self {
        Self { kinds: kinds.iter().copied().filter(|kind| !kind.is_triggered()).collect(), left: Vec::new() }
    }

    /// The next kind.
    pub fn draw(&mut self, dice: &mut Dice) -> Option<FaultKind> {
        if self.left.is_empty() {
            self.left.clone_from(&self.kinds);
        }
        if self.left.is_empty() {
            return None;
        }
        Some(self.left.swap_remove(dice.below(self.left.len() as u64) as usize))
    }
}
