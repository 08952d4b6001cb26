//! What one poll found, and how it is shown.

use std::time::Duration;

use serde::Serialize;

use etebar::api::{AuditProgress, ClockHealth, KeysHeld, Timestamp};

use crate::output::paint::Cell;
use crate::output::{count, or_dash, rounded, table};

/// Hexadecimal digits of a digest that people compare at a glance; JSON has all 64.
const SHORT: usize = 8;
/// Entries that an audit is behind before people are told. Source: ten seconds' worth at 10,000 charges a second.
const AUDIT_BEHIND: u64 = 100_000;

/// What `watch --json` prints for each poll.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Snapshot {
    /// By this machine's clock.
    pub(crate) at: Timestamp,
    pub(crate) leader: Option<u64>,
    pub(crate) term: Option<u64>,
    /// The furthest position of those that answer.
    pub(crate) applied: Option<u64>,
    /// Of the fastest node; `null` at the first poll.
    pub(crate) applied_per_second: Option<f64>,
    /// Where the digests were taken.
    pub(crate) position: Option<u64>,
    /// Whether all digests are the same; `null` where fewer than two are known.
    pub(crate) agree: Option<bool>,
    /// The idempotency keys that are remembered, as the leader reports them.
    pub(crate) keys: Option<KeysHeld>,
    #[serde(rename = "members")]
    pub(crate) nodes: Vec<NodeView>,
}

/// One node.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct NodeView {
    pub(crate) id: Option<u64>,
    pub(crate) api: String,
    pub(crate) role: Option<&'static str>,
    pub(crate) state: State,
    /// As it reports it, or else as it last reported it to the leader.
    pub(crate) applied: Option<u64>,
    pub(crate) lag: Option<u64>,
    pub(crate) applied_per_second: Option<f64>,
    pub(crate) digest: Option<String>,
    /// How its clock compares with the others', as it reports it.
    pub(crate) clock: Option<ClockHealth>,
    /// How far it has audited its records, as it reports it.
    pub(crate) audited: Option<AuditProgress>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Healthy,
    /// It answers, but the other nodes do not find it healthy.
    #[serde(rename = "unheard")]
    Unhealthy,
    /// It answers with an error.
    Unready,
    /// It takes connections and does not answer in time: paused, or overloaded.
    #[serde(rename = "silent")]
    TimedOut,
    /// No connection.
    Down,
}

impl NodeView {
    /// A node that never answered.
    pub(crate) fn unknown(api: &str) -> NodeView {
        NodeView {
            id: None,
            api: api.to_owned(),
            role: None,
            state: State::Down,
            applied: None,
            lag: None,
            applied_per_second: None,
            digest: None,
            clock: None,
            audited: None,
        }
    }

    /// What is wrong with its clock, in two or three words.
    fn clock_word(&self) -> Option<&'static str> {
        match self.clock? {
            ClockHealth::Agrees | ClockHealth::Alone => None,
            ClockHealth::Differs => Some("clock differs"),
            ClockHealth::Off => Some("clock is off"),
            ClockHealth::NotFollowed => Some("clock was set"),
        }
    }

    /// The same in a line for the screen.
    fn clock_note(&self) -> Option<String> {
        let why = match self.clock? {
            ClockHealth::Agrees | ClockHealth::Alone => return None,
            ClockHealth::Differs => "it receives one other clock, and no third shows which is wrong",
            ClockHealth::Off => "most of the others agree on another time, so it does not lead",
            ClockHealth::NotFollowed => "no other clock confirms it, so ledger time does not follow it",
        };
        Some(format!("node {}: {}: {why}", or_dash(self.id), Cell::waiting(self.clock_word()?)))
    }

    /// That its audit found something, or is far behind, in a line for the screen.
    fn audit_note(&self) -> Option<String> {
        let audited = self.audited?;
        let behind = audited.head.saturating_sub(audited.entries);
        if !audited.consistent {
            let found = Cell::bad("its audit finds the books wrong, or has ended");
            return Some(format!("node {}: {found}: etebar audit, and its log, say why", or_dash(self.id)));
        }
        let note = || format!("node {}: its audit is {} entries behind", or_dash(self.id), count(behind));
        (behind >= AUDIT_BEHIND).then(note)
    }

    fn row(&self) -> Vec<Cell> {
        let digest = self.digest.as_ref().map(|digest| digest.chars().take(SHORT).collect::<String>());
        let number = |value: Option<u64>| Cell::from(value.map_or_else(|| "-".to_owned(), count));
        vec![
            or_dash(self.id).into(),
            plain(&self.api).into(),
            self.role.unwrap_or("-").into(),
            self.state.cell(),
            number(self.applied),
            number(self.lag),
            Cell::from(self.applied_per_second.map_or_else(|| "-".to_owned(), rounded)),
            or_dash(digest).into(),
        ]
    }
}

/// `host:port` of an address.
pub(crate) fn plain(url: &str) -> String {
    let url = url.trim().trim_end_matches('/');
    url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or(url).to_owned()
}

/// Whether so many keys are remembered that each seller has an equal share: three quarters of all.
fn are_scarce(keys: KeysHeld) -> bool {
    keys.held >= keys.max - keys.max / 4
}

/// How many idempotency keys are remembered, in a line for people.
fn keys_note(keys: KeysHeld) -> String {
    let held = format!("{} of {}", count(keys.held), count(keys.max));
    let held = if are_scarce(keys) { Cell::waiting(&held) } else { Cell::from(held) };
    format!("idempotency keys: {held}, the fullest seller has {}", count(keys.fullest_share))
}

impl State {
    fn cell(self) -> Cell {
        match self {
            State::Healthy => Cell::good("healthy"),
            State::Unhealthy => Cell::waiting("unhealthy"),
            State::Unready => Cell::waiting("unready"),
            State::TimedOut => Cell::bad("timeout"),
            State::Down => Cell::bad("down"),
        }
    }
}

impl Snapshot {
    /// How many nodes answered.
    pub(crate) fn answering(&self) -> usize {
        self.nodes.iter().filter(|node| matches!(node.state, State::Healthy | State::Unhealthy)).count()
    }

    /// The same snapshot, with its digests compared.
    #[must_use]
    pub(crate) fn compared(mut self) -> Snapshot {
        let known = self.nodes.iter().filter(|node| node.digest.is_some()).count();
        self.agree = (known > 1).then(|| self.difference().is_none());
        self
    }

    /// The first two nodes with different digests at the one position.
    pub(crate) fn difference(&self) -> Option<String> {
        let mut known = self.nodes.iter().filter_map(|node| Some((node.id?, node.digest.as_ref()?)));
        let (first, digest) = known.next()?;
        let (other, otherwise) = known.find(|(_, other)| *other != digest)?;
        let position = self.position.unwrap_or(0);
        Some(format!("at position {position} node {first} has {digest}, node {other} has {otherwise}"))
    }

    /// The whole screen.
    pub(crate) fn lines(&self, interval: Duration) -> Vec<String> {
        let head = [">id", "api", "role", "state", ">applied", ">lag", ">/s", "digest"];
        let rows: Vec<_> = self.nodes.iter().map(NodeView::row).collect();
        let mut lines =
            vec![self.summary(), format!("{} of {} answer; {}", self.answering(), self.nodes.len(), self.agreement())];
        lines.push(String::new());
        lines.extend(table(&head, &rows).lines().map(str::to_owned));
        lines.push(String::new());
        lines.extend(self.keys.map(keys_note));
        lines.extend(self.nodes.iter().filter_map(NodeView::clock_note));
        lines.extend(self.nodes.iter().filter_map(NodeView::audit_note));
        lines.push(format!("{}, every {interval:?}; q quits", self.at));
        lines
    }

    /// All of it on one line.
    pub(crate) fn line(&self) -> String {
        let nodes = self.nodes.iter().map(|node| {
            let name = node.id.map_or_else(|| Cell::from(node.api.as_str()).to_string(), |id| id.to_string());
            let clock = node.clock_word().map(|word| format!(" ({})", Cell::waiting(word))).unwrap_or_default();
            format!("{name} {} {}{clock}", node.role.unwrap_or("-"), node.state.cell())
        });
        let keys = self.keys.filter(|keys| are_scarce(*keys)).map(|keys| format!("; {}", keys_note(keys)));
        let (nodes, keys) = (nodes.collect::<Vec<_>>().join(", "), keys.unwrap_or_default());
        format!("{}  {}; {}; {nodes}{keys}", self.at, self.summary(), self.agreement())
    }

    fn summary(&self) -> String {
        let number = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), count);
        let leader = match self.leader {
            Some(leader) => format!("leader {leader}"),
            None => Cell::bad("no leader").to_string(),
        };
        let rate = self.applied_per_second.map_or_else(|| "-".to_owned(), rounded);
        format!("{leader}, term {}, applied {}, {rate}/s", number(self.term), number(self.applied))
    }

    fn agreement(&self) -> String {
        let known = self.nodes.iter().filter(|node| node.digest.is_some()).count();
        let position = self.position.map_or_else(|| "-".to_owned(), count);
        match (known, self.agree) {
            (_, Some(false)) => Cell::bad(&format!("digests DIFFER at {position}")).to_string(),
            (0, _) => "no digests".to_owned(),
            (1, _) => format!("one digest, at {position}"),
            (_, _) => Cell::good(&format!("{known} digests agree at {position}")).to_string(),
        }
    }
}
