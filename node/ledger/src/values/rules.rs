//! The versions of the rules. A ledger keeps the version that its genesis names, so that mixed builds decide alike.

/// The newest version of the rules: of [`mod@crate::decide`], of what a record's digest covers, and of how a recorded answer
/// reads. A genesis names the version of its ledger.
pub const RULES_VERSION: u32 = RULES_FOLDED_NAMES;

/// From this version on the names of active keys are compared as people see them ([`crate::FoldedName`]); before, byte for
/// byte.
pub const RULES_FOLDED_NAMES: u32 = 2;
