//! A small ledger, for commands from outside to act on.

use etebar_api::Role;
use ledger::{
    Action, Amount, ApiKeyHash, Charge, Command, CreateKey, CreateSeller, DecideCredit, Facts, Genesis, Grant, Name,
    Note, Outcome, Phone, RULES_VERSION, Record, RequestCredit, SYSTEM_ACTOR, State, Time, Verdict, decide,
};
use uuid::Uuid;

use crate::http::secret;

/// A ledger of a few records, for commands to act on: a seller with a key, credit, a charge, and a request to be decided.
#[derive(Clone)]
pub(crate) struct Small {
    state: State,
    history: Vec<Record>,
}

impl Small {
    pub(crate) fn new() -> Self {
        let mut ledger = Self { state: State::new(ledger::TableSeed([1, 2])), history: Vec::new() };
        let (amount, note) = (Amount::new(100).expect("it is small"), Note::empty());
        let name = |text| Name::new(text).expect("a short name");
        let request = || Action::RequestCredit(RequestCredit { amount, note: note.clone(), reference: None });
        let (phone, hash) = (Phone::new(989_123_456_789).expect("a mobile number"), ApiKeyHash([9; 32]));
        let verdict =
            Action::DecideCredit(DecideCredit { request: 4, verdict: Verdict::Approved, reason: note.clone() });
        for (actor, action) in [
            (SYSTEM_ACTOR, Action::Genesis(genesis())),
            (1, Action::CreateSeller(CreateSeller { name: name("shop") })),
            (1, Action::CreateKey(CreateKey { name: name("till"), grant: Grant::Seller(2), hash })),
            (3, request()),
            (1, verdict),
            (3, Action::Charge(Charge { phone, amount, reference: None })),
            (3, request()),
        ] {
            let outcome = ledger.submit(&Command { actor, idempotency_key: None, origin: None, action });
            assert!(matches!(outcome, Outcome::New(_)), "the rules allow it: {outcome:?}");
        }
        ledger
    }

    pub(crate) fn submit(&mut self, command: &Command) -> Outcome {
        let mut facts = Facts::default();
        let outcome = loop {
            match decide(&self.state, &facts, command, Time(1)) {
                Ok(outcome) => break outcome,
                Err(missing) => facts.supply(missing, &self.history),
            }
        };
        if let Outcome::New(record) = &outcome {
            self.state.apply(record);
            self.history.push(record.clone());
        }
        outcome
    }
}

/// The admin's key of the node that [`http`] asks, in the form of the `Authorization` header.
pub fn admin_key() -> String {
    secret::text(Role::Admin, &[7; 32])
}

/// The genesis of the doors' ledger.
pub(crate) fn genesis() -> Genesis {
    Genesis {
        ledger: Uuid::from_u128(7),
        epoch: 1,
        currency: Name::new("IRT").expect("a short name"),
        decimals: 0,
        key_window_ms: 86_400_000,
        keys_max: 1_000_000,
        rules: RULES_VERSION,
        admin_key: secret::hash(&admin_key()),
    }
}
