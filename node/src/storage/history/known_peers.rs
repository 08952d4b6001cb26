//! The data directory of each node that this one has connected to; beside the pages, and durable before it counts.
//!
//! The log binds numbers to directories too, but a node that is behind has not read that yet: without a memory of its
//! own it would accept a wiped node as the one that it knew, although that one's votes are lost.

use ledger::{Incarnation, NodeNumber};

use super::History;
use crate::storage::disk::{Batch, Pair};
use crate::storage::error::StorageError;
use crate::storage::format::keys;
use crate::storage::format::{Kind, codec};

/// More nodes than any cluster ever had under this directory.
const NODES_MAX: usize = 65_536;

impl History {
    /// The nodes known so far.
    ///
    /// # Errors
    /// Where what was kept is damaged.
    pub fn known_peers(&self) -> Result<Vec<(NodeNumber, Incarnation)>, StorageError> {
        let pairs = self.disk.range(&keys::known_peer(0), &keys::after_known_peers(), NODES_MAX)?;
        let known = |(key, sealed): &Pair| Ok(codec::unseal_value(Kind::KnownPeer, key, sealed, "a known peer")?);
        pairs.iter().map(known).collect()
    }

    /// Forgets them all: those of a cluster that this node is no member of any more. Durable before this returns.
    ///
    /// # Errors
    /// Where the disk fails.
    pub async fn forget_known_peers(&self) -> Result<(), StorageError> {
        let mut batch = Batch::default();
        for (node, _incarnation) in self.known_peers()? {
            batch.remove(keys::known_peer(node));
        }
        self.disk.apply(batch)?;
        self.disk.sync().await
    }

    /// Stores a known peer; durable before this returns.
    ///
    /// # Errors
    /// Where the disk fails.
    pub async fn keep_known_peer(&self, node: NodeNumber, incarnation: Incarnation) -> Result<(), StorageError> {
        let key = keys::known_peer(node);
        let sealed = codec::seal_value(Kind::KnownPeer, &key, &(node, incarnation))?;
        self.disk.insert(&key, sealed)?;
        self.disk.sync().await
    }
}
