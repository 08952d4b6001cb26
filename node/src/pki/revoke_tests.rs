//! Revocation, and keys without a certificate, as an operator sees them: the files in one folder.

use std::fs;
use std::path::Path;

use uuid::Uuid;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{PkiError, PkiVerb, run};
use crate::runtime::Clock;
use crate::tls::{Credentials, TlsPaths};

const CLUSTER: Uuid = Uuid::from_u128(7);

fn now_ms() -> u64 {
    Clock::system().now_ms()
}

fn ca(dir: &Path) {
    run(&PkiVerb::Ca { dir: dir.to_owned(), days: 10 }, now_ms()).unwrap();
}

fn node(dir: &Path, id: u64, renew: bool) -> Result<String, PkiError> {
    let (dir, host) = (dir.to_owned(), vec!["127.0.0.1".to_owned()]);
    run(&PkiVerb::Node { dir, cluster_id: CLUSTER, id, host, days: 5, renew }, now_ms())
}

fn revoke(dir: &Path, id: u64, replaced: bool) -> Result<String, PkiError> {
    run(&PkiVerb::Revoke { dir: dir.to_owned(), id, replaced, days: 5 }, now_ms())
}

fn paths(dir: &Path, id: u64) -> TlsPaths {
    let file = |name: &str| dir.join(name);
    TlsPaths {
        certificate: file(&format!("node-{id}.pem")),
        key: file(&format!("node-{id}.key")),
        authority: Some(file("ca.pem")),
        revoked: Some(file("crl.pem")),
    }
}

/// Whether the node's certificate is on the list, as nodes read both.
fn is_revoked(dir: &Path, id: u64) -> bool {
    let read = Credentials::load(&paths(dir, id)).unwrap();
    let (_, certificate) = X509Certificate::from_der(&read.identity.cert[0]).unwrap();
    let lists = read.revoked.unwrap();
    lists.all().iter().any(|list| list.find_serial(certificate.raw_serial()).unwrap().is_some())
}

#[test]
fn a_revoked_node_is_on_the_list_however_often_that_is_said() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    ca(dir);
    assert!(revoke(dir, 1, false).unwrap_err().to_string().contains("no certificate of node 1"));
    assert!(!dir.join("crl.pem").exists());
    for id in 1..=3 {
        node(dir, id, false).unwrap();
    }
    assert!(revoke(dir, 1, false).unwrap().contains("revoked 1 more of node 1"));
    let first = fs::read_to_string(dir.join("crl.pem")).unwrap();
    let printed = revoke(dir, 1, false).unwrap();
    assert!(printed.contains("revoked 0 more") && printed.contains("has 1 now"), "{printed}");
    assert_ne!(fs::read_to_string(dir.join("crl.pem")).unwrap(), first, "it is good for longer, under a new number");
    assert!(revoke(dir, 2, false).unwrap().contains("has 2 now"));
    for id in [1, 2] {
        assert!(is_revoked(dir, id), "{id}");
    }
    assert!(!is_revoked(dir, 3));
    node(dir, 1, true).unwrap();
    assert!(!is_revoked(dir, 1), "its new certificate is another one");
}

#[test]
fn a_certificate_that_was_replaced_can_be_revoked_and_the_present_one_stays() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    ca(dir);
    node(dir, 3, false).unwrap();
    node(dir, 33, false).unwrap();
    assert!(revoke(dir, 3, true).unwrap_err().to_string().contains("no certificate of node 3 was replaced"));
    let stolen = dir.join("stolen");
    fs::create_dir(&stolen).unwrap();
    for name in ["node-3.pem", "node-3.key"] {
        fs::copy(dir.join(name), stolen.join(name)).unwrap();
    }
    node(dir, 3, true).unwrap();
    node(dir, 33, true).unwrap();
    assert!(revoke(dir, 3, true).unwrap().contains("has 1 now"));
    assert!(!is_revoked(dir, 3));
    for name in ["ca.pem", "crl.pem"] {
        fs::copy(dir.join(name), stolen.join(name)).unwrap();
    }
    assert!(is_revoked(&stolen, 3));
    assert!(revoke(dir, 3, false).unwrap().contains("has 2 now"), "the present one too");
}

#[test]
fn a_list_of_another_or_a_damaged_one_is_neither_extended_nor_overwritten() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for dir in [one.path(), two.path()] {
        ca(dir);
        node(dir, 1, false).unwrap();
        revoke(dir, 1, false).unwrap();
    }
    let crl = one.path().join("crl.pem");
    let own = fs::read_to_string(&crl).unwrap();
    let foreign = fs::read_to_string(two.path().join("crl.pem")).unwrap();
    for text in [foreign.as_str(), &own[..own.len() / 2], "", &(own.clone() + &foreign)] {
        fs::write(&crl, text).unwrap();
        let refused = revoke(one.path(), 1, false).unwrap_err().to_string();
        assert!(refused.contains("nothing was revoked") && !refused.contains('\n'), "{refused}");
        assert_eq!(fs::read_to_string(&crl).unwrap(), text);
    }
}

#[test]
fn a_key_without_its_certificate_gets_one_and_is_never_replaced_unasked() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    ca(dir);
    node(dir, 1, false).unwrap();
    let (certificate, key) = (dir.join("node-1.pem"), dir.join("node-1.key"));
    let secret = fs::read(&key).unwrap();
    fs::remove_file(&certificate).unwrap();
    assert!(node(dir, 1, false).unwrap().contains("which was there"));
    assert_eq!(fs::read(&key).unwrap(), secret);
    let together = TlsPaths { revoked: None, ..paths(dir, 1) };
    Credentials::load(&together).expect("they fit each other");

    revoke(dir, 1, false).unwrap();
    fs::remove_file(&certificate).unwrap();
    for text in [secret.as_slice(), b"no key"] {
        fs::write(&key, text).unwrap();
        let refused = node(dir, 1, false).unwrap_err().to_string();
        assert!(refused.contains("--renew") && !refused.contains('\n'), "{refused}");
        assert!(fs::read(&key).unwrap() == text && !certificate.exists());
    }
    node(dir, 1, true).unwrap();
    assert!(!is_revoked(dir, 1));
}
