//! The data directories of the nodes that this one knows, so that a wiped node is not accepted as the one that had its
//! number.
//!
//! Invariant: a node is remembered durably before its connection counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger::{Incarnation, NodeNumber};
use parking_lot::{Mutex, RwLock};

use crate::raft::peers::link::error::{HelloRefusal, LinkError};
use crate::runtime;
use crate::storage::{History, StorageError};

/// The data directory of each node number: as the log has bound them, which the state machine adds, and until then as seen on
/// the first connection.
#[derive(Debug, Clone, Default)]
pub struct KnownPeers(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    bound: RwLock<BTreeMap<NodeNumber, Incarnation>>,
    seen: Mutex<BTreeMap<NodeNumber, Incarnation>>,
    /// Where first connections are stored; nowhere in tests of the link alone.
    kept_in: Option<Arc<History>>,
    /// Held while a first connection is checked and stored.
    remembering: tokio::sync::Mutex<()>,
}

impl KnownPeers {
    /// The nodes known before; stored durably from here on.
    ///
    /// # Errors
    /// Where what was kept is damaged.
    pub fn kept_in(history: Arc<History>) -> Result<Self, StorageError> {
        let seen = Mutex::new(history.known_peers()?.into_iter().collect());
        Ok(Self(Arc::new(Inner { seen, kept_in: Some(history), ..Inner::default() })))
    }

    /// Remembers a binding that was applied.
    pub fn add(&self, node: NodeNumber, incarnation: Incarnation) {
        let mut bound = self.0.bound.write();
        bound.insert(node, incarnation);
    }

    /// Takes these bindings in place of those that were applied before: those of a whole state, or none where an epoch begins,
    /// whose nodes are another cluster's.
    pub fn replace(&self, bound: impl IntoIterator<Item = (NodeNumber, Incarnation)>) {
        *self.0.bound.write() = bound.into_iter().collect();
    }

    fn known(&self, node: NodeNumber) -> Option<Incarnation> {
        let bound = self.0.bound.read().get(&node).copied();
        bound.or_else(|| self.0.seen.lock().get(&node).copied())
    }

    /// Checks the data directory of a node. One that is not known yet is stored first, so that another one under its number is
    /// refused from then on, after a restart too.
    ///
    /// # Errors
    /// Where it is known with another data directory, or could not be remembered.
    pub async fn remember(&self, node: NodeNumber, incarnation: Incarnation) -> Result<(), LinkError> {
        if self.known(node) == Some(incarnation) {
            return Ok(());
        }
        let _remembering = self.0.remembering.lock().await;
        self.check(node, incarnation).map_err(|reason| HelloRefusal::Directory.of(node, reason))?;
        if self.known(node).is_none() {
            self.keep(node, incarnation).await?;
        }
        Ok(())
    }

    async fn keep(&self, node: NodeNumber, incarnation: Incarnation) -> Result<(), LinkError> {
        if let Some(history) = self.0.kept_in.clone() {
            let kept = runtime::on_disk(async move { history.keep_known_peer(node, incarnation).await }).await;
            let kept = kept.map_err(|unfinished| unfinished.to_string());
            kept.and_then(|kept| kept.map_err(|error| error.to_string())).map_err(|error| {
                HelloRefusal::Disk.of(node, format!("node {node} could not be remembered: {error}"))
            })?;
        }
        self.0.seen.lock().insert(node, incarnation);
        Ok(())
    }

    /// Checks the data directory of a node without storing it.
    ///
    /// # Errors
    /// Where it is known with another one.
    pub fn check(&self, node: NodeNumber, incarnation: Incarnation) -> Result<(), String> {
        match self.known(node) {
            Some(bound) if bound != incarnation => Err(format!(
                "node {node} is known with data directory {bound}, not {incarnation}: start it with the former; if that is lost, \
                 so are the votes that it gave, and it stays stopped while the others continue with a majority"
            )),
            Some(_) | None => Ok(()),
        }
    }
}
