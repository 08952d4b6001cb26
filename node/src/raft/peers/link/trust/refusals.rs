//! Which peers refuse this node as no member: how a node that was down learns that it was removed.

use std::collections::BTreeSet;
use std::sync::Arc;

use ledger::NodeNumber;
use parking_lot::Mutex;

/// The peers whose last answer to a hello of this node was that it is no member. At most as many as there are members.
#[derive(Debug, Clone, Default)]
pub struct Refusals(Arc<Mutex<BTreeSet<NodeNumber>>>);

impl Refusals {
    /// Keeps what a peer answered last.
    pub(crate) fn record(&self, peer: NodeNumber, is_refused: bool) {
        let mut refusing = self.0.lock();
        if is_refused {
            refusing.insert(peer);
        } else {
            refusing.remove(&peer);
        }
    }

    /// Whether that peer refuses this node.
    pub(crate) fn refuses(&self, peer: NodeNumber) -> bool {
        self.0.lock().contains(&peer)
    }
}
