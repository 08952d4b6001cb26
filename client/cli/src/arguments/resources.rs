//! The verbs of each kind of thing, and what they take.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use uuid::Uuid;

use etebar::IdempotencyKey;
use etebar::api::{AmountIn, Timestamp};

use super::values::{
    Listing, Once, OneSeller, RoleArgument, SpanArguments, StatusArgument, Switch, duration, interval, time,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Sellers {
    /// Create a seller
    #[command(after_help = "Example: etebar sellers create 'Kiosk 12'")]
    Create {
        /// What people call it
        name: String,
        #[command(flatten)]
        once: Once,
    },
    /// List sellers
    #[command(after_help = "Example: etebar sellers list --all")]
    List(Listing),
    /// Show a seller
    #[command(after_help = "Example: etebar sellers show me")]
    Show(OneSeller),
    /// Refuse a seller's charges and credit requests
    #[command(after_help = "Example: etebar sellers suspend 8f14…")]
    Suspend {
        /// The seller
        id: Uuid,
    },
    /// Take a seller's charges and credit requests again
    #[command(after_help = "Example: etebar sellers activate 8f14…")]
    Activate {
        /// The seller
        id: Uuid,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Create an API key; its secret is shown this once
    #[command(after_help = "Example: etebar keys create --role seller --name kiosk-12 --seller 8f14…")]
    Create {
        #[arg(long)]
        role: RoleArgument,
        /// Who acts under it; the journal shows it. Unique among active keys
        #[arg(long)]
        name: String,
        /// The seller of a seller's key
        #[arg(long, visible_alias = "seller-id")]
        seller: Option<Uuid>,
        /// The most that one approval of an approver's key allocates; any amount unless given
        #[arg(long, value_name = "AMOUNT")]
        limit: Option<AmountIn>,
        /// From this time on the key is refused: 2027-03-01 (midnight, UTC) or 2027-03-01T08:30:00Z; never unless given
        #[arg(long, value_name = "TIME", value_parser = time)]
        expires: Option<Timestamp>,
        #[command(flatten)]
        once: Once,
    },
    /// List API keys, without their secrets
    #[command(after_help = "Example: etebar keys list")]
    List(Listing),
    /// Make a new secret for an API key; the old one stays valid for a while
    #[command(after_help = "Example: etebar keys rotate 8f14… --overlap 48h")]
    Rotate {
        /// The key's id, as `keys list` shows it
        id: Uuid,
        /// How long the old secret stays valid, such as 0s, 30m, 48h
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
        overlap: Duration,
        /// From this time on the new key is refused; never unless given
        #[arg(long, value_name = "TIME", value_parser = time)]
        expires: Option<Timestamp>,
        #[command(flatten)]
        once: Once,
    },
    /// Revoke an API key
    #[command(after_help = "Example: etebar keys revoke 8f14…")]
    Revoke {
        /// The key's id, as `keys list` shows it
        id: Uuid,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Acts {
    /// Those of the key of this name; `etebar` for the cluster itself
    #[arg(long, value_name = "NAME")]
    pub(crate) actor: Option<String>,
    #[command(flatten)]
    pub(crate) span: SpanArguments,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

#[derive(Debug, Args)]
pub(crate) struct Policy {
    /// Whether credit that somebody asks for is approved by somebody else
    #[arg(long, value_name = "on|off", hide_possible_values = true)]
    pub(crate) four_eyes: Option<Switch>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CreditRequests {
    /// Ask for more credit
    #[command(after_help = "Example: etebar credit-requests create 1000000 --note 'week 12'")]
    Create {
        /// Digits, such as 1000000
        amount: AmountIn,
        /// The seller for which an admin or an approver asks; a seller asks for itself
        #[arg(long, visible_alias = "seller-id", value_name = "ID")]
        seller: Option<Uuid>,
        /// For whoever decides
        #[arg(long)]
        note: Option<String>,
        /// Your own text, such as an order number, kept with the request: 1 to 64 visible characters, no space
        #[arg(long)]
        reference: Option<String>,
        #[command(flatten)]
        once: Once,
    },
    /// List credit requests
    #[command(after_help = "Example: etebar credit-requests list --status pending")]
    List {
        /// Those with this status
        #[arg(long)]
        status: Option<StatusArgument>,
        /// Those of this seller
        #[arg(long, visible_alias = "seller-id", value_name = "ID")]
        seller: Option<Uuid>,
        #[command(flatten)]
        listing: Listing,
    },
    /// Walk through the pending ones on a terminal, oldest first: approve, reject or skip each
    #[command(after_help = "\
Example: etebar credit-requests review
It shows each request with its seller's balance, and asks. Keys: a approve, r reject, s skip, b back to one skipped,
q quit, ? help. Nothing is decided before Enter.")]
    Review,
    /// Show a credit request
    #[command(after_help = "Example: etebar credit-requests show 8f14…")]
    Show {
        /// The credit request
        id: Uuid,
    },
    /// Approve a credit request; again moves nothing
    #[command(after_help = "Example: etebar credit-requests approve 8f14…")]
    Approve {
        /// The credit request
        id: Uuid,
        /// Kept with the verdict
        #[arg(long)]
        reason: Option<String>,
    },
    /// Reject a credit request
    #[command(after_help = "Example: etebar credit-requests reject 8f14… --reason 'over the limit'")]
    Reject {
        /// The credit request
        id: Uuid,
        /// Kept with the verdict; the seller reads it
        #[arg(long)]
        reason: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Adjust {
    /// The seller's id
    pub(crate) seller: Uuid,
    /// Signed: 5000 gives credit, -5000 takes it
    #[arg(allow_negative_numbers = true)]
    pub(crate) amount: AmountIn,
    /// Why; kept with the adjustment
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) once: Once,
}

#[derive(Debug, Args)]
pub(crate) struct ChargeOne {
    /// As people write it: 09123456789, +98 912 345 6789
    pub(crate) phone: String,
    /// Digits, such as 5000
    pub(crate) amount: AmountIn,
    /// Your own text, such as an order number, kept with the charge: 1 to 64 visible characters, no space
    #[arg(long)]
    pub(crate) reference: Option<String>,
    #[command(flatten)]
    pub(crate) once: Once,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Charges {
    /// List charges
    #[command(after_help = "\
Example: etebar charges list --phone 09123456789
         etebar charges list --from 2026-11-01 --to 2026-12-01 --all --format csv --output november.csv")]
    List {
        /// Those to this number
        #[arg(long)]
        phone: Option<String>,
        /// Those of this seller
        #[arg(long, visible_alias = "seller-id", value_name = "ID")]
        seller: Option<Uuid>,
        /// The one under this key, while keys are remembered; an admin names the seller too
        #[arg(long, value_name = "KEY")]
        idempotency_key: Option<IdempotencyKey>,
        #[command(flatten)]
        span: SpanArguments,
        #[command(flatten)]
        listing: Listing,
    },
    /// Show a charge
    #[command(after_help = "Example: etebar charges show 8f14…")]
    Show {
        /// The charge
        id: Uuid,
    },
    /// Undo a charge, whole
    #[command(after_help = "Example: etebar charges reverse 8f14… --reason 'wrong number'")]
    Reverse {
        /// The charge
        id: Uuid,
        /// Why; kept with the reversal
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        once: Once,
    },
    /// Sell airtime to many phones at once
    #[command(
        after_help = "Example: etebar charges batch charges.jsonl\nA line: {\"phone\":\"09123456789\",\"amount\":\"5000\",\"idempotency_key\":\"order-17\"}"
    )]
    Batch {
        /// A JSON object with `phone`, `amount`, `idempotency_key` and perhaps `reference` a line; - reads stdin
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    /// Sell airtime to each line of a CSV file, once, however often it is interrupted and started again
    #[command(after_help = "\
Example: etebar charges import orders.csv

The whole file is checked before anything is sent. Beside it are kept
  orders.csv.resume   each line's key and what is known of it; the same command continues from there. Never delete it
  orders.result.csv   the columns of the file, then line, idempotency_key, status (charged, refused, unknown, not_sent),
                      charge_id, entry, balance, problem
  orders.again.csv    at the end, if any: lines that certainly moved nothing, to be imported as a file of their own
A line that was refused stays refused under its key. A line without an answer is sent again under its key, but not when
the cluster may have forgotten the key (after 24 h, unless its operator chose otherwise): then nothing more is sent.
Exit codes: 0 all charged, 1 some were refused or it was stopped, 2 the file or the command is wrong and nothing was
sent, 3 no node answers, the outcome of some lines is unknown, or the result could not be written or printed.")]
    Import(Import),
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Its first line names the columns: `phone`, `amount`, perhaps `idempotency_key` and `reference`, and any others, which the result repeats
    #[arg(value_name = "FILE.csv")]
    pub(crate) file: PathBuf,
    /// Batches of 500 lines under way at once; with 1 the lines are charged in the file's order
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) parallel: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Cluster {
    /// Leader, term and nodes
    #[command(after_help = "Example: etebar cluster status --json")]
    Status,
    /// End the hold of a ledger that was restored: from then on it sells again
    #[command(after_help = "\
Example: etebar cluster open

Look first at what was lost: docs/operator.md, Restore.")]
    Open,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Members {
    /// All members, learners too, and how far each is
    #[command(after_help = "Example: etebar members list")]
    List,
    /// Add a node: it gets a number, and follows without a vote
    #[command(after_help = "\
Example: etebar members add --api 10.0.0.4:7100 --peer 10.0.0.4:7120
Repeating it with the same addresses shows the same node. What to do next is printed: `etebar-node join` on its machine, then
`etebar members promote ID`.")]
    Add(NewNode),
    /// Give a node that has caught up a vote
    #[command(after_help = "Example: etebar members promote 4")]
    Promote {
        /// Its number
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        id: u64,
    },
    /// Remove a node, permanently; a dead one too
    #[command(after_help = "\
Example: etebar members remove 2
Its number and its data directory cannot come back. A leader hands leadership over first; a node that runs stops by itself.")]
    Remove {
        /// Its number
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        id: u64,
    },
    /// Put a new node in the place of another: add, wait until it has caught up, promote, remove
    #[command(after_help = "\
Example: etebar members replace 2 --api 10.0.0.4:7100 --peer 10.0.0.4:7120
It waits for the new node, which is to be started meanwhile as it says. Where it was interrupted, run it again: what is done
stays done. A new node may have the addresses of the old one, which is then removed first.")]
    Replace {
        /// The number of the node that goes
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        old: u64,
        #[command(flatten)]
        new: NewNode,
        /// How long to wait for the new node to catch up
        #[arg(long, value_name = "TIME", default_value = "30m", value_parser = super::values::duration)]
        wait: Duration,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NewNode {
    /// Where its API will be, as others dial it
    #[arg(long, value_name = "HOST:PORT", value_parser = super::values::address)]
    pub(crate) api: String,
    /// Where its peer link will be, as others dial it
    #[arg(long, value_name = "HOST:PORT", value_parser = super::values::address)]
    pub(crate) peer: String,
}

#[derive(Debug, Args)]
pub(crate) struct Statement {
    #[command(flatten)]
    pub(crate) seller: OneSeller,
    #[command(flatten)]
    pub(crate) span: SpanArguments,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

#[derive(Debug, Args)]
pub(crate) struct Journal {
    #[command(flatten)]
    pub(crate) span: SpanArguments,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Watch {
    /// Time between two polls, 200ms to 60s
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    pub(crate) interval: Duration,
    /// End after so many polls
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
}
