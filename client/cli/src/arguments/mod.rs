//! The command line. Each verb's help ends with an example.

mod backup;
mod driving;
mod resources;
mod values;

pub(crate) use backup::{Backup, BackupDownload, BackupFetch, BackupLost, BackupVerb, Storage};
pub(crate) use driving::{Bench, Load, Plot, Target};
pub(crate) use resources::{
    Acts, Adjust, ChargeOne, Charges, Cluster, CreditRequests, Import, Journal, Keys, Members, NewNode, Policy,
    Sellers, Statement, Watch,
};
pub(crate) use values::{Colour, Format, Listing, OneSeller, Switch, Verify};

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Where each verb's help shows what all verbs take.
const GLOBAL: &str = "Options of every verb";

#[derive(Debug, Parser)]
#[command(
    name = "etebar",
    version,
    about = "Etebar: a replicated ledger for B2B airtime sales, from the command line",
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Exit codes: 0 success, 1 refused, 2 wrong usage, 3 no node answers, the outcome is unknown, or the answer could not be
printed (of what was done the id and the idempotency key are then on stderr), 4 a promise is broken.
Example: etebar --server http://127.0.0.1:7101,http://127.0.0.1:7102 --key etb_admin_… sellers list"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

// What every verb takes. No doc comment: clap would show it as what the program is about.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Addresses of the nodes; another is asked where one does not answer. Over http:// the key goes out readable: use
    /// https:// for all that is not on this machine
    #[arg(
        long,
        global = true,
        help_heading = GLOBAL,
        env = "ETEBAR_SERVER",
        hide_env_values = true,
        value_name = "URL[,URL…]",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:7101"
    )]
    pub(crate) server: Vec<String>,
    /// A PEM file with the authority that the certificates of https:// servers come from, in place of this machine's own
    #[arg(long, global = true, help_heading = GLOBAL, env = "ETEBAR_CA", hide_env_values = true, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// The API key to act under
    #[arg(long, global = true, help_heading = GLOBAL, env = "ETEBAR_KEY", value_name = "KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
    /// Print JSON instead of tables
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) json: bool,
    /// Longest time for one call with all its attempts, such as 500ms, 30s, 2m
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "TIME", default_value = "30s", value_parser = values::duration)]
    pub(crate) timeout: Duration,
    /// When to colour what people read; `NO_COLOR` in the environment means never, too
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "WHEN", default_value = "auto", hide_possible_values = true, value_parser = clap::builder::EnumValueParser::<Colour>::new())]
    pub(crate) color: Colour,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Sellers: create, list, show, suspend, activate
    #[command(subcommand)]
    Sellers(Sellers),
    /// API keys: create, list, rotate, revoke
    #[command(subcommand)]
    Keys(Keys),
    /// Credit requests: create, review, list, show, approve, reject
    #[command(subcommand)]
    CreditRequests(CreditRequests),
    /// What was done by others than sellers: who, when, from where
    #[command(after_help = "Example: etebar acts --actor alice --from 2026-11-01")]
    Acts(Acts),
    /// The policy of the back office: show it, or set it
    #[command(after_help = "\
Example: etebar policy --four-eyes on
With four eyes, whoever files a credit request for a seller does not approve it, and no adjustment adds credit.")]
    Policy(Policy),
    /// Correct a seller's credit, up or down
    #[command(visible_alias = "adjustments", after_help = "Example: etebar adjust 8f14… -5000 --reason 'paid twice'")]
    Adjust(Adjust),
    /// Sell airtime to a phone
    #[command(after_help = "Example: etebar charge 09123456789 5000 --idempotency-key order-17")]
    Charge(ChargeOne),
    /// Charges: list, show, reverse, batch, import
    #[command(subcommand)]
    Charges(Charges),
    /// A seller's entries, whole or by time: as a table, CSV or JSON lines
    #[command(after_help = "\
Example: etebar statement me --from 2026-11-01 --to 2026-12-01
         etebar statement 8f14… --all --format csv --output statement.csv
Times are ledger time, in UTC. CSV and JSON lines have plain amounts, as the API gives them; in CSV a text that a
spreadsheet would take for a formula has a ' before it.")]
    Statement(Statement),
    /// The entries of all sellers, whole or by time: as a table, CSV or JSON lines
    #[command(after_help = "\
Example: etebar journal --all --format jsonl | gzip > journal.jsonl.gz
         etebar journal --from 2026-11-01 --to 2026-12-01 --all --format csv --output november.csv
Times are ledger time, in UTC. CSV and JSON lines have plain amounts, as the API gives them; in CSV a text that a
spreadsheet would take for a formula has a ' before it.")]
    Journal(Journal),
    /// A seller's books, recomputed from the journal
    #[command(after_help = "Example: etebar reconcile 8f14…")]
    Reconcile(OneSeller),
    /// What was sold to a phone number
    #[command(after_help = "Example: etebar phone 09123456789")]
    Phone {
        /// As people write it
        number: String,
    },
    /// The whole ledger, recomputed from the journal at one position
    #[command(after_help = "Example: etebar audit --json")]
    Audit,
    /// The cluster as one node sees it
    #[command(subcommand_required = false, after_help = "Example: etebar cluster status")]
    Cluster {
        #[command(subcommand)]
        verb: Option<Cluster>,
    },
    /// Members of the cluster: list, add, promote, remove, replace
    #[command(subcommand)]
    Members(Members),
    /// Have a member lead the cluster: before work on the node that leads, say
    #[command(after_help = "\
Example: etebar leader 2
It exits with 0 once that member leads, also where it did before, and with 1 where it cannot: it does not vote, is down,
unhealthy or behind. Charges wait for a fraction of a second, and none fails.")]
    Leader {
        /// Number of the member, as `etebar cluster status` shows it
        id: u64,
    },
    /// A live table of the nodes: role, state, lag, rate, digest
    #[command(after_help = "\
Example: etebar watch
         etebar watch --json --interval 5s --count 12 > watch.jsonl
On a terminal it is a table (q quits); elsewhere it prints a line for each poll, and with --json an object. Needs any key;
digests need an admin's or auditor's. It exits with 4 where two nodes had different digests.")]
    Watch(Watch),
    /// Digests of all nodes at one position
    #[command(after_help = "Example: etebar digest --applied 1200")]
    Digest {
        /// A recent position; the asked node's own unless given
        #[arg(long)]
        applied: Option<u64>,
    },
    /// Drive charges or reads with sellers of its own, measure them, then check the books
    #[command(after_help = "\
Example: etebar bench --connections 256 --seconds 10 --target leader --json
         etebar bench --rate 5000 --warm-up 5 --svg bench.svg
         etebar bench --no-op --save no-op.json && etebar bench --compare no-op.json
Where the books cannot be checked afterwards it says why, and exits with 3.")]
    Bench(Bench),
    /// Check every promise against the journal; charges may continue meanwhile
    #[command(after_help = "\
Example: etebar verify
         etebar verify --from 1200000 --digest 5f2c…      (goes on where an earlier check ended, which printed both)
From a later entry on, what only the whole journal shows is not checked: phones' balances, and the sums of all accounts.")]
    Verify(Verify),
    /// Take a backup of the ledger, into a file or S3-compatible storage; verify or fetch one, or list what a restore lost
    #[command(
        args_conflicts_with_subcommands = true,
        subcommand_negates_reqs = true,
        after_help = "\
Example: etebar backup monday.backup
         etebar backup tuesday.backup --onto monday.backup       (an increment: only what is new)
         etebar backup --until 1200000 before.backup
         etebar backup s3://books/etebar                         (then `--onto latest` for increments)
Needs an admin's key. Sales go on meanwhile. A download that was cut goes on where it was, on another node too, also where
the same command is given again. Afterwards every promise is recomputed from the file; it exits with 4 where one is broken.
Storage takes credentials from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN alone; what was uploaded is read
back, and only then `latest` names it."
    )]
    Backup(Backup),
    /// Print what makes a shell complete this program's verbs and options
    #[command(after_help = "\
Example: etebar completions bash > ~/.local/share/bash-completion/completions/etebar
         etebar completions zsh > ~/.zfunc/_etebar       (a folder of $fpath, before compinit)
         etebar completions fish > ~/.config/fish/completions/etebar.fish")]
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Drive recorded charges over all servers, for `prove`
    #[command(after_help = "Example: etebar load --prepare 8 --credit 10000000 --sellers-file s.jsonl
         etebar load --sellers-file s.jsonl --processes-tag 1 --seconds 20 --connections 32 --record 1.jsonl")]
    Load(Load),
    /// Prove from the records of `load` that nothing was lost or doubled
    #[command(after_help = "Example: etebar prove --record 1.jsonl 2.jsonl")]
    Prove {
        /// Files that `load` wrote
        #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
        record: Vec<PathBuf>,
    },
    /// Draw from the records of `load` how many charges were done, and how fast, as an SVG; asks no server
    #[command(after_help = "Example: etebar plot --record 1.jsonl 2.jsonl --marks kills.jsonl --output load.svg")]
    Plot(Plot),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_verb_shows_an_example() {
        fn leaves<'a>(command: &'a clap::Command, out: &mut Vec<&'a clap::Command>) {
            let verbs: Vec<_> = command.get_subcommands().collect();
            if verbs.is_empty() {
                out.push(command);
            }
            for verb in verbs {
                leaves(verb, out);
            }
        }
        let command = Arguments::command();
        let mut verbs = Vec::new();
        leaves(&command, &mut verbs);
        for verb in verbs {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Example: etebar "), "{} has no example", verb.get_name());
        }
    }

    #[test]
    fn a_negative_adjustment_needs_no_escape() {
        let arguments = Arguments::try_parse_from([
            "etebar",
            "adjust",
            "00000000-0000-0000-0000-000000000001",
            "-5000",
            "--reason",
            "r",
        ]);
        assert!(
            matches!(arguments.unwrap().verb, Verb::Adjust(Adjust { amount, .. }) if amount.minor(0) == Ok(-5_000))
        );
    }
}
