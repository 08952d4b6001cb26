//! The free space of the disk that holds the node's data: below a reserve the node takes nothing new.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::http::app::App;
use crate::runtime;
use crate::runtime::log_throttle::LogThrottle;
use crate::storage::free_bytes;

/// How often the free space is measured. Source: at 130,000 charges a second, log and history grow by about 4 MB in that
/// time.
const INTERVAL: Duration = Duration::from_millis(100);

/// Measures the free space until `ended`, and marks the disk as full where it is below the reserve.
pub(crate) async fn watch(app: App, ended: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    let throttle = LogThrottle::default();
    loop {
        tokio::select! {
            () = ended.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let data_dir = app.data_dir.clone();
        match runtime::blocking(move || free_bytes(&data_dir)).await {
            Ok(Ok(free)) => app.cluster.set_disk_full(free < app.limits.disk_reserve_bytes),
            Ok(Err(error)) if throttle.is_due("disk") => warn!(%error, "could not measure the disk's free space"),
            Ok(Err(error)) => debug!(%error, "could not measure the disk's free space"),
            Err(error) => debug!(%error, "could not measure the disk's free space"),
        }
    }
}
