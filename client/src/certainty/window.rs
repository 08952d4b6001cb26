//! How long the cluster remembers idempotency keys, as far as it has told this client.
//!
//! Learned once for all clones of a client, and before the first repetition rather than before the first attempt: so a
//! charge that is answered at once costs no second request. It is fixed when a cluster is made.

use std::sync::OnceLock;
use std::time::Duration;

use etebar_api::{ClusterStatus, Code, Problem};

use super::super::{Call, Client, RawAnswer};
use super::meaning::{Heard, Meaning, meaning};

/// See the head of this file.
#[derive(Debug, Default)]
pub(in super::super) struct KeyWindow(OnceLock<Duration>);

/// What came of asking for it.
pub(in super::super) enum Learned {
    Window(Duration),
    /// The API key is good for nothing any more.
    Refused(Box<Problem>),
    /// Not now, for this reason.
    NotNow(String),
}

impl KeyWindow {
    /// Takes what a node says of its cluster; one that belongs to none yet says nothing.
    pub(in super::super) fn learn(&self, status: &ClusterStatus) -> Option<Duration> {
        let window = Duration::from_secs(status.key_window_seconds?);
        Some(*self.0.get_or_init(|| window))
    }
}

impl Client {
    /// How long the cluster remembers idempotency keys, where it has told: a write is safe to repeat under its key for so
    /// long after its first attempt, and this client repeats it for half of that.
    pub fn key_window(&self) -> Option<Duration> {
        self.key_window.0.get().copied()
    }

    /// The same; server `index` is asked, once, where it is not known.
    pub(in super::super) async fn learn_key_window(&self, index: usize, patience: Duration) -> Learned {
        if let Some(window) = self.key_window() {
            return Learned::Window(window);
        }
        let call = Call::get("/v1/cluster");
        let answer = match self.attempt(index, &call, patience).await {
            Ok(answer) => answer,
            Err(failure) => return Learned::NotNow(failure.to_string()),
        };
        let read = |answer: &RawAnswer| {
            let status = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
            self.key_window.learn(&status).ok_or_else(|| "the cluster does not say".to_owned())
        };
        match meaning(&call, &answer, read) {
            Meaning::Done(window) => Learned::Window(window),
            Meaning::Refused(problem) if problem.code == Code::Unauthenticated => Learned::Refused(problem),
            Meaning::Refused(problem) => Learned::NotNow(Heard::from(problem).detail),
            Meaning::NotYet(heard) | Meaning::Unknown(heard) => Learned::NotNow(heard.detail),
        }
    }
}
