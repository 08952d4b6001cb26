//! Clients that come over HTTP, as sellers' programs do: through the client library, with its retries, to the node's own
//! server. What the library says of a call is taken at its word.

use std::borrow::Cow;
use std::time::Duration;

use etebar::api::{
    AmountIn, BatchItem, BatchRequest, BatchResult, NewAdjustment, NewCharge, NewCreditRequest, NewDecision as Reason,
    NewReversal, Problem,
};
use etebar::{Answer, Client, Error, IdempotencyKey};
use ledger::{
    Action, Adjust, Charge, Command, DecideCredit, IdKind, Note, Phone, RecordNumber, RequestCredit, Reverse, Verdict,
};

use crate::book::Outcome;
use crate::door::Reply;
use crate::host::name;
use crate::proxy;
use crate::shown::{Shown, Thing, Told, ids};

/// Where members serve HTTP.
pub const PORT: u16 = 80;

/// See the head of this file.
pub struct Caller(Client);

/// What a read over HTTP saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The position that it reflects.
    pub applied: u64,
    /// The seller whose key asked.
    pub seller: RecordNumber,
    /// Its balance.
    pub balance: i128,
}

impl Caller {
    /// A caller of all members, who begins at `home`.
    pub fn new(nodes: u64, home: u64) -> Self {
        let servers = (1..=nodes).map(|node| format!("http://{}:{PORT}", name(node)));
        let client = Client::new(servers).expect("the members have proper names");
        Self(client.starting_at(home as usize - 1))
    }

    /// The same by way of the proxy.
    pub fn behind_proxy(nodes: u64, home: u64) -> Self {
        let servers = (1..=nodes).map(|node| format!("http://{}:{}", proxy::NAME, proxy::port(node)));
        let client = Client::new(servers).expect("the proxy has a proper name");
        Self(client.starting_at(home as usize - 1))
    }

    /// Whether HTTP has words for these.
    pub fn can_ask(commands: &[Command]) -> bool {
        let has_words = |command: &Command| match &command.action {
            Action::Charge(_) | Action::RequestCredit(_) | Action::Adjust(_) | Action::Reverse(_) => {
                command.idempotency_key.is_some()
            }
            Action::DecideCredit(_) => command.idempotency_key.is_none(),
            Action::Genesis(_)
            | Action::CreateSeller(_)
            | Action::SetSellerStatus(_)
            | Action::CreateKey(_)
            | Action::RevokeKey(_)
            | Action::RegisterNode(_) => false,
        };
        commands.iter().all(has_words)
    }

    /// Has commands decided, for as long as `timeout`.
    pub async fn ask(&self, secret: &str, commands: &[Command], timeout: Duration) -> Outcome {
        let client = self.under(secret, timeout);
        let shown = match commands {
            [command] => ask_one(&client, command).await,
            many => ask_batch(&client, many).await,
        };
        match shown {
            Ok(shown) => Outcome::Shown(shown),
            Err(Error::Refused(problem)) => {
                Outcome::Shown(Shown { position: None, told: vec![refused(&problem); commands.len()] })
            }
            Err(Error::NotDone(why)) => Outcome::Said(Reply::NotDone(why.to_string())),
            Err(Error::OutcomeUnknown(_)) => Outcome::Silence,
        }
    }

    /// Looks at the balance of the seller whose key this is; first at member `at`, where one is given.
    pub async fn look(&self, secret: &str, at: Option<u64>, timeout: Duration) -> Option<Look> {
        let client = self.under(secret, timeout);
        let client = at.map_or_else(|| client.clone(), |node| client.starting_at(node as usize - 1));
        let answer = client.seller(None).await.ok()?;
        let seller = ids().number(IdKind::Seller, answer.value.id)?;
        Some(Look { applied: answer.applied, seller, balance: answer.value.balance.minor() })
    }

    fn under(&self, secret: &str, timeout: Duration) -> Client {
        self.0.with_key(secret).expect("a secret is visible ASCII").with_timeout(timeout)
    }
}

async fn ask_one(client: &Client, command: &Command) -> Result<Shown, Error> {
    let key =
        command.idempotency_key.as_ref().map(|key| IdempotencyKey::parse(key.as_str()).expect("it is one already"));
    match (&command.action, key) {
        (Action::Charge(Charge { phone, amount }), Some(key)) => {
            let new = NewCharge { phone: written(*phone).into(), amount: money(amount.minor() as i64) };
            client.charge(&new, &key).await.map(|answer| done(answer, Thing::Charge))
        }
        (Action::RequestCredit(RequestCredit { amount, note }), Some(key)) => {
            let new = NewCreditRequest { amount: money(amount.minor() as i64), note: given(note) };
            client.request_credit(&new, &key).await.map(|answer| done(answer, Thing::Request))
        }
        (Action::Adjust(Adjust { seller, amount, reason }), Some(key)) => {
            let new = NewAdjustment { amount: money(amount.minor()), reason: reason.as_str().into() };
            let seller = ids().uuid(IdKind::Seller, *seller);
            client.adjust(seller, &new, &key).await.map(|answer| done(answer, Thing::Entry))
        }
        (Action::Reverse(Reverse { charge, reason }), Some(key)) => {
            let new = NewReversal { reason: reason.as_str().into() };
            let charge = ids().uuid(IdKind::Charge, *charge);
            client.reverse(charge, &new, &key).await.map(|answer| done(answer, Thing::Entry))
        }
        (Action::DecideCredit(DecideCredit { request, verdict, reason }), None) => {
            let request = ids().uuid(IdKind::CreditRequest, *request);
            let body = Reason { reason: given(reason) };
            let answer = match verdict {
                Verdict::Approved => client.approve(request, &body).await,
                Verdict::Rejected => client.reject(request, &body).await,
            };
            answer.map(|answer| done(answer, Thing::Request))
        }
        (action, _) => panic!("HTTP has no words for {action:?}"),
    }
}

async fn ask_batch(client: &Client, commands: &[Command]) -> Result<Shown, Error> {
    let charges = commands.iter().map(|command| match (&command.action, &command.idempotency_key) {
        (Action::Charge(Charge { phone, amount }), Some(key)) => BatchItem {
            phone: written(*phone).into(),
            amount: money(amount.minor() as i64),
            idempotency_key: key.as_str().into(),
        },
        (action, _) => panic!("a batch has charges alone, not {action:?}"),
    });
    let answer = client.charge_batch(&BatchRequest { charges: charges.collect() }).await?;
    let told = answer.value.results.into_iter().map(|result| match result {
        BatchResult { charge: Some(charge), replayed, .. } => {
            Told::Done { thing: Box::new(Thing::Charge(charge)), replayed }
        }
        BatchResult { problem: Some(problem), .. } => refused(&problem),
        BatchResult { status, .. } => panic!("a result has a charge or a problem, this has a status alone: {status}"),
    });
    Ok(Shown { position: Some(answer.applied), told: told.collect() })
}

fn done<T>(answer: Answer<T>, thing: impl Fn(T) -> Thing) -> Shown {
    let told = Told::Done { thing: Box::new(thing(answer.value)), replayed: answer.replayed };
    Shown { position: Some(answer.applied), told: vec![told] }
}

fn refused(problem: &Problem) -> Told {
    Told::Refused { code: problem.code, balance: problem.balance.map(|balance| balance.minor()) }
}

/// As a person would write it, in one of the ways that mean the same number.
fn written(phone: Phone) -> String {
    let digits = phone.digits().to_string();
    match phone.digits() % 3 {
        0 => format!("+{digits}"),
        1 => format!("00{digits}"),
        _ => format!("0{}", digits.trim_start_matches("98")),
    }
}

fn money(minor: i64) -> AmountIn {
    AmountIn::from_minor(minor, 0)
}

/// A note as it is sent: an empty one is left out.
fn given(note: &Note) -> Option<Cow<'_, str>> {
    Some(Cow::Borrowed(note.as_str())).filter(|text| !text.is_empty())
}
