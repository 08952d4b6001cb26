//! Every kind of command, event, refusal and rejection keeps its bytes: as it is stored and sent, and in the records' chain.

use std::net::IpAddr;

use ledger::{
    Action, AddNode, Address, Adjust, Adjusted, Amount, ApiKeyHash, BackupNoted, Balance, BeginEpoch, Charge, Charged,
    Command, CreateExpiringKey, CreateKey, CreateSeller, CreditApproved, CreditRejected, CreditRequested,
    CreditRequestedFor, DecideCredit, Digest, EpochBegun, Event, ExpiringKeyCreated, Genesis, Grant, IdempotencyKey,
    KeyCreated, KeyRevoked, KeyRotated, LedgerOpened, Name, NewAdminKey, NodeAdded, NodeAddresses, NodePromoted,
    NodeRegistered, NodeRemoved, Note, NoteBackup, OpenLedger, Origin, Phone, Policy, PolicySet, PromoteNode,
    RaiseRules, Record, RecordChain, Reference, Refusal, Refused, RegisterNode, Rejection, RemoveNode, RequestCredit,
    RequestCreditFor, RequestShown, Reverse, Reversed, RevokeKey, RotateKey, RulesRaised, SellerCreated, SellerStatus,
    SellerStatusSet, SetPolicy, SetSellerStatus, SignedAmount, Time, Verdict,
};
use uuid::Uuid;

use super::Kind;
use super::codec::{self, encode_in};
use crate::storage::types::Decided;

fn name() -> Name {
    Name::new("Corner shop").unwrap()
}

fn note() -> Note {
    Note::new("why\nnot").unwrap()
}

fn reference() -> Option<Reference> {
    Reference::new("سفارش-17").ok()
}

fn amount() -> Amount {
    Amount::new(5_000).unwrap()
}

fn phone() -> Phone {
    Phone::new(989_123_456_789).unwrap()
}

fn balance() -> Balance {
    Balance::try_from(95_000).unwrap()
}

fn incarnation() -> Uuid {
    Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef)
}

fn genesis() -> Genesis {
    Genesis {
        ledger: Uuid::from_u128(7),
        epoch: 1,
        currency: Name::new("IRT").unwrap(),
        decimals: 2,
        key_window_ms: 86_400_000,
        keys_max: 10_000_000,
        rules: 2,
        admin_key: ApiKeyHash([9; 32]),
    }
}

fn actions() -> Vec<Action> {
    let signed = SignedAmount::new(-250).unwrap();
    vec![
        Action::Genesis(genesis()),
        Action::CreateSeller(CreateSeller { name: name() }),
        Action::SetSellerStatus(SetSellerStatus { seller: 2, status: SellerStatus::Active }),
        Action::SetSellerStatus(SetSellerStatus { seller: 2, status: SellerStatus::Suspended }),
        Action::CreateKey(CreateKey { name: name(), grant: Grant::Admin, hash: ApiKeyHash([1; 32]) }),
        Action::CreateKey(CreateKey { name: name(), grant: Grant::Auditor, hash: ApiKeyHash([2; 32]) }),
        Action::CreateKey(CreateKey { name: name(), grant: Grant::Seller(2), hash: ApiKeyHash([3; 32]) }),
        Action::RevokeKey(RevokeKey { key: 3 }),
        Action::RequestCredit(RequestCredit { amount: amount(), note: note(), reference: None }),
        Action::DecideCredit(DecideCredit { request: 4, verdict: Verdict::Approved, reason: note() }),
        Action::DecideCredit(DecideCredit { request: 4, verdict: Verdict::Rejected, reason: note() }),
        Action::Adjust(Adjust { seller: 2, amount: signed, reason: note() }),
        Action::Charge(Charge { phone: phone(), amount: amount(), reference: reference() }),
        Action::Reverse(Reverse { charge: 5, reason: note() }),
        Action::RegisterNode(RegisterNode { node: 3, incarnation: incarnation() }),
        Action::RaiseRules(RaiseRules { to: 300 }),
    ]
}

fn refusals() -> Vec<Refusal> {
    vec![
        Refusal::InsufficientCredit { balance: balance() },
        Refusal::SellerSuspended,
        Refusal::RequestDecided { verdict: Verdict::Approved },
        Refusal::RequestDecided { verdict: Verdict::Rejected },
        Refusal::ChargeReversed,
        Refusal::LimitExceeded,
        Refusal::NameTaken,
        Refusal::LastAdminKey,
    ]
}

fn rejections() -> Vec<Rejection> {
    let mut rejections = vec![
        Rejection::KeyRevoked,
        Rejection::Forbidden,
        Rejection::UnknownSeller,
        Rejection::UnknownKey,
        Rejection::UnknownRequest,
        Rejection::UnknownCharge,
        Rejection::KeyReused,
    ];
    rejections.extend(refusals().into_iter().map(Rejection::Conflict));
    rejections.extend([
        Rejection::OutOfPlace,
        Rejection::Inconsistent,
        Rejection::SecretTaken,
        Rejection::Malformed,
        Rejection::UnknownRules,
    ]);
    rejections
}

fn events() -> Vec<Event> {
    let request = RequestShown {
        number: 4,
        seller: 2,
        amount: amount(),
        note: note(),
        created_at: Time(1_700_000_000_000),
        reference: None,
    };
    let (seller, entry, balance) = (2, 7, balance());
    let (name, reason, created_at) = (name(), note(), Time(1_700_000_000_001));
    let signed = SignedAmount::new(-250).unwrap();
    let status = SellerStatus::Suspended;
    let grant = Grant::Seller(2);
    let hash = ApiKeyHash([3; 32]);
    let mut events = vec![
        Event::Genesis(genesis()),
        Event::SellerCreated(SellerCreated { name: name.clone() }),
        Event::SellerStatusSet(SellerStatusSet { seller, status, name: name.clone(), balance, created_at }),
        Event::KeyCreated(KeyCreated { name, grant, hash }),
        Event::KeyRevoked(KeyRevoked { key: 3 }),
        Event::CreditRequested(CreditRequested { seller, amount: amount(), note: note(), reference: reference() }),
        Event::CreditApproved(CreditApproved { request: request.clone(), reason: reason.clone(), entry, balance }),
        Event::CreditRejected(CreditRejected { request, reason: reason.clone() }),
        Event::Adjusted(Adjusted { seller, amount: signed, reason: reason.clone(), entry, balance }),
        Event::Charged(Charged {
            seller,
            phone: phone(),
            amount: amount(),
            entry,
            balance,
            reference: reference(),
            phone_charge: 3,
            previous: 4,
        }),
        Event::Reversed(Reversed { charge: 5, seller, phone: phone(), amount: amount(), reason, entry, balance }),
        Event::NodeRegistered(NodeRegistered { node: 3, incarnation: incarnation() }),
        Event::RulesRaised(RulesRaised { to: 300 }),
    ];
    let refusal = Refusal::SellerSuspended;
    events.extend(actions().into_iter().map(|action| Event::Refused(Refused { action, refusal })));
    let action = Action::Charge(Charge { phone: phone(), amount: amount(), reference: None });
    events.extend(refusals().into_iter().map(|refusal| Event::Refused(Refused { action: action.clone(), refusal })));
    events
}

fn records() -> Vec<Record> {
    let key = |number: u64| IdempotencyKey::new(&format!("order-{number}")).ok().filter(|_| number.is_multiple_of(2));
    let record = |(number, event)| Record {
        number,
        time: Time(number),
        actor: 3,
        idempotency_key: key(number),
        origin: None,
        event,
    };
    (1..).zip(events()).map(record).collect()
}

/// Messages in version 4 of the peer link: later ones have the same layout of these.
fn hash_of<T: serde::Serialize>(kind: Kind, values: &[T]) -> String {
    let version = if kind == Kind::Message { 4 } else { kind.version() };
    let mut hasher = blake3::Hasher::new();
    for value in values {
        hasher.update(&encode_in(kind, version, value).unwrap());
    }
    hasher.finalize().to_hex().to_string()
}

#[test]
fn records_of_every_kind_keep_their_bytes_and_their_digests() {
    assert_eq!(hash_of(Kind::Record, &records()), "c83a3df88b177d66c83233183fa6f196740b8d305b5aea09bc5c55c6872d6ecb");
    let mut chain = RecordChain::default();
    for record in &records() {
        chain.push(genesis().ledger, record);
    }
    assert_eq!(chain.digest().to_string(), "b3951b977791b03322e5e95ecc6acce59101c195e643987d286d71e5fe46db6e");
}

/// What rules 3 brought: kinds that only stand behind those above.
fn kinds_of_rules_3() -> (Vec<Action>, Vec<Event>) {
    let address = |text: &str| Address::new(text).unwrap();
    let addresses = NodeAddresses { api: address("10.0.0.4:7104"), peer: address("node-4.example:7124") };
    let actions = vec![
        Action::AddNode(AddNode { above: 3, addresses: addresses.clone() }),
        Action::PromoteNode(PromoteNode { node: 4 }),
        Action::RemoveNode(RemoveNode { node: 2 }),
    ];
    let events = vec![
        Event::NodeAdded(NodeAdded { node: 4, addresses }),
        Event::NodePromoted(NodePromoted { node: 4 }),
        Event::NodeRemoved(NodeRemoved { node: 2 }),
        Event::Refused(Refused { action: actions[0].clone(), refusal: Refusal::AddressTaken }),
    ];
    (actions, events)
}

#[test]
fn kinds_of_rules_3_keep_their_bytes_and_their_digests() {
    let (actions, events) = kinds_of_rules_3();
    let command = |action| Command { actor: 1, idempotency_key: None, origin: None, action };
    let commands: Vec<_> = actions.into_iter().map(command).collect();
    let record =
        |(number, event)| Record { number, time: Time(number), actor: 3, idempotency_key: None, origin: None, event };
    let records: Vec<Record> = (1..).zip(events).map(record).collect();
    let rejections = [Rejection::NotYet, Rejection::UnknownNode, Rejection::Conflict(Refusal::AddressTaken)];
    let mut chain = RecordChain::default();
    for record in &records {
        chain.push(genesis().ledger, record);
    }
    assert_eq!(
        [
            hash_of(Kind::Message, &commands),
            hash_of(Kind::Record, &records),
            hash_of(Kind::Message, &rejections.map(Decided::NotRecorded)),
            chain.digest().to_string(),
        ],
        [
            "ac3716d6ab34700487c873d0e0cf93dae1d4871e82c1a4c20210ed30233a918c",
            "132adfb0827fda9dfddf9696826b9ea2ba109d3d84f027a56eb7ea70f2ac29fb",
            "4a12cc58d0bdb882f4c706c3ecb669e09dbaf0cc52423adb65f2c12c87cd19d3",
            "a5dd533ed2ce528d7e0c22a5ae909bc1e350d7da442d15ed855dca6776c81144",
        ]
    );
}

/// What rules 4 brought.
#[test]
fn kinds_of_rules_4_keep_their_bytes_and_their_digests() {
    let (cluster, digest) = (Uuid::from_u128(8), Digest([5; 32]));
    let begin = |admin_key| Action::BeginEpoch(BeginEpoch { epoch: 2, cluster, rules: 4, admin_key });
    let actions = [
        begin(None),
        begin(Some(ApiKeyHash([6; 32]))),
        Action::OpenLedger(OpenLedger { epoch: 2 }),
        Action::NoteBackup(NoteBackup { records: 300, digest }),
    ];
    let begun = |admin_key| Event::EpochBegun(EpochBegun { epoch: 2, cluster, rules: 4, admin_key });
    let mut events = vec![
        begun(None),
        begun(Some(NewAdminKey { name: name(), hash: ApiKeyHash([6; 32]) })),
        Event::LedgerOpened(LedgerOpened { epoch: 2 }),
        Event::BackupNoted(BackupNoted { records: 300, digest }),
    ];
    let refusal = Refusal::LimitExceeded;
    events.extend(actions.iter().map(|action| Event::Refused(Refused { action: action.clone(), refusal })));
    let command = |action| Command { actor: 1, idempotency_key: None, origin: None, action };
    let commands: Vec<_> = actions.into_iter().map(command).collect();
    let record =
        |(number, event)| Record { number, time: Time(number), actor: 3, idempotency_key: None, origin: None, event };
    let records: Vec<Record> = (1..).zip(events).map(record).collect();
    let mut chain = RecordChain::default();
    for record in &records {
        chain.push(genesis().ledger, record);
    }
    assert_eq!(
        [
            hash_of(Kind::Message, &commands),
            hash_of(Kind::Record, &records),
            hash_of(Kind::Message, &[Decided::NotRecorded(Rejection::OnHold)]),
            chain.digest().to_string(),
        ],
        [
            "1b3d5a018e5f30ac7d5bd6dce4e2ee72bf3a232f482bfc22012a43728bedc34a",
            "b96c9bc75b7b79bd4a373a50da35603b043df294c298b69f2376d29f5c3d59f3",
            "be71d06e884be04e3ca7ed19ce8b40a32ae3c628247cbc0089e2250b18984e09",
            "7568a0a9ce759038bed6f3abb68718ef06fc3ddbcb60d8075ffc3396556a6177",
        ]
    );
}

/// What rules 5 brought.
fn kinds_of_rules_5() -> (Vec<Action>, Vec<Event>) {
    let (grant, expires_at) = (Grant::Approver { limit: Some(amount()) }, Time(1_800_000_000_000));
    let hash = ApiKeyHash([7; 32]);
    let asked = |grant| CreateKey { name: name(), grant, hash };
    let rotate = |expires_at| Action::RotateKey(RotateKey { key: 3, hash, overlap_ms: 5_000, expires_at });
    let policy = Policy { four_eyes: true };
    let actions = vec![
        Action::CreateKey(asked(Grant::Operator)),
        Action::CreateKey(asked(Grant::Approver { limit: None })),
        Action::CreateExpiringKey(CreateExpiringKey { key: asked(grant), expires_at }),
        rotate(None),
        rotate(Some(expires_at)),
        Action::RequestCreditFor(RequestCreditFor {
            seller: 2,
            request: RequestCredit { amount: amount(), note: note(), reference: reference() },
        }),
        Action::SetPolicy(SetPolicy { policy }),
    ];
    let rotated = |expires_at| {
        let (old, old_expires_at, overlap_ms) = (3, Time(1_700_000_005_000), 5_000);
        Event::KeyRotated(KeyRotated { old, old_expires_at, overlap_ms, name: name(), grant, hash, expires_at })
    };
    let mut events = vec![
        Event::ExpiringKeyCreated(ExpiringKeyCreated { key: KeyCreated { name: name(), grant, hash }, expires_at }),
        rotated(None),
        rotated(Some(expires_at)),
        Event::CreditRequestedFor(CreditRequestedFor {
            request: CreditRequested { seller: 2, amount: amount(), note: note(), reference: reference() },
        }),
        Event::PolicySet(PolicySet { policy }),
    ];
    let refusal = Refusal::NameTaken;
    events.extend(actions.iter().map(|action| Event::Refused(Refused { action: action.clone(), refusal })));
    (actions, events)
}

/// With and without an idempotency key, each from an address of its own kind.
#[test]
fn kinds_of_rules_5_and_origins_keep_their_bytes_and_their_digests() {
    let (actions, events) = kinds_of_rules_5();
    let origin = |number: u64| {
        let address = if number.is_multiple_of(3) { IpAddr::from([10, 0, 0, 7]) } else { IpAddr::from([9_u8; 16]) };
        Some(Box::new(Origin { node: number, address })).filter(|_| !number.is_multiple_of(5))
    };
    let key = |number: u64| IdempotencyKey::new("k").ok().filter(|_| number.is_multiple_of(2));
    let command = |(number, action)| Command { actor: 1, idempotency_key: key(number), origin: origin(number), action };
    let commands: Vec<_> = (1..).zip(actions).map(command).collect();
    let record = |(number, event)| Record {
        number,
        time: Time(number),
        actor: 3,
        idempotency_key: key(number),
        origin: origin(number),
        event,
    };
    let records: Vec<Record> = (1..).zip(events).map(record).collect();
    for record in &records {
        let bytes = encode_in(Kind::Record, Kind::Record.version(), record).unwrap();
        assert_eq!(codec::decode::<Record>(Kind::Record, &bytes).unwrap(), *record);
    }
    let rejections = [Rejection::KeyExpired, Rejection::OverLimit, Rejection::FourEyes];
    let mut chain = RecordChain::default();
    for record in &records {
        chain.push(genesis().ledger, record);
    }
    assert_eq!(
        [
            hash_of(Kind::Message, &commands),
            hash_of(Kind::Record, &records),
            hash_of(Kind::Message, &rejections.map(Decided::NotRecorded)),
            chain.digest().to_string(),
        ],
        [
            "8abcbd0dcfb93de2b31e472a0d54b7f3ac98a2a1c046fa94f527ef495d4553c9",
            "0334b922515ab210fec74c88b4c40db9ff79fa4c98406dd3805c9694231fd9a0",
            "8b8cb3e28795318401f6dca5433d4edae571c40a00fe6c3f1fe6c219aa89ea45",
            "38d6467ad032530c17d5eb9010c1e1b0aa07b11cd8d8c77171dd4ce3dc2a8245",
        ]
    );
}

#[test]
fn commands_and_decisions_of_every_kind_keep_their_bytes() {
    let key = IdempotencyKey::new("order-17").ok();
    let command = |action| Command { actor: 1, idempotency_key: key.clone(), origin: None, action };
    assert_eq!(
        hash_of(Kind::Message, &actions().into_iter().map(command).collect::<Vec<_>>()),
        "cd7cac30da3deea11a71764157bd17e12b1915e74e9371f787c31d98154527b4"
    );
    let mut decided: Vec<Decided> = rejections().into_iter().map(Decided::NotRecorded).collect();
    decided.extend(records().into_iter().map(|record| Decided::Recorded { record: record.into(), replayed: true }));
    assert_eq!(hash_of(Kind::Message, &decided), "03d50ba4772d16900608c8f4e925e7093b4510de1809f9a2fabb77e2a93e18ef");
}
