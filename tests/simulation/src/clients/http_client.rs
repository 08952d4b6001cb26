//! A client that uses HTTP, as sellers' programs do: through the client library, with its retries, to the node's own
//! server. The outcome that the library reports counts as true, and is checked.

use std::borrow::Cow;
use std::time::Duration;

use etebar::api::{
    AmountIn, BatchItem, BatchRequest, BatchResult, NewAdjustment, NewCharge, NewCreditRequest, NewDecision as Reason,
    NewReversal, Problem,
};
use etebar::{Answer, Client, Error, IdempotencyKey};
use ledger::{
    Action, Adjust, Charge, Command, DecideCredit, IdKind, Note, Phone, Reference, RequestCredit, RequestCreditFor,
    Reverse, Verdict,
};
use uuid::Uuid;

use crate::command_port::PortReply;
use crate::history::events::{AttemptOutcome, HttpBalance};
use crate::history::http_response::{CommandResult, HttpResponse, Resource, ids};
use crate::network::{HTTP_PORT, PROXY_NAME, host_name, proxy_port};

/// A client over HTTP.
pub struct HttpClient(Client);

impl HttpClient {
    /// A client of all nodes, which starts at `preferred_node`.
    pub fn new(nodes: u64, preferred_node: u64) -> Self {
        let servers = (1..=nodes).map(|node| format!("http://{}:{HTTP_PORT}", host_name(node)));
        let client = Client::new(servers).expect("host names are valid in a URL");
        Self(client.starting_at(preferred_node as usize - 1))
    }

    /// The same through the proxy.
    pub fn behind_proxy(nodes: u64, preferred_node: u64) -> Self {
        let servers = (1..=nodes).map(|node| format!("http://{}:{}", PROXY_NAME, proxy_port(node)));
        let client = Client::new(servers).expect("the name of the proxy is valid in a URL");
        Self(client.starting_at(preferred_node as usize - 1))
    }

    /// Whether these commands can be sent over HTTP.
    pub fn supports(commands: &[Command]) -> bool {
        let is_supported = |command: &Command| match &command.action {
            Action::Charge(_)
            | Action::RequestCredit(_)
            | Action::RequestCreditFor(_)
            | Action::Adjust(_)
            | Action::Reverse(_) => command.idempotency_key.is_some(),
            Action::DecideCredit(_) => command.idempotency_key.is_none(),
            Action::Genesis(_)
            | Action::CreateSeller(_)
            | Action::SetSellerStatus(_)
            | Action::CreateKey(_)
            | Action::RevokeKey(_)
            | Action::RegisterNode(_)
            | Action::RaiseRules(_)
            | Action::AddNode(_)
            | Action::PromoteNode(_)
            | Action::RemoveNode(_)
            | Action::BeginEpoch(_)
            | Action::OpenLedger(_)
            | Action::NoteBackup(_)
            | Action::CreateExpiringKey(_)
            | Action::RotateKey(_)
            | Action::SetPolicy(_) => false,
        };
        commands.iter().all(is_supported)
    }

    /// Has commands decided, for as long as `timeout`.
    pub async fn submit(&self, secret: &str, commands: &[Command], timeout: Duration) -> AttemptOutcome {
        let client = self.with_key(secret, timeout);
        let response = match commands {
            [command] => submit_one(&client, command).await,
            many => submit_batch(&client, many).await,
        };
        match response {
            Ok(response) => AttemptOutcome::Http(response),
            Err(Error::Refused(problem)) => {
                AttemptOutcome::Http(HttpResponse { position: None, results: vec![refused(&problem); commands.len()] })
            }
            Err(Error::NotDone(why)) => AttemptOutcome::Port(PortReply::NotDone(why.to_string())),
            Err(Error::OutcomeUnknown(_)) => AttemptOutcome::NoAnswer,
        }
    }

    /// Reads the balance of the seller whose key this is; at node `first` first, where one is given.
    pub async fn read_balance(&self, secret: &str, first: Option<u64>, timeout: Duration) -> Option<HttpBalance> {
        let client = self.with_key(secret, timeout);
        let client = first.map_or_else(|| client.clone(), |node| client.starting_at(node as usize - 1));
        let answer = client.seller(None).await.ok()?;
        let seller = ids().number(IdKind::Seller, answer.value.id)?;
        Some(HttpBalance { applied: answer.applied, seller, balance: answer.value.balance.minor() })
    }

    fn with_key(&self, secret: &str, timeout: Duration) -> Client {
        self.0.with_key(secret).expect("a secret is visible ASCII").with_timeout(timeout)
    }
}

async fn submit_one(client: &Client, command: &Command) -> Result<HttpResponse, Error> {
    let key =
        command.idempotency_key.as_ref().map(|key| IdempotencyKey::parse(key.as_str()).expect("it is one already"));
    match (&command.action, key) {
        (Action::Charge(Charge { phone, amount, reference }), Some(key)) => {
            let (phone, amount) = (phone_text(*phone).into(), money(amount.minor().cast_signed()));
            let new = NewCharge { phone, amount, reference: reference_text(reference.as_ref()) };
            client.charge(&new, &key).await.map(|answer| done(answer, Resource::Charge))
        }
        (Action::RequestCredit(request), Some(key)) => {
            let new = credit_request(request, None);
            client.request_credit(&new, &key).await.map(|answer| done(answer, Resource::CreditRequest))
        }
        (Action::RequestCreditFor(RequestCreditFor { seller, request }), Some(key)) => {
            let new = credit_request(request, Some(ids().uuid(IdKind::Seller, *seller)));
            client.request_credit(&new, &key).await.map(|answer| done(answer, Resource::CreditRequest))
        }
        (Action::Adjust(Adjust { seller, amount, reason }), Some(key)) => {
            let new = NewAdjustment { amount: money(amount.minor()), reason: reason.as_str().into() };
            let seller = ids().uuid(IdKind::Seller, *seller);
            client.adjust(seller, &new, &key).await.map(|answer| done(answer, Resource::Entry))
        }
        (Action::Reverse(Reverse { charge, reason }), Some(key)) => {
            let new = NewReversal { reason: reason.as_str().into() };
            let charge = ids().uuid(IdKind::Charge, *charge);
            client.reverse(charge, &new, &key).await.map(|answer| done(answer, Resource::Entry))
        }
        (Action::DecideCredit(DecideCredit { request, verdict, reason }), None) => {
            let request = ids().uuid(IdKind::CreditRequest, *request);
            let body = Reason { reason: optional(reason) };
            let answer = match verdict {
                Verdict::Approved => client.approve(request, &body).await,
                Verdict::Rejected => client.reject(request, &body).await,
            };
            answer.map(|answer| done(answer, Resource::CreditRequest))
        }
        (action, _) => panic!("HTTP has no request for {action:?}"),
    }
}

fn credit_request(request: &RequestCredit, seller_id: Option<Uuid>) -> NewCreditRequest<'_> {
    let RequestCredit { amount, note, reference } = request;
    let (amount, reference) = (money(amount.minor().cast_signed()), reference_text(reference.as_ref()));
    NewCreditRequest { amount, note: optional(note), reference, seller_id }
}

async fn submit_batch(client: &Client, commands: &[Command]) -> Result<HttpResponse, Error> {
    let charges = commands.iter().map(|command| match (&command.action, &command.idempotency_key) {
        (Action::Charge(Charge { phone, amount, reference }), Some(key)) => BatchItem {
            phone: phone_text(*phone).into(),
            amount: money(amount.minor().cast_signed()),
            idempotency_key: key.as_str().into(),
            reference: reference_text(reference.as_ref()),
        },
        (action, _) => panic!("a batch has charges alone, not {action:?}"),
    });
    let answer = client.charge_batch(&BatchRequest { charges: charges.collect() }).await?;
    let results = answer.value.results.into_iter().map(|result| match result {
        BatchResult { charge: Some(charge), replayed, .. } => {
            CommandResult::Done { resource: Box::new(Resource::Charge(charge)), replayed }
        }
        BatchResult { problem: Some(problem), .. } => refused(&problem),
        BatchResult { status, .. } => panic!("a result has a charge or a problem, this has a status alone: {status}"),
    });
    Ok(HttpResponse { position: Some(answer.applied), results: results.collect() })
}

fn done<T>(answer: Answer<T>, resource: impl Fn(T) -> Resource) -> HttpResponse {
    let result = CommandResult::Done { resource: Box::new(resource(answer.value)), replayed: answer.replayed };
    HttpResponse { position: Some(answer.applied), results: vec![result] }
}

fn refused(problem: &Problem) -> CommandResult {
    CommandResult::Refused { code: problem.code, balance: problem.balance.map(etebar::api::AmountOut::minor) }
}

/// As a person would write it, in one of the ways that mean the same number.
fn phone_text(phone: Phone) -> String {
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
fn reference_text(reference: Option<&Reference>) -> Option<Cow<'_, str>> {
    reference.map(|reference| reference.as_str().into())
}

fn optional(note: &Note) -> Option<Cow<'_, str>> {
    Some(Cow::Borrowed(note.as_str())).filter(|text| !text.is_empty())
}
