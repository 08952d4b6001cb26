//! A disk that fills up: writes are refused before anything is written, reads continue, and it ends with the shortage.
//!
//! Needs root, since it mounts a disk of its own; without, it says so and tests nothing. `.ci/run` insists on root.

use std::fs::File;

use tests::Folder;
use tests::api::caller::{charge, phone};
use tests::machine::disk::{self, Disk};
use tests::machine::needs::{Need, lacks};
use tests::machine::turns::alone;
use tests::{Plan, Request, eventually};

#[test]
fn a_full_disk_refuses_writes_serves_reads_and_recovers_by_itself() {
    if lacks(Need::Root, "a disk that fills up") {
        return;
    }
    let _alone = alone();
    let folder = Folder::new("disk-full");
    let disk = Disk::new(folder.path(), 512);
    let plan = Plan::new("disk-full").data_below(disk.path()).setting("ETEBAR_LOG_BYTES", (32 << 20).to_string());
    let cluster = plan.setting("ETEBAR_DISK_RESERVE", (64 << 20).to_string()).start();
    let seller = cluster.seller_with(1_000);
    let ready = |id| cluster.node(id).quick("/readyz").is_some_and(|answer| answer.status == 200);
    let filling = disk.path().join("filling");
    let file = File::create(&filling).expect("a file on the disk");
    disk::fill(&file, disk.path(), 48 << 20);
    eventually("every node to say that it has no room", || cluster.ids().iter().all(|id| !ready(*id)));
    for id in cluster.ids() {
        let caller = cluster.seller(id, &seller);
        let refused = caller.send(&charge("sale", &phone(1), 10));
        assert_eq!((refused.status, refused.code().as_str()), (507, "disk_full"), "node {id}");
        assert_eq!(refused.json()["retryable"], true);
        assert_eq!(caller.balance("me"), 1_000, "reads continue at node {id}");
        assert!(cluster.node(id).quick("/livez").is_some_and(|answer| answer.status == 200));
    }
    drop(file);
    std::fs::remove_file(&filling).expect("it is ours");
    eventually("every node to be ready again", || cluster.ids().iter().all(|id| ready(*id)));
    cluster.seller(2, &seller).send(&charge("sale", &phone(1), 10)).expect(201);
    assert!(!cluster.seller(3, &seller).send(&charge("other", &phone(1), 10)).expect(201).replayed());
    assert_eq!(cluster.seller(1, &seller).balance("me"), 980);
    Request::get("/v1/audit").bearer(&cluster.admin_key).send(cluster.address(1)).expect("an answer").expect(200);
}
