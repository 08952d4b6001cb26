//! The command line and the settings: each setting is a flag, an environment variable and a key of the TOML file; the first of
//! these that gives it wins.
//!
//! Units are in the value (`50ms`, `24h`) or bytes. A wrong setting is one line and exit code 2. Read in this order: [`init`],
//! [`join`], [`run`] (what may be given), [`settings`] (complete and checked).

pub mod backup;
pub mod check;
pub mod init;
pub mod join;
pub mod restore;
pub mod run;
pub mod settings;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use clap::{Parser, Subcommand};
use ledger::RULES_VERSION;

pub use self::backup::BackupArgs;
pub use self::check::CheckArgs;
pub use self::init::{InitArgs, key_window_warning};
pub use self::join::JoinArgs;
pub use self::restore::{RecoverArgs, RestoreArgs};
pub use self::run::RunArgs;
pub use self::settings::{ApiProtection, Settings};
use crate::identity::FORMAT;
use crate::pki::PkiVerb;
use crate::raft::{BuildName, LINK_VERSIONS};

/// What `--version` says: builds with the same data format take over each other's data where they know the ledger's rules, and
/// those that have a version of the peer link in common also work beside each other.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    format!("{} (data format {FORMAT}, peer link {LINK_VERSIONS}, rules {RULES_VERSION})", BuildName::OWN.as_str())
});

/// One node of an Etebar cluster: a replicated ledger for B2B airtime sales.
#[derive(Debug, Parser)]
#[command(name = "etebar-node", version = VERSION.as_str(), about, disable_help_subcommand = true)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What the program does.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Draw an admin key: print it once, with the hash that `init` takes.
    Keygen,
    /// Make a node's data directory. Give the same members, currency, window and key hash on every node.
    ///
    /// Example: etebar-node init --data-dir /var/lib/etebar --id 1 --cluster-id $(uuidgen) --admin-key-hash HEX
    /// --member 1=10.0.0.1:7101/10.0.0.1:7121 --member 2=… --member 3=…
    Init(Box<InitArgs>),
    /// Make the data directory of a node that `etebar members add` added to a running cluster: what it has to begin with is
    /// asked of a member, over the peer link. Safe to repeat, so it can stand before each start.
    ///
    /// Example: etebar-node join --data-dir /var/lib/etebar --id 4 --cluster-id 6f2c… --seed 10.0.0.1:7121 10.0.0.2:7121
    /// --peer-ca ca.pem --peer-cert node-4.pem --peer-key node-4.key
    Join(Box<JoinArgs>),
    /// Serve a data directory that `init`, `join` or `restore` made.
    ///
    /// Example: etebar-node run --data-dir /var/lib/etebar --log-bytes 1073741824
    Run(Box<RunArgs>),
    /// Say whether this build can serve a data directory, a line for each check, while no process serves it; changes nothing.
    /// Exits with 0 where it can, 1 where it cannot, 2 where it is no node's directory or another's.
    ///
    /// Example: etebar-node check --data-dir /var/lib/etebar
    Check(CheckArgs),
    /// Write a backup of a stopped node's history to stdout: as far as it was written to the disk. Of a cluster that runs take
    /// one with `etebar backup FILE`.
    ///
    /// Example: etebar-node backup --data-dir /var/lib/etebar > ledger.backup
    Backup(BackupArgs),
    /// Make the data directory of a new cluster of one node out of a backup: the same ledger, in its next epoch. It is on hold, and
    /// refuses every write, until an admin has looked at what was lost and opens it (`etebar cluster open`). It grows by
    /// `etebar members add`.
    ///
    /// Example: etebar-node restore --from ledger.backup --data-dir /var/lib/etebar --api 10.0.0.1:7101 --peer 10.0.0.1:7121
    Restore(Box<RestoreArgs>),
    /// Let a survivor go on as a new cluster of one node, where the majority of its cluster is lost for good. What only the lost
    /// nodes had is lost; like a restored cluster it is on hold until an admin opens it. Keep a copy of the data directory.
    ///
    /// Example: etebar-node recover --data-dir /var/lib/etebar --i-understand-that-the-others-are-gone
    Recover(RecoverArgs),
    /// Make the certificates that nodes prove their numbers to each other with.
    ///
    /// An authority once (`pki ca`), then one certificate for each node (`pki node`); `run` takes them.
    #[command(subcommand, disable_help_subcommand = true)]
    Pki(PkiVerb),
}
