//! What one look saw, and how it is shown.

use std::time::Duration;

use serde::Serialize;

use etebar::api::Timestamp;

use super::super::output::{count, or_dash, table};
use crate::output::paint::Cell;

/// Hexadecimal digits of a digest that people compare at a glance; JSON has all 64.
const SHORT: usize = 8;

/// What `watch --json` prints a look.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sight {
    /// By this machine's clock.
    pub(crate) at: Timestamp,
    pub(crate) leader: Option<u64>,
    pub(crate) term: Option<u64>,
    /// The furthest position of those that answer.
    pub(crate) applied: Option<u64>,
    /// Of the fastest; `null` at the first look.
    pub(crate) applied_per_second: Option<f64>,
    /// Where the digests were taken.
    pub(crate) position: Option<u64>,
    /// Whether all digests are the same; `null` where fewer than two are known.
    pub(crate) agree: Option<bool>,
    pub(crate) members: Vec<Seen>,
}

/// One member.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Seen {
    pub(crate) id: Option<u64>,
    pub(crate) api: String,
    pub(crate) role: Option<&'static str>,
    pub(crate) state: State,
    /// Its own word, or the last that the leader heard of it.
    pub(crate) applied: Option<u64>,
    pub(crate) lag: Option<u64>,
    pub(crate) applied_per_second: Option<f64>,
    pub(crate) digest: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Healthy,
    /// It answers, but its leader does not hear it.
    Unheard,
    /// It answers that it cannot answer.
    Unready,
    /// It takes connections and says nothing in time: paused, or overloaded.
    Silent,
    /// No connection.
    Down,
}

impl Seen {
    /// A node that never answered.
    pub(crate) fn unknown(api: &str) -> Seen {
        Seen {
            id: None,
            api: api.to_owned(),
            role: None,
            state: State::Down,
            applied: None,
            lag: None,
            applied_per_second: None,
            digest: None,
        }
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
            number(self.applied_per_second.map(|rate| rate.round() as u64)),
            or_dash(digest).into(),
        ]
    }
}

/// `host:port` of an address.
pub(crate) fn plain(url: &str) -> String {
    let url = url.trim().trim_end_matches('/');
    url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or(url).to_owned()
}

impl State {
    fn cell(self) -> Cell {
        match self {
            State::Healthy => Cell::good("healthy"),
            State::Unheard => Cell::waiting("unheard"),
            State::Unready => Cell::waiting("unready"),
            State::Silent => Cell::bad("silent"),
            State::Down => Cell::bad("down"),
        }
    }
}

impl Sight {
    /// How many members answered.
    pub(crate) fn answering(&self) -> usize {
        self.members.iter().filter(|member| matches!(member.state, State::Healthy | State::Unheard)).count()
    }

    /// The same sight, with its digests compared.
    #[must_use]
    pub(crate) fn compared(mut self) -> Sight {
        let known = self.members.iter().filter(|member| member.digest.is_some()).count();
        self.agree = (known > 1).then(|| self.difference().is_none());
        self
    }

    /// The first two members with different digests at the one position.
    pub(crate) fn difference(&self) -> Option<String> {
        let mut known = self.members.iter().filter_map(|member| Some((member.id?, member.digest.as_ref()?)));
        let (first, digest) = known.next()?;
        let (other, otherwise) = known.find(|(_, other)| *other != digest)?;
        let position = self.position.unwrap_or(0);
        Some(format!("at position {position} node {first} has {digest}, node {other} has {otherwise}"))
    }

    /// The whole screen.
    pub(crate) fn lines(&self, interval: Duration) -> Vec<String> {
        let head = [">id", "api", "role", "state", ">applied", ">lag", ">/s", "digest"];
        let rows: Vec<_> = self.members.iter().map(Seen::row).collect();
        let mut lines = vec![
            self.summary(),
            format!("{} of {} answer; {}", self.answering(), self.members.len(), self.agreement()),
        ];
        lines.push(String::new());
        lines.extend(table(&head, &rows).lines().map(str::to_owned));
        lines.push(String::new());
        lines.push(format!("{}, every {interval:?}; q quits", self.at));
        lines
    }

    /// All of it on one line.
    pub(crate) fn line(&self) -> String {
        let members = self.members.iter().map(|member| {
            let name = member.id.map_or_else(|| Cell::from(member.api.as_str()).to_string(), |id| id.to_string());
            format!("{name} {} {}", member.role.unwrap_or("-"), member.state.cell())
        });
        format!("{}  {}; {}; {}", self.at, self.summary(), self.agreement(), members.collect::<Vec<_>>().join(", "))
    }

    fn summary(&self) -> String {
        let number = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), count);
        let leader = match self.leader {
            Some(leader) => format!("leader {leader}"),
            None => Cell::bad("no leader").to_string(),
        };
        let rate = number(self.applied_per_second.map(|rate| rate.round() as u64));
        format!("{leader}, term {}, applied {}, {rate}/s", number(self.term), number(self.applied))
    }

    fn agreement(&self) -> String {
        let known = self.members.iter().filter(|member| member.digest.is_some()).count();
        let position = self.position.map_or_else(|| "-".to_owned(), count);
        match (known, self.agree) {
            (_, Some(false)) => Cell::bad(&format!("digests DIFFER at {position}")).to_string(),
            (0, _) => "no digests".to_owned(),
            (1, _) => format!("one digest, at {position}"),
            (_, _) => Cell::good(&format!("{known} digests agree at {position}")).to_string(),
        }
    }
}
