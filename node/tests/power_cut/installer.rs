//! The process whose power is cut in the middle of an install: it writes the pages that another node has.

use std::path::Path;

use etebar_node::storage::disk::open_sled;
use etebar_node::storage::{Checkpoint, History};

use super::writer::{log_id, push};

/// Records of the node whose pages are installed: about 40 MiB.
pub(crate) const RECORDS: u64 = 300_000;
/// Records that the node itself adds before it installs, so that what is durable was written lately.
const OWN: u64 = 700;

/// Makes a history of so many records.
pub(crate) async fn create(folder: &Path, records: u64) {
    let disk = open_sled(&folder.join("history"), 4 << 20).unwrap();
    History::create(&*disk).await.unwrap();
    let history = History::open(disk).unwrap();
    while history.records() < records {
        add(&history, 20_000.min(records - history.records())).await;
    }
}

async fn add(history: &History, count: u64) {
    for _ in 0..count {
        push(history);
    }
    history.write(checkpoint(history.records())).await.unwrap();
}

fn checkpoint(records: u64) -> Checkpoint {
    Checkpoint { applied: Some(log_id(1, records)), records, ..Checkpoint::default() }
}

/// Installs what `other` has in `folder`, unless it is killed before.
pub(crate) async fn run(other: &Path, folder: &Path) {
    let open = |folder: &Path| History::open(open_sled(&folder.join("history"), 4 << 20).unwrap()).unwrap();
    let (other, own) = (open(other), open(folder));
    add(&own, OWN).await;
    println!("checkpointed={}", own.records());
    for page in ledger::page_of(own.records() + 1)..=ledger::page_of(RECORDS) {
        let bytes = other.page(page, RECORDS).unwrap();
        own.install_page(page, &bytes, RECORDS).await.unwrap();
        println!("page={page}");
    }
    own.install(checkpoint(RECORDS)).await.unwrap();
    println!("checkpointed={RECORDS}");
}
