//! One worker of `etebar load`: a charge, repeated under its key until it is answered, then the next one.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::mpsc;
use tokio::time::Instant;

use etebar::api::{AmountIn, NewCharge};
use etebar::{Client, Error, IdempotencyKey, Stopwatch};

use super::provision::Provisioned;
use super::record::{RecordLine, now_ms};
use crate::output::error::CliError;

/// Time-out of one call; a charge without an answer is called again, until [`GRACE`] after the end.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// How long after the end charges without an answer are repeated. Source: a cluster that was killed whole is up again in less.
const GRACE: Duration = Duration::from_mins(1);
/// One in so many charges is sent again after it was acknowledged.
const AGAIN_EVERY: u64 = 16;
/// Phones that are charged.
const PHONES: u64 = 10_000;
/// Amounts are 1 to this, in whole units.
const AMOUNT_MAX: u64 = 1_000;

/// Charges of one connection. Its random numbers need spread, not secrecy.
pub(crate) struct RecordingWorker {
    pub(crate) client: Client,
    pub(crate) seller: Provisioned,
    /// Begins every key; differs between processes, runs and workers.
    pub(crate) prefix: String,
    pub(crate) random: Rng,
    pub(crate) lines: mpsc::Sender<RecordLine>,
    /// Since when no further charge is started.
    pub(crate) over: Arc<OnceLock<Instant>>,
}

impl RecordingWorker {
    /// Charges until it is over.
    pub(crate) async fn run(mut self) -> Result<(), CliError> {
        let mut number = 0_u64;
        while self.over.get().is_none() {
            number += 1;
            let key = IdempotencyKey::parse(&format!("{}-{number}", self.prefix))?;
            let phone = format!("+9893{:08}", self.random.u64(..PHONES));
            let amount = AmountIn::parse(&self.random.u64(1..=AMOUNT_MAX).to_string());
            let amount = amount.map_err(|error| CliError::local(error.to_string()))?;
            let charge = NewCharge { phone: phone.as_str().into(), amount, reference: None };
            let done = self.charge_until_answered(&charge, &key).await?;
            if done && number.is_multiple_of(AGAIN_EVERY) {
                let elsewhere = self.random.usize(..self.client.servers());
                self.client = self.client.starting_at(elsewhere);
                self.charge_until_answered(&charge, &key).await?;
            }
        }
        Ok(())
    }

    /// Sends a charge until it is answered, or its key may be forgotten, and records the answer; whether it was charged.
    async fn charge_until_answered(&self, charge: &NewCharge<'_>, key: &IdempotencyKey) -> Result<bool, CliError> {
        let (began, mut may_be_done) = (Stopwatch::start(), false);
        let mut line = RecordLine {
            key: key.to_string(),
            seller: self.seller.seller_id,
            phone: charge.phone.to_string(),
            amount: charge.amount,
            status: 0,
            charge: None,
            entry: None,
            replayed: false,
            attempts: 0,
            started_ms: now_ms(),
            ended_ms: 0,
        };
        loop {
            let answer = self.client.charge(charge, key).await;
            let wait = answer.as_ref().err().and_then(Error::retry_after).unwrap_or_default();
            match answer {
                Ok(answer) => {
                    line.attempts += answer.attempts;
                    line.status = 201;
                    line.charge = Some(answer.value.id);
                    line.entry = Some(answer.value.entry);
                    line.replayed = answer.replayed;
                    break;
                }
                Err(Error::Refused(problem)) => {
                    line.attempts += 1;
                    // A failure of this attempt alone leaves the outcome of an earlier one open.
                    if !may_be_done || problem.code.settles_key() {
                        line.status = problem.status;
                    }
                    break;
                }
                Err(Error::NotDone(not_done)) => line.attempts += not_done.attempts,
                Err(Error::OutcomeUnknown(unknown)) => {
                    line.attempts += unknown.attempts;
                    may_be_done = true;
                }
            }
            let over = self.over.get().is_some_and(|over| over.elapsed() > GRACE);
            if over || self.client.key_window().is_some_and(|window| began.elapsed() > window / 2) {
                break;
            }
            tokio::time::sleep(wait.min(CALL_TIMEOUT)).await;
        }
        line.ended_ms = now_ms();
        let charged = line.status == 201;
        self.lines.send(line).await.map_err(|_| CliError::local("the record cannot be written"))?;
        Ok(charged)
    }
}
