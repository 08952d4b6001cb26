//! Phone numbers as people write them, made into the ledger's one shape. Strict: a text that is not certainly a number
//! is refused.
//!
//! Here, and not in the node, so that a caller can check a whole file of charges before it sends the first.
//!
//! Iranian mobiles in their five spellings; other countries with `+`. Persian and Arabic-Indic digits count as digits;
//! spaces and dashes may stand anywhere between them. Letters never do: read as keypad digits they make a different number.

use ledger::Phone;

use super::text::CodePoint;

/// Longest spelling that is looked at, in characters. Source: 15 digits with a separator around each, and some more.
const SPELLING_CHARS: usize = 40;
/// Most digits of a spelling: `00` and the 15 of E.164.
const DIGITS_MAX: u32 = 17;

/// Why a text is no phone number that can be charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// A letter, a bracket, anything but digits, spaces, dashes and one leading plus.
    #[error("a phone number has digits, spaces and dashes, and a plus in front at most: {} stands in the way", CodePoint(*.0))]
    Character(char),
    /// Fewer than 7 or more than 15 digits, or too long a text.
    #[error("a phone number has 7 to 15 digits")]
    Length,
    /// Neither an Iranian mobile number nor one with `+` and its country code.
    #[error("neither an Iranian mobile number such as 09123456789 nor a number with + and a country code")]
    Unknown,
    /// A number with +98 that is not a mobile's.
    #[error("of Iranian numbers only mobiles, +98 9xx xxx xxxx, can be charged")]
    NotMobile,
}

/// Reads one spelling of a phone number.
pub fn read_phone(text: &str) -> Result<Phone, PhoneError> {
    let mut digits = 0_u64;
    let mut count = 0_u32;
    let mut leading_zeros = 0_u32;
    let mut plus = false;
    for (at, character) in text.chars().enumerate() {
        if at >= SPELLING_CHARS {
            return Err(PhoneError::Length);
        }
        if let Some(digit) = digit(character) {
            if digit == 0 && count == leading_zeros {
                leading_zeros += 1;
            }
            count += 1;
            if count > DIGITS_MAX {
                return Err(PhoneError::Length);
            }
            digits = digits * 10 + digit;
        } else if character == '+' && !plus && count == 0 {
            plus = true;
        } else if !is_separator(character) {
            return Err(PhoneError::Character(character));
        }
    }
    normalise(plus, leading_zeros, count, digits)
}

fn digit(character: char) -> Option<u64> {
    let zero = match character {
        '0'..='9' => '0',
        '\u{0660}'..='\u{0669}' => '\u{0660}',
        '\u{06f0}'..='\u{06f9}' => '\u{06f0}',
        _ => return None,
    };
    Some(u64::from(u32::from(character) - u32::from(zero)))
}

/// Spaces (plain, no-break, narrow, thin, figure) and dashes (hyphens to em dash, minus).
fn is_separator(character: char) -> bool {
    matches!(
        character,
        ' ' | '-' | '\u{a0}' | '\u{2007}' | '\u{2009}' | '\u{2010}'..='\u{2014}' | '\u{202f}' | '\u{2212}'
    )
}

/// `digits` is the value without its leading zeros, `count` the number of digits with them.
fn normalise(plus: bool, leading_zeros: u32, count: u32, digits: u64) -> Result<Phone, PhoneError> {
    if plus && leading_zeros > 0 {
        return Err(PhoneError::Unknown);
    }
    if plus && !(7..=15).contains(&count) {
        return Err(PhoneError::Length);
    }
    let significant = count - leading_zeros;
    let international = match (plus, leading_zeros, significant) {
        (true, _, _) | (false, 0 | 2, 12) => digits,
        (false, 0 | 1, 10) => 980_000_000_000 + digits,
        (false, _, _) if !(7..=15).contains(&significant) => return Err(PhoneError::Length),
        (false, _, _) => return Err(PhoneError::Unknown),
    };
    if !plus && international / 10_000_000_000 != 98 {
        return Err(PhoneError::Unknown);
    }
    // What the ledger does not take of these is an Iranian number that is not a mobile's.
    Phone::new(international).ok_or(PhoneError::NotMobile)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn e164(text: &str) -> Result<String, PhoneError> {
        read_phone(text).map(|phone| phone.to_string())
    }

    #[test]
    fn every_spelling_of_an_iranian_mobile_is_one_number() {
        let spellings = [
            "09123456789",
            "9123456789",
            "+989123456789",
            "00989123456789",
            "989123456789",
            "۰۹۱۲۳۴۵۶۷۸۹",
            "٠٩١٢٣٤٥٦٧٨٩",
            "+۹۸۹۱۲۳۴۵۶۷۸۹",
            "0912 345 6789",
            "0912-345-6789",
            "+98 912 345 67 89",
            "0098 912-345-6789",
            " 09123456789 ",
            "0912\u{2013}345\u{a0}6789",
        ];
        for spelling in spellings {
            assert_eq!(e164(spelling).as_deref(), Ok("+989123456789"), "{spelling}");
        }
    }

    #[test]
    fn other_countries_need_a_plus_and_7_to_15_digits() {
        assert_eq!(e164("+442071838750").as_deref(), Ok("+442071838750"));
        assert_eq!(e164("+1 202-555-0143").as_deref(), Ok("+12025550143"));
        assert_eq!(e164("+2907123").as_deref(), Ok("+2907123"));
        assert_eq!(e164("+123456789012345").as_deref(), Ok("+123456789012345"));
        assert_eq!(e164("+123456"), Err(PhoneError::Length));
        assert_eq!(e164("+1234567890123456"), Err(PhoneError::Length));
        assert_eq!(e164("442071838750"), Err(PhoneError::Unknown));
        assert_eq!(e164("00442071838750"), Err(PhoneError::Unknown));
        assert_eq!(e164("+02071838750"), Err(PhoneError::Unknown));
    }

    #[test]
    fn other_iranian_numbers_are_refused() {
        for spelling in ["+982188776655", "+9809123456789", "+98912345678", "+9891234567890", "+9812345"] {
            assert_eq!(e164(spelling), Err(PhoneError::NotMobile), "{spelling}");
        }
        for spelling in ["02188776655", "2188776655", "982188776655", "00982188776655"] {
            assert_eq!(e164(spelling), Err(PhoneError::NotMobile), "{spelling}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let wrong = [
            ("0912abc6789", 'a'),
            ("0912-abc-4567", 'a'),
            ("(0912)3456789", '('),
            ("09123456789x", 'x'),
            ("0912\n3456789", '\n'),
            ("٫", '٫'),
            ("９１２", '９'),
            ("98+9123456789", '+'),
            ("\u{202d}09123456789", '\u{202d}'),
            ("0912\u{200b}3456789", '\u{200b}'),
        ];
        for (text, character) in wrong {
            let error = read_phone(text).unwrap_err();
            assert_eq!(error, PhoneError::Character(character), "{text}");
            assert!(error.to_string().contains(&format!("U+{:04X}", u32::from(character))), "{error}");
        }
        for text in ["+", "", " ", "-", "0", "123", "++989123456789"] {
            assert!(e164(text).is_err(), "{text}");
        }
        assert!(e164(&"0".repeat(1_000_000)).is_err());
        assert!(e164(&" ".repeat(1_000_000)).is_err());
        assert!(e164("009123456789").is_err(), "two zeros are no trunk prefix");
        assert!(e164("0009123456789").is_err());
        assert!(e164("099123456789").is_err());
    }
}
