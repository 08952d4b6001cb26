//! What must hold of the members at every moment, looked at after every simulated millisecond.
//!
//! One leader a term; positions and votes that were answered for never go back, over restarts either; one digest and one
//! memory of keys at a position; that memory within its bound; an entry that was applied never becomes another.

use std::collections::BTreeMap;

use etebar_node::raft::Cluster;
use etebar_node::raft::test_probe::Probe;
use ledger::Digest;

use crate::book::Book;

/// What is known of one member.
#[derive(Debug, Default)]
struct Seen {
    /// How it stood at the last look; none since it was started again.
    probe: Option<Probe>,
    /// How it stood when it crashed.
    before: Option<Probe>,
}

/// What changed of a member between two looks: the moments at which a crash hurts most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// It voted.
    pub voted: bool,
    /// Its log lost its end.
    pub truncated: bool,
    /// It leads, and its log has entries that are not durable.
    pub leads_unflushed: bool,
}

/// See the head of this file.
#[derive(Debug)]
pub struct Watch {
    book: Book,
    keys_max: u64,
    /// Who led in each term.
    leaders: BTreeMap<u64, u64>,
    /// The digest at each position, by whoever applied it first.
    pub positions: BTreeMap<u64, Digest>,
    keys_at: BTreeMap<u64, u64>,
    /// When each record was first applied anywhere, in milliseconds since the beginning.
    pub seen_ms: Vec<u64>,
    members: BTreeMap<u64, Seen>,
}

impl Watch {
    /// Nothing seen yet.
    pub fn new(book: &Book, keys_max: u64) -> Self {
        let book = book.clone();
        Self {
            book,
            keys_max,
            leaders: BTreeMap::new(),
            positions: BTreeMap::new(),
            keys_at: BTreeMap::new(),
            seen_ms: Vec::new(),
            members: BTreeMap::new(),
        }
    }

    /// The member crashed or was stopped.
    pub fn went_down(&mut self, node: u64) {
        let seen = self.members.entry(node).or_default();
        seen.before = seen.probe.take().or(seen.before.take());
    }

    /// The member's disks are empty: nothing of before binds it.
    pub fn was_wiped(&mut self, node: u64) {
        self.members.remove(&node);
    }

    /// The member that leads, as far as it knows, in the highest term.
    pub fn leader(&self) -> Option<u64> {
        let leading = |(node, seen): (&u64, &Seen)| {
            let probe = seen.probe.as_ref().filter(|probe| probe.leads)?;
            Some((probe.term(), *node))
        };
        self.members.iter().filter_map(leading).max().map(|(_, node)| node)
    }

    /// The index of the newest list of members in a member's log, at the last look.
    pub fn members_index(&self, node: u64) -> u64 {
        self.members.get(&node).and_then(|seen| seen.probe.as_ref()).map_or(0, |probe| probe.members_index)
    }

    /// How many terms had a leader.
    pub fn terms(&self) -> usize {
        self.leaders.len()
    }

    /// Looks at a running member.
    pub fn look(&mut self, node: u64, cluster: &Cluster) -> Moment {
        let now = cluster.probe();
        self.check_leader(node, &now);
        let (seen, records) = (self.seen_ms.len(), now.records as usize);
        self.seen_ms.resize(seen.max(records), self.book.now_ms());
        let seen = self.members.entry(node).or_default();
        let last = seen.probe.take();
        if let Some(before) = seen.before.take() {
            check_restart(&self.book, node, &before, &now);
        }
        let end = |probe: &Probe| probe.last.map_or(0, |last| last.index + 1);
        let moment = Moment {
            voted: last.as_ref().is_some_and(|last| last.vote != now.vote),
            truncated: last.as_ref().is_some_and(|last| end(last) > end(&now)),
            leads_unflushed: now.leads && end(&now) > now.durable_end,
        };
        let applied_before = last.as_ref().map_or(0, |last| last.applied);
        if now.applied < applied_before {
            let applied = now.applied;
            self.book.broken(format!("member {node} went back from position {applied_before} to {applied}"));
        }
        for position in applied_before.max(1)..=now.applied {
            if let Some(digest) = cluster.digest_at(position) {
                self.check_digest(node, position, digest);
            }
        }
        self.check_keys(node, &now);
        self.members.entry(node).or_default().probe = Some(now);
        moment
    }

    fn check_leader(&mut self, node: u64, now: &Probe) {
        if !now.leads {
            return;
        }
        let term = now.term();
        match self.leaders.insert(term, node) {
            None => self.book.leader(node, term),
            Some(first) if first != node => {
                self.book.broken(format!("two leaders: member {first} and member {node} in term {term}"));
            }
            Some(_) => {}
        }
    }

    fn check_digest(&mut self, node: u64, position: u64, digest: Digest) {
        let first = *self.positions.entry(position).or_insert(digest);
        if first != digest {
            self.book.broken(format!("digests differ: member {node} has another one at position {position}"));
        }
    }

    fn check_keys(&mut self, node: u64, now: &Probe) {
        let held = now.keys_held;
        if held > self.keys_max {
            self.book.broken(format!("member {node} remembers {held} keys, more than {}", self.keys_max));
        }
        let first = *self.keys_at.entry(now.applied).or_insert(held);
        if first != held {
            let position = now.applied;
            self.book
                .broken(format!("member {node} remembers {held} keys at position {position}, another one {first}"));
        }
    }
}

/// What was answered for before a crash is there after it.
fn check_restart(book: &Book, node: u64, before: &Probe, now: &Probe) {
    let answered_end = before.durable_end.min(before.last.map_or(0, |last| last.index + 1));
    let end = now.last.map_or(0, |last| last.index + 1);
    if end < answered_end {
        book.broken(format!("member {node} answered for its log up to {answered_end}, and came back with {end}"));
    }
    if before.durable_vote.is_some_and(|vote| now.vote.partial_cmp(&vote).is_none_or(std::cmp::Ordering::is_lt)) {
        book.broken(format!("member {node} voted {:?}, and came back with {}", before.durable_vote, now.vote));
    }
    if now.checkpoint < before.checkpoint {
        let (was, is) = (before.checkpoint, now.checkpoint);
        book.broken(format!("member {node} had {was} durable records, and came back with {is}"));
    }
}
