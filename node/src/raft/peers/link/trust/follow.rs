//! Keeps the nodes' certificates up to date: files that change are taken in without a restart, and a connection
//! whose certificate no longer counts is closed.
//!
//! Invariant: none is missed. What changes is in use before the open connections are looked at, and a connection is among them
//! before its certificate is looked at for the last time (`hello::admitted`).

use tokio_util::sync::CancellationToken;

use crate::raft::peers::link::hello::Trust;
use crate::runtime;
use crate::tls::Credentials;

/// Follows the files for as long as the runtime lives.
pub async fn follow_certificates(trust: Trust) {
    let Some((files, mut changes)) = trust.security.follow() else { return };
    let security = trust.security.clone();
    let take = move |read: &Credentials| security.replace(read).map_err(|error| error.to_string());
    // Never cancelled: it ends with the runtime.
    runtime::spawn(files.run_taking(CancellationToken::new(), take));
    while changes.changed().await.is_ok() {
        close_unproven(&trust);
        if trust.security.is_revoked() {
            tracing::error!(
                "this node's certificate is revoked, and the others refuse it: where the node stays, make a new one with \
                 `etebar-node pki node --renew`"
            );
        }
        tracing::info!("new connections to peers use the changed certificate files");
    }
}

/// Closes the connections whose certificates are no longer valid; returns how many.
pub fn close_unproven(trust: &Trust) -> usize {
    let closed = trust.open.keep(|link| trust.security.still_holds(&link.certified));
    if closed > 0 {
        tracing::info!(closed, "connections closed whose certificates are revoked, expired or of no authority here");
    }
    closed
}
