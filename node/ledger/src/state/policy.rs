//! The policy of the back office.

use serde::{Deserialize, Serialize};

use crate::digest::ItemBytes;

/// What an admin sets for everybody who acts. Off is the default, and what a ledger under older rules has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Whoever files a credit request on a seller's behalf does not approve it, and no adjustment adds credit.
    pub four_eyes: bool,
}

impl Policy {
    /// What a record's digest covers of it.
    pub(crate) fn write(self, bytes: &mut ItemBytes<'_>) {
        bytes.u8(u8::from(self.four_eyes));
    }
}
