//! Certificates as an operator makes them: a small authority, and servers' certificates from it.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};

/// An authority, and the file that says whom to trust.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub file: PathBuf,
}

/// A certificate and its key, as PEM.
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

/// Where a server reads them.
pub struct ServerFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new(folder: &Path, name: &str) -> Authority {
        let key = KeyPair::generate().expect("a key is drawn");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let file = folder.join(format!("{name}.pem"));
        std::fs::write(&file, params.self_signed(&key).expect("an authority signs itself").pem()).expect("a file");
        Authority { issuer: Issuer::new(params, key), file }
    }

    /// A certificate for these names and addresses.
    pub fn server(&self, hosts: &[&str]) -> Pair {
        self.signed(params(hosts))
    }

    /// One that was valid once.
    pub fn expired(&self, hosts: &[&str]) -> Pair {
        let mut params = params(hosts);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 2, 1);
        self.signed(params)
    }

    fn signed(&self, params: CertificateParams) -> Pair {
        let key = KeyPair::generate().expect("a key is drawn");
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority signs");
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

fn params(hosts: &[&str]) -> CertificateParams {
    let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names that a certificate can have");
    params.use_authority_key_identifier_extension = true;
    params
}

impl ServerFiles {
    pub fn below(folder: &Path, name: &str) -> ServerFiles {
        ServerFiles {
            certificate: folder.join(format!("{name}-cert.pem")),
            key: folder.join(format!("{name}-key.pem")),
        }
    }

    /// Puts another pair in place, each file by a rename.
    pub fn replace(&self, pair: &Pair) {
        for (path, text) in [(&self.certificate, &pair.certificate), (&self.key, &pair.key)] {
            let next = path.with_extension("next");
            std::fs::write(&next, text).expect("a file");
            std::fs::rename(&next, path).expect("a file takes another's place");
        }
    }

    pub fn folder(&self) -> &Path {
        self.certificate.parent().expect("a file stands in a folder")
    }
}
