//! The arguments of `chaos.sh`, checked.

use std::path::PathBuf;

use crate::end::End;
use crate::faults::catalogue::Fault;

/// What a run shall be.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub list: bool,
    /// How long faults are played, in seconds: 1 to 80,000.
    pub seconds: u64,
    pub seed: u64,
    /// 3 or 5.
    pub nodes: u64,
    /// Those to draw from; empty for all that can be done.
    pub faults: Vec<Fault>,
    /// An absolute path.
    pub svg: PathBuf,
    /// An etebar-node of an older build.
    pub previous: Option<PathBuf>,
    /// The commit to build one from.
    pub previous_commit: Option<String>,
    /// It runs in namespaces of its own already.
    pub inside: bool,
}

impl Arguments {
    pub(crate) fn parse(given: &[String]) -> Result<Arguments, End> {
        let mut arguments = Arguments {
            list: false,
            seconds: 60,
            seed: drawn_seed(),
            nodes: 3,
            faults: Vec::new(),
            svg: PathBuf::from("./data/chaos.svg"),
            previous: None,
            previous_commit: None,
            inside: false,
        };
        let mut words = given.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                let value = words.next().filter(|value| !value.is_empty());
                value.ok_or_else(|| End::usage(format!("{word} needs a value")))
            };
            match word.as_str() {
                "--list" => arguments.list = true,
                "--inside" => arguments.inside = true,
                "--seconds" => arguments.seconds = seconds(value()?)?,
                "--seed" => arguments.seed = seed(value()?)?,
                "--nodes" => arguments.nodes = nodes(value()?)?,
                "--faults" => arguments.faults = faults(value()?)?,
                "--svg" => arguments.svg = PathBuf::from(value()?),
                "--previous" => arguments.previous = Some(previous(value()?)?),
                "--previous-commit" => arguments.previous_commit = Some(value()?.clone()),
                _ => return Err(End::usage(format!("unknown argument {word}"))),
            }
        }
        arguments.svg = std::path::absolute(&arguments.svg).map_err(|error| End::failed(format!("--svg: {error}")))?;
        Ok(arguments)
    }
}

fn number(text: &str, digits: usize) -> Option<u64> {
    let is_plain = (1..=digits).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

fn seconds(text: &str) -> Result<u64, End> {
    let valid = number(text, 5).filter(|seconds| (1..=80_000).contains(seconds));
    valid.ok_or_else(|| End::usage(format!("--seconds is 1 to 80000, not {text}")))
}

fn seed(text: &str) -> Result<u64, End> {
    number(text, 9).ok_or_else(|| End::usage(format!("--seed is a number of at most 9 digits, not {text}")))
}

fn nodes(text: &str) -> Result<u64, End> {
    let valid = number(text, 1).filter(|nodes| [3, 5].contains(nodes));
    valid.ok_or_else(|| End::usage(format!("--nodes is 3 or 5, not {text}")))
}

fn faults(text: &str) -> Result<Vec<Fault>, End> {
    let unknown = |name: &str| End::usage(format!("--faults: there is no fault {name} (--list prints them)"));
    text.split(',')
        .filter(|name| !name.is_empty())
        .map(|name| Fault::named(name).ok_or_else(|| unknown(name)))
        .collect()
}

fn previous(text: &str) -> Result<PathBuf, End> {
    let path = PathBuf::from(text);
    let is_node = path.file_name().is_some_and(|name| name == "etebar-node") && path.is_file();
    let path = is_node.then(|| std::path::absolute(&path).ok()).flatten();
    path.ok_or_else(|| End::usage(format!("--previous is the path of an etebar-node, not {text}")))
}

/// By the clock: two runs without a seed shall differ.
fn drawn_seed() -> u64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |since| u64::from(since.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, End> {
        Arguments::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_that_make_no_sense_are_wrong_usage() {
        for line in [
            "--seconds 0",
            "--seconds 80001",
            "--seconds",
            "--seed -1",
            "--seed 1234567890",
            "--nodes 4",
            "--faults kill_one,nothing",
            "--previous /bin/ls",
            "--quickly",
        ] {
            assert_eq!(parse(line).unwrap_err().code, 2, "{line}");
        }
    }

    #[test]
    fn what_is_given_is_taken() {
        let taken = parse("--seconds 120 --seed 5 --nodes 5 --faults kill_one,wipe --svg a.svg").unwrap();
        assert_eq!((taken.seconds, taken.seed, taken.nodes), (120, 5, 5));
        assert_eq!(taken.faults, [Fault::KillOne, Fault::Wipe]);
        assert!(taken.svg.is_absolute());
    }
}
