//! The log: what goes to stderr, in which format, an event a line.
//!
//! Read in this order: this file, [`events`] (an event becomes a line).

mod events;
mod line;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use self::events::Events;
pub use self::line::LogFormat;

/// Writes from here on what `filter` lets through, such as `warn,etebar_node=debug`. Called once in a process.
///
/// # Errors
/// Where `filter` is none.
pub fn start(format: LogFormat, filter: &str) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(filter)?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || Events(format)).with_ansi(false);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().with_span_list(false).init(),
    }
    Ok(())
}
