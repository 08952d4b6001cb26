//! What a bench is to do: the arguments once they are known to make sense, as they stand in a saved file too.
//!
//! Units: seconds, requests a second, per cent. Invariant: each process has a connection, and a limit of charges lets one
//! request through at least.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::arguments::{Bench, Target};
use crate::output::error::CliError;

/// The plan of a run. Source of the names: docs/bench.md.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) requests: Requests,
    /// Of all processes together.
    pub(crate) connections: u32,
    pub(crate) processes: u32,
    /// How long it measures, after the warm-up.
    pub(crate) seconds: u32,
    pub(crate) warm_up_seconds: u32,
    /// Charges in each request that is no read.
    pub(crate) batch: u32,
    pub(crate) reads_percent: u32,
    /// Requests a second of all processes together; `None` for a closed loop.
    pub(crate) rate: Option<u32>,
    /// Most charges that are sent, those of the warm-up included.
    pub(crate) charges_max: Option<u64>,
    pub(crate) sellers: u32,
    /// A run that was kept before it could be chosen has what it was then.
    #[serde(default = "default_phones")]
    pub(crate) phones: u32,
    pub(crate) target: Target,
}

fn default_phones() -> u32 {
    100_000
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Requests {
    /// Charges and reads.
    Ledger,
    /// `GET /livez`: what HTTP alone takes.
    NoOp,
}

impl Plan {
    pub(crate) fn of(bench: &Bench) -> Result<Plan, CliError> {
        if bench.processes > bench.connections {
            return Err(CliError::usage(format!(
                "--processes {} with --connections {}: each process needs a connection",
                bench.processes, bench.connections
            )));
        }
        if bench.reads == 100 && bench.charges.is_some() {
            return Err(CliError::usage("--reads 100 sends no charge, so --charges has nothing to limit"));
        }
        if let Some(charges) = bench.charges.filter(|charges| *charges < u64::from(bench.batch)) {
            return Err(CliError::usage(format!(
                "--charges {charges} with --batch {}: not even one request",
                bench.batch
            )));
        }
        Ok(Plan {
            requests: if bench.no_op { Requests::NoOp } else { Requests::Ledger },
            connections: bench.connections,
            processes: bench.processes,
            seconds: bench.seconds,
            warm_up_seconds: bench.warm_up,
            batch: bench.batch,
            reads_percent: bench.reads,
            rate: bench.rate,
            charges_max: bench.charges,
            sellers: if bench.no_op { 0 } else { bench.sellers },
            phones: if bench.no_op { 0 } else { bench.phones },
            target: bench.target,
        })
    }

    /// Numbers of the connections that process `share` has, of all.
    pub(crate) fn connections_of(&self, share: u32) -> impl Iterator<Item = u32> + use<> {
        (share..self.connections).step_by(self.processes as usize)
    }

    /// Most requests that charge, of process `share`. The shares add up to the limit, rounded down to whole requests.
    pub(crate) fn limit_of(&self, share: u32) -> Option<u64> {
        let requests = self.charges_max? / u64::from(self.batch);
        let processes = u64::from(self.processes);
        Some(requests / processes + u64::from(u64::from(share) < requests % processes))
    }

    /// Each setting that `saved` has otherwise, as `name: this, saved that`.
    pub(crate) fn differences(&self, saved: &Plan) -> Vec<String> {
        let (Ok(Value::Object(mine)), Ok(Value::Object(theirs))) =
            (serde_json::to_value(self), serde_json::to_value(saved))
        else {
            return Vec::new();
        };
        let shown =
            |value: &Value| if value.is_null() { "none".to_owned() } else { value.to_string().replace('"', "") };
        let differing = mine.iter().filter(|(name, value)| theirs.get(*name) != Some(*value));
        let null = Value::Null;
        differing
            .map(|(name, value)| {
                let theirs = theirs.get(name).unwrap_or(&null);
                format!("{}: {}, saved {}", name.replace('_', " "), shown(value), shown(theirs))
            })
            .collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A closed loop of single charges.
    pub(crate) fn plan() -> Plan {
        Plan {
            requests: Requests::Ledger,
            connections: 10,
            processes: 1,
            seconds: 10,
            warm_up_seconds: 0,
            batch: 1,
            reads_percent: 0,
            rate: None,
            charges_max: None,
            sellers: 4,
            phones: 100_000,
            target: Target::Leader,
        }
    }

    #[test]
    fn shares_add_up_to_the_whole() {
        let plan = Plan { processes: 3, batch: 100, charges_max: Some(1_099), ..plan() };
        let mut connections: Vec<u32> = (0..3).flat_map(|share| plan.connections_of(share)).collect();
        connections.sort_unstable();
        assert_eq!(connections, (0..10).collect::<Vec<_>>());
        let limits: Vec<_> = (0..3).map(|share| plan.limit_of(share)).collect();
        assert_eq!(limits, [Some(4), Some(3), Some(3)], "ten requests of a hundred");
    }

    #[test]
    fn a_plan_names_what_differs() {
        let saved = Plan { connections: 256, rate: Some(100), ..plan() };
        assert_eq!(plan().differences(&saved), ["connections: 10, saved 256", "rate: none, saved 100"]);
        assert!(saved.differences(&saved).is_empty());
    }
}
