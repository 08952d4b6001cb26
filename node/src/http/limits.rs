//! Every limit of the HTTP side, with the contract's values where none is set.

use std::num::NonZeroU32;
use std::time::Duration;

use super::quotas::ConcurrencyBounds;

/// The limits of the HTTP side of one node.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest request body, in bytes.
    pub body_bytes: usize,
    /// Longest time from a request's head to its answer.
    pub request: Duration,
    /// Longest time from a head's first byte to its last, and from a new connection to its first byte.
    pub head: Duration,
    /// Longest time that a connection may be idle between two requests.
    pub idle: Duration,
    /// Longest time that a caller takes no byte of an answer that is sent in pieces.
    pub stalled: Duration,
    /// Largest head, in bytes.
    pub head_bytes: usize,
    /// Most header fields in a head.
    pub head_fields: usize,
    /// Most connections open at once; one more gets a 503 and is closed.
    pub connections: usize,
    /// Most connections open at once from one client address (of IPv6, from one /64); one more gets a 503 and is closed.
    pub connections_per_address: usize,
    /// Most connections at once that get a 503 because there is no slot for them; others are closed unanswered.
    pub turned_away: usize,
    /// Bodies over [`LARGE_BODY_BYTES`] that are being read. Source: 128 of 2 MiB are half of a node's memory; one key reads
    /// an eighth of them, so that slow senders of one seller leave enough to the others, and a fast one hardly waits.
    pub large_bodies: ConcurrencyBounds,
    /// Recomputations of the books. Source: each keeps one core busy for up to a request's time, so one of two cores is
    /// left for charges, and one key never runs both; `etebar bench` asks for 4 at once.
    pub recounts: ConcurrencyBounds,
    /// Searches through records: pages of the journal, of statements, of charges and of credit requests. Source: one takes
    /// milliseconds, at worst the reading of 65,536 records, on a thread of its own; the callers of one seller's programs
    /// share a key, so many may wait.
    pub scans: ConcurrencyBounds,
    /// Backups. Source: one keeps a disk and half of a core busy; a second one is for whoever takes over from the first.
    pub backups: ConcurrencyBounds,
    /// Most commands a second of one API key; no limit where it is `None`.
    pub rate_per_key: Option<NonZeroU32>,
    /// How much of an unread body is read and dropped after the answer, in bytes.
    pub linger_bytes: usize,
    /// How long an unread body is read and dropped after the answer.
    pub linger: Duration,
    /// Free bytes of the data directory's disk below which no new command is taken.
    pub disk_reserve_bytes: u64,
    /// How long requests are still served at shutdown, each answer being its connection's last. Source: ten round trips of
    /// a busy caller, so that few find their connection closed between two requests.
    pub farewell: Duration,
    /// How long answers in flight are waited for at shutdown.
    pub drain: Duration,
}

/// A body larger than this needs a permit of [`Limits::large_bodies`], so that bodies cannot fill the memory.
pub(crate) const LARGE_BODY_BYTES: usize = 64 * 1024;

impl Default for Limits {
    /// Source: the contract, section Errors; the rest bounds a node's memory below 512 MiB and its files below 10,000.
    fn default() -> Self {
        Self {
            body_bytes: 2 * 1024 * 1024,
            request: Duration::from_secs(10),
            head: Duration::from_secs(5),
            idle: Duration::from_secs(75),
            stalled: Duration::from_secs(30),
            head_bytes: 32 * 1024,
            head_fields: 64,
            connections: 8_192,
            connections_per_address: 4_096,
            turned_away: 256,
            large_bodies: ConcurrencyBounds { running: 128, running_per_key: 16, present_per_key: 128 },
            recounts: ConcurrencyBounds { running: 2, running_per_key: 1, present_per_key: 16 },
            scans: ConcurrencyBounds { running: 16, running_per_key: 4, present_per_key: 64 },
            backups: ConcurrencyBounds { running: 2, running_per_key: 2, present_per_key: 16 },
            rate_per_key: None,
            linger_bytes: 8 * 1024 * 1024,
            linger: Duration::from_secs(1),
            disk_reserve_bytes: 64 * 1024 * 1024,
            farewell: Duration::from_millis(100),
            drain: Duration::from_secs(2),
        }
    }
}
