//! What this machine can do to a cluster, and what has to be built first.

use std::io::Write as _;
use std::ops::RangeInclusive;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::faults::clocks;
use tests::faults::failing_disk;
use tests::machine::builds;
use tests::machine::disk;
use tests::machine::programs;

use crate::arguments::Arguments;
use crate::end::End;
use crate::faults::catalogue::{Fault, Needs};

/// The first version of the peer link inside TLS: a cluster does not go back to an earlier one.
const FIRST_LINK_IN_TLS: u64 = 3;

/// What can be done here. What cannot is said once.
#[derive(Debug)]
pub(crate) struct Machine {
    has: Vec<Needs>,
    /// The older build to go to and back from.
    pub previous: Option<PathBuf>,
}

impl Machine {
    /// Builds what is missing, and continues in network and mount namespaces of its own where that can be.
    pub(crate) fn prepare(arguments: &Arguments, given: &[String]) -> Result<Machine, End> {
        // Before the network is gone.
        programs::programs();
        let mut previous = arguments.previous.clone();
        if let (Some(commit), false) = (&arguments.previous_commit, arguments.inside) {
            previous = Some(build_previous(commit)?);
        }
        if !arguments.inside && can_partition() {
            return Err(go_inside(arguments, previous.as_deref(), given));
        }
        let usable = previous.filter(|previous| {
            let why = no_way_back(previous);
            if let Some(why) = &why {
                eprintln!("NO UPGRADE: {} {why}.", previous.display());
            }
            why.is_none()
        });
        if usable.is_none() && arguments.previous.is_none() && arguments.previous_commit.is_none() {
            eprintln!("NO UPGRADE: it needs --previous or --previous-commit.");
        }
        let disks = disk::is_root() && has("mkfs.ext4") && has("mount") && Path::new("/dev/loop-control").exists();
        let mut machine = Machine { has: vec![Needs::Nothing], previous: usable };
        for (needs, is_there, without) in [
            (Needs::Networks, arguments.inside, "NO PARTITIONS AND NO DELAYS: they need root, ip and nft."),
            (
                Needs::Disks,
                disks,
                "NO POWER CUTS, FULL DISKS AND DAMAGE: they need root, loop devices, mount and mkfs.ext4.",
            ),
            (
                Needs::DiskFaults,
                has("cc") && failing_disk::library().is_file(),
                "NO FAILING AND STALLING DISKS: they need cc.",
            ),
            (Needs::Clocks, clocks::library().is_some(), "NO CLOCKS: they need Debian's libfaketime."),
        ] {
            if is_there {
                machine.has.push(needs);
            } else {
                eprintln!("{without}");
            }
        }
        if machine.previous.is_some() {
            machine.has.push(Needs::Previous);
        }
        Ok(machine)
    }

    /// Whether faults can be played that need this.
    pub(crate) fn has(&self, needs: Needs) -> bool {
        self.has.contains(&needs)
    }

    /// The faults to draw from: those in the arguments, or all that can be done here.
    pub(crate) fn faults(&self, arguments: &Arguments) -> Result<Vec<Fault>, End> {
        if arguments.faults.is_empty() {
            return Ok(Fault::ALL.into_iter().filter(|fault| self.has(fault.needs())).collect());
        }
        match arguments.faults.iter().find(|fault| !self.has(fault.needs())) {
            Some(fault) => Err(End::failed(format!("{} cannot be done here, see above", fault.name()))),
            None => Ok(arguments.faults.clone()),
        }
    }
}

/// Why a cluster of this build cannot go to that older one and back; `None` where it can.
fn no_way_back(previous: &Path) -> Option<String> {
    if *links_of(previous).end() < FIRST_LINK_IN_TLS {
        return Some(
            "is of before mutual TLS between nodes; a cluster goes up from there once, all nodes stopped".into(),
        );
    }
    let (before, now) = (rules_of(previous), rules_of(&programs::programs().node));
    (before < now).then(|| {
        format!(
            "knows rules up to {before}, and a ledger that this build makes goes by rules {now}: there is no way back"
        )
    })
}

/// The newest rules that a build of the node knows; 1 where it does not say.
fn rules_of(program: &Path) -> u64 {
    stated(program, "rules ").trim().parse().unwrap_or(1)
}

/// What stands behind `name` in the version of a build of the node, up to the next comma; `1` where nothing does.
fn stated(program: &Path, name: &str) -> String {
    let said = Command::new(program).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let value = said.split_once(name).map(|(_, rest)| rest.split([',', ')']).next().unwrap_or("1"));
    value.unwrap_or("1").to_owned()
}

/// The versions of the peer link that a build of the node speaks, from the first to the last; 1 where it does not say.
pub(crate) fn links_of(program: &Path) -> RangeInclusive<u64> {
    let span = stated(program, "peer link ");
    let (lowest, highest) = span.split_once(" to ").unwrap_or((&span, &span));
    let number = |text: &str| text.trim().parse().unwrap_or(1);
    number(lowest)..=number(highest)
}

fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn can_partition() -> bool {
    let mut unshare = Command::new("unshare");
    unshare.args(["--net", "--mount", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    disk::is_root() && has("ip") && has("nft") && unshare.status().is_ok_and(|status| status.success())
}

/// Replaces this process by one in a network and a mount namespace of its own; returns where that fails.
fn go_inside(arguments: &Arguments, previous: Option<&Path>, given: &[String]) -> End {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return End::failed(format!("its own program is not found: {error}")),
    };
    let mut inside = Command::new("unshare");
    inside.args(["--net", "--mount", "--propagation", "private"]).arg(program).args(given).arg("--inside");
    inside.args(["--seed", &arguments.seed.to_string()]).arg("--svg").arg(&arguments.svg);
    if let Some(previous) = previous {
        inside.arg("--previous").arg(previous);
    }
    End::failed(format!("unshare: {}", inside.exec()))
}

/// The node of a commit, built into a folder of its own that later runs find.
fn build_previous(commit: &str) -> Result<PathBuf, End> {
    let mut git = git(&["rev-parse", "--verify", "--quiet"]);
    let found = git
        .arg(format!("{commit}^{{commit}}"))
        .output()
        .map_err(|error| End::usage(format!("--previous-commit needs git: {error}")))?;
    let hash = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    if !found.status.success() || hash.is_empty() {
        return Err(End::usage(format!("--previous-commit: there is no commit {commit}")));
    }
    let folder = programs::target().join("previous").join(&hash);
    let program = folder.join("target/release/etebar-node");
    if program.is_file() {
        return Ok(program);
    }
    eprintln!("building etebar-node of commit {hash} (some minutes)");
    unpack(&hash, &folder).map_err(|error| End::failed(format!("commit {hash} cannot be read: {error}")))?;
    builds::node_of(&folder).map_err(|error| End::failed(format!("commit {hash}: {error}")))
}

fn unpack(commit: &str, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let archive = git(&["archive", commit]).output()?;
    let mut tar = Command::new("tar").arg("-x").current_dir(folder).stdin(Stdio::piped()).spawn()?;
    tar.stdin.take().expect("its input is piped").write_all(&archive.stdout)?;
    if archive.status.success() && tar.wait()?.success() {
        Ok(())
    } else {
        Err(std::io::Error::other("git or tar failed"))
    }
}

fn git(arguments: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(programs::root()).args(arguments);
    git
}
