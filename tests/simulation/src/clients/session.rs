//! A client session: it submits operations to any node, retries under the same key where the outcome is unknown, and reads.
//!
//! Some use HTTP, through the client library, and some the command port. They run on a host of their own that never fails,
//! so that no answer is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use etebar_node::raft::Decided;
use etebar_node::raft::link::frame::{Receiver, Sender, split};
use etebar_node::runtime::net::TcpStream;
use etebar_node::runtime::spawn;
use etebar_node::storage::model::Dice;
use ledger::{Action, Adjust, Command, CreateSeller, Name, Note, RecordNumber, SignedAmount};
use tokio::time::{Instant, sleep, timeout_at};

use crate::clients::credentials::ADMIN;
use crate::clients::http_client::HttpClient;
use crate::clients::workload::{Operation, Workload, command, new_key};
use crate::command_port::{PortReply, PortRequest, ReadMode};
use crate::history::Recorder;
use crate::history::events::{AttemptOutcome, HttpRead, PortRead};
use crate::history::http_response::CommandResult;
use crate::network::{COMMAND_PORT, host_name};
use crate::plan::Plan;

/// Longest time for connecting.
const DIAL: Duration = Duration::from_millis(300);
/// Longest time that the client library is given for a call, in milliseconds.
const CALL_MS: u64 = 6_000;
/// How often an operation is attempted.
const ATTEMPTS: u64 = 6;

/// The session of one client.
pub struct Session {
    id: u64,
    sequence: u64,
    plan: Plan,
    recorder: Recorder,
    workload: Workload,
    dice: Dice,
    connections: BTreeMap<u64, (Sender, Receiver)>,
    /// It uses HTTP for the operations that HTTP supports.
    http: Option<HttpClient>,
    /// The node that it asks first.
    preferred_node: u64,
    /// The position of the last answer.
    position: u64,
}

impl Session {
    /// Client number `id`.
    pub fn new(id: u64, plan: &Plan, recorder: &Recorder, workload: &Workload) -> Self {
        let mut dice = Dice::new(plan.seed, 1_000 + id);
        let preferred_node = dice.between(1, plan.nodes);
        // The first ones create sellers and do what HTTP shows no record of.
        // The last one has a proxy in between.
        let http = match id {
            id if id + 1 == plan.clients => Some(HttpClient::behind_proxy(plan.hosts(), preferred_node)),
            id => (id >= plan.clients - plan.http_clients).then(|| HttpClient::new(plan.hosts(), preferred_node)),
        };
        let (plan, recorder, workload) = (plan.clone(), recorder.clone(), workload.clone());
        Self {
            id,
            sequence: 0,
            plan,
            recorder,
            workload,
            dice,
            connections: BTreeMap::new(),
            http,
            preferred_node,
            position: 0,
        }
    }

    /// Submits operations and reads until the workload is stopped. The first client creates the first sellers.
    pub async fn run(mut self) {
        if self.id == 0 {
            for number in 0..3 {
                self.create_seller(number).await;
            }
            self.workload.state().is_ready = true;
        }
        loop {
            sleep(Duration::from_millis(self.dice.between(1, self.plan.pace_ms))).await;
            if self.workload.state().is_stopped {
                return;
            }
            if !self.workload.state().is_ready {
                continue;
            }
            if self.id == 0 && std::mem::take(&mut self.workload.state().wants_seller) {
                self.create_seller(3).await;
            }
            self.sequence += 1;
            if self.dice.once_in(self.plan.reads) {
                self.read().await;
                continue;
            }
            let key = format!("c{}.{}", self.id, self.sequence);
            let Some(operation) = self.workload.next_operation(&mut self.dice, &key, self.plan.repeats) else {
                continue;
            };
            self.submit(operation).await;
        }
    }

    /// Creates a seller with a key and some credit, with as many attempts as it takes.
    async fn create_seller(&mut self, number: u64) {
        let text = format!("shop{number}");
        let create = Action::CreateSeller(CreateSeller { name: Name::new(&text).expect("a short name") });
        let seller = self.submit_until_done(&format!("{text}.seller"), create).await;
        self.submit_until_done(&format!("{text}.key"), new_key(seller, &text)).await;
        let amount = SignedAmount::new(500).expect("it is not zero");
        self.submit_until_done(
            &format!("{text}.credit"),
            Action::Adjust(Adjust { seller, amount, reason: Note::empty() }),
        )
        .await;
    }

    async fn submit_until_done(&mut self, key: &str, action: Action) -> RecordNumber {
        loop {
            let operation = Operation { commands: vec![command(ADMIN, Some(key), action.clone())], may_retry: true };
            if let Some(number) = self.submit(operation).await {
                return number;
            }
        }
    }

    /// Has an operation decided, with several attempts where that is safe; returns the record of its first command.
    async fn submit(&mut self, operation: Operation) -> Option<RecordNumber> {
        let op = self.recorder.begin(self.id, operation.commands.clone());
        if operation.may_retry && self.dice.once_in(20) {
            self.submit_in_parallel(op, &operation.commands);
        }
        // Some give up at once: the first outcome must then be final.
        let attempts = if self.dice.once_in(4) { 1 } else { ATTEMPTS };
        for _ in 0..attempts {
            match self.attempt(op, &operation.commands).await {
                AttemptOutcome::Http(response) => {
                    self.workload.observe_http(&response);
                    self.position = self.position.max(response.position.unwrap_or(0));
                    return response.results.first().and_then(CommandResult::number);
                }
                AttemptOutcome::Port(PortReply::Decided(decisions)) => {
                    self.workload.observe(&decisions);
                    self.position = self.position.max(decisions.position);
                    return match decisions.outcomes.first() {
                        Some(Decided::Recorded { record, .. }) => Some(record.number),
                        Some(Decided::NotRecorded(_)) | None => None,
                    };
                }
                outcome if outcome.is_certainly_not_done() || operation.may_retry => {}
                AttemptOutcome::NotSent | AttemptOutcome::NoAnswer | AttemptOutcome::Port(_) => return None,
            }
            self.preferred_node = self.any_node();
            sleep(Duration::from_millis(self.dice.between(5, 150))).await;
        }
        None
    }

    async fn attempt(&mut self, op: usize, commands: &[Command]) -> AttemptOutcome {
        if let Some(http) = self.http.as_ref().filter(|_| HttpClient::supports(commands)) {
            let secret = self.workload.state().secret(commands[0].actor);
            let timeout = Duration::from_millis(self.dice.between(200, CALL_MS.min(self.plan.key_window_ms / 2)));
            let attempt = self.recorder.invoke(op, None);
            let outcome = http.submit(&secret, commands, timeout).await;
            self.recorder.complete(op, attempt, outcome.clone());
            return outcome;
        }
        let node = self.pick_node();
        let timeout = Duration::from_millis(self.dice.between(150, 2_500));
        // For some the node works on after they gave up, the others get its final reply.
        let wait_ms = if self.dice.once_in(2) { 4_000 } else { timeout.as_millis() as u64 - 100 };
        let attempt = self.recorder.invoke(op, Some(node));
        let outcome = self.call_node(node, PortRequest::Decide { commands: commands.to_vec(), wait_ms }, timeout).await;
        self.recorder.complete(op, attempt, outcome.clone());
        outcome
    }

    /// Sends the same commands to another node at the same time, as a proxy that retries would.
    fn submit_in_parallel(&mut self, op: usize, commands: &[Command]) {
        let (recorder, commands) = (self.recorder.clone(), commands.to_vec());
        let node = self.any_node();
        spawn(async move {
            let attempt = recorder.invoke(op, Some(node));
            let deadline = Instant::now() + Duration::from_secs(2);
            let outcome = match connect(node).await {
                None => AttemptOutcome::NotSent,
                Some(mut connection) => {
                    exchange(&mut connection, &PortRequest::Decide { commands, wait_ms: 2_000 }, deadline).await
                }
            };
            recorder.complete(op, attempt, outcome);
        });
    }

    async fn read(&mut self) {
        let (seller, (actor, secret), isolated_leader) = {
            let state = self.workload.state();
            let Some(account) = state.sellers.get(self.dice.below(state.sellers.len().max(1) as u64) as usize) else {
                return;
            };
            (
                account.seller,
                account.keys[self.dice.below(account.keys.len() as u64) as usize].clone(),
                state.isolated_leader,
            )
        };
        let isolated_leader = isolated_leader.filter(|_| self.dice.once_in(2));
        if let Some(http) = &self.http {
            let acknowledged = self.recorder.history().acknowledged;
            let timeout = Duration::from_millis(self.dice.between(200, CALL_MS));
            if let Some(balance) = http.read_balance(&secret, isolated_leader, timeout).await {
                self.recorder.http_read(HttpRead { client: self.id, acknowledged, balance });
            }
            return;
        }
        let mode = if self.dice.once_in(5) { ReadMode::Local } else { ReadMode::Linearizable };
        let min_applied = if self.dice.once_in(2) { self.position } else { 0 };
        let acknowledged = self.recorder.history().acknowledged;
        let any = if self.dice.once_in(2) { self.pick_node() } else { self.any_node() };
        let node = isolated_leader.unwrap_or(any);
        let request = PortRequest::Read { actor, seller, mode, min_applied, wait_ms: 1_500 };
        let AttemptOutcome::Port(PortReply::Read(result)) =
            self.call_node(node, request, Duration::from_millis(1_500)).await
        else {
            return;
        };
        let reader = format!("client {} at node {node}", self.id);
        if mode == ReadMode::Linearizable && result.records < acknowledged {
            let records = result.records;
            self.recorder.violation(format!(
                "a read is stale: {reader} saw {records} records, though {acknowledged} were acknowledged before it began"
            ));
        }
        if result.applied < min_applied {
            let applied = result.applied;
            self.recorder
                .violation(format!("a session went back: {reader} required position {min_applied}, got {applied}"));
        }
        self.position = self.position.max(if mode == ReadMode::Linearizable { result.applied } else { 0 });
        self.recorder.port_read(PortRead { client: self.id, node, mode, seller, actor, result });
    }

    /// One of all nodes, or of those that are known to be healthy; before the first sellers exist one of the first nodes,
    /// since the others have not been added yet.
    fn any_node(&mut self) -> u64 {
        let state = self.workload.state();
        if !state.healthy_nodes.is_empty() {
            return state.healthy_nodes[self.dice.below(state.healthy_nodes.len() as u64) as usize];
        }
        self.dice.between(1, if state.is_ready { self.plan.hosts() } else { self.plan.nodes })
    }

    fn pick_node(&mut self) -> u64 {
        if self.dice.once_in(6) { self.any_node() } else { self.preferred_node }
    }

    async fn call_node(&mut self, node: u64, request: PortRequest, timeout: Duration) -> AttemptOutcome {
        let deadline = Instant::now() + timeout;
        let mut connection = match self.connections.remove(&node) {
            Some(connection) => connection,
            None => match connect(node).await {
                Some(connection) => connection,
                None => return AttemptOutcome::NotSent,
            },
        };
        let outcome = exchange(&mut connection, &request, deadline).await;
        if matches!(outcome, AttemptOutcome::Port(_)) {
            self.connections.insert(node, connection);
        }
        outcome
    }
}

async fn connect(node: u64) -> Option<(Sender, Receiver)> {
    let stream =
        timeout_at(Instant::now() + DIAL, TcpStream::connect((host_name(node), COMMAND_PORT))).await.ok()?.ok()?;
    Some(split(stream))
}

async fn exchange(
    (sender, receiver): &mut (Sender, Receiver),
    request: &PortRequest,
    deadline: Instant,
) -> AttemptOutcome {
    let answered = async {
        sender.send(request).await.ok()?;
        receiver.receive::<PortReply>().await.ok()
    };
    match timeout_at(deadline, answered).await {
        Ok(Some(reply)) => AttemptOutcome::Port(reply),
        Ok(None) | Err(_) => AttemptOutcome::NoAnswer,
    }
}
