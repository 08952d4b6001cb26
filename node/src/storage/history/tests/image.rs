//! Images: what comes back of it, and that nothing that happens to it costs more than a replay.

use std::fs;
use std::io::Read;
use std::sync::Arc;

use ledger::{Action, Adjust, Audit, CreateKey, CreateSeller, Note, Past, Phone, Record, SignedAmount, decide};
use ledger::{
    Amount, ApiKeyHash, Charge, Command, Facts, Genesis, Grant, Name, Outcome, SYSTEM_ACTOR, State, TableSeed, Time,
};
use uuid::Uuid;

use super::{Checkpoint, History, checkpoint};
use crate::storage::disk::{Disks, ImageName, open_sled};
use crate::storage::error::StorageError;
use crate::storage::model::{Dice, ModelDisks};

const CACHE: u64 = 8 * 1024 * 1024;

/// A ledger of one seller that sells, in memory and in `history`.
struct Shop {
    state: State,
    now: Time,
}

impl Shop {
    fn open(history: &History) -> Self {
        let mut shop = Self { state: State::new(TableSeed([5, 6])), now: Time(1_000) };
        let name = |text: &str| Name::new(text).unwrap();
        let genesis = Genesis {
            ledger: Uuid::from_u128(7),
            epoch: 1,
            currency: name("IRT"),
            decimals: 0,
            key_window_ms: 60_000,
            keys_max: 1_000_000,
            rules: 2,
            admin_key: ApiKeyHash([0; 32]),
        };
        shop.decide(history, SYSTEM_ACTOR, None, Action::Genesis(genesis));
        shop.decide(history, 1, None, Action::CreateSeller(CreateSeller { name: name("shop") }));
        let key = CreateKey { name: name("till"), grant: Grant::Seller(2), hash: ApiKeyHash([2; 32]) };
        shop.decide(history, 1, None, Action::CreateKey(key));
        let credit = Adjust { seller: 2, amount: SignedAmount::new(1_000_000_000).unwrap(), reason: Note::empty() };
        shop.decide(history, 1, None, Action::Adjust(credit));
        shop
    }

    fn decide(&mut self, history: &History, actor: u64, key: Option<&str>, action: Action) {
        self.now.0 += 1;
        let idempotency_key = key.map(|key| ledger::IdempotencyKey::new(key).unwrap());
        let command = Command { actor, idempotency_key, origin: None, action };
        let Ok(Outcome::New(record)) = decide(&self.state, &Facts::default(), &command, self.now) else {
            panic!("{command:?} is decided")
        };
        self.state.apply(&record);
        history.push(record, || self.state.page_mark());
    }

    fn sell(&mut self, history: &History, count: u64) {
        for _ in 0..count {
            let number = self.state.records();
            let phone = Phone::new(989_120_000_000 + number % 900).unwrap();
            let charge =
                Action::Charge(Charge { phone, amount: Amount::new(1 + number % 50).unwrap(), reference: None });
            self.decide(history, 3, Some(&format!("sale-{number}")), charge);
        }
    }

    async fn checkpoint(&self, history: &History) {
        let digest = self.state.digest();
        let to = Checkpoint { digest, ..checkpoint(0) };
        let applied = Some(crate::storage::model::log_id(1, self.state.records()));
        history.write(Checkpoint { records: self.state.records(), applied, ..to }).await.unwrap();
    }
}

async fn history_in(disks: &ModelDisks) -> History {
    let disk = disks.open("history").unwrap();
    History::create(&*disk).await.unwrap();
    History::open(disk).unwrap()
}

#[tokio::test]
async fn a_state_comes_back_as_it_was_from_a_real_disk() {
    let folder = tempfile::tempdir().unwrap();
    let disk = open_sled(folder.path(), CACHE).unwrap();
    History::create(&*disk).await.unwrap();
    let history = History::open(disk).unwrap();
    assert!(history.read_image().is_none(), "none before the first");
    let mut shop = Shop::open(&history);
    for _ in 0..3 {
        shop.sell(&history, 2_000);
        shop.checkpoint(&history).await;
        let bytes = history.write_image(&shop.state).unwrap();
        let image = history.read_image().unwrap();
        assert_eq!((image.of.difference(&shop.state), image.bytes), (None, bytes));
    }
    assert_eq!(fs::metadata(folder.path().join("image")).unwrap().len(), history.read_image().unwrap().bytes);
    assert!(!folder.path().join("image.new").exists());
    drop(history);
    let history = History::open(open_sled(folder.path(), CACHE).unwrap()).unwrap();
    assert_eq!(history.read_image().unwrap().of.difference(&shop.state), None, "after a restart");
}

#[tokio::test]
async fn an_image_that_is_damaged_anywhere_is_not_used() {
    let disks = ModelDisks::default();
    let history = history_in(&disks).await;
    let mut shop = Shop::open(&history);
    shop.sell(&history, 300);
    shop.checkpoint(&history).await;
    history.write_image(&shop.state).unwrap();
    shop.sell(&history, 10);
    shop.checkpoint(&history).await;
    let (mut used, mut unused) = (0, 0);
    for seed in 0..400 {
        history.write_image(&shop.state).unwrap();
        history.write_image(&shop.state).unwrap();
        let written = history.read_image().unwrap().of;
        disks.spoil_images(&mut Dice::new(seed, 0));
        match history.read_image() {
            Some(image) => {
                used += 1;
                assert_eq!(image.of.difference(&written), None, "seed {seed}: all of it, or nothing");
            }
            None => unused += 1,
        }
        assert!(history.read_image().is_none() || unused < seed + 1, "seed {seed}: what was not used is gone");
    }
    assert!(used > 0 && unused > 200, "{used} used, {unused} not");
}

#[tokio::test]
async fn no_image_is_ahead_of_what_is_durable() {
    let disks = ModelDisks::default();
    let history = history_in(&disks).await;
    let mut shop = Shop::open(&history);
    shop.sell(&history, 100);
    shop.checkpoint(&history).await;
    shop.sell(&history, 1);
    let refused = history.write_image(&shop.state).unwrap_err();
    assert!(refused.to_string().contains("durable"), "{refused}");
    assert!(history.read_image().is_none());
}

/// Records of `history` itself.
struct Own<'a>(&'a History);

impl Past for Own<'_> {
    type Error = StorageError;

    fn record(&self, number: u64) -> Result<Option<Arc<Record>>, StorageError> {
        self.0.record(number).map(Some)
    }
}

/// The audit of `history` from one record to another.
fn feed(audit: &mut Audit, history: &History, last: u64) {
    for number in audit.records() + 1..=last {
        audit.feed(&history.record(number).unwrap(), &Own(history)).unwrap();
    }
}

#[tokio::test]
async fn an_audit_comes_back_as_it_was_once_its_image_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let disk = open_sled(folder.path(), CACHE).unwrap();
    History::create(&*disk).await.unwrap();
    let history = History::open(disk).unwrap();
    assert!(history.read_audit_image().is_none(), "none before the first");
    let (mut shop, mut audit) = (Shop::open(&history), Audit::new(TableSeed([7, 8])));
    for _ in 0..3 {
        shop.sell(&history, 2_000);
        feed(&mut audit, &history, shop.state.records() - 7);
        let before = history.read_audit_image().map(|image| image.records);
        let written = history.write_audit_image(&audit).unwrap().unwrap();
        assert_eq!(history.read_audit_image().map(|image| image.records), before, "it is not kept yet");
        shop.checkpoint(&history).await;
        let bytes = history.keep_image(written).unwrap();
        let image = history.read_audit_image().unwrap();
        assert_eq!((image.of.difference(&audit), image.bytes), (None, bytes));
    }
    history.write_image(&shop.state).unwrap();
    assert_eq!(history.read_image().unwrap().of.difference(&shop.state), None, "there may be both");
    drop(history);
    let history = History::open(open_sled(folder.path(), CACHE).unwrap()).unwrap();
    let mut read = history.read_audit_image().unwrap().of;
    for audit in [&mut audit, &mut read] {
        feed(audit, &history, shop.state.records());
    }
    assert_eq!(read.difference(&audit), None, "after a restart, and as it goes on");
}

#[tokio::test]
async fn an_image_of_the_audit_that_is_damaged_ahead_or_of_other_records_is_removed() {
    let disks = ModelDisks::default();
    let history = history_in(&disks).await;
    let (mut shop, mut audit) = (Shop::open(&history), Audit::new(TableSeed([7, 8])));
    shop.sell(&history, 300);
    feed(&mut audit, &history, shop.state.records());
    let written = history.write_audit_image(&audit).unwrap().unwrap();
    let refused = history.keep_image(written).unwrap_err();
    assert!(refused.to_string().contains("durable"), "{refused}");
    shop.checkpoint(&history).await;
    let (mut used, mut unused) = (0, 0);
    for seed in 0..200 {
        for _ in 0..2 {
            let written = history.write_audit_image(&audit).unwrap().unwrap();
            history.keep_image(written).unwrap();
        }
        disks.spoil_images(&mut Dice::new(seed, 0));
        match history.read_audit_image() {
            Some(image) => {
                used += 1;
                assert_eq!(image.of.difference(&audit), None, "seed {seed}: all of it, or nothing");
            }
            None => unused += 1,
        }
        assert!(history.read_audit_image().is_none() || unused < seed + 1, "seed {seed}: what was not used is gone");
    }
    assert!(used > 0 && unused > 100, "{used} used, {unused} not");

    // Another ledger of as many records, whose first page is the same.
    let others = history_in(&ModelDisks::default()).await;
    let mut other = Shop::open(&others);
    other.sell(&others, 100);
    other.now.0 += 1;
    other.sell(&others, 200);
    other.checkpoint(&others).await;
    let written = others.write_audit_image(&audit).unwrap().unwrap();
    others.keep_image(written).unwrap();
    assert!(others.read_audit_image().is_none(), "the digest at its position is another one");
}

#[tokio::test]
async fn the_bytes_of_an_image_of_the_audit_stay_as_they_are() {
    let disks = ModelDisks::default();
    let history = history_in(&disks).await;
    let (mut shop, mut audit) = (Shop::open(&history), Audit::new(TableSeed([7, 8])));
    shop.sell(&history, 3);
    feed(&mut audit, &history, shop.state.records());
    shop.checkpoint(&history).await;
    let written = history.write_audit_image(&audit).unwrap().unwrap();
    history.keep_image(written).unwrap();
    let mut bytes = Vec::new();
    let mut file = disks.open("history").unwrap().open_image(ImageName::Audit).unwrap().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    assert_eq!(&bytes[..12], b"etbaudit\0\0\0\x02");
    let hash = blake3::hash(&bytes).to_hex().to_string();
    assert_eq!(
        hash,
        "fe8717886331371cae694729c16c208631e826e2e9331eebcd1fe1debd133e10",
        "{} bytes: another form takes another version",
        bytes.len()
    );
}
