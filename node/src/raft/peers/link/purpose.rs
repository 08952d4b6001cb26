//! What a connection to a peer is for.

use serde::{Deserialize, Serialize};

/// What a connection is for. Each has its own, so that none waits for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// An ordered session of append requests and their answers.
    Append,
    /// Short calls: votes, read positions, status.
    Control,
    /// Commands on their way to the leader; their answers wait for a commit.
    Forward,
    /// One snapshot.
    Snapshot,
}
