//! The log: what goes to stderr, in which format, an event a line.
//!
//! Read in this order: this file, [`context`] (what a line says of the request that it is about), [`trace_context`] (as its caller
//! names its trace), [`mod@format`], [`events`] (an event becomes a line).

pub mod context;
mod events;
mod format;
mod line;
pub mod trace_context;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use self::events::Events;
use self::format::WithContext;
pub use self::line::LogFormat;

/// Writes from here on what `filter` lets through, such as `warn,etebar_node=debug`. Called once in a process.
///
/// # Errors
/// Where `filter` is none.
pub fn start(format: LogFormat, filter: &str) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(filter)?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || Events(format)).with_ansi(false);
    match format {
        LogFormat::Text => log.map_event_format(|inner| WithContext { inner, format }).init(),
        LogFormat::Json => {
            let log = log.json().with_span_list(false);
            log.map_event_format(|inner| WithContext { inner, format }).init();
        }
    }
    Ok(())
}
