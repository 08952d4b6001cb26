//! The Python client of docs/examples against nodes, and against proxies and other servers that answer falsely:
//! `tests/python` says what must hold.

use std::fs;
use std::path::Path;
use std::process::Command;

use tests::Folder;
use tests::api::certificates::Authority;
use tests::machine::needs::{Need, lacks};
use tests::machine::programs;

fn make_certificates(folder: &Path) {
    let authority = Authority::new(folder, "ca");
    Authority::new(folder, "other");
    let node = authority.server(&["localhost", "127.0.0.1"]);
    for (name, text) in [("node.pem", node.certificate), ("node.key", node.key)] {
        fs::write(folder.join(name), text).expect("the folder takes a file");
    }
}

#[test]
fn the_python_client_accepts_answers_of_nodes_alone() {
    if lacks(Need::Python, "the Python client") {
        return;
    }
    let place = Folder::new("python-client");
    make_certificates(place.path());
    let test = programs::root().join("tests/python/test_etebar_charge.py");
    let mut python: Command = programs::clean_command("python3");
    python.arg("-W").arg("error::SyntaxWarning").arg(test);
    python.env("CERTIFICATES", place.path()).env("PYTHONDONTWRITEBYTECODE", "1");
    let done = python.output().expect("python3 starts (Debian: apt-get install python3)");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
