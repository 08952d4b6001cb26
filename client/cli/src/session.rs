//! What a verb works with: a client of the cluster, where to print, and which write a signal would interrupt.

use std::cell::RefCell;
use std::io;

use serde::Serialize;

use etebar::{Answer, Client, Error, IdempotencyKey, Unknown};

use crate::arguments::Global;
use crate::output::Output;
use crate::output::done::Done;
use crate::output::error::CliError;

/// What is under way where a signal interrupts a verb.
#[derive(Debug, Default)]
enum UnderWay {
    /// No write.
    #[default]
    Nothing,
    /// A write, with its idempotency key where it has one.
    Write(Option<IdempotencyKey>),
}

/// What a verb works with.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) output: Output,
    under_way: RefCell<UnderWay>,
}

impl Session {
    /// As the options that every verb takes say.
    pub(crate) fn new(global: &Global, output: Output) -> Result<Session, CliError> {
        Ok(Session { client: client(global)?, output, under_way: RefCell::default() })
    }

    /// Waits for the answer to a write under this key.
    pub(crate) async fn write<T>(
        &self,
        key: Option<&IdempotencyKey>,
        call: impl Future<Output = Result<Answer<T>, Error>>,
    ) -> Result<Answer<T>, CliError> {
        self.under_way.replace(UnderWay::Write(key.cloned()));
        Ok(call.await?)
    }

    /// Prints the answer to a write: JSON for programs, or `text` for people. `done` names what it did.
    pub(crate) fn report(
        &self,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
        done: impl FnOnce() -> Done,
    ) -> Result<(), CliError> {
        self.reported(self.output.answer(value, text), done)
    }

    /// The end of a write whose answer was printed, or was not.
    pub(crate) fn reported(&self, printed: io::Result<()>, done: impl FnOnce() -> Done) -> Result<(), CliError> {
        self.under_way.take();
        printed.map_err(|error| done().unreported(&error).into())
    }

    /// The end of a verb that a signal interrupts.
    pub(crate) fn interrupted(&self) -> CliError {
        match self.under_way.take() {
            UnderWay::Write(key) => {
                let detail = "interrupted while its answer was awaited".to_owned();
                let key_window = self.client.key_window();
                CliError::Call(Error::OutcomeUnknown(Unknown {
                    attempts: 0,
                    key,
                    key_window,
                    retry_after: None,
                    detail,
                }))
            }
            UnderWay::Nothing => CliError::local("interrupted"),
        }
    }
}

fn client(global: &Global) -> Result<Client, CliError> {
    let mut client = Client::new(&global.server)?.with_timeout(global.timeout);
    if let Some(file) = &global.ca {
        client = client.with_authority(file)?;
    }
    match &global.key {
        Some(key) => {
            Ok(client.with_key(key).map_err(|_| CliError::usage("the API key has characters that no key has"))?)
        }
        None => Ok(client),
    }
}
