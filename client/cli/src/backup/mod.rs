//! `etebar backup`: a copy of the ledger in a file, from any node while it serves; and what can be done with one offline.
//!
//! Read in this order: [`download`] (attempts over all nodes), [`part`] (the file while it grows), [`verify`] (every promise,
//! from the file alone), [`audit`] (how its records are read and added up at the same time), [`lost`] (what a restore to an
//! earlier entry lost), [`s3`] (a backup in S3-compatible storage); [`files`] and [`work`] serve them all.

mod audit;
mod download;
mod files;
mod lost;
mod part;
mod s3;
mod verify;
mod work;

use self::work::blocking;
use crate::arguments::{Backup, BackupVerb};
use crate::output::error::CliError;
use crate::session::Session;

pub(crate) async fn run(session: &Session, verb: Backup) -> Result<(), CliError> {
    let output = session.output;
    match verb.verb {
        Some(BackupVerb::Verify(files)) => blocking(move |running| verify::run(output, &files.all(), running)).await,
        Some(BackupVerb::Lost(lost)) => blocking(move |running| lost::run(output, &lost, running)).await,
        Some(BackupVerb::Fetch(asked)) => s3::fetch(session, asked).await,
        None => match verb.download.place() {
            Some(place) => s3::backup(session, &place, verb.download).await,
            None => download::run(session, verb.download).await,
        },
    }
}
