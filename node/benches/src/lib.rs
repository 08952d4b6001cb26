//! A ledger in memory for measurements: sellers with credit, and charges that were not decided yet.

use ledger::{
    Action, Adjust, Amount, ApiKeyHash, Charge, Command, CreateKey, CreateSeller, Facts, Genesis, Grant,
    IdempotencyKey, Name, Note, Outcome, PageMark, Phone, Record, RecordNumber, SYSTEM_ACTOR, SignedAmount, State,
    TableSeed, Time, decide, missing,
};
use uuid::Uuid;

/// The record of the first admin's key: the first one of every ledger.
const ADMIN: RecordNumber = 1;
/// The first phone that is charged, its digits with the country's.
const FIRST_PHONE: u64 = 989_000_000_000;
/// A year, in milliseconds: no key expires while something is measured.
const KEY_WINDOW_MS: u64 = 365 * 86_400_000;

/// A state, and how it began.
#[derive(Clone)]
pub struct Book {
    /// The state of all records so far.
    pub state: State,
    /// The records that made the sellers, each with what stands before its page.
    pub first: Vec<(Record, PageMark)>,
    /// The record numbers of the sellers' keys.
    keys: Vec<RecordNumber>,
    now: Time,
}

impl Book {
    /// A ledger of so many sellers, at most 1,000,000, with credit for any number of charges.
    #[must_use]
    pub fn new(sellers: u32) -> Self {
        let state = State::new(TableSeed([1, 2]));
        let mut book = Self { state, first: Vec::new(), keys: Vec::new(), now: Time(1_700_000_000_000) };
        let genesis = Genesis {
            ledger: Uuid::from_u128(7),
            epoch: 1,
            currency: name("IRT"),
            decimals: 0,
            key_window_ms: KEY_WINDOW_MS,
            keys_max: 100_000_000,
            rules: ledger::RULES_VERSION,
            admin_key: ApiKeyHash([0; 32]),
        };
        book.begin(&Command {
            actor: SYSTEM_ACTOR,
            idempotency_key: None,
            origin: None,
            action: Action::Genesis(genesis),
        });
        (0..sellers).for_each(|number| book.add_seller(number));
        book
    }

    fn add_seller(&mut self, number: u32) {
        let called = format!("seller {number}");
        let seller = self.by_admin(Action::CreateSeller(CreateSeller { name: name(&called) }));
        let amount = SignedAmount::new(1_000_000_000_000).expect("a round sum is within the bounds");
        self.by_admin(Action::Adjust(Adjust { seller, amount, reason: note("for measurements") }));
        let mut hash = [1; 32];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        let key = CreateKey { name: name(&called), grant: Grant::Seller(seller), hash: ApiKeyHash(hash) };
        let key = self.by_admin(Action::CreateKey(key));
        self.keys.push(key);
    }

    fn by_admin(&mut self, action: Action) -> RecordNumber {
        self.begin(&Command { actor: ADMIN, idempotency_key: None, origin: None, action })
    }

    fn begin(&mut self, command: &Command) -> RecordNumber {
        let record = self.submit(command);
        let number = record.number;
        self.first.push((record, self.state.page_mark()));
        number
    }

    /// Decides and applies a command that needs nothing of the history.
    ///
    /// # Panics
    /// Where it is not decided anew.
    pub fn submit(&mut self, command: &Command) -> Record {
        let record = self.decide(command);
        self.state.apply(&record);
        record
    }

    /// Decides a command that needs nothing of the history; nothing changes.
    ///
    /// # Panics
    /// Where it is not decided anew.
    #[must_use]
    pub fn decide(&self, command: &Command) -> Record {
        match decide(&self.state, &Facts::default(), command, self.now) {
            Ok(Outcome::New(record)) => record,
            other => panic!("{command:?} is not decided anew: {other:?}"),
        }
    }

    /// Whether the command's key is found to be used, so that its record has to be read.
    #[must_use]
    pub fn asks_for_its_record(&self, command: &Command) -> bool {
        missing(&self.state, &Facts::default(), command, self.now).is_some()
    }

    /// The records of commands, decided and applied one after the other on a copy, which is gone afterwards: what is
    /// applied to this one then copies nothing that the two would share.
    ///
    /// # Panics
    /// As [`Self::submit`].
    #[must_use]
    pub fn records_of(&self, commands: &[Command]) -> Vec<Record> {
        let mut copy = self.clone();
        commands.iter().map(|command| copy.submit(command)).collect()
    }

    /// The charges `from..until` of a fixed series: of the sellers in turn, each under a key of its own, to one of 100,000 phones.
    #[must_use]
    pub fn charges(&self, from: u64, until: u64) -> Vec<Command> {
        (from..until).map(|number| self.charge(number)).collect()
    }

    fn charge(&self, number: u64) -> Command {
        let place = usize::try_from(number).expect("counts fit") % self.keys.len();
        // An odd factor visits all phones, in an order that the sellers' does not follow.
        let phone = FIRST_PHONE + number.wrapping_mul(7_919) % 100_000;
        let phone = Phone::new(phone).expect("twelve digits are a phone");
        let amount = Amount::new(5_000).expect("a round sum is within the bounds");
        Command {
            actor: self.keys[place],
            idempotency_key: Some(idempotency_key(number)),
            origin: None,
            action: Action::Charge(Charge { phone, amount, reference: None }),
        }
    }
}

/// A key as a client makes them: 36 characters.
fn idempotency_key(number: u64) -> IdempotencyKey {
    let key = Uuid::from_u128(u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_string();
    IdempotencyKey::new(&key).expect("a UUID is a key")
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a short text is a name")
}

fn note(text: &str) -> Note {
    Note::new(text).expect("a short text is a note")
}
