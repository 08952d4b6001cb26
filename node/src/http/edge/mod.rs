//! What stands before a caller is known: how much a client's address may take, what a request's head must be, and what
//! every answer says of the node, also a bare one.

pub mod addresses;
pub mod head;
pub mod signature;
