//! How long a line without an answer may be sent again: while the cluster certainly remembers its key.
//!
//! Time is the cluster's, as the `Date` of an answer shows it, carried on by this machine; and this machine's, since a proxy may
//! have written that `Date`. The older age of the two counts. A line that was never sent has no such limit.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use etebar::api::Timestamp;
use etebar::{RawAnswer, Stopwatch};

use super::files::record::SentAt;

/// Kept clear of the window's end, beside the time of one call.
/// Source: nodes whose clocks differ by more than 5 s do not lead, `Date` has whole seconds; and some more.
const MARGIN: Duration = Duration::from_mins(1);

/// The cluster's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    /// What it showed, in milliseconds since the Unix epoch.
    shown_ms: u64,
    /// Since it showed that.
    read: Stopwatch,
}

impl Clock {
    /// What an answer's `Date` shows; this machine's own clock where it has none.
    pub(crate) fn of_answer(answer: &RawAnswer) -> Clock {
        let date = answer.header("date").and_then(|date| httpdate::parse_http_date(date).ok());
        Clock { shown_ms: date.map_or_else(|| own_clock().0, since_epoch), read: Stopwatch::start() }
    }

    /// What it shows now.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(self.shown_ms.saturating_add(millis(self.read.elapsed())))
    }
}

/// This machine's clock.
#[expect(clippy::disallowed_methods, reason = "can only make a key look older")]
fn own_clock() -> Timestamp {
    Timestamp(since_epoch(SystemTime::now()))
}

fn since_epoch(time: SystemTime) -> u64 {
    millis(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// For how long a key is certainly remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    clock: Clock,
    /// `None` where the cluster does not say.
    span: Option<Duration>,
    /// Longest time of one call.
    call: Duration,
}

impl Window {
    /// `seconds` as the cluster reports them; a call takes at most `timeout`.
    pub(crate) fn new(clock: Clock, seconds: Option<u64>, timeout: Duration) -> Window {
        let span = seconds.map(Duration::from_secs);
        // Attempts of one call must not reach beyond the window either.
        let call = span.map_or(timeout, |span| timeout.min(span / 2));
        Window { clock, span, call }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Now, by both clocks.
    pub(crate) fn sent_now(&self) -> SentAt {
        SentAt { at: self.now(), here: Some(own_clock()) }
    }

    pub(crate) fn seconds(&self) -> Option<u64> {
        self.span.map(|span| span.as_secs())
    }

    /// Longest time for one call with all its attempts.
    pub(crate) fn call(&self) -> Duration {
        self.call
    }

    /// Whether a key that was first sent then is certainly remembered until a call that begins after this wait has ended.
    pub(crate) fn remembers(&self, since: SentAt, wait: Duration) -> bool {
        let Some(passed) = passed(since, self.sent_now()) else { return false };
        let ends = passed.saturating_add(wait).saturating_add(self.call + MARGIN);
        self.span.is_some_and(|span| ends < span)
    }
}

/// How long ago that was, at least; `None` where it cannot be known: it is in the cluster's future.
fn passed(since: SentAt, now: SentAt) -> Option<Duration> {
    if since.at.0.saturating_sub(now.at.0) > millis(MARGIN) {
        return None;
    }
    let by_cluster = now.at.0.saturating_sub(since.at.0);
    // Where this machine's clock was set back since, it may be off by as much.
    let own = since.here.zip(now.here).map_or(0, |(since, now)| now.0.abs_diff(since.0));
    Some(Duration::from_millis(by_cluster.max(own)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hyper::HeaderMap;
    use hyper::header::HeaderValue;

    use super::*;

    fn window(seconds: Option<u64>) -> Window {
        let mut headers = HeaderMap::new();
        headers.insert("date", HeaderValue::from_static("Thu, 01 Jan 1970 01:00:00 GMT"));
        let answer = RawAnswer { status: 200, headers, body: Bytes::default(), server: 0 };
        Window::new(Clock::of_answer(&answer), seconds, Duration::from_secs(30))
    }

    fn sent(ms: u64) -> SentAt {
        SentAt { at: Timestamp(ms), here: None }
    }

    #[test]
    fn a_key_is_trusted_for_the_window_less_a_margin_by_the_clusters_clock() {
        let window = window(Some(3_600));
        let remembers = |seconds: u64| window.remembers(sent((3_600 - seconds) * 1_000), Duration::ZERO);
        assert!(remembers(0) && remembers(3_500));
        assert!(!remembers(3_511) && !remembers(3_600));
        let wait = |seconds| window.remembers(sent(3_600_000), Duration::from_secs(seconds));
        assert!(wait(3_500) && !wait(3_511));
    }

    #[test]
    fn of_the_clusters_clock_and_this_machines_the_one_that_went_further_counts() {
        let sent_at = |at: u64, here: Option<u64>| SentAt { at: Timestamp(at), here: here.map(Timestamp) };
        let now = sent_at(7_000, Some(907_000));
        let ago = |since| passed(since, now).map(|passed| passed.as_millis());
        assert_eq!(ago(sent_at(7_000, Some(400_000))), Some(507_000), "a Date that did not advance");
        assert_eq!(ago(sent_at(2_000, Some(907_000))), Some(5_000), "a clock that did not advance");
        assert_eq!(ago(sent_at(2_000, Some(917_000))), Some(10_000), "a clock that was set back");
        assert_eq!(ago(sent_at(2_000, None)), Some(5_000), "a build that recorded one clock");
        assert_eq!(ago(sent_at(67_001, Some(907_000))), None, "a Date in the future");
    }

    #[test]
    fn a_key_that_was_sent_in_the_future_is_not_trusted() {
        let remembers = |seconds: u64| window(Some(3_600)).remembers(sent((3_600 + seconds) * 1_000), Duration::ZERO);
        assert!(remembers(5), "clocks differ a little");
        assert!(!remembers(172_800));
    }

    #[test]
    fn without_a_window_no_key_is_trusted_and_a_short_one_bounds_a_call() {
        assert!(!window(None).remembers(sent(3_600_000), Duration::ZERO));
        assert_eq!(window(Some(10)).call(), Duration::from_secs(5));
    }
}
