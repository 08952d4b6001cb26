//! What `etebar backup` takes: a file or a place in S3-compatible storage, and what can be done with a backup.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Backup {
    #[command(flatten)]
    pub(crate) download: BackupDownload,
    #[command(subcommand)]
    pub(crate) verb: Option<BackupVerb>,
}

#[derive(Debug, Args)]
pub(crate) struct BackupDownload {
    /// Where the backup is to be: a file, and nothing may be there (what came is in FILE.part until it is whole); or a place in
    /// S3-compatible storage, `s3://BUCKET/PREFIX`
    #[arg(required = true)]
    pub(crate) file: Option<PathBuf>,
    /// End with this journal entry in place of the newest record
    #[arg(long, value_name = "ENTRY", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) until: Option<u64>,
    /// Fetch only what these lack: a whole backup, then the increments onto it, in their order; of `s3://…` it is the word `latest`
    #[arg(long, value_name = "EARLIER", num_args = 1..)]
    pub(crate) onto: Vec<PathBuf>,
    /// Do not recompute every promise from the file afterwards
    #[arg(long)]
    pub(crate) no_verify: bool,
    /// Of `s3://…`: the folder that the backup is made in. It has room for a whole backup and its increments, and keeps them, so
    /// that the next increment downloads none of them
    #[arg(
        long,
        value_name = "DIR",
        env = "ETEBAR_BACKUP_WORK",
        hide_env_values = true,
        default_value = "etebar-backup.work"
    )]
    pub(crate) work: PathBuf,
    #[command(flatten)]
    pub(crate) storage: Storage,
}

/// Which S3-compatible storage. The credentials are in the environment alone, so that no list of processes shows them.
#[derive(Debug, Args)]
pub(crate) struct Storage {
    /// Of `s3://…`: its URL, where it is not AWS. The bucket is then part of the path, and not of the host's name
    #[arg(
        id = "s3_endpoint",
        long = "s3-endpoint",
        value_name = "URL",
        env = "AWS_ENDPOINT_URL_S3",
        hide_env_values = true
    )]
    pub(crate) endpoint: Option<String>,
    /// Of `s3://…`: its region
    #[arg(
        id = "s3_region",
        long = "s3-region",
        value_name = "REGION",
        env = "AWS_REGION",
        hide_env_values = true,
        default_value = "us-east-1"
    )]
    pub(crate) region: String,
    /// Of `s3://…`: a PEM file with the authority of its certificate, in place of this machine's own. `--ca` is of the nodes alone
    #[arg(id = "s3_ca", long = "s3-ca", value_name = "FILE", env = "ETEBAR_S3_CA", hide_env_values = true)]
    pub(crate) ca: Option<PathBuf>,
    /// Of `s3://…`: bytes of a part, which is held in memory; more where the backup would have over 10,000 of them. Storage
    /// refuses less than 5 MiB mostly
    #[arg(id = "s3_part_size", long = "s3-part-size", value_name = "BYTES", default_value_t = 16 << 20, value_parser = clap::value_parser!(u64).range(65_536..=1 << 30))]
    pub(crate) part_size: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupVerb {
    /// Recompute every promise from a backup, without a cluster
    #[command(after_help = "\
Example: etebar backup verify monday.backup
         etebar backup verify monday.backup tuesday.backup wednesday.backup    (a whole one, then increments)
It exits with 4 where a file is cut or altered, or a promise is broken.")]
    Verify(BackupFiles),
    /// Download from S3-compatible storage what a restore needs, and verify it, without a cluster
    #[command(after_help = "\
Example: etebar backup fetch s3://books/etebar restored
         etebar backup fetch s3://books/etebar/8f14….backup restored    (an earlier one, by the name of its object)
Afterwards the folder has a whole backup and its increments, for `etebar-node restore`. It goes on where it was cut, and
exits with 4 where an object is not what was uploaded. The credentials are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")]
    Fetch(BackupFetch),
    /// List the entries that a journal or a statement knows and a ledger lost that was restored to an earlier entry
    #[command(after_help = "\
Example: etebar backup lost --since 1200000 journal.jsonl
         etebar backup lost --since 1200000 --json statement.csv
The file is what `etebar journal` or `etebar statement` wrote, or pages of the API: JSON lines, a JSON list, or CSV.")]
    Lost(BackupLost),
}

#[derive(Debug, Args)]
pub(crate) struct BackupFiles {
    /// A whole backup
    pub(crate) file: PathBuf,
    /// Increments onto it, in the order in which they were made
    pub(crate) increment: Vec<PathBuf>,
}

impl BackupFiles {
    /// All of them, in their order.
    pub(crate) fn all(self) -> Vec<PathBuf> {
        std::iter::once(self.file).chain(self.increment).collect()
    }
}

#[derive(Debug, Args)]
pub(crate) struct BackupFetch {
    /// The newest backup that was verified, `s3://BUCKET/PREFIX`; or the one of that name, `s3://BUCKET/PREFIX/NAME.backup`
    pub(crate) place: String,
    /// The folder that its files are to be in
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) storage: Storage,
}

#[derive(Debug, Args)]
pub(crate) struct BackupLost {
    /// The last entry that the ledger still has
    #[arg(long, value_name = "ENTRY")]
    pub(crate) since: u64,
    /// The journal or the statement
    pub(crate) file: PathBuf,
}

impl BackupDownload {
    /// The place in S3-compatible storage, where it is one.
    pub(crate) fn place(&self) -> Option<String> {
        let text = self.file.as_deref().and_then(Path::to_str)?;
        text.starts_with("s3://").then(|| text.to_owned())
    }
}
