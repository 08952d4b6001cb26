//! What stands beside backups in storage: `NAME.chain` says of each backup which objects it stands on, and `latest` is a copy of
//! the newest one's. JSON, a few hundred bytes for each backup of the chain.
//!
//! Invariant: it is written after every object that it names was read back whole.

use std::path::{Path, PathBuf};

use pages::backup::Head;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::place::ObjectName;
use crate::output::error::CliError;

/// The version of what is written here.
const FORMAT: u32 = 1;
/// Most backups in a chain. Source: an increment each day for three years; a restore reads all of them.
pub(super) const CHAIN_MAX: usize = 1_000;

/// One backup with all that it stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    /// The last object of the chain.
    object: ObjectName,
    pub(super) ledger_id: Uuid,
    epoch: u32,
    /// Records at its end, entries, and both digests over them.
    pub(super) records: u64,
    entries: u64,
    digest: String,
    entry_digest: String,
    /// The whole backup, then each increment; a restore takes them in this order.
    pub(super) chain: Vec<Link>,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Link {
    pub(super) object: ObjectName,
    pub(super) bytes: u64,
    /// Of its bytes.
    pub(super) blake3: String,
    /// After how many records it goes on; 0 for a whole backup.
    after: u64,
    /// Records at its end, and the digest over them.
    records: u64,
    digest: String,
}

/// What a file is, by which it is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint {
    pub(super) bytes: u64,
    pub(super) blake3: String,
}

impl Manifest {
    /// The backup in a file, onto those of `before`.
    pub(super) fn of(head: &Head, print: &Fingerprint, before: Option<&Manifest>) -> Manifest {
        let object = ObjectName::of(head, &print.blake3);
        let link = Link {
            object: object.clone(),
            bytes: print.bytes,
            blake3: print.blake3.clone(),
            after: head.continues.map_or(0, |continues| continues.records),
            records: head.records,
            digest: head.record_digest.to_string(),
        };
        let mut chain = before.map_or_else(Vec::new, |before| before.chain.clone());
        chain.push(link);
        Manifest {
            format: FORMAT,
            object,
            ledger_id: head.ledger,
            epoch: head.epoch,
            records: head.records,
            entries: head.entries,
            digest: head.record_digest.to_string(),
            entry_digest: head.entry_digest.to_string(),
            chain,
        }
    }

    /// Reads what stands at `place`, for messages.
    pub(super) fn read(place: &str, bytes: &[u8]) -> Result<Manifest, CliError> {
        let altered = |why: String| CliError::Damaged(format!("{place} names no backup: {why}"));
        let format: Format = serde_json::from_slice(bytes).map_err(|error| altered(error.to_string()))?;
        if format.format > FORMAT {
            return Err(CliError::local(format!("{place} is of a newer build: use that build or a later one")));
        }
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(|error| altered(error.to_string()))?;
        let last = manifest.chain.last().map(|link| &link.object);
        if last != Some(&manifest.object) || manifest.chain.len() > CHAIN_MAX {
            return Err(altered("its chain does not end with its object".to_owned()));
        }
        Ok(manifest)
    }

    /// As it is written.
    pub(super) fn text(&self) -> Result<String, CliError> {
        let text = serde_json::to_string_pretty(self).map_err(|error| CliError::local(format!("not JSON: {error}")))?;
        Ok(text + "\n")
    }

    pub(super) fn object(&self) -> &ObjectName {
        &self.object
    }

    /// The files of the chain in a folder, in their order.
    pub(super) fn files(&self, folder: &Path) -> Vec<PathBuf> {
        self.chain.iter().map(|link| folder.join(link.object.as_str())).collect()
    }

    /// That files which are whole have the records that it names.
    pub(super) fn check_head(&self, place: &str, head: &Head) -> Result<(), CliError> {
        let is_named = (head.ledger, head.epoch, head.records) == (self.ledger_id, self.epoch, self.records)
            && head.record_digest.to_string() == self.digest;
        if is_named {
            Ok(())
        } else {
            Err(CliError::Damaged(format!("the objects have other records than {place} names")))
        }
    }

    /// Whether it is of the same ledger and goes further than `other`, so that `latest` is not moved from it to that one.
    pub(super) fn is_beyond(&self, other: &Manifest) -> bool {
        self.ledger_id == other.ledger_id && (self.epoch, self.records) > (other.epoch, other.records)
    }
}

impl Link {
    pub(super) fn print(&self) -> Fingerprint {
        Fingerprint { bytes: self.bytes, blake3: self.blake3.clone() }
    }
}

/// The one field that every version has.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

#[cfg(test)]
mod tests {
    use ledger::Digest;

    use super::*;

    fn head(records: u64) -> Head {
        Head {
            ledger: Uuid::from_u128(7),
            cluster: Uuid::from_u128(8),
            epoch: 1,
            rules: 1,
            position: None,
            first_page: 0,
            records,
            entries: 0,
            record_digest: Digest::ZERO,
            entry_digest: Digest::ZERO,
            totals: None,
            continues: None,
            made_ms: 0,
        }
    }

    fn manifest(records: u64, before: Option<&Manifest>) -> Manifest {
        let print = Fingerprint { bytes: 10, blake3: format!("{records:064}") };
        Manifest::of(&head(records), &print, before)
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let (first, second) = (manifest(3, None), manifest(5, Some(&manifest(3, None))));
        assert_eq!(second.chain.len(), 2);
        assert_eq!(second.chain[0], first.chain[0]);
        assert_eq!(Manifest::read("latest", second.text().unwrap().as_bytes()).unwrap(), second);
        assert!(second.is_beyond(&first) && !first.is_beyond(&second) && !first.is_beyond(&first));
        second.check_head("latest", &head(5)).unwrap();
        assert!(matches!(second.check_head("latest", &head(4)), Err(CliError::Damaged(_))));
    }

    #[test]
    fn what_is_no_manifest_names_no_backup() {
        let text = manifest(3, None).text().unwrap();
        let newer = text.replace("\"format\": 1", "\"format\": 2");
        assert!(matches!(Manifest::read("latest", newer.as_bytes()), Err(CliError::Local(_))));
        let name = manifest(3, None).object().as_str().to_owned();
        let elsewhere = text.replace(&name, "../../etc/a.backup");
        for text in ["", "{}", "[]", &text[..text.len() / 2], &elsewhere, &text.replacen(&name, "a.backup", 1)] {
            assert!(matches!(Manifest::read("latest", text.as_bytes()), Err(CliError::Damaged(_))), "{text}");
        }
    }
}
