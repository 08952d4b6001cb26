//! A ledger in memory for tests: the state, its history, and short words for commands.
#![allow(dead_code, reason = "each test file uses a part")]

use ledger::{
    Action, Adjust, Amount, ApiKeyHash, Charge, Command, CreateKey, CreateSeller, DecideCredit, Event, Facts, Genesis,
    Grant, IdempotencyKey, Name, Note, Outcome, PageMark, Phone, Record, RecordNumber, Refused, RequestCredit, Reverse,
    SYSTEM_ACTOR, SellerStatus, SetSellerStatus, SignedAmount, State, Time, Verdict, decide, page_of,
};
use uuid::Uuid;

pub(crate) const ADMIN: RecordNumber = 1;
pub(crate) const WINDOW_MS: u64 = 10_000;
pub(crate) const KEYS_MAX: u64 = 1_000_000;

/// State and history, kept as a node keeps them.
pub(crate) struct Book {
    pub state: State,
    pub history: Vec<Record>,
    /// What stood before each page.
    pub marks: Vec<PageMark>,
    pub now: Time,
    secrets: u8,
}

pub(crate) fn genesis() -> Genesis {
    Genesis {
        ledger: Uuid::from_u128(7),
        epoch: 1,
        currency: name("IRT"),
        decimals: 0,
        key_window_ms: WINDOW_MS,
        keys_max: KEYS_MAX,
        rules: ledger::RULES_VERSION,
        admin_key: ApiKeyHash([0; 32]),
    }
}

impl Book {
    pub(crate) fn new() -> Self {
        Self::beginning(genesis())
    }

    pub(crate) fn beginning(genesis: Genesis) -> Self {
        let mut book = Self {
            state: State::new(ledger::TableSeed([1, 2])),
            history: Vec::new(),
            marks: Vec::new(),
            now: Time(1_000),
            secrets: 0,
        };
        let outcome = book.submit(&Command {
            actor: SYSTEM_ACTOR,
            idempotency_key: None,
            origin: None,
            action: Action::Genesis(genesis),
        });
        assert!(matches!(outcome, Outcome::New(_)));
        book
    }

    /// Fetches what the command needs, decides it, applies and keeps the record.
    pub(crate) fn submit(&mut self, command: &Command) -> Outcome {
        let mut facts = Facts::default();
        let outcome = loop {
            match decide(&self.state, &facts, command, self.now) {
                Ok(outcome) => break outcome,
                Err(missing) => facts.supply(missing, &self.history),
            }
        };
        if let Outcome::New(record) = &outcome {
            self.state.apply(record);
            self.history.push(record.clone());
            if self.marks.len() as u64 == page_of(record.number) {
                self.marks.push(self.state.page_mark());
            }
        }
        outcome
    }

    pub(crate) fn by(&mut self, actor: RecordNumber, key: &str, action: Action) -> Outcome {
        let idempotency_key = (!key.is_empty()).then(|| idempotency_key(key));
        self.submit(&Command { actor, idempotency_key, origin: None, action })
    }

    /// A seller with its key: their record numbers.
    pub(crate) fn seller(&mut self, called: &str) -> (RecordNumber, RecordNumber) {
        let seller = made(self.by(ADMIN, "", Action::CreateSeller(CreateSeller { name: name(called) })));
        (seller, self.key(called, Grant::Seller(seller)))
    }

    pub(crate) fn key(&mut self, called: &str, grant: Grant) -> RecordNumber {
        made(self.create_key("", called, grant))
    }

    pub(crate) fn create_key(&mut self, key: &str, called: &str, grant: Grant) -> Outcome {
        self.secrets += 1;
        let hash = ApiKeyHash([self.secrets; 32]);
        self.by(ADMIN, key, Action::CreateKey(CreateKey { name: name(called), grant, hash }))
    }

    pub(crate) fn credit(&mut self, actor: RecordNumber, sum: u64) {
        let asked = Action::RequestCredit(RequestCredit { amount: amount(sum), note: Note::empty(), reference: None });
        let request = made(self.by(actor, "", asked));
        made(self.approve(request));
    }

    pub(crate) fn approve(&mut self, request: RecordNumber) -> Outcome {
        self.decide_credit(request, Verdict::Approved)
    }

    pub(crate) fn decide_credit(&mut self, request: RecordNumber, verdict: Verdict) -> Outcome {
        self.by(ADMIN, "", Action::DecideCredit(DecideCredit { request, verdict, reason: Note::empty() }))
    }

    pub(crate) fn charge(&mut self, actor: RecordNumber, key: &str, sum: u64) -> Outcome {
        self.by(actor, key, Action::Charge(Charge { phone: phone(0), amount: amount(sum), reference: None }))
    }

    pub(crate) fn adjust(&mut self, seller: RecordNumber, key: &str, sum: i64) -> Outcome {
        let amount = SignedAmount::new(sum).unwrap();
        self.by(ADMIN, key, Action::Adjust(Adjust { seller, amount, reason: Note::empty() }))
    }

    pub(crate) fn reverse(&mut self, charge: RecordNumber, key: &str) -> Outcome {
        self.by(ADMIN, key, Action::Reverse(Reverse { charge, reason: Note::empty() }))
    }

    pub(crate) fn set_status(&mut self, seller: RecordNumber, status: SellerStatus) {
        made(self.by(ADMIN, "", Action::SetSellerStatus(SetSellerStatus { seller, status })));
    }

    pub(crate) fn balance(&self, seller: RecordNumber) -> u64 {
        self.state.seller(seller).unwrap().balance.minor()
    }
}

/// The number of the record that was made.
pub(crate) fn made(outcome: Outcome) -> RecordNumber {
    match outcome {
        Outcome::New(record) if !matches!(record.event, Event::Refused(_)) => record.number,
        other => panic!("not done: {other:?}"),
    }
}

pub(crate) fn refusal(outcome: &Outcome) -> ledger::Refusal {
    match outcome {
        Outcome::New(Record { event: Event::Refused(Refused { refusal, .. }), .. })
        | Outcome::Rejected(ledger::Rejection::Conflict(refusal)) => *refusal,
        other => panic!("not refused: {other:?}"),
    }
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn amount(minor: u64) -> Amount {
    Amount::new(minor).unwrap()
}

pub(crate) fn idempotency_key(text: &str) -> IdempotencyKey {
    IdempotencyKey::new(text).unwrap()
}

pub(crate) fn phone(last: u64) -> Phone {
    Phone::new(989_120_000_000 + last).unwrap()
}
