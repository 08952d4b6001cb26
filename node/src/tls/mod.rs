//! Certificates and keys of this node, as the API's listener and the peer link use them.
//!
//! Read in this order: [`files`] (PEM files become one consistent [`Credentials`]), [`expiry`] (until when they are valid),
//! [`revoked`] (which of them are revoked), [`reload`] (files that change are read again, without a restart). Invariant:
//! what is in use is always a whole set whose key fits its certificate; a set of files that cannot be used never replaces
//! one that can.

mod error;
mod expiry;
mod files;
mod reload;
mod revoked;
#[cfg(test)]
mod tests;

pub use error::{TlsFileError, TlsPaths};
pub use expiry::{Expiries, Validity};
pub use files::Credentials;
pub use reload::CredentialWatch;
pub use revoked::RevocationLists;

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, ring};

/// The one provider of cryptography: ring. Named wherever rustls asks for one; the process-wide default is never used.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(ring::default_provider()));
    Arc::clone(&PROVIDER)
}
