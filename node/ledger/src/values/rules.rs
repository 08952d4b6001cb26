//! The versions of the rules. A ledger goes by the version that stands in its state, so that mixed builds decide alike: the
//! genesis names the first, and [`crate::RaiseRules`] a higher one once every node knows it.

/// The newest version of the rules: of [`mod@crate::decide`], of what a record's digest covers, and of how a recorded answer
/// reads. This build knows all versions from 1 to it.
pub const RULES_VERSION: u32 = RULES_ROLES;

/// From this version on the names of active keys are compared as people see them ([`crate::FoldedName`]); before, byte for
/// byte.
pub const RULES_FOLDED_NAMES: u32 = 2;

/// From this version on nodes are added, promoted and removed by commands ([`crate::AddNode`]).
pub const RULES_NODES: u32 = 3;

/// From this version on a ledger can be on hold, an admin opens it, and verified backups are noted ([`crate::BeginEpoch`]).
pub const RULES_RECOVERY: u32 = 4;

/// From this version on there are approvers and operators, API keys that end, a policy of the back office, credit requests on
/// a seller's behalf, and the [`crate::Origin`] of what others than sellers do.
pub const RULES_ROLES: u32 = 5;
