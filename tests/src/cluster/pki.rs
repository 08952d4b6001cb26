//! Certificates for nodes, made with `etebar-node pki` as an operator makes them.

use std::path::Path;
use std::process::Command;

use crate::machine::programs::{clean_command, programs};

/// The settings of `run` that name the files of node `id` in this folder.
pub fn settings(folder: &Path, id: u64) -> [(String, String); 3] {
    let file = |name: String| folder.join(name).to_str().expect("a path of our own").to_owned();
    [
        ("ETEBAR_PEER_CA".to_owned(), file("ca.pem".to_owned())),
        ("ETEBAR_PEER_CERT".to_owned(), file(format!("node-{id}.pem"))),
        ("ETEBAR_PEER_KEY".to_owned(), file(format!("node-{id}.key"))),
    ]
}

/// Makes an authority in this folder.
#[track_caller]
pub fn make_authority(folder: &Path) {
    pki(command("ca").arg("--dir").arg(folder));
}

/// Makes the certificate of a node of that cluster, on loopback.
#[track_caller]
pub fn make_certificate(folder: &Path, cluster_id: &str, id: u64) {
    make_certificate_for(folder, cluster_id, id, "127.0.0.1");
}

/// The same for a node at that address.
#[track_caller]
pub fn make_certificate_for(folder: &Path, cluster_id: &str, id: u64, host: &str) {
    let mut command = command("node");
    command.arg("--dir").arg(folder).args(["--cluster-id", cluster_id, "--id", &id.to_string(), "--host", host]);
    pki(&mut command);
}

/// Makes a node's certificate and key anew, in the place of those that are there.
#[track_caller]
pub fn renew_certificate(folder: &Path, cluster_id: &str, id: u64) {
    let mut command = command("node");
    command.arg("--dir").arg(folder).args(["--cluster-id", cluster_id, "--id", &id.to_string(), "--host", "127.0.0.1"]);
    pki(command.arg("--renew"));
}

/// Revokes a node's certificates, with these further arguments.
#[track_caller]
pub fn revoke(folder: &Path, id: u64, more: &[&str]) {
    pki(command("revoke").arg("--dir").arg(folder).args(["--id", &id.to_string()]).args(more));
}

fn command(what: &str) -> Command {
    let mut command = clean_command(&programs().node);
    command.args(["pki", what]);
    command
}

#[track_caller]
fn pki(command: &mut Command) {
    let output = command.output().expect("pki starts");
    assert!(output.status.success(), "pki: {}", String::from_utf8_lossy(&output.stderr));
}
