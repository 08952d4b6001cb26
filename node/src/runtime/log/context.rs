//! What a line of the log says of the request that it is about: the request's id, and the trace that it belongs to.
//!
//! A context is a value of the task and not a span: a span of each request would be formatted and registered also where
//! nothing is logged, which costs a charge more than all else that its line says. Here a poll moves a few words, and only a
//! line that is written formats them. Invariant: nothing in it is a secret or a phone number.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures::future::Either;

use super::line::LogFormat;
use super::trace_context::TraceContext;

tokio::task_local! {
    static CONTEXT: LogContext;
}

/// See the head of this file. One of its parts is there.
#[derive(Debug, Clone)]
pub struct LogContext {
    request_id: Option<Arc<str>>,
    trace: Option<TraceContext>,
}

impl LogContext {
    /// That of a request of this id, in its caller's trace where it has one.
    pub fn of_request(id: &str, trace: Option<TraceContext>) -> Self {
        Self { request_id: Some(id.into()), trace }
    }

    /// That of a call from a node that answers a request of this trace.
    pub fn of_call(trace: TraceContext) -> Self {
        Self { request_id: None, trace: Some(trace) }
    }

    /// Lines that `future` logs say it.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CONTEXT.scope(self, future)
    }

    /// The trace of the running task, where it has one.
    pub fn trace() -> Option<TraceContext> {
        CONTEXT.try_with(|context| context.trace).ok().flatten()
    }
}

/// `future` for another task: its lines say what those of the running one do.
pub fn carried<F: Future>(future: F) -> impl Future<Output = F::Output> {
    match current() {
        Some(context) => Either::Left(context.scope(future)),
        None => Either::Right(future),
    }
}

/// The same for work on another thread.
pub fn carrying<T, W: FnOnce() -> T>(work: W) -> impl FnOnce() -> T {
    let context = current();
    move || match context {
        Some(context) => CONTEXT.sync_scope(context, work),
        None => work(),
    }
}

fn current() -> Option<LogContext> {
    CONTEXT.try_with(LogContext::clone).ok()
}

/// Adds the context of the running task to a line of that format, which ends with a line break.
pub(super) fn add_to(line: &str, format: LogFormat, out: &mut dyn fmt::Write) -> fmt::Result {
    match CONTEXT.try_with(|context| context.add_to(line, format, out)) {
        Ok(added) => added,
        Err(_none) => out.write_str(line),
    }
}

impl LogContext {
    fn add_to(&self, line: &str, format: LogFormat, out: &mut dyn fmt::Write) -> fmt::Result {
        let request_id = self.request_id.as_deref();
        match format {
            LogFormat::Text => {
                out.write_str(line.trim_end_matches('\n'))?;
                // Quoted: the id is any visible text of the caller's.
                request_id.map_or(Ok(()), |id| write!(out, " request_id={id:?}"))?;
                self.trace.map_or(Ok(()), |trace| write!(out, " trace_id={trace}"))?;
                out.write_char('\n')
            }
            LogFormat::Json => {
                // An object, which has fields of its own: the time at least.
                let fields = line.strip_prefix('{').ok_or(fmt::Error)?;
                out.write_char('{')?;
                request_id.map_or(Ok(()), |id| write!(out, "\"request_id\":{},", serde_json::Value::from(id)))?;
                self.trace.map_or(Ok(()), |trace| write!(out, "\"trace_id\":\"{trace}\","))?;
                out.write_str(fields)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn added(line: &str, format: LogFormat) -> String {
        let mut out = String::new();
        add_to(line, format, &mut out).unwrap();
        out
    }

    #[tokio::test]
    async fn a_line_says_the_request_and_the_trace_of_its_task() {
        let trace = TraceContext::parse([HEADER].into_iter()).unwrap();
        let lines =
            async { [added("WARN it failed\n", LogFormat::Text), added("{\"level\":\"WARN\"}\n", LogFormat::Json)] };
        assert_eq!(
            LogContext::of_request("a\"b", Some(trace)).scope(lines).await,
            [
                "WARN it failed request_id=\"a\\\"b\" trace_id=4bf92f3577b34da6a3ce929d0e0e4736\n",
                "{\"request_id\":\"a\\\"b\",\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"level\":\"WARN\"}\n",
            ]
        );
    }

    #[tokio::test]
    async fn a_line_of_no_request_stays_as_it_is() {
        assert_eq!(added("INFO node serves\n", LogFormat::Text), "INFO node serves\n");
        assert!(current().is_none() && LogContext::trace().is_none());
    }

    #[tokio::test]
    async fn work_on_another_thread_says_the_request_too() {
        let work = async { crate::runtime::blocking(|| added("INFO read\n", LogFormat::Text)).await.unwrap() };
        assert_eq!(LogContext::of_request("a", None).scope(work).await, "INFO read request_id=\"a\"\n");
    }
}
