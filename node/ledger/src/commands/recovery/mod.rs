//! A ledger that goes on elsewhere after a disaster: a new epoch, the hold that it begins with, and the backups that make it
//! possible.
//!
//! A restore from a backup loses what was decided after it, and a survivor may lose what others acknowledged. Idempotency keys
//! of the lost decisions are lost too, so a charge that is retried would be sold twice. That is why an epoch begins on hold.

mod begin_epoch;
mod note_backup;
mod open;

pub use self::begin_epoch::{BeginEpoch, EpochBegun, NewAdminKey};
pub use self::note_backup::{BackupNoted, NoteBackup};
pub use self::open::{LedgerOpened, OpenLedger};
