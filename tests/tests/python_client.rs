//! The Python client of docs/examples against nodes, proxies and strangers that lie: `tests/python` says what must hold.

use std::fs;
use std::path::Path;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tests::machine::{Need, lacks};
use tests::place::Folder;
use tests::programs;

/// A certificate authority: its certificate as PEM, and what it signs with.
fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Since 3.13 Python insists on it, and on the authority's name in what it signed.
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate of its own");
    (certificate.pem(), Issuer::new(params, key))
}

fn make_certificates(folder: &Path) {
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("the folder takes a file");
    let (certificate, issuer) = authority("the authority");
    write("ca.pem", &certificate);
    write("other.pem", &authority("another authority").0);
    let key = KeyPair::generate().expect("a key");
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut params = CertificateParams::new(names).expect("names of a host");
    params.use_authority_key_identifier_extension = true;
    let node = params.signed_by(&key, &issuer).expect("a certificate");
    write("node.pem", &node.pem());
    write("node.key", &key.serialize_pem());
}

#[test]
fn the_python_client_believes_nodes_alone() {
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
