//! The log's way to stderr: an event is one line, and what others wrote in it (addresses, names, paths, errors) is escaped
//! and bounded.

use std::io::{self, Write};

use etebar_api as api;

/// Most characters of an event. Source: a panic with its place, and room.
const EVENT_CHARS: usize = 8_000;

/// Stderr for whole events, one a call of `write`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Events;

impl Write for Events {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(line(event).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

fn line(event: &[u8]) -> String {
    let text = String::from_utf8_lossy(event);
    format!("{}\n", api::shown(text.strip_suffix('\n').unwrap_or(&text), EVENT_CHARS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_harmless_line() {
        assert_eq!(line(b"INFO node serves node=1\n"), "INFO node serves node=1\n");
        assert_eq!(
            line("WARN \u{1b}[2J\u{202e}\nINFO forged\n".as_bytes()),
            "WARN \\u{1b}[2J\\u{202e}\\nINFO forged\n"
        );
        assert!(line(&vec![b'x'; 1 << 20]).len() <= EVENT_CHARS + 3);
    }
}
