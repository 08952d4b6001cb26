//! The ledger goes on as a new cluster, on hold: the first command of a restored data directory, and of a lone survivor's.
//!
//! It stands in the log before any node of that cluster runs, so nobody's command comes before it. No rules are needed for it:
//! who makes such a log knows it, and with it the rules are raised to what that build knows.

use alloc::format;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::commands::kind::{CommandKind, Context, Denial, EventKind, RequiredRole};
use crate::digest::ItemBytes;
use crate::refusal::Rejection;
use crate::state::State;
use crate::values::ids::{ApiKeyHash, ApiKeyNumber, At, RecordNumber};
use crate::values::rules::RULES_VERSION;
use crate::values::text::Name;

/// Bytes of the command in a log entry beyond those of every command.
const FIXED_BYTES: usize = 64;

/// Names that are tried for the new admin key. Source: admins hold few keys, and nobody takes so many names of this form.
const NAMES_MAX: u32 = 1_000;

/// Begins an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeginEpoch {
    /// Above the present one. A restore to before an earlier one goes beyond that one too, so that no epoch comes twice.
    pub epoch: u32,
    /// The id of the cluster that goes on: one that this ledger never had.
    pub cluster: Uuid,
    /// The version of the rules from here on, at least the present one.
    pub rules: u32,
    /// The hash of a new admin key; those that there are stay.
    pub admin_key: Option<ApiKeyHash>,
}

/// An epoch began. What nodes there were is forgotten, and the ledger is on hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochBegun {
    /// Which one.
    pub epoch: u32,
    /// The id of the cluster.
    pub cluster: Uuid,
    /// The version of the rules from here on.
    pub rules: u32,
    /// The new admin key, whose number is that of this record.
    pub admin_key: Option<NewAdminKey>,
}

/// An admin key that came with an epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAdminKey {
    /// Its name: `admin-` and the epoch, and a number where that is taken.
    pub name: Name,
    /// The hash of its secret.
    pub hash: ApiKeyHash,
}

impl CommandKind for BeginEpoch {
    fn role(&self) -> RequiredRole {
        RequiredRole::System
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn text_bytes(&self) -> usize {
        FIXED_BYTES
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(u64::from(self.epoch));
        bytes.uuid(self.cluster);
        bytes.u64(u64::from(self.rules));
        bytes.u8(u8::from(self.admin_key.is_some()));
        if let Some(hash) = &self.admin_key {
            bytes.bytes(&hash.0);
        }
    }
}

impl BeginEpoch {
    /// Whoever wrote it into a log looked at the ledger before. One that does not fit it leaves a cluster that is not on hold:
    /// the node must not go on.
    pub(crate) fn evaluate(self, context: &Context<'_>) -> Result<EpochBegun, Denial> {
        let Self { epoch, cluster, rules, admin_key } = self;
        let state = context.state;
        if rules > RULES_VERSION {
            return Err(Rejection::UnknownRules.into());
        }
        let fits = epoch > state.epoch() && rules >= state.rules() && !state.had_cluster(cluster);
        if !fits {
            return Err(Rejection::Inconsistent.into());
        }
        let admin_key = admin_key.map(|hash| new_admin_key(context, epoch, hash)).transpose()?;
        Ok(EpochBegun { epoch, cluster, rules, admin_key })
    }
}

/// The key with a name that no active one has.
fn new_admin_key(context: &Context<'_>, epoch: u32, hash: ApiKeyHash) -> Result<NewAdminKey, Denial> {
    let Context { state, now, .. } = context;
    if state.api_key_by_hash(&hash).is_some() {
        return Err(Rejection::Inconsistent.into());
    }
    let names = (1..=NAMES_MAX).map(|nth| match nth {
        1 => format!("admin-{epoch}"),
        _ => format!("admin-{epoch}-{nth}"),
    });
    let mut free = names.filter_map(|name| Name::new(&name).ok()).filter(|name| !state.is_name_active(name, *now));
    let name = free.next().ok_or(Rejection::Inconsistent)?;
    Ok(NewAdminKey { name, hash })
}

impl EventKind for EpochBegun {
    fn role(&self) -> RequiredRole {
        RequiredRole::System
    }

    fn apply(&self, at: At, state: &mut State) {
        state.begin_epoch(at, self);
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(u64::from(self.epoch));
        bytes.uuid(self.cluster);
        bytes.u64(u64::from(self.rules));
        bytes.u8(u8::from(self.admin_key.is_some()));
        if let Some(key) = &self.admin_key {
            bytes.text(key.name.as_str());
            bytes.bytes(&key.hash.0);
        }
    }

    fn api_keys(&self, number: RecordNumber) -> [Option<ApiKeyNumber>; 2] {
        [self.admin_key.as_ref().map(|_| number), None]
    }
}
