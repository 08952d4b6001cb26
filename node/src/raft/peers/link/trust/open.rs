//! The open, authenticated connections: so that those of a node that was removed, or whose certificate is no longer valid, are
//! closed at once.
//!
//! Bounds: a node has [`PER_PURPOSE`] accepted connections of its own for each purpose, whatever others do; with one more its
//! oldest is closed, since connections that a node left when its network failed are older than those that it dials now.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger::{Incarnation, NodeNumber};
use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use super::transport::Certified;
use crate::raft::peers::link::message::Purpose;

/// Accepted connections of one node for one purpose. Source: openraft opens one for each replication, heartbeat and vote
/// stream, a handful at a time.
pub const PER_PURPOSE: usize = 16;

/// Which side dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// This node.
    Dialled,
    /// The peer.
    Accepted,
}

/// What is known of an open connection.
#[derive(Debug, Clone)]
pub struct OpenLink {
    /// The peer's number.
    pub node: NodeNumber,
    /// Its data directory.
    pub incarnation: Incarnation,
    /// What it is for.
    pub purpose: Purpose,
    /// Which side dialled.
    pub side: Side,
    /// What the peer proved.
    pub certified: Certified,
}

#[derive(Debug, Default)]
struct OpenTable {
    last: u64,
    open: BTreeMap<u64, (OpenLink, CancellationToken)>,
}

/// All open connections of this node. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct OpenLinks(Arc<Mutex<OpenTable>>);

/// A place among the open connections; free again when dropped.
#[derive(Debug)]
pub struct OpenSlot {
    id: u64,
    links: OpenLinks,
    closing: CancellationToken,
}

impl OpenSlot {
    /// Returns once the connection is to be closed.
    pub async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// What is cancelled then.
    pub fn token(&self) -> CancellationToken {
        self.closing.clone()
    }
}

impl Drop for OpenSlot {
    fn drop(&mut self) {
        self.links.table().open.remove(&self.id);
    }
}

impl OpenLinks {
    fn table(&self) -> MutexGuard<'_, OpenTable> {
        self.0.lock()
    }

    /// Adds a connection.
    pub fn hold(&self, facts: OpenLink) -> OpenSlot {
        let mut table = self.table();
        if facts.side == Side::Accepted {
            let is_alike = |other: &OpenLink| {
                other.side == Side::Accepted && other.node == facts.node && other.purpose == facts.purpose
            };
            let alike: Vec<u64> =
                table.open.iter().filter(|(_, (other, _))| is_alike(other)).map(|(id, _)| *id).collect();
            if alike.len() >= PER_PURPOSE
                && let Some((_, closing)) = alike.first().and_then(|oldest| table.open.remove(oldest))
            {
                closing.cancel();
            }
        }
        table.last += 1;
        let (id, closing) = (table.last, CancellationToken::new());
        table.open.insert(id, (facts, closing.clone()));
        OpenSlot { id, links: self.clone(), closing }
    }

    /// Closes all connections but those to keep; returns how many.
    pub fn keep(&self, is_kept: impl Fn(&OpenLink) -> bool) -> usize {
        let mut table = self.table();
        let before = table.open.len();
        table.open.retain(|_, (facts, closing)| {
            let kept = is_kept(facts);
            if !kept {
                closing.cancel();
            }
            kept
        });
        before - table.open.len()
    }
}
