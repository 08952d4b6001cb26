//! `etebar-node pki`: the authority, the nodes' and the operators' certificates, as files in one folder.
//!
//! Safe to repeat: an authority that exists is used, and a certificate that exists is left as it is. Invariant: a key is
//! replaced only with `--renew`; one without a certificate gets one.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use uuid::Uuid;

use super::files::{self, Draft, PRIVATE, PUBLIC};
use super::name::is_client_name;
use super::revoke::{self, Revoke};
use super::{Authority, Issued, Lifetime, PkiError, Subject};

/// How long an authority is valid unless said otherwise, in days: ten years.
const AUTHORITY_DAYS: u32 = 3_650;
/// How long a node's certificate is valid unless said otherwise, in days: five years. A node logs a warning from 30 days
/// before the end, and a cluster whose certificates all end on one day stops on that day.
const NODE_DAYS: u32 = 1_825;
/// How long a revocation list is valid unless said otherwise, in days. Source: as long as the certificates that it may have
/// to name.
const LIST_DAYS: u32 = NODE_DAYS;
/// How long an operator's certificate is valid unless said otherwise, in days.
const CLIENT_DAYS: u32 = 365;

/// What `pki` makes.
#[derive(Debug, Subcommand)]
pub enum PkiVerb {
    /// Make a certificate authority: DIR/ca.pem, which every node gets, and DIR/ca.key, which none needs. One that exists
    /// is left as it is.
    ///
    /// Example: etebar-node pki ca --dir /root/etebar-pki
    Ca {
        /// The folder of the authority; made where it is absent.
        #[arg(long)]
        dir: PathBuf,
        /// How many days it is valid.
        #[arg(long, default_value_t = AUTHORITY_DAYS, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
    },
    /// Make a node's certificate: DIR/node-N.pem and DIR/node-N.key, for `run --peer-cert` and `--peer-key`.
    ///
    /// Example: etebar-node pki node --dir /root/etebar-pki --cluster-id 6f2c… --id 1 --host n1.example 10.0.0.1
    Node {
        /// The folder of the authority.
        #[arg(long)]
        dir: PathBuf,
        /// The cluster's id.
        #[arg(long, env = "ETEBAR_CLUSTER_ID")]
        cluster_id: Uuid,
        /// The node's number.
        #[arg(long, env = "ETEBAR_ID", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
        id: u64,
        /// The DNS names and IP addresses of the node.
        #[arg(long, required = true, num_args = 1.., value_delimiter = ',', value_name = "NAME")]
        host: Vec<String>,
        /// How many days it is valid.
        #[arg(long, default_value_t = NODE_DAYS, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
        /// Replace the certificate and the key that are there; a running node reads the new ones by itself.
        #[arg(long)]
        renew: bool,
    },
    /// Revoke the certificates of a node, all that DIR has: DIR/crl.pem, the list of all that are revoked, for
    /// `run --peer-crl` of every node. Running nodes read the new list by themselves, refuse the node, and close its
    /// connections. Safe to repeat, and to be repeated before the list ends.
    ///
    /// Example: etebar-node pki revoke --dir /root/etebar-pki --id 3
    Revoke {
        /// The folder of the authority.
        #[arg(long)]
        dir: PathBuf,
        /// The node's number.
        #[arg(long, env = "ETEBAR_ID", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
        id: u64,
        /// Only those that `pki node --renew` replaced: for a node that stays, after it got its new certificate and key.
        #[arg(long)]
        replaced: bool,
        /// How many days the list is valid: after that no node starts with it.
        #[arg(long, default_value_t = LIST_DAYS, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
    },
    /// Make an operator's certificate: DIR/client-NAME.pem and DIR/client-NAME.key. The peer link refuses it.
    ///
    /// Example: etebar-node pki client --dir /root/etebar-pki --cluster-id 6f2c… --name sara
    Client {
        /// The folder of the authority.
        #[arg(long)]
        dir: PathBuf,
        /// The cluster's id.
        #[arg(long, env = "ETEBAR_CLUSTER_ID")]
        cluster_id: Uuid,
        /// The operator's name: letters, digits, dashes, dots, underscores.
        #[arg(long, value_parser = parse_client_name)]
        name: String,
        /// How many days it is valid.
        #[arg(long, default_value_t = CLIENT_DAYS, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
        /// Replace the certificate and the key that are there.
        #[arg(long)]
        renew: bool,
    },
}

fn parse_client_name(text: &str) -> Result<String, String> {
    if is_client_name(text) {
        return Ok(text.to_owned());
    }
    Err("must be 1 to 64 letters, digits, dashes, dots or underscores".to_owned())
}

/// Does it, at `now_ms` milliseconds since the Unix epoch; returns what to print.
///
/// # Errors
/// Where something is there already, the authority's files are no authority, or the disk fails.
pub fn run(verb: &PkiVerb, now_ms: u64) -> Result<String, PkiError> {
    match verb {
        PkiVerb::Ca { dir, days } => make_authority(dir, Lifetime::for_days(*days, now_ms)),
        PkiVerb::Node { dir, cluster_id, id, host, days, renew } => {
            let subject = Subject::Node { cluster: *cluster_id, node: *id, hosts: host.clone() };
            let replace = if *renew { Existing::Replace } else { Existing::Keep };
            issue(dir, &format!("node-{id}"), &subject, Lifetime::for_days(*days, now_ms), replace)
        }
        PkiVerb::Revoke { dir, id, replaced, days } => {
            let which = if *replaced { Revoke::Replaced } else { Revoke::All };
            let lifetime = Lifetime::for_days(*days, now_ms);
            revoke::revoke(dir, &open_authority(dir)?, *id, which, lifetime, now_ms)
        }
        PkiVerb::Client { dir, cluster_id, name, days, renew } => {
            let subject = Subject::Client { cluster: *cluster_id, name: name.clone() };
            let replace = if *renew { Existing::Replace } else { Existing::Keep };
            issue(dir, &format!("client-{name}"), &subject, Lifetime::for_days(*days, now_ms), replace)
        }
    }
}

/// What to do with files that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Existing {
    Keep,
    Replace,
}

fn make_authority(dir: &Path, lifetime: Lifetime) -> Result<String, PkiError> {
    files::make_folder(dir)?;
    let (certificate, key) = (dir.join("ca.pem"), dir.join("ca.key"));
    if let Some(text) = files::read(&certificate)? {
        // A folder without the key is what nodes are given: an authority all the same, and not to be replaced.
        if let Some(key) = files::read(&key)? {
            Authority::read(&text, &key)?;
        }
        return Ok(format!("the authority in {} is there already: it stays as it is", dir.display()));
    }
    let authority = if let Some(pem) = files::read(&key)? {
        // Interrupted between the two; nothing was issued yet.
        Authority::of_key(&pem, lifetime)?
    } else {
        let (authority, pem) = Authority::generate(lifetime)?;
        Draft::write(&key, &pem, PRIVATE)?.publish()?;
        authority
    };
    Draft::write(&certificate, authority.certificate(), PUBLIC)?.publish()?;
    Ok(format!(
        "made {} (give it to every node) and {} (keep it off the nodes: with it anyone can pose as any of them)",
        certificate.display(),
        key.display()
    ))
}

fn issue(
    dir: &Path,
    name: &str,
    subject: &Subject,
    lifetime: Lifetime,
    existing: Existing,
) -> Result<String, PkiError> {
    let (certificate, key) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
    let before = files::read(&certificate)?;
    if existing == Existing::Keep && before.is_some() {
        return Err(PkiError::Exists(format!("{} exists: --renew replaces it and its key", certificate.display())));
    }
    let authority = open_authority(dir)?;
    if existing == Existing::Keep
        && let Some(secret) = files::read(&key)?
    {
        // An issue that was interrupted left it, or its certificate was lost: it may be in use, and is never replaced here.
        return certify(dir, &authority, (&certificate, &key), &secret, subject, lifetime);
    }
    let Issued { certificate: text, key: secret } = authority.issue(subject, lifetime)?;
    let (new_key, new_certificate) =
        (Draft::write(&key, &secret, PRIVATE)?, Draft::write(&certificate, &text, PUBLIC)?);
    match existing {
        Existing::Keep => {
            new_key.publish()?;
            new_certificate.publish()?;
        }
        Existing::Replace => {
            if let Some(before) = before {
                revoke::keep_replaced(dir, name, &before)?;
            }
            new_key.replace()?;
            new_certificate.replace()?;
        }
    }
    Ok(format!("made {} and {}", certificate.display(), key.display()))
}

/// Makes a certificate for the key that is there.
fn certify(
    dir: &Path,
    authority: &Authority,
    (certificate, key): (&Path, &Path),
    secret: &str,
    subject: &Subject,
    lifetime: Lifetime,
) -> Result<String, PkiError> {
    let unfit = |why: &str| {
        PkiError::Exists(format!(
            "{} is there without a certificate, and {why}: nothing was changed; --renew makes both anew",
            key.display()
        ))
    };
    let text = authority.issue_for(secret, subject, lifetime).map_err(|error| match error {
        PkiError::Made(error) => unfit(&format!("cannot be used ({error})")),
        other => other,
    })?;
    if revoke::is_revoked(dir, authority, &text)? {
        return Err(unfit("is revoked"));
    }
    Draft::write(certificate, &text, PUBLIC)?.publish()?;
    Ok(format!("made {} for {}, which was there", certificate.display(), key.display()))
}

fn open_authority(dir: &Path) -> Result<Authority, PkiError> {
    let read = |name: &str| {
        let path = dir.join(name);
        let missing = || {
            let path = path.display();
            PkiError::Authority(format!("{path} is not there: `etebar-node pki ca --dir DIR` makes an authority"))
        };
        files::read(&path)?.ok_or_else(missing)
    };
    Authority::read(&read("ca.pem")?, &read("ca.key")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    const NOW_MS: u64 = 1_800_000_000_000;

    fn ca(dir: &Path) -> Result<String, PkiError> {
        run(&PkiVerb::Ca { dir: dir.to_owned(), days: 10 }, NOW_MS)
    }

    fn node(dir: &Path, renew: bool) -> Result<String, PkiError> {
        let (cluster_id, host) = (Uuid::from_u128(7), vec!["127.0.0.1".to_owned()]);
        run(&PkiVerb::Node { dir: dir.to_owned(), cluster_id, id: 1, host, days: 10, renew }, NOW_MS)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn keys_are_their_owners_alone_and_nothing_else_is_left_behind() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("pki");
        ca(&dir).unwrap();
        node(&dir, false).unwrap();
        assert_eq!((mode(&dir.join("ca.key")), mode(&dir.join("node-1.key")), mode(&dir)), (0o600, 0o600, 0o700));
        let mut names: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["ca.key", "ca.pem", "node-1.key", "node-1.pem"]);
    }

    #[test]
    fn what_exists_is_used_and_never_replaced_unasked() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path();
        assert!(node(dir, false).unwrap_err().to_string().contains("pki ca"), "no authority yet");
        ca(dir).unwrap();
        node(dir, false).unwrap();
        let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
        let before = ["ca.pem", "ca.key", "node-1.pem", "node-1.key"].map(read);
        assert!(ca(dir).unwrap().contains("already"));
        assert!(node(dir, false).unwrap_err().to_string().contains("--renew"));
        assert_eq!(["ca.pem", "ca.key", "node-1.pem", "node-1.key"].map(read), before);
        node(dir, true).unwrap();
        assert!(read("node-1.pem") != before[2] && read("node-1.key") != before[3]);
        assert_eq!(read("ca.pem"), before[0]);
    }

    #[test]
    fn an_authority_that_was_interrupted_is_finished_with_its_key() {
        let temp = tempfile::tempdir().unwrap();
        ca(temp.path()).unwrap();
        let key = fs::read(temp.path().join("ca.key")).unwrap();
        fs::remove_file(temp.path().join("ca.pem")).unwrap();
        ca(temp.path()).unwrap();
        assert_eq!(fs::read(temp.path().join("ca.key")).unwrap(), key);
        node(temp.path(), false).unwrap();
    }
}
