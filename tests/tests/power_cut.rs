//! A power cut of all three nodes under load: everything that was acknowledged had reached the disk.
//!
//! Needs root, since it mounts a disk of its own; without, it says so and tests nothing. `.ci/run` insists on root.

use tests::Folder;
use tests::load::batches::charge_in_batches;
use tests::machine::disk::Disk;
use tests::machine::needs::{Need, lacks};
use tests::machine::turns::alone;
use tests::{Load, Plan, books};

#[test]
fn after_a_power_cut_of_all_three_under_load_every_acknowledged_charge_is_there() {
    if lacks(Need::Root, "a power cut of all three nodes under load") {
        return;
    }
    let _alone = alone();
    let folder = Folder::new("power");
    let disk = Disk::new(folder.path(), 2_048);
    let plan = Plan::new("power-cut").data_below(disk.path()).setting("ETEBAR_LOG_BYTES", (32 << 20).to_string());
    let cluster = plan.start();
    let hasty = cluster.seller_with(100_000_000);
    for round in 0..5 {
        let sellers: Vec<_> = (0..4).map(|_| cluster.seller_with(1_000_000)).collect();
        // Batches push the log through its generations, so that some cuts hit a purge or a checkpoint.
        let load = Load::start(&cluster, &sellers, 8, 100 + round);
        load.wait_for_more(300);
        charge_in_batches(&cluster, &hasty, 30, 2_000);
        load.wait_for_more(100 + 137 * round);
        disk.cut();
        cluster.kill_all();
        disk.restore();
        cluster.start_all();
        let result = load.finish();
        assert!(result.acknowledged().count() > 400);
        books::prove(&cluster, &result);
    }
}

#[test]
fn what_init_made_and_the_first_charge_survive_a_power_cut_at_once() {
    if lacks(Need::Root, "a power cut right after the first charge") {
        return;
    }
    let _alone = alone();
    let folder = Folder::new("power-first");
    let disk = Disk::new(folder.path(), 512);
    let cluster = Plan::new("power-first").data_below(disk.path()).start();
    let seller = cluster.seller_with(100);
    let request = tests::api::caller::charge("first", &tests::api::caller::phone(1), 30);
    let first = cluster.seller(1, &seller).send(&request).expect(201);
    disk.cut();
    cluster.kill_all();
    disk.restore();
    cluster.start_all();
    let again = cluster.seller(2, &seller).settle(&request);
    assert!(again.replayed());
    assert_eq!(again.body, first.body);
    assert_eq!(cluster.admin(3).balance(&seller.id), 70);
}
