//! Cells of tables and their colours. A text is painted with escape codes here, always; what prints it takes them out
//! where nobody wants colours, so that no verb has to know.
//!
//! Invariant: what others wrote (names, notes, reasons) brings no control of its own to the terminal.

use anstream::ColorChoice;
use clap::builder::styling::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::terminal;

/// What a word says about the state of things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Head,
    Good,
    Waiting,
    Bad,
}

/// One cell: its text, without any control character, and its tone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub(super) fn new(text: &str, tone: Tone) -> Cell {
        Cell { text: harmless(text), tone }
    }

    pub(super) fn good(text: &str) -> Cell {
        Cell::new(text, Tone::Good)
    }

    pub(super) fn waiting(text: &str) -> Cell {
        Cell::new(text, Tone::Waiting)
    }

    pub(super) fn bad(text: &str) -> Cell {
        Cell::new(text, Tone::Bad)
    }

    /// Columns of the terminal that it takes.
    pub(super) fn width(&self) -> usize {
        self.text.width()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::new(&text, Tone::Plain)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::new(text, Tone::Plain)
    }
}

/// Its text between the escape codes of its tone.
impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let style = match self.tone {
            Tone::Plain => return f.write_str(&self.text),
            Tone::Head => Style::new().bold(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Waiting => AnsiColor::Yellow.on_default(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
        };
        write!(f, "{style}{}{style:#}", self.text)
    }
}

/// `text` on one line, without what would move the cursor, change colours, or turn the reading order around.
fn harmless(text: &str) -> String {
    let plain = |char: char| match char {
        '\n' | '\t' => ' ',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
        char if char.is_control() => char::REPLACEMENT_CHARACTER,
        char => char,
    };
    text.chars().map(plain).collect()
}

/// Whether what goes to stdout is painted: as `--color` says, and without it where a terminal shows it that wants colours.
pub(super) fn wanted(choice: ColorChoice) -> bool {
    match choice {
        ColorChoice::Always | ColorChoice::AlwaysAnsi => true,
        ColorChoice::Never => false,
        // anstream paints a dumb terminal too where CI is set, for logs on a page; a terminal that says so shows none.
        ColorChoice::Auto => {
            !terminal::is_dumb() && anstream::AutoStream::choice(&std::io::stdout()) != ColorChoice::Never
        }
    }
}

/// `text` as it is, or without its escape codes.
pub(super) fn shown(text: &str, painted: bool) -> String {
    if painted { text.to_owned() } else { anstream::adapter::strip_str(text).to_string() }
}

/// The beginning of a painted line that fits into `width` columns. Its escape codes all stay.
pub(super) fn cut(line: &str, width: usize) -> String {
    let (mut out, mut taken, mut in_code) = (String::with_capacity(line.len()), 0, false);
    for char in line.chars() {
        if in_code || char == '\u{1b}' {
            in_code = !(in_code && char.is_ascii_alphabetic());
            out.push(char);
            continue;
        }
        taken += char.width().unwrap_or(0);
        if taken <= width {
            out.push(char);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_command_the_terminal() {
        let cell = Cell::from("a\u{1b}[2Jb\r\nc\u{202e}d\u{9b}e");
        assert_eq!(cell.to_string(), "a\u{fffd}[2Jb\u{fffd} c\u{fffd}d\u{fffd}e");
    }

    #[test]
    fn a_painted_cell_is_as_wide_as_what_is_seen() {
        let cell = Cell::good("approved");
        assert_eq!(cell.width(), 8);
        assert_eq!(shown(&cell.to_string(), true), "\u{1b}[32mapproved\u{1b}[0m");
        assert_eq!(shown(&cell.to_string(), false), "approved");
        assert_eq!(Cell::from("می\u{200c}روم").width(), 5, "a joiner takes no column");
        assert_eq!(Cell::from("漢字").width(), 4);
    }

    #[test]
    fn a_cut_line_keeps_its_codes_and_loses_what_does_not_fit() {
        let line = format!("12 {} 34", Cell::bad("down"));
        assert_eq!(shown(&cut(&line, 5), false), "12 do");
        assert!(cut(&line, 5).ends_with("\u{1b}[0m"), "the colour ends");
        assert_eq!(cut(&line, 80), line);
    }
}
