//! Which rules this node knows: it serves no ledger that goes by newer ones.
//!
//! Invariant: no record that newer rules made is read, decided or applied here. A node meets them at its start, in the checkpoint;
//! in the log, where they are raised; and in the checkpoint of a snapshot that is offered.

use ledger::{Action, Command};

/// Why a node serves no longer, or not at all. Nothing on its disk is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the ledger goes by rules {ledger}, and this build knows rules up to {known}: run a build that knows them \
     (`etebar-node --version` says which a build knows); the data directory is kept, and is right as it is"
)]
pub struct UnknownRules {
    /// The version of the ledger's rules.
    pub ledger: u32,
    /// The newest version that this node knows.
    pub known: u32,
}

/// The newest version of the rules that this node knows; it knows all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KnownRules(pub u32);

impl KnownRules {
    /// Whether a ledger of these rules can be served.
    pub(crate) fn check(self, ledger: u32) -> Result<(), UnknownRules> {
        let Self(known) = self;
        if ledger <= known { Ok(()) } else { Err(UnknownRules { ledger, known }) }
    }

    /// The same of the rules that commands of the log raise it to. One that raises nothing counts too: newer rules are then
    /// those of the ledger already.
    pub(crate) fn check_raised(self, commands: &[Command]) -> Result<(), UnknownRules> {
        commands.iter().filter_map(raised_by).try_for_each(|rules| self.check(rules))
    }
}

/// The rules that a command asks for, where it is of the kinds that do.
pub(crate) fn raised_by(command: &Command) -> Option<u32> {
    match &command.action {
        Action::RaiseRules(raise) => Some(raise.to),
        Action::Genesis(genesis) => Some(genesis.rules),
        Action::BeginEpoch(begin) => Some(begin.rules),
        Action::CreateSeller(_)
        | Action::SetSellerStatus(_)
        | Action::CreateKey(_)
        | Action::RevokeKey(_)
        | Action::RequestCredit(_)
        | Action::DecideCredit(_)
        | Action::Adjust(_)
        | Action::Charge(_)
        | Action::Reverse(_)
        | Action::RegisterNode(_)
        | Action::AddNode(_)
        | Action::PromoteNode(_)
        | Action::RemoveNode(_)
        | Action::OpenLedger(_)
        | Action::NoteBackup(_)
        | Action::CreateExpiringKey(_)
        | Action::RotateKey(_)
        | Action::RequestCreditFor(_)
        | Action::SetPolicy(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::{RaiseRules, SYSTEM_ACTOR};

    #[test]
    fn rules_that_are_not_known_are_refused_in_one_line() {
        let known = KnownRules(2);
        let raise = |to| Command {
            actor: SYSTEM_ACTOR,
            idempotency_key: None,
            origin: None,
            action: Action::RaiseRules(RaiseRules { to }),
        };
        assert_eq!(known.check_raised(&[raise(1), raise(2)]), Ok(()));
        let refused = known.check_raised(&[raise(2), raise(3)]).unwrap_err();
        assert_eq!(refused, UnknownRules { ledger: 3, known: 2 });
        let line = refused.to_string();
        assert!(
            line.contains("goes by rules 3") && line.contains("run a build that knows them") && !line.contains('\n')
        );
    }
}
