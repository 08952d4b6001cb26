//! Names of the headers that the contract defines, and its media type for errors. All lower case, as HTTP/2 has them.

/// Header of a request: the idempotency key of the command, 1 to [`MAX_IDEMPOTENCY_KEY`] visible ASCII characters.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Header of an answer that was decided before: `true`.
pub const IDEMPOTENCY_REPLAYED: &str = "idempotency-replayed";
/// Header of every answer: the id of the node that gave it.
pub const NODE: &str = "etebar-node";
/// Header of an answer: the id of the leader that the node knows.
pub const LEADER: &str = "etebar-leader";
/// Header of an answer: the position that it reflects.
pub const APPLIED: &str = "etebar-applied";
/// Header of a request that waits until the node has reached a position.
pub const MIN_APPLIED: &str = "etebar-min-applied";
/// Header of every answer: the caller's id for the request, or the node's.
pub const REQUEST_ID: &str = "x-request-id";
/// Header of a request: the trace that it belongs to, as W3C Trace Context has it. The log lines of the nodes that answer it
/// name that trace; one that is not valid is ignored.
pub const TRACEPARENT: &str = "traceparent";
/// Media type of every error.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Media type of a backup (`docs/format.md`).
pub const BACKUP: &str = "application/vnd.etebar.backup";

/// Longest idempotency key, in ASCII characters. Source: the contract.
pub const MAX_IDEMPOTENCY_KEY: usize = 64;
