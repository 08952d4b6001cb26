//! One poll: every known node is asked at once, for the cluster as it sees it and for its digest at one common position.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio::time::Instant;

use etebar::api::{ClusterStatus, Code, DigestAt, NodeStatus, Problem, Timestamp};
use etebar::{Call, Client, Error, Failure, Meaning, Query};

use super::snapshot::{NodeView, Snapshot, State, plain};
use crate::output::error::CliError;
use crate::output::words::role;

/// Longest wait for one answer, however long the interval is.
const ANSWER_TIMEOUT_MAX: Duration = Duration::from_secs(2);

/// The known nodes, and what each had applied at the poll before.
pub(crate) struct Poller {
    client: Client,
    nodes: Vec<PolledNode>,
    before: HashMap<u64, (u64, Instant)>,
    /// The last view of the cluster that a node gave.
    cluster: Option<ClusterStatus>,
    timeout: Duration,
}

#[derive(Clone)]
struct PolledNode {
    /// Known from its first answer on, or from the others' status.
    id: Option<u64>,
    /// `host:port`, which distinguishes nodes whose id is not known.
    api: String,
    /// Its address as a URL.
    url: String,
    client: Client,
}

/// What a node answered, or why it did not.
enum Response<T> {
    /// With the id of the node that gave it.
    Answered(T, u64),
    /// It answered with an error.
    Refused(Option<Box<Problem>>),
    /// It accepted the connection, and gave no whole answer in time.
    TimedOut,
    /// No connection.
    Unreachable,
}

impl Poller {
    pub(crate) fn new(client: &Client, servers: &[String], interval: Duration) -> Result<Poller, CliError> {
        let nodes = servers
            .iter()
            .map(|server| {
                Ok(PolledNode { id: None, api: plain(server), url: url(server), client: client.at([server])? })
            })
            .collect::<Result<Vec<_>, CliError>>()?;
        // The two requests of a poll, one after the other, fit into an interval, with a fifth of it to spare.
        let timeout = (interval * 2 / 5).min(ANSWER_TIMEOUT_MAX);
        Ok(Poller { client: client.clone(), nodes, before: HashMap::new(), cluster: None, timeout })
    }

    /// Asks all nodes. Fails where all that answer refuse the API key.
    pub(crate) async fn poll(&mut self, at: Instant) -> Result<Snapshot, CliError> {
        let mut round = Round { at, statuses: HashMap::new(), states: HashMap::new() };
        let mut asked = HashSet::new();
        // The answers may name nodes that were not known before: those are asked in a second turn.
        for _ in 0..2 {
            let nodes: Vec<PolledNode> = self.nodes.iter().filter(|node| !asked.contains(&node.api)).cloned().collect();
            let responses = self.ask_all(&nodes, &Call::get("/v1/cluster?consistency=local")).await;
            if asked.is_empty() {
                refused_by_all(&responses)?;
            }
            for (node, response) in nodes.iter().zip(responses) {
                let id = round.take(node.id, response);
                self.nodes.iter_mut().filter(|known| known.api == node.api).for_each(|known| known.id = id);
                asked.insert(node.api.clone());
            }
            self.cluster = round.best().cloned().or(self.cluster.take());
            self.learn()?;
        }
        let position = round.statuses.values().map(|status| status.applied).min();
        let digests = match position {
            Some(position) => self.digests(&round, position).await,
            None => HashMap::new(),
        };
        Ok(self.snapshot(&round, position.filter(|_| !digests.is_empty()), digests))
    }

    /// Adds the nodes that the cluster names, none twice.
    fn learn(&mut self) -> Result<(), CliError> {
        let Some(cluster) = &self.cluster else { return Ok(()) };
        let mut seen = HashSet::new();
        self.nodes.retain(|node| node.id.is_none_or(|id| seen.insert(id)));
        for status in &cluster.nodes {
            let api = plain(&status.api);
            if seen.contains(&status.id) {
                continue;
            }
            if let Some(node) = self.nodes.iter_mut().find(|node| node.id.is_none() && node.api == api) {
                node.id = Some(status.id);
            } else {
                let client = self.client.at_node(&status.api)?;
                self.nodes.push(PolledNode { id: Some(status.id), api, url: url(&status.api), client });
            }
        }
        Ok(())
    }

    /// The digests at `position` of those that answered.
    async fn digests(&self, round: &Round, position: u64) -> HashMap<u64, String> {
        let answered = |node: &&PolledNode| node.id.is_some_and(|id| round.statuses.contains_key(&id));
        let nodes: Vec<PolledNode> = self.nodes.iter().filter(answered).cloned().collect();
        let path = Query::new("/v1/cluster/digest").and("applied", position).finish();
        let responses = self.ask_all::<DigestAt>(&nodes, &Call::get(path)).await;
        let digests = nodes.iter().zip(responses).filter_map(|(node, response)| match response {
            Response::Answered(digest, _) => Some((node.id?, digest.digest)),
            Response::Refused(_) | Response::TimedOut | Response::Unreachable => None,
        });
        digests.collect()
    }

    async fn ask_all<T: DeserializeOwned + Send + 'static>(
        &self,
        nodes: &[PolledNode],
        call: &Call,
    ) -> Vec<Response<T>> {
        let mut asked = JoinSet::new();
        for (index, node) in nodes.iter().enumerate() {
            let (client, call, timeout) = (node.client.clone(), call.clone(), self.timeout);
            asked.spawn(async move { (index, ask(&client, &call, timeout).await) });
        }
        let mut responses: Vec<Response<T>> = nodes.iter().map(|_| Response::TimedOut).collect();
        while let Some(joined) = asked.join_next().await {
            // A task that panicked has no answer.
            if let Ok((index, answer)) = joined {
                responses[index] = answer;
            }
        }
        responses
    }

    fn snapshot(&mut self, round: &Round, position: Option<u64>, mut digests: HashMap<u64, String>) -> Snapshot {
        let furthest = round.statuses.values().map(|status| status.applied).max();
        let cluster = self.cluster.clone();
        let mut nodes = Vec::new();
        for node in cluster.iter().flat_map(|cluster| &cluster.nodes) {
            let own = round.statuses.get(&node.id).map(|status| status.applied);
            nodes.push(NodeView {
                id: Some(node.id),
                api: node.api.clone(),
                role: cluster.as_ref().filter(|_| own.is_some()).map(|cluster| role(cluster, node)),
                state: round.state(node),
                applied: own.or(node.applied),
                lag: own.zip(furthest).map(|(own, furthest)| furthest - own),
                applied_per_second: own.and_then(|applied| self.rate(node.id, applied, round.at)),
                digest: digests.remove(&node.id),
                clock: round.statuses.get(&node.id).and_then(|status| status.clock),
                audited: round.statuses.get(&node.id).and_then(|status| status.audited),
            });
        }
        if cluster.is_none() {
            nodes.extend(self.nodes.iter().map(|node| NodeView::unknown(&node.url)));
        }
        let current = cluster.as_ref().filter(|_| !round.statuses.is_empty());
        Snapshot {
            at: now(),
            leader: current.and_then(|cluster| cluster.leader),
            term: current.map(|cluster| cluster.term),
            applied: furthest,
            applied_per_second: nodes.iter().filter_map(|node| node.applied_per_second).reduce(f64::max),
            position,
            agree: None,
            keys: current.and_then(|cluster| cluster.keys),
            nodes,
        }
        .compared()
    }

    /// Positions a second since the poll before.
    fn rate(&mut self, id: u64, applied: u64, at: Instant) -> Option<f64> {
        let (before, then) = self.before.insert(id, (applied, at))?;
        let seconds = at.duration_since(then).as_secs_f64();
        // A node that did not answer starts over; a restarted one may even be behind where it was.
        (seconds > 0.0).then(|| applied.saturating_sub(before) as f64 / seconds)
    }
}

/// What the nodes reported of themselves and of the cluster in one poll.
struct Round {
    at: Instant,
    statuses: HashMap<u64, ClusterStatus>,
    states: HashMap<u64, State>,
}

impl Round {
    /// Records a node's response, and returns its id where that is known.
    fn take(&mut self, known: Option<u64>, response: Response<ClusterStatus>) -> Option<u64> {
        let (id, state) = match response {
            Response::Answered(status, id) => {
                self.statuses.insert(id, status);
                (id, State::Healthy)
            }
            Response::Refused(_) => (known?, State::Unready),
            Response::TimedOut => (known?, State::TimedOut),
            Response::Unreachable => (known?, State::Down),
        };
        self.states.insert(id, state);
        Some(id)
    }

    /// The view that counts: of one that knows a leader, in the highest term, of the leader itself.
    fn best(&self) -> Option<&ClusterStatus> {
        let trust = |id: u64, status: &ClusterStatus| {
            (status.leader.is_some(), status.term, status.leader == Some(id), status.applied)
        };
        self.statuses.iter().max_by_key(|(id, status)| trust(**id, status)).map(|(_, status)| status)
    }

    /// A node's own response counts first, then whether the others find it healthy.
    fn state(&self, node: &NodeStatus) -> State {
        match self.states.get(&node.id) {
            Some(State::Healthy) if !node.healthy => State::Unhealthy,
            Some(state) => *state,
            None => State::Down,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a poll is dated for people; nothing is decided by it")]
fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp(u64::try_from(now.as_millis()).unwrap_or(0))
}

fn refused_by_all<T>(responses: &[Response<T>]) -> Result<(), CliError> {
    let mut refusal = None;
    for response in responses {
        match response {
            Response::Answered(..) => return Ok(()),
            Response::Refused(Some(problem)) if matches!(problem.code, Code::Unauthenticated | Code::Forbidden) => {
                refusal = Some(problem);
            }
            Response::Refused(_) | Response::TimedOut | Response::Unreachable => {}
        }
    }
    refusal.map_or(Ok(()), |problem| Err(Error::Refused(problem.clone()).into()))
}

async fn ask<T: DeserializeOwned>(client: &Client, call: &Call, timeout: Duration) -> Response<T> {
    match client.fetch_once(0, call, timeout).await {
        Ok(Meaning::Done(answer)) => Response::Answered(answer.value, answer.node),
        Ok(Meaning::Refused(problem)) => Response::Refused(Some(problem)),
        Ok(Meaning::NotYet(reason) | Meaning::Unknown(reason)) => Response::Refused(reason.problem),
        Err(Failure::Unreachable(_) | Failure::Untrusted(_)) => Response::Unreachable,
        Err(Failure::Broken(_) | Failure::TimedOut(_)) => Response::TimedOut,
    }
}

/// An address with its scheme.
fn url(server: &str) -> String {
    let scheme = if server.trim().starts_with("https://") { "https" } else { "http" };
    format!("{scheme}://{}", plain(server))
}
