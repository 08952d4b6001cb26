//! The texts of a review.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use etebar::api::{AmountOut, CreditRequest, RequestStatus, Seller, SellerStatus};

use super::queue::{Decision, Queue};
use crate::output::paint::{Cell, Tone};
use crate::output::words::{credit_status, seller_status};
use crate::output::{grouped, money, or_dash, sheet};

pub(crate) const KEYS: &str = "a approve   r reject   s skip   b back   q quit   ? help > ";

pub(crate) const HELP: &str = "\
a  approve: shows what will be credited, and Enter does it
r  reject: asks for a reason, and Enter does it (Esc goes back)
s  skip: it stays pending
b  back to the last one that was skipped
q  quit: what was not decided stays pending
A verdict is final: only `etebar adjust` corrects an approval, and a rejected seller files a new request.";

/// A request, its seller, and what approving it would do.
pub(crate) fn request(place: usize, of: usize, request: &CreditRequest, seller: &Seller) -> String {
    let head = Cell::new(&format!("request {place} of {of}"), Tone::Head);
    let after =
        AmountOut::new(seller.balance.minor().saturating_add(request.amount.minor()), seller.balance.decimals());
    let mut pairs: Vec<(&str, Cell)> = vec![("seller", seller.name.as_str().into())];
    // An active seller is what one expects; a suspended one can be credited too, but the admin should know.
    if seller.status == SellerStatus::Suspended {
        pairs.push(("status", seller_status(seller.status)));
    }
    pairs.extend([
        ("seller id", seller.id.to_string().into()),
        ("request id", request.id.to_string().into()),
        ("asks for", Cell::new(&grouped(request.amount), Tone::Head)),
        ("note", or_dash(request.note.as_ref()).into()),
        ("waits", format!("{}, since {}", waits(request), request.created_at).into()),
        ("balance now", money(seller.balance)),
        ("if approved", money(after)),
    ]);
    format!("\n{head}\n{}", sheet(&pairs))
}

pub(crate) fn sure(request: &CreditRequest, seller: &Seller) -> String {
    let name = Cell::from(seller.name.as_str());
    format!("credit {} to {name}? Enter: yes, any other key: no > ", grouped(request.amount))
}

/// The verdict that was given here.
pub(crate) fn done(request: &CreditRequest, balance: &str) -> String {
    let verdict = credit_status(request.status);
    match request.status {
        RequestStatus::Approved => format!("{verdict}: {} credited, balance {balance}", grouped(request.amount)),
        RequestStatus::Rejected | RequestStatus::Pending => format!("{verdict}: balance {balance}"),
    }
}

/// The verdict of another admin.
pub(crate) fn decided(request: &CreditRequest) -> String {
    let by = Cell::from(or_dash(request.decided_by.as_ref()));
    let reason = request.reason.as_ref().map_or(String::new(), |reason| format!(" ({})", Cell::from(reason.as_str())));
    format!("{} meanwhile by {by}{reason}; nothing moved now", credit_status(request.status))
}

/// The last line.
pub(crate) fn closing(queue: &Queue) -> String {
    let sum = queue.approved().map_or(String::new(), |sum| format!(" ({})", grouped(sum)));
    let mut parts = vec![
        format!("approved {}{sum}", queue.count(Decision::Approved)),
        format!("rejected {}", queue.count(Decision::Rejected)),
        format!("skipped {}", queue.count(Decision::Skipped)),
    ];
    let rare =
        [("decided by others", queue.count(Decision::Elsewhere)), ("not looked at", queue.count(Decision::Open))];
    parts.extend(rare.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name} {count}")));
    format!("\n{}", parts.join(", "))
}

/// How long a request waits by this machine's clock.
#[expect(clippy::disallowed_methods, reason = "a span is shown to people; nothing is decided by it")]
fn waits(request: &CreditRequest) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    span(now.saturating_sub(Duration::from_millis(request.created_at.0)))
}

/// A span in its two largest units.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (_, _, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_shown_in_its_largest_units() {
        let shown = |seconds| span(Duration::from_secs(seconds));
        assert_eq!((shown(59), shown(61)), ("59 s".to_owned(), "1 min".to_owned()));
        assert_eq!((shown(7_260), shown(90_000)), ("2 h 1 min".to_owned(), "1 d 1 h".to_owned()));
    }
}
