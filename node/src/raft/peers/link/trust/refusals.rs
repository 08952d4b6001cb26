//! Which peers refuse this node as no member: how a node that was down learns that it was removed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ledger::NodeNumber;
use parking_lot::Mutex;
use tokio::time::Instant;

/// How long a refusal counts. Source: a node that is refused asks again within a fifth of it; one that cannot be reached any
/// more may think otherwise by now.
const COUNTS: Duration = Duration::from_secs(1);

/// The peers whose last answer to a hello of this node was that it is no member, and when that was. At most as many as there are
/// members.
#[derive(Debug, Clone, Default)]
pub struct Refusals(Arc<Mutex<BTreeMap<NodeNumber, Instant>>>);

impl Refusals {
    /// Keeps what a peer answered just now.
    pub(crate) fn record(&self, peer: NodeNumber, is_refused: bool) {
        let mut refusing = self.0.lock();
        if is_refused {
            refusing.insert(peer, Instant::now());
        } else {
            refusing.remove(&peer);
        }
    }

    /// Whether that peer refuses this node now.
    pub(crate) fn refuses(&self, peer: NodeNumber) -> bool {
        self.0.lock().get(&peer).is_some_and(|refused| refused.elapsed() < COUNTS)
    }
}
