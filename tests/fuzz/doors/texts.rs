//! What people write.

use etebar_api::{AmountIn, AmountOut, Timestamp, check_name, is_visible, read_phone, shown};
use ledger::{IdempotencyKey, Name, Note};

/// What people write: phone numbers, amounts, times, names, keys. An accepted text is shown in one form, which is read as
/// the same value; no letter becomes a digit, and no digit is lost.
pub(crate) fn texts(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let line = shown(text, 50);
    assert!(line.chars().count() <= 50 && line.chars().all(|char| is_visible(char) || char == '\u{200c}'), "{text:?}");
    if check_name(text).is_ok() {
        assert_eq!(shown(text, usize::MAX), text, "people see all of a name");
    }
    if let Ok(phone) = read_phone(text) {
        let shown = phone.to_string();
        assert!(!text.chars().any(char::is_alphabetic), "{text:?} has a letter and became {shown}");
        let digits = shown.strip_prefix('+').expect("E.164 begins with a plus");
        assert!((7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()), "{shown}");
        assert_eq!(read_phone(&shown), Ok(phone), "{text:?} is shown as {shown}");
    }
    if let Ok(amount) = AmountIn::parse(text) {
        assert_eq!(AmountIn::parse(&amount.to_string()), Ok(amount), "{text:?}");
        for places in 0..=4 {
            let Ok(minor) = amount.minor(places) else { continue };
            assert_eq!(AmountIn::from_minor(minor, places), amount, "{text:?} with {places} places is {minor}");
            let shown = AmountOut::new(minor, places).to_string();
            assert_eq!(AmountIn::parse(&shown), Ok(amount), "{text:?} is shown as {shown}");
        }
    }
    if let Ok(time) = Timestamp::parse(text) {
        assert_eq!(Timestamp::parse(&time.to_string()).ok(), Some(time), "{text:?}");
    }
    let kept = [
        Name::new(text).map(|name| name.as_str().to_owned()).ok(),
        Note::new(text).map(|note| note.as_str().to_owned()).ok(),
        IdempotencyKey::new(text).map(|key| key.as_str().to_owned()).ok(),
    ];
    for kept in kept.into_iter().flatten() {
        assert_eq!(kept, text, "a text is taken as it is or refused");
    }
}
