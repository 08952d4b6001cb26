//! The log's way to stderr: an event is one line, and what others wrote in it (addresses, names, paths, errors) is escaped
//! and bounded. A line of JSON stays JSON.

use std::borrow::Cow;
use std::io::{self, Write};

use etebar_api as api;
use serde_json::{Value, json};

use super::line::LogFormat;

/// Most characters of an event. Source: a panic with its place, and room.
const EVENT_CHARS: usize = 8_000;
/// Most characters of one text in an event of JSON that is longer than that: an event has 32 fields at most.
const VALUE_CHARS: usize = 1_000;

/// Stderr for whole events, one a call of `write`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Events(pub LogFormat);

impl Write for Events {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let line = match self.0 {
            LogFormat::Text => api::shown(text, EVENT_CHARS),
            LogFormat::Json => json_line(text),
        };
        io::stderr().lock().write_all(format!("{line}\n").as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

/// An event that is too long keeps all of its fields, each with the beginning of its text.
fn json_line(event: &str) -> Cow<'_, str> {
    if event.len() <= EVENT_CHARS {
        return api::shown_json(event);
    }
    let mut event = serde_json::from_str(event).unwrap_or_else(|_| json!({ "message": event }));
    shorten(&mut event);
    Cow::Owned(api::shown_json(&event.to_string()).into_owned())
}

fn shorten(value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => *text = api::shown(text, VALUE_CHARS).into_owned(),
        Value::Array(values) => values.iter_mut().for_each(shorten),
        Value::Object(fields) => fields.values_mut().for_each(shorten),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_json_stays_json_whatever_others_wrote_in_it() {
        let foreign = "\u{1b}[2J\u{202e}\nforged \u{1f600}\u{e0001}\"";
        let event = json!({ "fields": { "message": foreign } });
        let line = json_line(&event.to_string()).into_owned();
        assert!(!line.contains(['\u{1b}', '\u{202e}', '\n', '\u{e0001}']), "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), event);
    }

    #[test]
    fn a_long_event_of_json_keeps_its_fields() {
        let event = json!({ "level": "WARN", "fields": { "why": "x".repeat(1 << 20), "status": 500 } });
        let line = json_line(&event.to_string()).into_owned();
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&read["level"], &read["fields"]["status"]), (&json!("WARN"), &json!(500)));
        assert!(line.len() < 2 * VALUE_CHARS, "{}", line.len());
    }
}
