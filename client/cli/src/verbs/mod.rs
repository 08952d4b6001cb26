//! What each verb does: one file a kind of thing.

mod acts;
mod charges;
mod cluster;
mod completions;
mod credit;
mod journal;
mod keys;
mod members;
mod sellers;

use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::{Arguments, Charges, Cluster, Verb};
use crate::books::{prove, verify};
use crate::load::bench;
use crate::load::plot;
use crate::output::Output;
use crate::output::error::CliError;
use crate::session::Session;
use crate::{backup, load, watch};

pub(crate) async fn run(arguments: Arguments, output: Output) -> Result<(), CliError> {
    // A shell's start-up file asks for completions where no server is set, or a wrong one.
    if let Verb::Completions { shell } = arguments.verb {
        return completions::print(shell);
    }
    let session = &Session::new(&arguments.global, output)?;
    // These end by themselves when they are interrupted: they first wait for the calls under way.
    if matches!(arguments.verb, Verb::Charges(Charges::Import(_)) | Verb::Load(_)) {
        return dispatch(session, arguments).await;
    }
    let mut terminated = signal(SignalKind::terminate()).map_err(no_signals)?;
    tokio::select! {
        biased;
        done = dispatch(session, arguments) => done,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.map_err(no_signals)?;
            Err(session.interrupted())
        }
        _ = terminated.recv() => Err(session.interrupted()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn no_signals(error: std::io::Error) -> CliError {
    CliError::local(format!("no signals: {error}"))
}

async fn dispatch(session: &Session, arguments: Arguments) -> Result<(), CliError> {
    match arguments.verb {
        Verb::Sellers(verb) => sellers::run(session, verb).await,
        Verb::Keys(verb) => keys::run(session, verb).await,
        Verb::CreditRequests(verb) => credit::run(session, verb).await,
        Verb::Acts(verb) => acts::list(session, verb).await,
        Verb::Policy(verb) => acts::policy(session, &verb).await,
        Verb::Adjust(verb) => credit::adjust(session, verb).await,
        Verb::Charge(verb) => charges::one(session, verb).await,
        Verb::Charges(verb) => charges::run(session, verb).await,
        Verb::Statement(verb) => journal::statement(session, verb).await,
        Verb::Journal(verb) => journal::journal(session, verb).await,
        Verb::Reconcile(seller) => journal::reconcile(session, seller).await,
        Verb::Phone { number } => journal::phone(session, &number).await,
        Verb::Audit => journal::audit(session).await,
        Verb::Cluster { verb: Some(Cluster::Open) } => cluster::open(session).await,
        Verb::Cluster { verb: Some(Cluster::Status) | None } => cluster::status(session).await,
        Verb::Members(verb) => members::run(session, verb).await,
        Verb::Leader { id } => cluster::lead(session, id).await,
        Verb::Watch(verb) => watch::run(session, &arguments.global, verb).await,
        Verb::Digest { applied } => cluster::digest(session, applied).await,
        Verb::Bench(verb) => bench::run(session, &arguments.global, verb).await,
        Verb::Verify(verb) => verify::run(session, &verb).await,
        Verb::Backup(verb) => backup::run(session, verb).await,
        Verb::Load(verb) => load::run(session, verb).await,
        Verb::Completions { shell } => completions::print(shell),
        Verb::Prove { record } => prove::run(session, &record).await,
        Verb::Plot(verb) => plot::run(session, &verb),
    }
}
