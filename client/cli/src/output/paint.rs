//! Cells of tables and their colours. A text is painted with escape codes here, always; what prints it takes them out
//! where colours are off, so that no verb has to know.
//!
//! Invariant: what others wrote (names, notes, reasons) sends no control code to the terminal.

use std::borrow::Cow;

use anstream::ColorChoice;
use clap::builder::styling::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

use etebar::api::{self, SHOWN_CHARS};

/// What a cell's colour means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Head,
    Good,
    Waiting,
    Bad,
}

/// One cell: its text, escaped and cut where others wrote it ([`api::shown`]), and its tone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub(crate) fn new(text: &str, tone: Tone) -> Cell {
        Cell { text: api::shown(text, SHOWN_CHARS).into_owned(), tone }
    }

    pub(crate) fn good(text: &str) -> Cell {
        Cell::new(text, Tone::Good)
    }

    pub(crate) fn waiting(text: &str) -> Cell {
        Cell::new(text, Tone::Waiting)
    }

    pub(crate) fn bad(text: &str) -> Cell {
        Cell::new(text, Tone::Bad)
    }

    /// Columns of the terminal that it takes.
    pub(crate) fn width(&self) -> usize {
        self.text.width()
    }

    pub(crate) fn is_empty(&self) -> bool {
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

/// Whether the terminal declares that it can only print lines.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Whether what goes to stdout is painted: as `--color` says, and without it where stdout is a terminal with colours.
pub(crate) fn is_enabled(choice: ColorChoice) -> bool {
    match choice {
        ColorChoice::Always | ColorChoice::AlwaysAnsi => true,
        ColorChoice::Never => false,
        // anstream paints a dumb terminal too where CI is set, for logs on a page; a terminal that says so shows none.
        ColorChoice::Auto => !is_dumb() && anstream::AutoStream::choice(&std::io::stdout()) != ColorChoice::Never,
    }
}

/// `text` with its colours, or without. Of codes a [`Cell`]'s colours pass alone: text that did not come from a
/// cell is escaped where it would command the terminal.
pub(crate) fn shown(text: &str, painted: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let colour = colour_code(rest);
        let taken = if colour > 0 { colour } else { char.len_utf8() };
        let (piece, after) = rest.split_at(taken);
        match char {
            _ if colour > 0 => out.push_str(if painted { piece } else { "" }),
            // A cell has left it between letters alone.
            '\n' | '\u{200c}' => out.push(char),
            _ if api::is_visible(char) => out.push(char),
            _ => out.push_str(&api::shown(piece, SHOWN_CHARS)),
        }
        rest = after;
    }
    out
}

/// How long the code of a colour is that `text` begins with; 0 where there is none.
fn colour_code(text: &str) -> usize {
    let Some(parameters) = text.strip_prefix("\u{1b}[") else { return 0 };
    let end = parameters.bytes().position(|byte| !byte.is_ascii_digit() && byte != b';');
    match end.map(|end| (end, parameters.as_bytes()[end])) {
        Some((end, b'm')) => "\u{1b}[".len() + end + 1,
        Some(_) | None => 0,
    }
}

/// The beginning of a painted line that fits into `width` columns. Its escape codes all stay.
pub(crate) fn cut(line: &str, width: usize) -> Cow<'_, str> {
    console::truncate_str(line, width, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_command_the_terminal() {
        let cell = Cell::from("a\u{1b}[2Jb\r\nc\u{202e}d\u{9b}e");
        assert_eq!(cell.to_string(), r"a\u{1b}[2Jb\r\nc\u{202e}d\u{9b}e");
        assert_eq!(Cell::from("x".repeat(1_000_000)).width(), SHOWN_CHARS);
        let by_another_way = format!("a\u{1b}[2J\u{1b}[31;1{}\u{202e}\nb", Cell::bad("c"));
        let escaped = r"a\u{1b}[2J\u{1b}[31;1c\u{202e}";
        assert_eq!(shown(&by_another_way, false), format!("{escaped}\nb"));
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
