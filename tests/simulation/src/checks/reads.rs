//! Each read: it saw a state of the history, and one that is recent enough.

use std::collections::BTreeMap;

use ledger::State;

use crate::checks::checker::Checker;
use crate::command_port::ReadMode;
use crate::history::events::{HttpRead, PortRead};

impl<'a> Checker<'a> {
    /// A read over the command port saw exactly the state of its position.
    pub fn check_read(&mut self, state: &State, read: &PortRead) {
        let result = &read.result;
        let balance = state.seller(read.seller).map(|seller| seller.balance.minor());
        let key_is_good = state.api_key(read.actor).is_some_and(|key| key.revoked_by.is_none());
        let is_correct = (result.digest, result.balance, result.key_is_good) == (state.digest(), balance, key_is_good);
        // A local read may fall into the middle of an entry that is being applied; its digest is still one of the chain.
        if !is_correct {
            let mode = if read.mode == ReadMode::Linearizable { "linearizable" } else { "local" };
            self.violation(None, format!("a {mode} read saw a state that never existed: {read:?}"));
        }
    }

    /// The reads over HTTP, by the number of records that they saw.
    pub fn http_reads(&mut self, counts: &BTreeMap<u64, u64>) -> BTreeMap<u64, Vec<&'a HttpRead>> {
        let mut http_reads: BTreeMap<u64, Vec<&HttpRead>> = BTreeMap::new();
        for read in &self.history.http_reads {
            match counts.get(&read.balance.applied) {
                Some(count) if *count >= read.acknowledged => http_reads.entry(*count).or_default().push(read),
                Some(count) => {
                    self.violation(None, format!("a read over HTTP is stale: it saw {count} records: {read:?}"));
                }
                None => self.violation(None, format!("a read over HTTP saw a position that no node applied: {read:?}")),
            }
        }
        http_reads
    }

    /// A read over HTTP saw the balance of its position.
    pub fn check_http_read(&mut self, state: &State, read: &HttpRead) {
        let balance = state.seller(read.balance.seller).map(|seller| i128::from(seller.balance.minor()));
        if balance != Some(read.balance.balance) {
            self.violation(
                None,
                format!("a read over HTTP saw a balance that never existed, the balance is {balance:?}: {read:?}"),
            );
        }
    }
}
