//! What each verb does: one file a kind of thing.

mod charges;
mod cluster;
mod credit;
mod journal;
mod keys;
mod sellers;

pub(super) use cluster::role;
pub(super) use credit::status as credit_status;
pub(super) use sellers::status as seller_status;

use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};

use crate::client::{Client, IdempotencyKey};

use super::arguments::{Arguments, Charges, Global, Once, Verb};
use super::done::UnderWay;
use super::output::Output;
use super::stop::Stop;
use super::{bench, completions, load, plot, prove, verify, watch};

/// What a verb works with.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) output: Output,
    /// What to say of a write where a signal interrupts it.
    pub(super) under_way: UnderWay,
}

pub(super) async fn run(arguments: Arguments, output: Output) -> Result<(), Stop> {
    // A shell's start-up file asks for completions where no server is set, or a wrong one.
    if let Verb::Completions { shell } = arguments.verb {
        return completions::print(shell);
    }
    let session = &Session { client: client(&arguments.global)?, output, under_way: UnderWay::default() };
    // These end by themselves when they are interrupted: they first wait for what is under way.
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

fn no_signals(error: std::io::Error) -> Stop {
    Stop::local(format!("no signals: {error}"))
}

async fn dispatch(session: &Session, arguments: Arguments) -> Result<(), Stop> {
    match arguments.verb {
        Verb::Sellers(verb) => sellers::run(session, verb).await,
        Verb::Keys(verb) => keys::run(session, verb).await,
        Verb::CreditRequests(verb) => credit::run(session, verb).await,
        Verb::Adjust(verb) => credit::adjust(session, verb).await,
        Verb::Charge(verb) => charges::one(session, verb).await,
        Verb::Charges(verb) => charges::run(session, verb).await,
        Verb::Statement(verb) => journal::statement(session, verb).await,
        Verb::Journal(verb) => journal::journal(session, verb).await,
        Verb::Reconcile(seller) => journal::reconcile(session, seller).await,
        Verb::Phone { number } => journal::phone(session, &number).await,
        Verb::Audit => journal::audit(session).await,
        Verb::Cluster { verb: _ } => cluster::status(session).await,
        Verb::Watch(verb) => watch::run(session, &arguments.global, verb).await,
        Verb::Digest { applied } => cluster::digest(session, applied).await,
        Verb::Bench(verb) => bench::run(session, &arguments.global, verb).await,
        Verb::Verify => verify::run(session).await,
        Verb::Load(verb) => load::run(session, verb).await,
        Verb::Completions { shell } => completions::print(shell),
        Verb::Prove { record } => prove::run(session, &record).await,
        Verb::Plot(verb) => plot::run(session, &verb),
    }
}

fn client(global: &Global) -> Result<Client, Stop> {
    let mut client = Client::new(&global.server)?.with_timeout(global.timeout);
    if let Some(file) = &global.ca {
        client = client.with_authority(file)?;
    }
    match &global.key {
        Some(key) => Ok(client.with_key(key).map_err(|_| Stop::usage("the API key has characters that no key has"))?),
        None => Ok(client),
    }
}

impl Once {
    /// The caller's key, or a random one: made here, once for all attempts.
    fn key(self) -> Result<IdempotencyKey, Stop> {
        match self.idempotency_key {
            Some(key) => Ok(key),
            None => Ok(IdempotencyKey::random()?),
        }
    }
}

/// The text of a file, or of stdin for `-`.
fn text_of(path: &Path) -> Result<String, Stop> {
    let read =
        if path.as_os_str() == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    read.map_err(|error| Stop::local(format!("{}: {error}", path.display())))
}

/// What is added to a table of one answer that was decided before.
fn replay_note(replayed: bool) -> &'static str {
    if replayed { "\n(decided before; nothing moved now)" } else { "" }
}
