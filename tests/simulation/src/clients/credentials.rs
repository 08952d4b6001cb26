//! The secrets of API keys, each derived from its key's name, so that a client knows the secret of every key it reads about.

use etebar::api::Role;
use etebar_node::http::secret;
use ledger::ApiKeyNumber;

/// The record of the genesis, and so the number of the first admin's key.
pub const ADMIN: ApiKeyNumber = 1;

/// The secret of the key [`ADMIN`].
pub fn admin_secret() -> String {
    secret::text(Role::Admin, &[7; 32])
}

/// The secret of the key of this name.
pub fn secret_of(name: &str) -> String {
    let mut bits = [0; 32];
    for (bit, from) in bits.iter_mut().zip(name.bytes()) {
        *bit = from;
    }
    secret::text(Role::Seller, &bits)
}
