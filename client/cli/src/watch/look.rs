//! One look: every known node asked at once, for the cluster as it sees it and for its digest at one common position.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio::time::Instant;

use etebar::api::{ClusterStatus, Code, DigestAt, Member, Problem, Timestamp};
use etebar::{Call, Client, Error, Failure, Meaning, Query};

use super::sight::{Seen, Sight, State, plain};
use crate::output::stop::Stop;
use crate::output::words::role;

/// Longest wait for one answer, however long the interval is.
const PATIENCE_MAX: Duration = Duration::from_secs(2);

/// Knows the nodes, and what each had applied at the look before.
pub(crate) struct Lookout {
    client: Client,
    nodes: Vec<Node>,
    before: HashMap<u64, (u64, Instant)>,
    /// The last view of the cluster that anybody gave.
    cluster: Option<ClusterStatus>,
    patience: Duration,
}

#[derive(Clone)]
struct Node {
    /// Known from its first answer on, or from the others.
    id: Option<u64>,
    /// `host:port`, by which it is told from others.
    api: String,
    /// Its address as a URL.
    url: String,
    client: Client,
}

/// What a node answered, or did not.
enum Told<T> {
    /// With the id of the node that gave it.
    Answer(T, u64),
    /// It answered with a refusal.
    No(Option<Box<Problem>>),
    Silent,
    Down,
}

impl Lookout {
    pub(crate) fn new(client: &Client, servers: &[String], interval: Duration) -> Result<Lookout, Stop> {
        let nodes = servers
            .iter()
            .map(|server| Ok(Node { id: None, api: plain(server), url: url(server), client: client.at([server])? }))
            .collect::<Result<Vec<_>, Stop>>()?;
        // The questions of a look, one after the other, fit into an interval, with a fifth of it to spare.
        let patience = (interval * 2 / 5).min(PATIENCE_MAX);
        Ok(Lookout { client: client.clone(), nodes, before: HashMap::new(), cluster: None, patience })
    }

    /// Asks everybody. Fails where all that answer refuse the key.
    pub(crate) async fn look(&mut self, at: Instant) -> Result<Sight, Stop> {
        let mut round = Round { at, statuses: HashMap::new(), states: HashMap::new() };
        let mut asked = HashSet::new();
        // The answers may name members that nobody named before: those are asked in a second turn.
        for _ in 0..2 {
            let nodes: Vec<Node> = self.nodes.iter().filter(|node| !asked.contains(&node.api)).cloned().collect();
            let told = self.ask_all(&nodes, &Call::get("/v1/cluster?consistency=local")).await;
            if asked.is_empty() {
                refused_by_all(&told)?;
            }
            for (node, told) in nodes.iter().zip(told) {
                let id = round.take(node.id, told);
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
        Ok(self.sight(&round, position.filter(|_| !digests.is_empty()), digests))
    }

    /// Knows a node for each member from here on, and none twice.
    fn learn(&mut self) -> Result<(), Stop> {
        let Some(cluster) = &self.cluster else { return Ok(()) };
        let mut seen = HashSet::new();
        self.nodes.retain(|node| node.id.is_none_or(|id| seen.insert(id)));
        for member in &cluster.members {
            let api = plain(&member.api);
            if seen.contains(&member.id) {
                continue;
            }
            match self.nodes.iter_mut().find(|node| node.id.is_none() && node.api == api) {
                Some(node) => node.id = Some(member.id),
                None => {
                    let client = self.client.at_member(&member.api)?;
                    self.nodes.push(Node { id: Some(member.id), api, url: url(&member.api), client });
                }
            }
        }
        Ok(())
    }

    /// The digests at `position` of those that answered.
    async fn digests(&self, round: &Round, position: u64) -> HashMap<u64, String> {
        let answered = |node: &&Node| node.id.is_some_and(|id| round.statuses.contains_key(&id));
        let nodes: Vec<Node> = self.nodes.iter().filter(answered).cloned().collect();
        let path = Query::new("/v1/cluster/digest").and("applied", position).finish();
        let told = self.ask_all::<DigestAt>(&nodes, &Call::get(path)).await;
        let digests = nodes.iter().zip(told).filter_map(|(node, told)| match told {
            Told::Answer(digest, _) => Some((node.id?, digest.digest)),
            Told::No(_) | Told::Silent | Told::Down => None,
        });
        digests.collect()
    }

    async fn ask_all<T: DeserializeOwned + Send + 'static>(&self, nodes: &[Node], call: &Call) -> Vec<Told<T>> {
        let mut asked = JoinSet::new();
        for (index, node) in nodes.iter().enumerate() {
            let (client, call, patience) = (node.client.clone(), call.clone(), self.patience);
            asked.spawn(async move { (index, ask(&client, &call, patience).await) });
        }
        let mut told: Vec<Told<T>> = nodes.iter().map(|_| Told::Silent).collect();
        while let Some(joined) = asked.join_next().await {
            // A question that panicked was not answered.
            if let Ok((index, answer)) = joined {
                told[index] = answer;
            }
        }
        told
    }

    fn sight(&mut self, round: &Round, position: Option<u64>, mut digests: HashMap<u64, String>) -> Sight {
        let furthest = round.statuses.values().map(|status| status.applied).max();
        let cluster = self.cluster.clone();
        let mut members = Vec::new();
        for member in cluster.iter().flat_map(|cluster| &cluster.members) {
            let own = round.statuses.get(&member.id).map(|status| status.applied);
            members.push(Seen {
                id: Some(member.id),
                api: member.api.clone(),
                role: cluster.as_ref().filter(|_| own.is_some()).map(|cluster| role(cluster, member)),
                state: round.state(member),
                applied: own.or(member.applied),
                lag: own.zip(furthest).map(|(own, furthest)| furthest - own),
                applied_per_second: own.and_then(|applied| self.rate(member.id, applied, round.at)),
                digest: digests.remove(&member.id),
            });
        }
        if cluster.is_none() {
            members.extend(self.nodes.iter().map(|node| Seen::unknown(&node.url)));
        }
        let current = cluster.as_ref().filter(|_| !round.statuses.is_empty());
        Sight {
            at: now(),
            leader: current.and_then(|cluster| cluster.leader),
            term: current.map(|cluster| cluster.term),
            applied: furthest,
            applied_per_second: members.iter().filter_map(|member| member.applied_per_second).reduce(f64::max),
            position,
            agree: None,
            members,
        }
        .compared()
    }

    /// Positions a second since the look before.
    fn rate(&mut self, id: u64, applied: u64, at: Instant) -> Option<f64> {
        let (before, then) = self.before.insert(id, (applied, at))?;
        let seconds = at.duration_since(then).as_secs_f64();
        // A member that was away starts over; a restarted one may even be behind where it was.
        (seconds > 0.0).then(|| applied.saturating_sub(before) as f64 / seconds)
    }
}

/// What the nodes said of themselves and of the cluster in one look.
struct Round {
    at: Instant,
    statuses: HashMap<u64, ClusterStatus>,
    states: HashMap<u64, State>,
}

impl Round {
    /// Takes what a node told, and tells its id.
    fn take(&mut self, known: Option<u64>, told: Told<ClusterStatus>) -> Option<u64> {
        let (id, state) = match told {
            Told::Answer(status, id) => {
                self.statuses.insert(id, status);
                (id, State::Healthy)
            }
            Told::No(_) => (known?, State::Unready),
            Told::Silent => (known?, State::Silent),
            Told::Down => (known?, State::Down),
        };
        self.states.insert(id, state);
        Some(id)
    }

    /// The view to believe: of one that knows a leader, in the highest term, of the leader itself.
    fn best(&self) -> Option<&ClusterStatus> {
        let trust = |id: u64, status: &ClusterStatus| {
            (status.leader.is_some(), status.term, status.leader == Some(id), status.applied)
        };
        self.statuses.iter().max_by_key(|(id, status)| trust(**id, status)).map(|(_, status)| status)
    }

    /// A member's own word counts first, then whether the others hear it.
    fn state(&self, member: &Member) -> State {
        match self.states.get(&member.id) {
            Some(State::Healthy) if !member.healthy => State::Unheard,
            Some(state) => *state,
            None => State::Down,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a look is dated for people; nothing is decided by it")]
fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp(u64::try_from(now.as_millis()).unwrap_or(0))
}

fn refused_by_all<T>(told: &[Told<T>]) -> Result<(), Stop> {
    let mut refusal = None;
    for told in told {
        match told {
            Told::Answer(..) => return Ok(()),
            Told::No(Some(problem)) if matches!(problem.code, Code::Unauthenticated | Code::Forbidden) => {
                refusal = Some(problem);
            }
            Told::No(_) | Told::Silent | Told::Down => {}
        }
    }
    refusal.map_or(Ok(()), |problem| Err(Error::Refused(problem.clone()).into()))
}

async fn ask<T: DeserializeOwned>(client: &Client, call: &Call, patience: Duration) -> Told<T> {
    match client.fetch_once(0, call, patience).await {
        Ok(Meaning::Done(answer)) => Told::Answer(answer.value, answer.node),
        Ok(Meaning::Refused(problem)) => Told::No(Some(problem)),
        Ok(Meaning::NotYet(heard) | Meaning::Unknown(heard)) => Told::No(heard.problem),
        Err(Failure::Unreachable(_) | Failure::Untrusted(_)) => Told::Down,
        Err(Failure::Broken(_) | Failure::TimedOut(_)) => Told::Silent,
    }
}

/// An address with its scheme.
fn url(server: &str) -> String {
    let scheme = if server.trim().starts_with("https://") { "https" } else { "http" };
    format!("{scheme}://{}", plain(server))
}
