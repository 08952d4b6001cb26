//! As which build each member runs, as it said in its last hello: for people who look at the cluster, during an upgrade above all.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger::NodeNumber;
use parking_lot::Mutex;

use super::version::BuildName;

/// The names of the members' builds. At most as many as there ever were members: only those are welcomed.
#[derive(Debug, Clone, Default)]
pub struct Builds(Arc<Mutex<BTreeMap<NodeNumber, BuildName>>>);

impl Builds {
    /// Keeps what a member said. A node that was restarted as another build says it with its next connection.
    pub(crate) fn record(&self, member: NodeNumber, name: BuildName) {
        self.0.lock().insert(member, name);
    }

    /// The name of that member's build, where it said one.
    pub(crate) fn of(&self, member: NodeNumber) -> Option<BuildName> {
        self.0.lock().get(&member).copied().filter(|name| *name != BuildName::NONE)
    }
}
