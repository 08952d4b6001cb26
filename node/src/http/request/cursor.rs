//! Pages: where a list continues. The cursor that a caller gets is opaque, and valid for the same list only.
//!
//! It holds the last number shown and a digest over list, filter and number; another filter has another digest.

use etebar_api::Page;

use crate::http::response::problem::Problem;

/// Bytes of the digest: enough against mistakes; a cursor grants nothing, so it needs no protection against forgery.
const TAG_BYTES: usize = 8;
/// Hexadecimal digits of a cursor: the number's 16 and the digest's.
const TEXT_BYTES: usize = 16 + 2 * TAG_BYTES;

/// A list with its filter: what a cursor belongs to.
#[derive(Debug, Clone)]
pub(crate) struct List {
    hasher: blake3::Hasher,
}

impl List {
    /// The list of this name, for this caller's view, filtered by nothing yet.
    pub(crate) fn new(name: &str) -> Self {
        Self { hasher: blake3::Hasher::new() }.with("list", Some(name))
    }

    /// The same list under one more filter; an absent one counts too.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: Option<&str>) -> Self {
        for part in [name, value.unwrap_or_default()] {
            self.hasher.update(&(part.len() as u64).to_be_bytes());
            self.hasher.update(part.as_bytes());
        }
        self.hasher.update(&[u8::from(value.is_some())]);
        self
    }

    /// The number behind a cursor; 0 where none is given. Fails where it is no cursor of this list.
    pub(crate) fn after(&self, cursor: Option<&str>) -> Result<u64, Problem> {
        let Some(text) = cursor else { return Ok(0) };
        text.get(..16)
            .filter(|_| text.len() == TEXT_BYTES)
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .filter(|number| self.cursor(*number) == text)
            .ok_or_else(|| Problem::invalid("/after", "no cursor of this list with this filter"))
    }

    fn cursor(&self, number: u64) -> String {
        let mut hasher = self.hasher.clone();
        hasher.update(&number.to_be_bytes());
        let tag = hasher.finalize();
        format!("{number:016x}{}", &tag.to_hex()[..2 * TAG_BYTES])
    }

    /// The last page of the list, or one after which it continues behind the number `last`.
    pub(crate) fn page<T>(&self, items: Vec<T>, last: Option<u64>) -> Page<T> {
        Page { items, next: last.map(|last| self.cursor(last)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_number() {
        let list = List::new("charges").with("phone", Some("+989123456789"));
        let page = list.page(vec![1], Some(77));
        assert_eq!(list.after(page.next.as_deref()).ok(), Some(77));
        assert_eq!(list.after(None).ok(), Some(0));
        assert_eq!(list.page::<u8>(vec![], None).next, None);
    }

    #[test]
    fn a_cursor_is_refused_with_another_filter() {
        let list = List::new("charges").with("phone", Some("+989123456789"));
        let next = list.page::<u8>(vec![], Some(77)).next;
        for other in [
            List::new("charges"),
            List::new("charges").with("phone", None),
            List::new("charges").with("phone", Some("+989123456780")),
            List::new("sellers").with("phone", Some("+989123456789")),
            List::new("charges").with("phone", Some("+989123456789")).with("from", None),
        ] {
            assert!(other.after(next.as_deref()).is_err());
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let list = List::new("sellers");
        let good = list.page::<u8>(vec![], Some(5)).next.expect("a number was given");
        let other_number = good.replacen("0005", "0006", 1);
        for text in
            ["", "5", "x", &good[1..], &other_number, &format!("{good}0"), "ééééééééééééééééé", &good.to_uppercase()]
        {
            assert_eq!(list.after(Some(text)).is_err(), text != good, "{text}");
        }
    }
}
