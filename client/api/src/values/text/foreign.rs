//! Text from outside (a file, an argument, a server), escaped and bounded for a terminal or a log.
//!
//! Invariant: what [`shown`] gives back moves no cursor, changes no colour, turns no reading order around, hides nothing
//! between two letters, and is one line of bounded length.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Most characters of one such text among others: a cell, a path, a value. Source: the longest note, 500, were each of its
/// characters a line break, which is shown as two.
pub const SHOWN_CHARS: usize = 1_001;

/// How a message names a character that it may not show: its code point, as in `U+202D`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodePoint(pub char);

impl fmt::Display for CodePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = u32::from(self.0);
        // A letter or sign that can be seen is shown too: few know the code of a comma.
        if is_visible(self.0) && self.0 != ' ' {
            write!(f, "{} (U+{code:04X})", self.0)
        } else {
            write!(f, "U+{code:04X}")
        }
    }
}

/// Whether a character shows as itself, alone or on the letter before it; spaces do.
///
/// It does not where it is a control, a format character (bidirectional and zero-width ones among them), a line or
/// paragraph separator, private, unassigned, or drawn as nothing by rule.
pub fn is_visible(char: char) -> bool {
    if char.is_ascii() {
        return !char.is_ascii_control();
    }
    match char.general_category() {
        GeneralCategory::Control
        | GeneralCategory::Format
        | GeneralCategory::Surrogate
        | GeneralCategory::PrivateUse
        | GeneralCategory::Unassigned
        | GeneralCategory::LineSeparator
        | GeneralCategory::ParagraphSeparator => false,
        _ => !is_drawn_as_nothing(char),
    }
}

/// Letters, marks and signs that Unicode lets be ignored (`Default_Ignorable_Code_Point`, less those whose category says
/// it already), and the blank pattern of Braille.
fn is_drawn_as_nothing(char: char) -> bool {
    matches!(
        char,
        '\u{34f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180d}'
            | '\u{180f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{e0100}'..='\u{e01ef}'
    )
}

/// Whether people write names with it: a letter, or a mark on one.
pub(crate) fn is_letter(char: char) -> bool {
    match char.general_category() {
        GeneralCategory::UppercaseLetter
        | GeneralCategory::LowercaseLetter
        | GeneralCategory::TitlecaseLetter
        | GeneralCategory::ModifierLetter
        | GeneralCategory::OtherLetter
        | GeneralCategory::NonspacingMark
        | GeneralCategory::SpacingMark
        | GeneralCategory::EnclosingMark => is_visible(char),
        _ => false,
    }
}

/// The zero-width non-joiner, which Persian writes inside words.
pub(crate) const ZWNJ: char = '\u{200c}';

/// `text` on one line: what is not visible becomes `\u{…}`, but for a non-joiner between two letters; of more than `most`
/// characters the beginning, with `…` for the rest.
pub fn shown(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let (mut out, mut count) = (String::new(), 0);
    let mut rest = judged(text).peekable();
    while let Some((char, is_harmless)) = rest.next() {
        let from = out.len();
        if is_harmless {
            out.push(char);
        } else {
            escape(char, &mut out);
        }
        count += out[from..].chars().count();
        // The mark of the cut is the last character.
        if count > most || (count == most && rest.peek().is_some()) {
            out.truncate(from);
            out.push('…');
            break;
        }
    }
    Cow::Owned(out)
}

/// Each character, and whether it may be shown as itself.
fn judged(text: &str) -> impl Iterator<Item = (char, bool)> {
    let (mut before, mut rest) = (None, text.chars().peekable());
    std::iter::from_fn(move || {
        let char = rest.next()?;
        let joins = char == ZWNJ && before.is_some_and(is_letter) && rest.peek().is_some_and(|next| is_letter(*next));
        before = Some(char);
        Some((char, joins || is_visible(char)))
    })
}

/// The same of several lines: what ends a line stays, each line and their number is bounded.
pub fn shown_lines(text: &str, most: usize, lines: usize) -> String {
    let mut shown_lines: Vec<Cow<'_, str>> = text.split('\n').take(lines + 1).map(|line| shown(line, most)).collect();
    if shown_lines.len() > lines {
        shown_lines[lines] = Cow::Borrowed("…");
    }
    shown_lines.join("\n")
}

/// JSON that means the same and is harmless on a terminal: what is not visible stands as `\uXXXX`. Takes JSON without
/// line breaks of its own, or with.
pub fn shown_json(json: &str) -> Cow<'_, str> {
    if json.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 32);
    for (char, is_harmless) in judged(json) {
        if is_harmless || char == '\n' {
            out.push(char);
            continue;
        }
        for unit in char.encode_utf16(&mut [0; 2]) {
            // Writing to a text does not fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    Cow::Owned(out)
}

fn escape(char: char, out: &mut String) {
    match char {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        // Writing to a text does not fail.
        char => drop(write!(out, "\\u{{{:x}}}", u32::from(char))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_visible_stays_and_nothing_else() {
        for text in ["", "plain ~ text", "فروشگاه\u{200c}ها", "e\u{301}é漢字 ½ €", "a\u{a0}b", "🙂"] {
            assert_eq!(shown(text, 100), text);
        }
        let hidden = [
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\u{9b}2J", "a\\u{9b}2J"),
            ("a\r\nb\tc\u{7f}", "a\\r\\nb\\tc\\u{7f}"),
            ("phone\u{200b}", "phone\\u{200b}"),
            ("\u{202d}0912\u{2069}", "\\u{202d}0912\\u{2069}"),
            ("\u{feff}x\u{ad}\u{2028}\u{2029}", "\\u{feff}x\\u{ad}\\u{2028}\\u{2029}"),
            ("\u{e000}\u{378}\u{fffe}", "\\u{e000}\\u{378}\\u{fffe}"),
            ("\u{3164}\u{fe0f}\u{e0041}\u{2800}", "\\u{3164}\\u{fe0f}\\u{e0041}\\u{2800}"),
            ("\u{200c}a\u{200c}", "\\u{200c}a\\u{200c}"),
            ("a\u{200c}\u{200c}b", "a\\u{200c}\\u{200c}b"),
        ];
        for (text, escaped) in hidden {
            assert_eq!(shown(text, 100), escaped);
            assert!(shown(text, 100).chars().all(is_visible), "{escaped}");
        }
    }

    #[test]
    fn no_character_of_unicode_passes_that_could_command_a_terminal() {
        for char in ('\0'..=char::MAX).filter(|char| !is_visible(*char)) {
            let text = format!("({char})");
            assert!(shown(&text, 100).is_ascii(), "U+{:04X}", u32::from(char));
            let json = serde_json::to_string(&text).unwrap();
            let harmless = shown_json(&json);
            assert!(harmless.is_ascii() && !harmless.contains(|char: char| char.is_ascii_control()), "{harmless}");
            assert_eq!(serde_json::from_str::<String>(&harmless).unwrap(), text);
        }
    }

    #[test]
    fn json_keeps_what_can_be_seen() {
        let json = "{\"name\":\"نمایندگی\u{200c}ها \u{200c}\u{202e}\"}\n";
        assert_eq!(shown_json(json), "{\"name\":\"نمایندگی\u{200c}ها \\u200c\\u202e\"}\n");
    }

    #[test]
    fn a_long_text_is_cut_at_its_bound() {
        assert_eq!(shown("12345", 5), "12345");
        assert_eq!(shown("123456", 5), "1234…");
        assert_eq!(shown("12\u{1b}", 5), "12…", "an escape is whole or not there");
        assert_eq!(shown(&"é".repeat(10), 4), "ééé…");
        assert_eq!(shown(&"x".repeat(5_000_000), SHOWN_CHARS).chars().count(), SHOWN_CHARS);
        assert_eq!(shown_lines("a\nb\u{1b}\nc\nd", 10, 2), "a\nb\\u{1b}\n…");
    }

    #[test]
    fn a_code_point_is_named_and_shown_where_it_can_be_seen() {
        assert_eq!(CodePoint('\u{202d}').to_string(), "U+202D");
        assert_eq!(CodePoint(',').to_string(), ", (U+002C)");
        assert_eq!(CodePoint(' ').to_string(), "U+0020");
    }
}
