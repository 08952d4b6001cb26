//! `etebar credit-requests review`: the pending requests on a terminal, oldest first, one verdict at a time.
//!
//! Invariant: one key never decides; a verdict takes a second one (Enter), and keys pressed while a call is under way
//! count for nothing. A verdict is the same call as `approve` and `reject`, so that giving it again moves nothing.

mod queue;
mod words;

use std::collections::BTreeSet;

use crossterm::event::KeyCode;
use uuid::Uuid;

use etebar::api::{Code, CreditRequest, MAX_PAGE, NewDecision, RequestStatus, Seller};
use etebar::{Answer, CreditRequestFilter, Error};

use crate::output::done::Done;
use crate::output::error::CliError;
use crate::output::grouped;
use crate::output::paint::Cell;
use crate::output::terminal::{self, Input, Screen, Terminal};
use crate::session::Session;
use queue::{Decision, Queue};

/// Most requests taken up at a time; the others come when these are done.
const AT_A_TIME: usize = 10_000;

pub(crate) async fn run(session: &Session) -> Result<(), CliError> {
    if session.output.is_json() || !terminal::is_there() {
        return Err(CliError::usage(
            "a review needs an interactive terminal; elsewhere use `etebar credit-requests list --status pending` \
             with `approve ID` and `reject ID`",
        ));
    }
    let mut queue = Queue::default();
    queue.add(&pending(session).await?);
    if queue.is_empty() {
        return session.output.remark("no credit request is pending");
    }
    let terminal = Terminal::open(Screen::Lines, session.output.is_painted())?;
    let mut review = Review { session, terminal, queue, unsure: BTreeSet::new() };
    let walked = review.walk().await;
    let Review { terminal, queue, unsure, .. } = review;
    drop(terminal);
    let closed = session.output.end(&words::closing(&queue));
    if let Some(request) = unsure.first() {
        let why = walked.err().map_or(String::new(), |error| format!("{error}\n"));
        return Err(unknown(*request, &format!("{why}the outcome of a verdict is unknown")));
    }
    walked?;
    if queue.count(Decision::Approved) + queue.count(Decision::Rejected) > 0 {
        let hint = "`etebar credit-requests list` shows how each stands";
        return session.reported(closed, || Done::new("the verdicts above are given").hint(hint));
    }
    closed.map_err(|error| CliError::Unprinted(error.to_string()))
}

async fn pending(session: &Session) -> Result<Vec<CreditRequest>, Error> {
    let filter = CreditRequestFilter { status: Some(RequestStatus::Pending), seller: None };
    let mut pager = session.client.credit_requests_list(filter, MAX_PAGE);
    let mut requests = Vec::new();
    while requests.len() < AT_A_TIME {
        let Some(page) = pager.next_page().await? else { break };
        requests.extend(page.value.items);
    }
    Ok(requests)
}

struct Review<'a> {
    session: &'a Session,
    terminal: Terminal,
    queue: Queue,
    /// The requests of verdicts of ours whose answers never came.
    unsure: BTreeSet<Uuid>,
}

/// Whether the review continues.
enum Next {
    Request,
    Quit,
}

/// The action of a key.
enum Choice {
    Approve,
    Reject,
    Skip,
    Back,
    Help,
    Quit,
}

impl Review<'_> {
    async fn walk(&mut self) -> Result<(), CliError> {
        loop {
            let Some((place, of, id)) = self.queue.current() else {
                if self.look_again().await? {
                    continue;
                }
                return Ok(());
            };
            let client = &self.session.client;
            let request = self.terminal.attend(client.credit_request(id)).await??.value;
            if request.status != RequestStatus::Pending {
                self.elsewhere(&request)?;
                continue;
            }
            let seller = self.terminal.attend(client.seller(Some(request.seller_id))).await??.value;
            self.terminal.say(&words::request(place, of, &request, &seller))?;
            match self.decide(&request, &seller).await? {
                Next::Request => {}
                Next::Quit => return Ok(()),
            }
        }
    }

    /// Takes up what came since; false where nothing did.
    async fn look_again(&mut self) -> Result<bool, CliError> {
        let requests = self.terminal.attend(pending(self.session)).await??;
        let more = self.queue.add(&requests);
        if more > 0 {
            self.terminal.say(&format!("\n{more} more came meanwhile"))?;
        }
        Ok(more > 0)
    }

    /// Asks until the current request is decided, skipped or left.
    async fn decide(&mut self, request: &CreditRequest, seller: &Seller) -> Result<Next, CliError> {
        loop {
            self.terminal.ask(words::KEYS)?;
            let choice = self.choice().await?;
            self.terminal.say("")?;
            let settled = match choice {
                Choice::Approve => self.approve(request, seller).await?,
                Choice::Reject => self.reject(request).await?,
                Choice::Skip => {
                    self.terminal.say("skipped: it stays pending")?;
                    Some(Decision::Skipped)
                }
                Choice::Back if self.queue.back() => return Ok(Next::Request),
                Choice::Back => {
                    self.terminal.say("nothing was skipped before this one")?;
                    None
                }
                Choice::Help => {
                    self.terminal.say(words::HELP)?;
                    None
                }
                Choice::Quit => return Ok(Next::Quit),
            };
            if let Some(decision) = settled {
                self.queue.settle(decision);
                return Ok(Next::Request);
            }
        }
    }

    async fn choice(&mut self) -> Result<Choice, CliError> {
        loop {
            match self.terminal.input().await {
                Input::Key(KeyCode::Char(key)) => match key.to_ascii_lowercase() {
                    'a' => return Ok(Choice::Approve),
                    'r' => return Ok(Choice::Reject),
                    's' | 'n' => return Ok(Choice::Skip),
                    'b' | 'u' => return Ok(Choice::Back),
                    'q' => return Ok(Choice::Quit),
                    '?' | 'h' => return Ok(Choice::Help),
                    _ => {}
                },
                Input::Interrupt => return Ok(Choice::Quit),
                Input::Hangup => return Err(CliError::local("interrupted")),
                Input::Key(_) | Input::Resized => {}
            }
        }
    }

    async fn approve(&mut self, request: &CreditRequest, seller: &Seller) -> Result<Option<Decision>, CliError> {
        self.terminal.ask(&words::sure(request, seller))?;
        let sure = loop {
            match self.terminal.input().await {
                Input::Key(key) => break key == KeyCode::Enter,
                Input::Interrupt => break false,
                Input::Hangup => return Err(CliError::local("interrupted")),
                Input::Resized => {}
            }
        };
        self.terminal.say("")?;
        if !sure {
            self.terminal.say("not approved")?;
            return Ok(None);
        }
        let client = &self.session.client;
        let answer = self.terminal.attend(client.approve(request.id, &NewDecision::default())).await;
        let answer = answer.map_err(|_| interrupted(request))?;
        self.given(request, answer, Decision::Approved).await
    }

    async fn reject(&mut self, request: &CreditRequest) -> Result<Option<Decision>, CliError> {
        let question = "reason, which the seller reads (Enter rejects, Esc goes back): ";
        let Some(reason) = self.terminal.line(question).await? else {
            self.terminal.say("not rejected")?;
            return Ok(None);
        };
        let verdict = NewDecision { reason: (!reason.is_empty()).then(|| reason.into()) };
        let answer = self.terminal.attend(self.session.client.reject(request.id, &verdict)).await;
        let answer = answer.map_err(|_| interrupted(request))?;
        self.given(request, answer, Decision::Rejected).await
    }

    /// What became of a verdict that was sent; `None` where the request is to be asked about again.
    async fn given(
        &mut self,
        request: &CreditRequest,
        answer: Result<Answer<CreditRequest>, Error>,
        decision: Decision,
    ) -> Result<Option<Decision>, CliError> {
        match answer {
            // A replay of the first attempt is another admin's verdict; of a later one it is ours, whose answer was lost.
            Ok(answer) if answer.replayed && answer.attempts == 1 && !self.unsure.contains(&request.id) => {
                self.terminal.say(&words::decided(&answer.value))?;
                Ok(Some(Decision::Elsewhere))
            }
            Ok(answer) => {
                self.settled(request);
                // Where this read or the terminal fails, the verdict is given all the same.
                let seller = self.terminal.attend(self.session.client.seller(Some(request.seller_id))).await;
                let balance = seller.map(|seller| seller.map(|seller| grouped(seller.value.balance)));
                let balance = balance.map(|balance| balance.unwrap_or_else(|_| "not known".to_owned()));
                let said = balance.and_then(|balance| self.terminal.say(&words::done(&answer.value, &balance)));
                said.map_err(|error| given(&answer.value).unreported(&error))?;
                Ok(Some(decision))
            }
            Err(Error::Refused(problem)) if problem.code == Code::CreditRequestDecided => {
                self.settled(request);
                let client = &self.session.client;
                let now = self.terminal.attend(client.credit_request(request.id)).await??.value;
                self.terminal.say(&words::decided(&now))?;
                Ok(Some(Decision::Elsewhere))
            }
            Err(Error::Refused(problem)) if matches!(problem.code, Code::LimitExceeded | Code::InvalidRequest) => {
                self.terminal.say(&format!("nothing moved now: {}", Cell::from(&*problem.detail)))?;
                Ok(None)
            }
            Err(Error::Refused(problem)) => Err(Error::Refused(problem).into()),
            Err(error) => {
                if matches!(error, Error::OutcomeUnknown(_)) {
                    self.unsure.insert(request.id);
                }
                let error = Cell::from(error.to_string());
                self.terminal.say(&format!("{error}\nthe same key again is safe: a verdict moves credit once"))?;
                Ok(None)
            }
        }
    }

    /// What became of this request is known.
    fn settled(&mut self, request: &CreditRequest) {
        self.unsure.remove(&request.id);
    }

    fn elsewhere(&mut self, request: &CreditRequest) -> Result<(), CliError> {
        self.settled(request);
        self.terminal.say(&format!("\n{}", words::decided(request)))?;
        self.queue.settle(Decision::Elsewhere);
        Ok(())
    }
}

/// The end of a review in the middle of a verdict.
fn interrupted(request: &CreditRequest) -> CliError {
    unknown(request.id, "interrupted; the verdict may have been given")
}

fn unknown(request: Uuid, why: &str) -> CliError {
    CliError::Advised {
        text: format!("{why}: credit request {request}"),
        hint: format!("`etebar credit-requests show {request}` shows it; the same verdict again moves nothing"),
        code: 3,
    }
}

fn given(request: &CreditRequest) -> Done {
    let verdict = match request.status {
        RequestStatus::Approved => "approved",
        RequestStatus::Rejected => "rejected",
        RequestStatus::Pending => "decided",
    };
    let hint = format!("`etebar credit-requests show {}` shows it", request.id);
    Done::new(format!("the credit request is {verdict}")).id(request.id).hint(hint)
}
