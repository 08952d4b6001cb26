//! The programs under test, built once in a test run: cargo does not build another package's programs for a test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where the programs are.
#[derive(Debug)]
pub struct Programs {
    /// `etebar-node`.
    pub node: PathBuf,
    /// `etebar`.
    pub client: PathBuf,
}

/// The workspace's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests stand in a folder of the workspace")
}

/// The folder that cargo builds into.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// The programs in the profile of the tests, built now where they are not; panics where they do not build.
pub fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(build)
}

fn build() -> Programs {
    let release = !cfg!(debug_assertions);
    let mut cargo = clean_command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).args(["build", "--quiet", "--locked", "-p", "etebar-node", "-p", "etebar-cli"]);
    if release {
        cargo.arg("--release");
    }
    let status = cargo.status().expect("cargo starts");
    assert!(status.success(), "the programs do not build");
    let folder = target().join(if release { "release" } else { "debug" });
    Programs { node: folder.join("etebar-node"), client: folder.join("etebar") }
}

/// A command without the settings that the caller's environment may hold, and without what cargo passes to a test about its own
/// package: ring's build script takes that for a change, and all that stands on it would be built again.
pub fn clean_command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if ["ETEBAR_", "CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|of| name.to_string_lossy().starts_with(of)) {
            command.env_remove(name);
        }
    }
    command
}
