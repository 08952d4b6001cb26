//! What is fixed when a ledger is bootstrapped, for as long as it exists.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::digest::ItemBytes;
use crate::values::ids::ApiKeyHash;
use crate::values::rules::RULES_VERSION;
use crate::values::text::Name;

/// Most decimals of an amount. Source: the contract, section Money.
pub const MAX_DECIMALS: u8 = 4;

/// The settings of a ledger that never change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// The ledger's id: it salts ids, and a restore keeps it. The cluster's id, of the members and their link, is another
    /// thing; the two are equal where the ledger was never restored.
    pub ledger: Uuid,
    /// 1, and one more for each restore; at least 1. It salts ids.
    pub epoch: u32,
    /// The currency's name, as in `IRT`.
    pub currency: Name,
    /// Decimals of an amount, 0 to [`MAX_DECIMALS`].
    pub decimals: u8,
    /// How long an idempotency key is remembered, in milliseconds of ledger time; at least 1.
    pub key_window_ms: u64,
    /// How many idempotency keys are remembered at most; at least 1.
    pub keys_max: u64,
    /// The version of the rules that the ledger begins with, at most [`RULES_VERSION`]; see [`crate::State::rules`].
    pub rules: u32,
    /// The hash of the first admin key.
    pub admin_key: ApiKeyHash,
}

impl Genesis {
    /// Whether every value is within its range. What serde decodes need not be.
    pub fn is_sound(&self) -> bool {
        self.decimals <= MAX_DECIMALS
            && self.epoch >= 1
            && self.key_window_ms >= 1
            && self.keys_max >= 1
            && (1..=RULES_VERSION).contains(&self.rules)
    }

    /// What a record's digest covers of it.
    pub(crate) fn write_fields(&self, bytes: &mut ItemBytes<'_>) {
        bytes.uuid(self.ledger);
        bytes.u64(u64::from(self.epoch));
        bytes.text(self.currency.as_str());
        bytes.u8(self.decimals);
        bytes.u64(self.key_window_ms);
        bytes.u64(self.keys_max);
        bytes.u64(u64::from(self.rules));
        bytes.bytes(&self.admin_key.0);
    }
}
