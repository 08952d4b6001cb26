//! Keeps what members prove themselves with up to date: files that change are taken in without a restart, and a connection
//! whose certificate no longer counts is closed.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::raft::peers::link::hello::Trust;
use crate::runtime;

/// Pause between two looks at the connections after a change: a handshake that began before it may end after it.
const LOOK: Duration = Duration::from_millis(1_000);
/// How many such looks there are. Source: a handshake takes at most two seconds.
const LOOKS: u32 = 4;

/// Follows the files for as long as the runtime lives.
pub async fn follow_certificates(trust: Trust) {
    let Trust { security, open, .. } = trust;
    let Some((files, mut changes)) = security.follow() else { return };
    // Never cancelled: it ends with the runtime.
    runtime::spawn(files.run(CancellationToken::new()));
    let mut looks_left = 0;
    loop {
        let changed = if looks_left > 0 { timeout(LOOK, changes.changed()).await } else { Ok(changes.changed().await) };
        match changed {
            Ok(Ok(())) => {
                let read = changes.borrow_and_update().clone();
                match security.replace(&read) {
                    Ok(()) => tracing::info!("new connections to peers use the changed certificate files"),
                    Err(error) => {
                        tracing::error!(%error, "changed peer certificate files refused: the earlier ones stay in use");
                        continue;
                    }
                }
                looks_left = LOOKS;
            }
            Ok(Err(_ended)) => return,
            Err(_elapsed) => looks_left -= 1,
        }
        let closed = open.keep(|link| security.still_holds(&link.certified));
        if closed > 0 {
            tracing::info!(closed, "connections closed whose certificates the authorities no longer vouch for");
        }
    }
}
