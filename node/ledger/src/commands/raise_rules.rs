//! The ledger's rules raised to a newer version, once every node knows it.
//!
//! Until this is decided, builds that know more decide by the version that stands in the state, as all others do. It is never
//! lowered: records that newer rules made need them to be read.

use serde::{Deserialize, Serialize};

use super::kind::{CommandKind, Context, Denial, EventKind, RequiredRole};
use crate::digest::ItemBytes;
use crate::refusal::Rejection;
use crate::state::State;
use crate::values::ids::At;
use crate::values::rules::RULES_VERSION;

/// Raises the version of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaiseRules {
    /// The version from here on.
    pub to: u32,
}

/// The version of the rules was raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesRaised {
    /// The version from here on.
    pub to: u32,
}

impl CommandKind for RaiseRules {
    fn role(&self) -> RequiredRole {
        RequiredRole::System
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn text_bytes(&self) -> usize {
        0
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(u64::from(self.to));
    }
}

impl RaiseRules {
    /// It must be higher than the present one, and known to this build: one that does not know it must not go on.
    pub(crate) fn evaluate(self, context: &Context<'_>) -> Result<RulesRaised, Denial> {
        if self.to > RULES_VERSION {
            return Err(Rejection::UnknownRules.into());
        }
        if self.to <= context.state.rules() {
            return Err(Rejection::OutOfPlace.into());
        }
        Ok(RulesRaised { to: self.to })
    }
}

impl EventKind for RulesRaised {
    fn role(&self) -> RequiredRole {
        RequiredRole::System
    }

    fn apply(&self, _at: At, state: &mut State) {
        state.raise_rules(self.to);
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(u64::from(self.to));
    }
}
