//! Which members this one has met, and with which data directories; beside the pages, and durable before it counts.
//!
//! The log binds numbers to directories too, but a member that is behind has not read that yet: without a memory of its
//! own it would take a wiped member for the one that it knew, and give away what that one had promised.

use ledger::{Incarnation, NodeNumber};

use super::History;
use crate::storage::codec;
use crate::storage::error::StorageError;
use crate::storage::keys;

/// More members than any cluster ever had under this directory.
const MEMBERS_MAX: usize = 65_536;

impl History {
    /// The members met so far.
    ///
    /// # Errors
    /// Where what was kept is damaged.
    pub fn met(&self) -> Result<Vec<(NodeNumber, Incarnation)>, StorageError> {
        let pairs = self.disk.range(&keys::acquaintance(0), &keys::after_acquaintances(), MEMBERS_MAX)?;
        pairs.iter().map(|(key, sealed)| codec::unseal_value(key, sealed, "a member that was met")).collect()
    }

    /// Keeps that a member was met; it survives a power cut before this returns.
    ///
    /// # Errors
    /// Where the disk fails.
    pub async fn meet(&self, node: NodeNumber, incarnation: Incarnation) -> Result<(), StorageError> {
        let key = keys::acquaintance(node);
        let sealed = codec::seal_value(&key, &(node, incarnation))?;
        self.disk.insert(&key, sealed)?;
        self.disk.sync().await
    }
}
