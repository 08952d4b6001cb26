//! The disk of this node: its room, the log, the history, and what catches up with the state.

use std::fmt::Result;
use std::path::Path;

use tracing::warn;

use super::sheet::Sheet;
use crate::raft::Observation;
use crate::storage::free_bytes;

pub(super) fn write(sheet: &mut Sheet<'_>, seen: &Observation, data_dir: &Path, reserve_bytes: u64) -> Result {
    let free = free_bytes(data_dir).inspect_err(|error| warn!(%error, "could not measure the disk's free space")).ok();
    let help = "Bytes that this node may still write to the disk of its data directory";
    sheet.gauge_if_known("disk_free_bytes", help, free.map(|free| free as f64))?;
    let help = "Free bytes below which this node takes no new command";
    sheet.gauge("disk_reserve_bytes", help, reserve_bytes as f64)?;
    sheet.flag("disk_full", "1 while the disk has less room than its reserve, else 0", seen.faults.disk_full)?;
    sheet.flag("disk_stalled", "1 while a disk does not answer, else 0", seen.faults.disk_stalled)?;
    let (bytes, most) = seen.log_bytes;
    let help = "Bytes that the Raft log takes on the disk";
    sheet.gauge_if_known("log_bytes", help, bytes.map(|bytes| bytes as f64))?;
    sheet.gauge("log_bytes_max", "The most bytes that it may take", most as f64)?;
    let help = "Bytes that the history takes on the disk, images of the state not counted";
    sheet.gauge_if_known("history_bytes", help, seen.history_bytes.map(|bytes| bytes as f64))?;
    let help = "Records that are not in the last checkpoint: a start applies them from the log";
    sheet.gauge("checkpoint_lag_records", help, seen.checkpoint.records as f64)?;
    let help = "Time since the last checkpoint, or since the start; none is written while nothing is new";
    sheet.gauge("checkpoint_age_seconds", help, seen.checkpoint.age.as_secs_f64())?;
    let help = "Records that are not in the last image of the state: a start replays them";
    sheet.gauge("image_lag_records", help, seen.image.records as f64)?;
    let help = "Time since the last image of the state, or since the start";
    sheet.gauge("image_age_seconds", help, seen.image.age.as_secs_f64())?;
    let help = "Transfers of history to this node that gave a page";
    sheet.counter("snapshot_transfers_received", help, seen.received.transfers)?;
    sheet.counter("snapshot_pages_received", "Pages of history that this node received", seen.received.pages)
}
