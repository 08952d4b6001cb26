//! Things that are numbered when they are made: appended in the order of their numbers, changed in place, never removed.
//!
//! Kept in small pieces that a copy shares with the original until one of the two changes them, so copying a million
//! sellers costs microseconds.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::values::ids::RecordNumber;

/// Items in a piece: what the first change after a copy copies.
const PIECE: usize = 256;

/// Items with their numbers, which lie apart so that a search reads little memory. Both lists are equally long.
#[derive(Debug, Clone)]
struct Piece<V> {
    numbers: Vec<RecordNumber>,
    values: Vec<V>,
}

/// A map in the order of growing numbers.
#[derive(Debug, Clone)]
pub(super) struct Ordered<V> {
    /// None is empty, and all but the last have [`PIECE`] items.
    pieces: Vec<Arc<Piece<V>>>,
    /// The first number of each piece.
    firsts: Vec<RecordNumber>,
    len: u64,
}

impl<V> Default for Ordered<V> {
    fn default() -> Self {
        Self { pieces: Vec::new(), firsts: Vec::new(), len: 0 }
    }
}

impl<V> Ordered<V> {
    /// How many there are.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The one with this number.
    pub(super) fn get(&self, number: RecordNumber) -> Option<&V> {
        let piece = self.pieces.get(self.piece_of(number)?)?;
        piece.values.get(piece.numbers.binary_search(&number).ok()?)
    }

    /// Those with greater numbers, in order.
    pub(super) fn after(&self, number: RecordNumber) -> impl Iterator<Item = (&RecordNumber, &V)> {
        let first = self.piece_of(number).unwrap_or(0);
        let pieces = self.pieces.get(first..).unwrap_or_default();
        let from = pieces.first().map_or(0, |piece| piece.numbers.partition_point(|found| *found <= number));
        pieces.iter().flat_map(|piece| piece.numbers.iter().zip(&piece.values)).skip(from)
    }

    /// The last piece that begins at or below `number`.
    fn piece_of(&self, number: RecordNumber) -> Option<usize> {
        self.firsts.partition_point(|first| *first <= number).checked_sub(1)
    }
}

impl<V: Clone> Ordered<V> {
    /// Adds the next one.
    ///
    /// # Panics
    /// Where its number is not greater than all before.
    pub(super) fn push(&mut self, number: RecordNumber, value: V) {
        let last = self.pieces.last().and_then(|piece| piece.numbers.last());
        assert!(last.is_none_or(|last| *last < number), "numbers only grow");
        self.len = self.len.saturating_add(1);
        match self.pieces.last_mut() {
            Some(piece) if piece.numbers.len() < PIECE => {
                let piece = Arc::make_mut(piece);
                piece.numbers.push(number);
                piece.values.push(value);
            }
            Some(_) | None => {
                self.firsts.push(number);
                self.pieces.push(Arc::new(Piece { numbers: Vec::from([number]), values: Vec::from([value]) }));
            }
        }
    }

    /// The one with this number, to change.
    pub(super) fn get_mut(&mut self, number: RecordNumber) -> Option<&mut V> {
        let at = self.piece_of(number)?;
        let piece = self.pieces.get_mut(at)?;
        let at = piece.numbers.binary_search(&number).ok()?;
        Arc::make_mut(piece).values.get_mut(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thousand() -> Ordered<u64> {
        let mut things = Ordered::default();
        (1_u64..=1_000).for_each(|number| things.push(number.saturating_mul(3), number));
        things
    }

    #[test]
    fn each_is_found_and_what_is_not_there_is_not() {
        let things = thousand();
        assert_eq!(things.len(), 1_000);
        for number in 0..3_010 {
            let there = number > 0 && number <= 3_000 && number % 3 == 0;
            assert_eq!(things.get(number).copied(), there.then_some(number / 3), "{number}");
        }
        assert_eq!(Ordered::<u64>::default().get(1), None);
    }

    #[test]
    fn those_after_a_number_come_in_order_from_anywhere() {
        let things = thousand();
        for number in [0, 1, 3, 767, 768, 769, 2_999, 3_000, 4_000] {
            let after: Vec<_> = things.after(number).map(|(_, thing)| *thing).collect();
            assert_eq!(
                after,
                (1_u64..=1_000).filter(|thing| thing.saturating_mul(3) > number).collect::<Vec<_>>(),
                "after {number}"
            );
        }
    }

    #[test]
    fn a_copy_does_not_see_what_changes_later() {
        let mut things = thousand();
        let copy = things.clone();
        if let Some(thing) = things.get_mut(3) {
            *thing = 7;
        }
        things.push(3_003, 1_001);
        assert_eq!((copy.get(3), copy.get(3_003), copy.len()), (Some(&1), None, 1_000));
        assert_eq!((things.get(3), things.get(3_003), things.len()), (Some(&7), Some(&1_001), 1_001));
        assert!(things.get_mut(4).is_none());
    }

    #[test]
    #[should_panic(expected = "numbers only grow")]
    fn numbers_do_not_go_back() {
        thousand().push(3_000, 1);
    }
}
