//! Replaying records: a state, one record further. Every event changes the state in its own file ([`crate::commands`]).

use crate::record::Record;
use crate::state::State;

impl State {
    /// The state one record further.
    ///
    /// # Panics
    /// Where the record does not fit this state: the history is damaged, and continuing would corrupt the books.
    pub fn apply(&mut self, record: &Record) {
        self.advance(record.at());
        let before = self.totals();
        record.event.kind().apply(record.at(), self);
        assert_eq!(self.totals().sum(), 0, "all accounts add up to zero");
        self.chain(record);
        let movement = record.movement();
        assert_eq!(self.totals() != before, movement.is_some(), "credit moves exactly where there is a journal entry");
        if let Some(key) = &record.idempotency_key {
            self.remember(record.at(), record.actor, key);
        }
        if let Some(movement) = movement {
            self.advance_journal(record, &movement);
        }
    }

    /// Reads what applying these records looks up, as many at once as the processor can, and does nothing with it.
    pub fn touch(&self, records: &[Record]) {
        self.touch_keys(records.iter().filter_map(|record| Some((record.actor, record.idempotency_key.as_ref()?))));
        self.touch_phones(records.iter().filter_map(|record| record.movement()?.phone));
    }
}
