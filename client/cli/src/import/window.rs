//! How long a line without an answer may be sent again: while the cluster surely remembers its key.
//!
//! Time is the cluster's, as the `Date` of an answer told it, carried on by this machine. A line that was never sent has
//! no such limit.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use etebar::RawAnswer;
use etebar::api::Timestamp;

/// Kept clear of the window's end, beside the time of one call.
/// Source: nodes whose clocks differ by more than 5 s do not lead, `Date` has whole seconds; and some more.
const MARGIN: Duration = Duration::from_secs(60);

/// The cluster's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    /// What it showed, in milliseconds since the Unix epoch.
    told_ms: u64,
    /// This machine's two clocks at that moment: the first stands still while the machine sleeps, the second can be set.
    seen: (Instant, SystemTime),
}

impl Clock {
    /// What an answer tells; this machine's own clock where it tells nothing.
    #[expect(
        clippy::disallowed_methods,
        reason = "carries the cluster's clock on, and can only make a wait look longer"
    )]
    pub(crate) fn told_by(answer: &RawAnswer) -> Clock {
        let here = SystemTime::now();
        let told = answer.header("date").and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(here);
        let told_ms = told.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Clock { told_ms: u64::try_from(told_ms).unwrap_or(u64::MAX), seen: (Instant::now(), here) }
    }

    /// What it shows now. Of the two ways to carry it on the later counts.
    #[expect(
        clippy::disallowed_methods,
        reason = "carries the cluster's clock on, and can only make a wait look longer"
    )]
    pub(crate) fn now(&self) -> Timestamp {
        let (instant, wall) = self.seen;
        let passed = instant.elapsed().max(SystemTime::now().duration_since(wall).unwrap_or_default());
        Timestamp(self.told_ms.saturating_add(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// For how long a key is surely remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    clock: Clock,
    /// `None` where the cluster does not say.
    span: Option<Duration>,
    /// Longest time of one call.
    call: Duration,
}

impl Window {
    /// `seconds` as the cluster tells them; a call takes at most `timeout`.
    pub(crate) fn new(clock: Clock, seconds: Option<u64>, timeout: Duration) -> Window {
        let span = seconds.map(Duration::from_secs);
        // Attempts of one call must not reach beyond the window either.
        let call = span.map_or(timeout, |span| timeout.min(span / 2));
        Window { clock, span, call }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn seconds(&self) -> Option<u64> {
        self.span.map(|span| span.as_secs())
    }

    /// Longest time for one call with all its attempts.
    pub(crate) fn call(&self) -> Duration {
        self.call
    }

    /// Whether a key that was first sent then is surely remembered until a call that begins now has ended.
    /// Not where that is in the future: one of the two clocks is wrong, so nobody knows how long ago it was.
    pub(crate) fn remembers(&self, since: Timestamp) -> bool {
        if since.0.saturating_sub(self.now().0) > u64::try_from(MARGIN.as_millis()).unwrap_or(u64::MAX) {
            return false;
        }
        let passed = Duration::from_millis(self.now().0.saturating_sub(since.0));
        self.span.is_some_and(|span| passed + self.call + MARGIN < span)
    }
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::header::HeaderValue;

    use super::*;

    fn window(seconds: Option<u64>) -> Window {
        let mut headers = HeaderMap::new();
        headers.insert("date", HeaderValue::from_static("Thu, 01 Jan 1970 01:00:00 GMT"));
        let answer = RawAnswer { status: 200, headers, body: Default::default(), server: 0 };
        Window::new(Clock::told_by(&answer), seconds, Duration::from_secs(30))
    }

    #[test]
    fn a_key_is_trusted_for_the_window_less_a_margin_by_the_clusters_clock() {
        let window = window(Some(3_600));
        let ago = |seconds: u64| Timestamp((3_600 - seconds) * 1_000);
        assert!(window.remembers(ago(0)));
        assert!(window.remembers(ago(3_500)));
        assert!(!window.remembers(ago(3_511)));
        assert!(!window.remembers(ago(3_600)));
    }

    #[test]
    fn a_key_that_was_sent_in_the_future_is_not_trusted() {
        let ahead = |seconds: u64| Timestamp((3_600 + seconds) * 1_000);
        assert!(window(Some(3_600)).remembers(ahead(5)), "clocks differ a little");
        assert!(!window(Some(3_600)).remembers(ahead(172_800)));
    }

    #[test]
    fn without_a_window_no_key_is_trusted_and_a_short_one_bounds_a_call() {
        assert!(!window(None).remembers(Timestamp(3_600_000)));
        assert_eq!(window(Some(10)).call(), Duration::from_secs(5));
    }
}
