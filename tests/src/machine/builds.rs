//! Other builds of the node, for clusters of mixed builds: that of a commit, and that of these sources with a patch.
//!
//! A build's sources have a folder of their own below the target folder, which later runs find.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::programs;

/// What a build of the node reads of the sources, relative to their root; of the tests what cargo wants to be there.
const SOURCES: [&str; 8] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "node",
    "client",
    "tests/Cargo.toml",
    "tests/src",
    "tests/architecture",
];
/// The name of the patched program: it lies beside that of these sources, in the same folder.
const PATCHED: &str = "etebar-node-patched";
/// The name of the program of the commit before.
const COMMITTED: &str = "etebar-node-committed";

/// The node of these sources with a patch of `tests/upgrade`, in the profile of the tests; panics where it does not build.
///
/// Built into the same folder as these sources, so that nothing but our own crates is compiled for it, and those without
/// optimisation: seconds, not minutes.
#[track_caller]
pub fn patched_node(patch: &str) -> PathBuf {
    let patch = programs::root().join("tests/upgrade").join(patch);
    let [draft, copy] = ["patched-draft", "patched"].map(|name| programs::target().join(name));
    copy_sources(programs::root(), &draft).expect("the sources can be copied");
    apply(&patch, &draft);
    built_beside(&draft, &copy, PATCHED, 16).unwrap_or_else(|error| panic!("{}: {error}", patch.display()))
}

/// The node of the commit before the last one, in the profile of the tests, built like [`patched_node`]; `None` where git has
/// only the last one, as in a shallow clone. Panics where it does not build.
#[track_caller]
pub fn node_of_the_commit_before() -> Option<PathBuf> {
    let [draft, copy] = ["committed-draft", "committed"].map(|name| programs::target().join(name));
    let archive = git(&["archive", "HEAD~1"]).output().expect("git starts");
    if !archive.status.success() {
        return None;
    }
    let _ = fs::remove_dir_all(&draft); // of an earlier run, where there was one
    fs::create_dir_all(&draft).expect("a folder");
    let mut tar = Command::new("tar").arg("-x").current_dir(&draft).stdin(Stdio::piped()).spawn().expect("tar starts");
    tar.stdin.take().expect("its input is piped").write_all(&archive.stdout).expect("tar reads");
    assert!(tar.wait().is_ok_and(|status| status.success()), "the commit cannot be unpacked");
    let manifest = draft.join("node/Cargo.toml");
    let text = fs::read_to_string(&manifest).expect("the node's manifest");
    let named =
        format!("autobins = false\n\n[[bin]]\nname = \"{COMMITTED}\"\npath = \"src/main.rs\"\n\n[dependencies]\n");
    fs::write(&manifest, text.replacen("[dependencies]\n", &named, 1)).expect("it is written");
    Some(built_beside(&draft, &copy, COMMITTED, 15).unwrap_or_else(|error| panic!("the commit before: {error}")))
}

/// Makes `copy` equal to the sources in `draft` and builds their program of that name, into the folder of these sources.
///
/// Cargo knows a package by its path from the root of its workspace, which is the same in every copy: it would take what was
/// built of one for that of another, but for the profile. So each copy has a number of `units` of its own.
fn built_beside(draft: &Path, copy: &Path, name: &str, units: u32) -> io::Result<PathBuf> {
    // What is equal is not touched, so that it is not compiled again.
    copy_sources(draft, copy)?;
    let mut cargo = programs::clean_command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The same packages as for the programs under test, so that what they stand on has the same features.
    let packages = ["-p", "etebar-node", "-p", "etebar-cli"];
    cargo.args(["build", "--quiet", "--offline", "--locked"]).args(packages).args(["--bin", name]);
    let (profile, folder) = if cfg!(debug_assertions) { ("dev", "debug") } else { ("release", "release") };
    if profile == "release" {
        cargo.arg("--release");
    }
    for package in ["ledger", "etebar-api", "etebar-node"] {
        for setting in ["opt-level=0".to_owned(), format!("codegen-units={units}")] {
            cargo.args(["--config", &format!("profile.{profile}.package.{package}.{setting}")]);
        }
    }
    if cargo.arg("--target-dir").arg(programs::target()).current_dir(copy).status()?.success() {
        return Ok(programs::target().join(folder).join(name));
    }
    Err(io::Error::other("the node does not build"))
}

fn git(arguments: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(programs::root()).args(arguments);
    git
}

/// The node of the sources in `folder`, built by itself.
///
/// # Errors
/// Where cargo does not start, or the sources do not build.
pub fn node_of(folder: &Path) -> io::Result<PathBuf> {
    let mut cargo = programs::clean_command("cargo");
    cargo.args(["build", "--quiet", "--release", "--locked", "--target-dir", "target", "-p", "etebar-node"]);
    if cargo.current_dir(folder).status()?.success() {
        return Ok(folder.join("target/release/etebar-node"));
    }
    Err(io::Error::other("it does not build"))
}

/// Makes `to` equal to the sources in `from`. What is equal is not touched.
fn copy_sources(from: &Path, to: &Path) -> io::Result<()> {
    SOURCES.iter().try_for_each(|path| copy_all(&from.join(path), &to.join(path)))
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_file() {
        let content = fs::read(from)?;
        if fs::read(to).is_ok_and(|there| there == content) {
            return Ok(());
        }
        fs::create_dir_all(to.parent().expect("a file lies in a folder"))?;
        return fs::write(to, content);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        let source = from.join(entry.file_name());
        if !source.exists() {
            if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
        }
    }
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        copy_all(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}

#[track_caller]
fn apply(patch: &Path, copy: &Path) {
    let mut git = Command::new("git");
    // Without the ceiling the copy would be taken for a folder of the repository around it, which the paths do not mean.
    git.env("GIT_CEILING_DIRECTORIES", copy.parent().expect("a copy lies in a folder"));
    let applied = git.arg("apply").arg(patch).current_dir(copy).status();
    assert!(applied.is_ok_and(|status| status.success()), "{} does not apply", patch.display());
}
