//! Observes the nodes after every simulated millisecond, and checks the invariants that must hold at all times.
//!
//! One leader a term; acknowledged positions and votes never go back, over restarts either; one digest, one version of the
//! rules and one number of remembered keys at a position; that number within its bound; an entry that was applied never becomes
//! another; no node's audit finds anything; what was received of a history is not sent again.

use std::collections::BTreeMap;

use etebar_node::raft::test_probe::Probe;
use etebar_node::raft::{Cluster, Received};
use ledger::{Digest, PAGE_RECORDS};

use crate::history::Recorder;

/// What is known of one node.
#[derive(Debug, Default)]
struct NodeState {
    /// Its state at the last observation; none since it was started again.
    probe: Option<Probe>,
    /// Its state when it crashed.
    before: Option<Probe>,
}

/// What changed at a node between two observations: the points at which a crash does most harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// It voted.
    pub voted: bool,
    /// Its log was truncated.
    pub truncated: bool,
    /// It leads, and its log has entries that are not durable.
    pub leads_unflushed: bool,
    /// So many pages of a transfer were received.
    pub pages_received: u64,
}

/// What was observed of all nodes so far.
#[derive(Debug)]
pub struct Observer {
    recorder: Recorder,
    keys_max: u64,
    /// Who led in each term.
    leaders: BTreeMap<u64, u64>,
    /// The digest at each position, as applied first by any node.
    pub positions: BTreeMap<u64, Digest>,
    keys_at: BTreeMap<u64, u64>,
    rules_at: BTreeMap<u64, u32>,
    /// When each record was first applied anywhere, in milliseconds since the start.
    pub applied_ms: Vec<u64>,
    nodes: BTreeMap<u64, NodeState>,
}

impl Observer {
    /// An observer that has seen nothing yet.
    pub fn new(recorder: &Recorder, keys_max: u64) -> Self {
        let recorder = recorder.clone();
        Self {
            recorder,
            keys_max,
            leaders: BTreeMap::new(),
            positions: BTreeMap::new(),
            keys_at: BTreeMap::new(),
            rules_at: BTreeMap::new(),
            applied_ms: Vec::new(),
            nodes: BTreeMap::new(),
        }
    }

    /// The node crashed or was stopped.
    pub fn stopped(&mut self, node: u64) {
        let seen = self.nodes.entry(node).or_default();
        seen.before = seen.probe.take().or(seen.before.take());
    }

    /// The node's disks are empty: it has no earlier state to keep.
    pub fn wiped(&mut self, node: u64) {
        self.nodes.remove(&node);
    }

    /// The node that leads, as far as it knows, in the highest term.
    pub fn leader(&self) -> Option<u64> {
        let leading = |(node, seen): (&u64, &NodeState)| {
            let probe = seen.probe.as_ref().filter(|probe| probe.leads)?;
            Some((probe.term(), *node))
        };
        self.nodes.iter().filter_map(leading).max().map(|(_, node)| node)
    }

    /// The index of the newest membership in a node's log, at the last observation.
    pub fn membership_index(&self, node: u64) -> u64 {
        self.nodes.get(&node).and_then(|seen| seen.probe.as_ref()).map_or(0, |probe| probe.members_index)
    }

    /// The rules that a node's state goes by, at the last observation; 0 where there was none.
    pub fn rules(&self, node: u64) -> u32 {
        self.nodes.get(&node).and_then(|seen| seen.probe.as_ref()).map_or(0, |probe| probe.rules)
    }

    /// How many terms had a leader.
    pub fn terms(&self) -> usize {
        self.leaders.len()
    }

    /// Observes a running node; returns what changed.
    pub fn observe(&mut self, node: u64, cluster: &Cluster) -> Transition {
        let now = cluster.probe();
        self.check_leader(node, &now);
        if let Some(fault) = &now.audit_fault {
            self.recorder.violation(format!("node {node}: {fault}"));
        }
        let (seen, records) = (self.applied_ms.len(), now.records as usize);
        self.applied_ms.resize(seen.max(records), self.recorder.now_ms());
        let seen = self.nodes.entry(node).or_default();
        let last = seen.probe.take();
        if let Some(before) = seen.before.take() {
            check_restart(&self.recorder, node, &before, &now);
        }
        let end = |probe: &Probe| probe.last.map_or(0, |last| last.index + 1);
        let transition = Transition {
            voted: last.as_ref().is_some_and(|last| last.vote != now.vote),
            truncated: last.as_ref().is_some_and(|last| end(last) > end(&now)),
            leads_unflushed: now.leads && end(&now) > now.durable_end,
            pages_received: last.as_ref().map_or(0, |last| now.received.pages.saturating_sub(last.received.pages)),
        };
        if let Some(last) = &last {
            check_transfer(&self.recorder, node, last, &now);
        }
        let applied_before = last.as_ref().map_or(0, |last| last.applied);
        if now.applied < applied_before {
            let applied = now.applied;
            self.recorder.violation(format!("node {node} went back from position {applied_before} to {applied}"));
        }
        for position in applied_before.max(1)..=now.applied {
            if let Some(digest) = cluster.digest_at(position) {
                self.check_digest(node, position, digest);
            }
        }
        self.check_keys(node, &now);
        self.check_rules(node, &now);
        self.nodes.entry(node).or_default().probe = Some(now);
        transition
    }

    fn check_leader(&mut self, node: u64, now: &Probe) {
        if !now.leads {
            return;
        }
        let term = now.term();
        match self.leaders.insert(term, node) {
            None => self.recorder.leader(node, term),
            Some(first) if first != node => {
                self.recorder.violation(format!("two leaders: node {first} and node {node} in term {term}"));
            }
            Some(_) => {}
        }
    }

    fn check_digest(&mut self, node: u64, position: u64, digest: Digest) {
        let first = *self.positions.entry(position).or_insert(digest);
        if first != digest {
            self.recorder.violation(format!("digests differ: node {node} has another one at position {position}"));
        }
    }

    fn check_keys(&mut self, node: u64, now: &Probe) {
        let held = now.keys_held;
        if held > self.keys_max {
            self.recorder.violation(format!("node {node} remembers {held} keys, more than {}", self.keys_max));
        }
        let first = *self.keys_at.entry(now.applied).or_insert(held);
        if first != held {
            let position = now.applied;
            self.recorder
                .violation(format!("node {node} remembers {held} keys at position {position}, another one {first}"));
        }
    }
}

impl Observer {
    fn check_rules(&mut self, node: u64, now: &Probe) {
        let (position, rules) = (now.applied, now.rules);
        let first = *self.rules_at.entry(position).or_insert(rules);
        if first != rules {
            self.recorder
                .violation(format!("node {node} goes by rules {rules} at position {position}, another one by {first}"));
        }
    }
}

/// What was acknowledged as durable before a crash is there after it.
fn check_restart(recorder: &Recorder, node: u64, before: &Probe, now: &Probe) {
    let answered_end = before.durable_end.min(before.last.map_or(0, |last| last.index + 1));
    let end = now.last.map_or(0, |last| last.index + 1);
    if end < answered_end {
        recorder.violation(format!("node {node} acknowledged its log up to {answered_end}, and came back with {end}"));
    }
    if before.durable_vote.is_some_and(|vote| now.vote.partial_cmp(&vote).is_none_or(std::cmp::Ordering::is_lt)) {
        recorder.violation(format!("node {node} voted {:?}, and came back with {}", before.durable_vote, now.vote));
    }
    if now.checkpoint < before.checkpoint {
        let (was, is) = (before.checkpoint, now.checkpoint);
        recorder.violation(format!("node {node} had {was} durable records, and came back with {is}"));
    }
    if now.staged < before.staged && now.checkpoint < before.staged {
        let (was, is) = (before.staged, now.staged);
        recorder.violation(format!("node {node} kept pages up to record {was}, and came back with those up to {is}"));
    }
}

/// A transfer begins with the last page that the node keeps of those before, as far as they are on offer.
fn check_transfer(recorder: &Recorder, node: u64, last: &Probe, now: &Probe) {
    let Received { transfers, offered, first_page, .. } = now.received;
    let kept = last.staged.min(offered - offered % PAGE_RECORDS);
    if transfers > last.received.transfers && kept > now.checkpoint && first_page + 1 < kept / PAGE_RECORDS {
        recorder.violation(format!("node {node} kept pages up to record {kept}, and was sent page {first_page} again"));
    }
}
