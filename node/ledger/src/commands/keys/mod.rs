//! API keys: made, with or without an end, rotated and revoked.

mod create;
mod expiring;
mod revoke;
mod rotate;

pub use self::create::{CreateKey, KeyCreated};
pub use self::expiring::{CreateExpiringKey, ExpiringKeyCreated};
pub use self::revoke::{KeyRevoked, RevokeKey};
pub use self::rotate::{KeyRotated, RotateKey};
