//! A ledger that goes on as a new cluster: its epoch, its hold, its ids, and the backups that are noted.
#![expect(clippy::cast_possible_truncation, reason = "a history in memory is indexed by its records' numbers")]

mod book;

use book::{ADMIN, Book, made};
use ledger::{
    Action, AddNode, Address, ApiKeyHash, Audit, BeginEpoch, Claims, CreateKey, CreateSeller, Event, Grant, IdKind,
    NodeAddresses, NoteBackup, OpenLedger, Outcome, Promise, RULES_NODES, RULES_VERSION, Rejection, TableSeed,
};
use uuid::Uuid;

/// The number of a node that is added.
fn added(book: &mut Book, above: u64) -> u64 {
    let address = |port| Address::new(&format!("a:{port}")).unwrap();
    let addresses = NodeAddresses { api: address(1), peer: address(2) };
    let record = made(book.by(ADMIN, "", Action::AddNode(AddNode { above, addresses })));
    match &book.history[record as usize - 1].event {
        Event::NodeAdded(added) => added.node,
        other => panic!("{other:?}"),
    }
}

/// Begins the next epoch, as a restore does.
fn begin_epoch(book: &mut Book, cluster: u128, admin_key: Option<ApiKeyHash>) -> Outcome {
    let (epoch, cluster) = (book.state.epoch() + 1, Uuid::from_u128(cluster));
    let begin = BeginEpoch { epoch, cluster, rules: RULES_VERSION, admin_key };
    book.by(ledger::SYSTEM_ACTOR, "", Action::BeginEpoch(begin))
}

#[test]
fn a_restored_ledger_is_on_hold_until_an_admin_opens_it() {
    let mut book = Book::new();
    let (_, till) = book.seller("shop");
    book.credit(till, 1_000);
    let sold = made(book.charge(till, "a", 100));
    made(begin_epoch(&mut book, 9, Some(ApiKeyHash([77; 32]))));
    let new_admin = book.state.records();
    assert_eq!(book.state.api_key(new_admin).unwrap().name.as_str(), "admin-2");
    let on_hold = Outcome::Rejected(Rejection::OnHold);
    let create = Action::CreateSeller(CreateSeller { name: book::name("other") });
    assert_eq!(book.charge(till, "b", 100), on_hold);
    assert_eq!(book.charge(till, "a", 100), on_hold, "also one that was done before");
    assert_eq!(book.by(ADMIN, "", create.clone()), on_hold);
    let open = |epoch| Action::OpenLedger(OpenLedger { epoch });
    assert_eq!(book.by(new_admin, "", open(1)), Outcome::Rejected(Rejection::OutOfPlace), "it looked at another one");
    assert_eq!(book.by(till, "", open(2)), Outcome::Rejected(Rejection::Forbidden));
    let opened = made(book.by(new_admin, "", open(2)));
    assert_eq!(book.by(ADMIN, "", open(2)), Outcome::Replay(opened));
    assert_eq!(book.charge(till, "a", 100), Outcome::Replay(sold), "what was decided before stays decided");
    made(book.charge(till, "b", 100));
    made(book.by(ADMIN, "", create));
}

#[test]
fn an_epoch_begins_once_under_an_id_that_no_cluster_had() {
    let mut book = Book::new();
    let own = book.state.ledger_id().as_u128();
    let refused = Outcome::Rejected(Rejection::Inconsistent);
    assert_eq!(begin_epoch(&mut book, own, None), refused);
    made(begin_epoch(&mut book, 9, None));
    assert_eq!(begin_epoch(&mut book, 9, None), refused);
    let again = BeginEpoch { epoch: 2, cluster: Uuid::from_u128(10), rules: RULES_VERSION, admin_key: None };
    assert_eq!(book.by(ledger::SYSTEM_ACTOR, "", Action::BeginEpoch(again)), refused);
    made(begin_epoch(&mut book, 10, None));
    assert_eq!(book.state.epoch(), 3);
}

#[test]
fn an_epoch_raises_old_rules_and_forgets_the_nodes() {
    let mut book = Book::beginning(ledger::Genesis { rules: RULES_NODES, ..book::genesis() });
    assert_eq!(added(&mut book, 3), 4);
    made(begin_epoch(&mut book, 9, None));
    assert_eq!((book.state.rules(), book.state.last_node()), (RULES_VERSION, 0));
    assert_eq!(added(&mut book, 1), 2, "the new cluster numbers its nodes anew, also while it is on hold");
}

#[test]
fn the_name_of_an_epochs_admin_key_is_free() {
    let mut book = Book::new();
    for hash in [1, 2] {
        let name = if hash == 1 { "admin-2" } else { "Admin-2-2" };
        let key = CreateKey { name: book::name(name), grant: Grant::Auditor, hash: ApiKeyHash([100 + hash; 32]) };
        made(book.by(ADMIN, "", Action::CreateKey(key)));
    }
    let begun = made(begin_epoch(&mut book, 9, Some(ApiKeyHash([77; 32]))));
    assert_eq!(book.state.api_key(begun).unwrap().name.as_str(), "admin-2-3");
}

#[test]
fn ids_stay_what_they_were_and_those_of_lost_decisions_name_nothing() {
    let mut book = Book::new();
    let (seller, _) = book.seller("shop");
    let before = book.state.ids().uuid(IdKind::Seller, seller);
    let lost = book.state.ids().uuid(IdKind::Seller, book.state.records() + 3);
    made(begin_epoch(&mut book, 9, None));
    made(book.by(ADMIN, "", Action::OpenLedger(OpenLedger { epoch: 2 })));
    let (made, _) = book.seller("other");
    let ids = book.state.ids();
    assert_eq!(ids.number(IdKind::Seller, before), Some(seller));
    assert_eq!(ids.number(IdKind::Seller, ids.uuid(IdKind::Seller, made)), Some(made));
    assert_eq!(ids.number(IdKind::Seller, lost), None);
}

#[test]
fn a_backup_is_noted_with_what_it_has() {
    let mut book = Book::new();
    let note = |records| Action::NoteBackup(NoteBackup { records, digest: ledger::Digest([5; 32]) });
    let out_of_place = Outcome::Rejected(Rejection::OutOfPlace);
    assert_eq!(book.by(ADMIN, "", note(2)), out_of_place, "no backup has more than the ledger");
    assert_eq!(book.by(ADMIN, "", note(0)), out_of_place);
    made(book.by(ADMIN, "", note(1)));
    assert_eq!(book.state.last_backup().map(|backup| (backup.records, backup.at)), Some((1, book.now)));
}

fn audited(records: &[ledger::Record]) -> Audit {
    let mut audit = Audit::new(TableSeed([1, 2]));
    for record in records {
        let Ok(()) = audit.feed(record, records);
    }
    audit
}

/// The same books by the audit, which knows nothing of the state.
#[test]
fn the_audit_follows_epochs_and_sees_credit_that_moves_on_hold() {
    let mut book = Book::new();
    let (_, till) = book.seller("shop");
    book.credit(till, 1_000);
    made(begin_epoch(&mut book, 9, None));
    made(book.by(ADMIN, "", Action::OpenLedger(OpenLedger { epoch: 2 })));
    let opened = book.state.records() as usize;
    made(book.charge(till, "b", 100));
    let mut audit = audited(&book.history);
    audit.compare(&Claims::of(&book.state));
    assert!(audit.report().is_consistent(), "{:?}", audit.report().broken);
    let mut records = book.history;
    let mut charge = records.pop().unwrap();
    charge.number -= 1;
    records.truncate(opened - 1);
    records.push(charge);
    let broken = audited(&records).report().broken;
    assert!(broken.iter().any(|broken| broken.promise == Promise::Authorised), "{broken:?}");
}
