//! Certificates in a folder of their own, made as an operator makes them.

#![allow(dead_code, reason = "each test file uses its part of the kit")]

use std::path::Path;

use etebar_node::pki::{PkiVerb, run};
use etebar_node::raft::PeerSecurity;
use etebar_node::runtime::Clock;
use etebar_node::tls::TlsPaths;
use tempfile::TempDir;
use uuid::Uuid;

/// An authority and the certificates that it issued.
pub(crate) struct Pki(TempDir);

impl Pki {
    /// A new authority.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        do_it(&PkiVerb::Ca { dir: folder.path().to_owned(), days: 10 });
        Self(folder)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    /// A node's files, made where they are absent.
    pub(crate) fn files(&self, cluster_id: Uuid, id: u64) -> TlsPaths {
        let file = |name: String| self.folder().join(name);
        if !file(format!("node-{id}.pem")).exists() {
            let (dir, host) = (self.folder().to_owned(), vec!["127.0.0.1".to_owned()]);
            do_it(&PkiVerb::Node { dir, cluster_id, id, host, days: 5, renew: false });
        }
        let authority = Some(file("ca.pem".to_owned()));
        let (certificate, key) = (file(format!("node-{id}.pem")), file(format!("node-{id}.key")));
        TlsPaths { authority, certificate, key, revoked: None }
    }

    /// What a node proves its number with.
    pub(crate) fn security(&self, cluster: Uuid, node: u64) -> PeerSecurity {
        PeerSecurity::open(self.files(cluster, node), Clock::system(), cluster, node).unwrap()
    }
}

fn do_it(verb: &PkiVerb) {
    run(verb, Clock::system().now_ms()).unwrap();
}
