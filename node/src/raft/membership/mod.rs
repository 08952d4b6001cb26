//! Who is a member. An admin decides it, by a command of the ledger ([`decide`]); Raft's list of members follows what was
//! decided, one change at a time, by whoever leads ([`carry_out`]); a node that was removed stops ([`leave`]).
//!
//! So a change that was decided is finished by the next leader, on whatever node it was asked for, and a number is given once.

pub(crate) mod carry_out;
pub(crate) mod decide;
pub(crate) mod fitness;
pub(crate) mod leave;
