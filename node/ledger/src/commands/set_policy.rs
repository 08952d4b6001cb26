//! The policy of the back office: what an admin sets for everybody who acts.

use serde::{Deserialize, Serialize};

use super::kind::{CommandKind, Context, EventKind, RequiredRole};
use crate::digest::ItemBytes;
use crate::state::State;
use crate::state::policy::Policy;
use crate::values::ids::At;
use crate::values::rules::RULES_ROLES;

/// Sets the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetPolicy {
    /// What it is from then on.
    pub policy: Policy,
}

/// The policy was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySet {
    /// What it is from then on.
    pub policy: Policy,
}

impl CommandKind for SetPolicy {
    fn role(&self) -> RequiredRole {
        RequiredRole::Admin
    }

    fn since(&self) -> u32 {
        RULES_ROLES
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn text_bytes(&self) -> usize {
        0
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        self.policy.write(bytes);
    }
}

impl SetPolicy {
    /// Any policy can be set, also the one that there is.
    pub(crate) fn evaluate(self, _context: &Context<'_>) -> PolicySet {
        PolicySet { policy: self.policy }
    }
}

impl EventKind for PolicySet {
    fn role(&self) -> RequiredRole {
        RequiredRole::Admin
    }

    fn apply(&self, _at: At, state: &mut State) {
        state.set_policy(self.policy);
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        self.policy.write(bytes);
    }
}

impl PolicySet {
    /// Whether this command makes such an event.
    pub(crate) fn answers(self, asked: SetPolicy) -> bool {
        self.policy == asked.policy
    }
}
