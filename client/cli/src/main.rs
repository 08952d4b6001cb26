//! The program `etebar`: the HTTP API from a shell, for sellers, admins, operators and testers.
//!
//! Tables for people, JSON for programs with `--json`. Exit codes: 0 success, 1 refused, 2 wrong usage, 3 no node
//! answers, the outcome is unknown, or the answer could not be printed, 4 a promise was found broken.
#![deny(clippy::unwrap_used)]

mod arguments;
mod backup;
mod books;
mod import;
mod lists;
mod load;
mod output;
mod session;
mod verbs;
mod watch;

use std::io::ErrorKind::BrokenPipe;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use etebar::api::{self, SHOWN_CHARS};

use arguments::{Arguments, Verb};
use output::error::{self, CliError};
use output::hint::{self, Called};
use output::{Output, paint};

/// Most lines of help. Source: several times the longest.
const HELP_LINES: usize = 1_000;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(error),
    };
    let painted = paint::is_enabled(arguments.global.color.into());
    let output = Output::new(arguments.global.json, painted);
    let called = Called { servers: arguments.global.server.clone(), arguments: hint::arguments() };
    match on_runtime(arguments, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error, hint::with(&error, &called).as_deref());
            ExitCode::from(error.exit_code())
        }
    }
}

/// Help and version go to stdout with 0, anything wrong to stderr with 2. Both repeat what others wrote, arguments and the
/// environment, which is escaped where it would command the terminal; colours are then left out.
fn usage(mut error: clap::Error) -> ExitCode {
    let repeated = |(kind, value): (ContextKind, &ContextValue)| match value {
        ContextValue::String(text) => Some((kind, ContextValue::String(api::shown(text, SHOWN_CHARS).into_owned()))),
        ContextValue::Strings(texts) => {
            let texts = texts.iter().map(|text| api::shown(text, SHOWN_CHARS).into_owned());
            Some((kind, ContextValue::Strings(texts.collect())))
        }
        _ => None,
    };
    let harmless: Vec<_> = error.context().filter_map(repeated).collect();
    for (kind, value) in harmless {
        error.insert(kind, value);
    }
    let plain = error.render().to_string();
    let harmless = api::shown_lines(&plain, error::LINE_CHARS, HELP_LINES);
    let printed = if harmless == plain {
        error.print()
    } else if error.use_stderr() {
        write!(std::io::stderr().lock(), "{harmless}")
    } else {
        write!(std::io::stdout().lock(), "{harmless}")
    };
    match (error.kind(), printed) {
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, Err(why)) if why.kind() != BrokenPipe => {
            let error = CliError::Unprinted(why.to_string());
            output::error_line(&format!("etebar: {error}"));
            ExitCode::from(error.exit_code())
        }
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, _) => ExitCode::SUCCESS,
        // Where even this cannot be printed, the exit code remains.
        (_, _) => ExitCode::from(error::WRONG_USAGE),
    }
}

fn on_runtime(arguments: Arguments, output: Output) -> Result<(), CliError> {
    // The load generator shares its cores with the nodes: one thread without work stealing costs them least.
    let mut builder = match arguments.verb {
        Verb::Bench(_) | Verb::Load(_) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build().map_err(|error| CliError::local(format!("no runtime: {error}")))?;
    runtime.block_on(verbs::run(arguments, output))
}
