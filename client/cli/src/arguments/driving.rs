//! What the verbs that drive charges take.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use etebar::api::AmountIn;

use super::values::tag;

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Requests under way at once, each on a connection of its own
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) connections: u32,
    /// How long to measure
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub(crate) seconds: u32,
    /// Seconds of the same load before it measures
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=600))]
    pub(crate) warm_up: u32,
    /// Requests a second, started by a schedule and measured from there (an open loop); unless given, each connection sends
    /// its next request after an answer (a closed loop)
    #[arg(long, value_name = "REQUESTS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: Option<u32>,
    /// Charges in each request
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=8_000))]
    pub(crate) batch: u32,
    /// How many of 100 requests read a seller's balance, linearizable, in place of charging
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) reads: u32,
    /// End after this many charges, with those of the warm-up
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    pub(crate) charges: Option<u64>,
    /// Sellers to spread charges over
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) sellers: u32,
    /// Phones that are charged, at random
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) phones: u32,
    /// Which nodes to send to
    #[arg(long, default_value = "leader")]
    pub(crate) target: Target,
    /// Processes on this machine that share the connections and the rate
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) processes: u32,
    /// Send `GET /livez` instead: what HTTP alone takes, as the limit to compare with
    #[arg(long, conflicts_with_all = ["batch", "reads", "charges", "sellers", "phones"])]
    pub(crate) no_op: bool,
    /// Keep the run in this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,
    /// Print how this run relates to one that was kept
    #[arg(long, value_name = "FILE")]
    pub(crate) compare: Option<PathBuf>,
    /// Draw the rate over time and the latency by percentile, beside the run compared with
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) svg: Option<PathBuf>,
    /// One of several processes: its job comes from standard input
    #[arg(long, hide = true)]
    pub(crate) part: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Target {
    Leader,
    Follower,
    Any,
}

#[derive(Debug, Args)]
pub(crate) struct Load {
    /// A JSON object with `seller_id` and `key` a line
    #[arg(long)]
    pub(crate) sellers_file: PathBuf,
    /// Make this many sellers with credit, write them to the file, and end (needs an admin key)
    #[arg(long, value_name = "SELLERS", conflicts_with_all = ["processes_tag", "record"])]
    pub(crate) prepare: Option<u32>,
    /// Credit of each seller made
    #[arg(long, default_value = "100000000", requires = "prepare")]
    pub(crate) credit: AmountIn,
    /// Distinguishes this process from others that write records for one proof
    #[arg(long, default_value = "1", value_parser = tag)]
    pub(crate) processes_tag: String,
    /// How long to drive charges, unless SIGINT (Ctrl-C) ends it sooner; those under way are then repeated until answered
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) seconds: u32,
    /// Charges under way at once
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) connections: u32,
    /// File to append one JSON line an answer to
    #[arg(long, required_unless_present = "prepare")]
    pub(crate) record: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Plot {
    /// Files that `load` wrote
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub(crate) record: Vec<PathBuf>,
    /// What happened meanwhile: `{"at_ms":1767225600000,"until_ms":null,"what":"node 2 killed"}` a line
    #[arg(long, value_name = "FILE")]
    pub(crate) marks: Option<PathBuf>,
    /// Where to write the drawing
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) output: PathBuf,
    /// What stands above it
    #[arg(long, default_value = "Charges over time")]
    pub(crate) title: String,
}
