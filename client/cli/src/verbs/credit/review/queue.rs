//! The requests of a review, and what became of each. Nothing is asked or printed here.

use std::collections::HashSet;

use uuid::Uuid;

use etebar::api::{AmountOut, CreditRequest};

/// What became of a request in this review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Open,
    Skipped,
    Approved,
    Rejected,
    /// Decided by another admin meanwhile.
    Elsewhere,
}

#[derive(Debug, Clone)]
struct Item {
    id: Uuid,
    amount: AmountOut,
    decision: Decision,
}

/// Requests in the order in which they are shown: oldest first, and what came meanwhile at the end.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    items: Vec<Item>,
    known: HashSet<Uuid>,
}

impl Queue {
    /// Puts those at the end that were never in it, and returns how many.
    pub(crate) fn add(&mut self, requests: &[CreditRequest]) -> usize {
        let before = self.items.len();
        for request in requests {
            if self.known.insert(request.id) {
                self.items.push(Item { id: request.id, amount: request.amount, decision: Decision::Open });
            }
        }
        self.items.len() - before
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The first that is open: its rank from 1 on, of how many, and its id.
    pub(crate) fn current(&self) -> Option<(usize, usize, Uuid)> {
        let index = self.index()?;
        Some((index + 1, self.items.len(), self.items[index].id))
    }

    fn index(&self) -> Option<usize> {
        self.items.iter().position(|item| item.decision == Decision::Open)
    }

    /// The decision of the current one; the next open one becomes current.
    pub(crate) fn settle(&mut self, decision: Decision) {
        if let Some(index) = self.index() {
            self.items[index].decision = decision;
        }
    }

    /// Opens the last that was skipped before the current one; false where none was.
    pub(crate) fn back(&mut self) -> bool {
        let before = self.index().unwrap_or(self.items.len());
        let skipped = self.items[..before].iter_mut().rev().find(|item| item.decision == Decision::Skipped);
        skipped.map(|item| item.decision = Decision::Open).is_some()
    }

    /// How many came to that end.
    pub(crate) fn count(&self, decision: Decision) -> usize {
        self.items.iter().filter(|item| item.decision == decision).count()
    }

    /// What was approved, together; `None` where nothing was.
    pub(crate) fn approved(&self) -> Option<AmountOut> {
        let amounts = self.items.iter().filter(|item| item.decision == Decision::Approved).map(|item| item.amount);
        amounts.reduce(|sum, amount| AmountOut::new(sum.minor().saturating_add(amount.minor()), sum.decimals()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etebar::api::{RequestStatus, Timestamp};

    fn request(id: u128, amount: i64) -> CreditRequest {
        CreditRequest {
            id: Uuid::from_u128(id),
            seller_id: Uuid::from_u128(99),
            amount: AmountOut::new(amount, 0),
            note: None,
            reference: None,
            status: RequestStatus::Pending,
            created_at: Timestamp(0),
            decided_at: None,
            decided_by: None,
            reason: None,
        }
    }

    fn queue(count: u128) -> Queue {
        let mut queue = Queue::default();
        queue.add(&(1..=count).map(|id| request(id, 100)).collect::<Vec<_>>());
        queue
    }

    fn place(queue: &Queue) -> Option<usize> {
        queue.current().map(|(place, _, _)| place)
    }

    #[test]
    fn what_came_meanwhile_is_put_at_the_end_once() {
        let mut queue = queue(2);
        queue.settle(Decision::Skipped);
        assert_eq!(queue.add(&[request(1, 100), request(2, 100), request(3, 100)]), 1);
        assert_eq!(queue.current(), Some((2, 3, Uuid::from_u128(2))));
    }

    #[test]
    fn back_opens_the_last_skipped_and_then_continues_where_it_was() {
        let mut queue = queue(4);
        queue.settle(Decision::Skipped);
        queue.settle(Decision::Approved);
        queue.settle(Decision::Skipped);
        assert!(queue.back());
        assert_eq!(place(&queue), Some(3));
        assert!(queue.back());
        assert_eq!(place(&queue), Some(1));
        assert!(!queue.back());
        queue.settle(Decision::Rejected);
        queue.settle(Decision::Skipped);
        assert_eq!(place(&queue), Some(4));
    }

    #[test]
    fn only_what_was_approved_here_is_added_up() {
        let mut queue = queue(3);
        assert_eq!(queue.approved(), None);
        queue.settle(Decision::Approved);
        queue.settle(Decision::Elsewhere);
        queue.settle(Decision::Approved);
        assert_eq!(queue.approved(), Some(AmountOut::new(200, 0)));
        assert_eq!((queue.count(Decision::Approved), queue.count(Decision::Elsewhere), place(&queue)), (2, 1, None));
    }
}
