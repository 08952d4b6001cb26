//! Where backups are in storage: a bucket and a prefix, and the names of the objects below it.
//!
//! Invariant of an [`ObjectName`]: it has no separator and is no hidden file, so that it names a file of one folder too.

use std::fmt;

use pages::backup::Head;
use serde::{Deserialize, Serialize};

use crate::output::error::CliError;

/// The end of every object's name that is a backup.
const BACKUP: &str = ".backup";
/// The end of the name of the object that says what such a one stands on.
const CHAIN: &str = ".chain";
/// The object that names the newest backup.
pub(super) const LATEST: &str = "latest";
/// Most characters of a name, and of a prefix. Source: S3 takes 1,024 bytes for a key.
const CHARS_MAX: usize = 200;
/// How much of a file's digest stands in its name.
const DIGEST_CHARS: usize = 16;

/// `s3://BUCKET/PREFIX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) bucket: String,
    /// Without a separator at either end; may be empty.
    prefix: String,
}

impl Place {
    /// Reads `s3://BUCKET/PREFIX`.
    pub(super) fn parse(text: &str) -> Result<Place, CliError> {
        let wrong = |why: &str| CliError::usage(format!("{text:?} is no s3://BUCKET/PREFIX: {why}"));
        let rest = text.strip_prefix("s3://").ok_or_else(|| wrong("it does not begin with s3://"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_bucket = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
            && bucket.starts_with(|first: char| first.is_ascii_alphanumeric());
        if !is_bucket {
            return Err(wrong("a bucket has 3 to 63 letters, digits, dots and hyphens"));
        }
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let is_segment = |segment: &str| {
            // rusty-s3 resolves these two as a path, so they would name another bucket.
            !segment.is_empty() && ![".", ".."].contains(&segment) && !segment.contains(char::is_control)
        };
        if !prefix.is_empty() && (prefix.len() > CHARS_MAX || !prefix.split('/').all(is_segment)) {
            return Err(wrong("no part of the prefix is empty, . or .., and it has 200 characters at most"));
        }
        Ok(Place { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    /// Reads `s3://BUCKET/PREFIX` or `s3://BUCKET/PREFIX/NAME.backup`.
    pub(super) fn parse_with_name(text: &str) -> Result<(Place, Option<ObjectName>), CliError> {
        let Some((before, name)) = text.rsplit_once('/').filter(|(_, name)| name.ends_with(BACKUP)) else {
            return Ok((Place::parse(text)?, None));
        };
        let name = ObjectName::try_from(name.to_owned()).map_err(CliError::Usage)?;
        Ok((Place::parse(before)?, Some(name)))
    }

    /// The key of an object.
    pub(super) fn key(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) }
    }

    /// An object as `s3://…`, for messages.
    pub(super) fn shown(&self, name: &str) -> String {
        format!("s3://{}/{}", self.bucket, self.key(name))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.prefix.is_empty() { "" } else { "/" };
        write!(out, "s3://{}{separator}{}", self.bucket, self.prefix)
    }
}

/// The name of a backup's object, and of its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct ObjectName(String);

impl ObjectName {
    /// The name of a backup whose file has this BLAKE3 digest. Two files never share a name, so an object that `latest` names is
    /// never written again.
    pub(super) fn of(head: &Head, blake3: &str) -> ObjectName {
        let after = head.continues.map_or(0, |continues| continues.records);
        let digest: String = blake3.chars().take(DIGEST_CHARS).collect();
        ObjectName(format!("{}-e{}-{after:015}-{:015}-{digest}{BACKUP}", head.ledger, head.epoch, head.records))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The object that says what this one stands on.
    pub(super) fn chain(&self) -> String {
        format!("{}{CHAIN}", self.0)
    }
}

impl TryFrom<String> for ObjectName {
    type Error = String;

    fn try_from(name: String) -> Result<ObjectName, String> {
        let is_name = name.len() <= CHARS_MAX
            && name.ends_with(BACKUP)
            && name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
        if is_name { Ok(ObjectName(name)) } else { Err(format!("{name:?} is no name of a backup's object")) }
    }
}

impl From<ObjectName> for String {
    fn from(name: ObjectName) -> String {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_bucket_and_a_prefix() {
        let place = Place::parse("s3://books/etebar/east/").unwrap();
        assert_eq!((place.bucket.as_str(), place.key("latest").as_str()), ("books", "etebar/east/latest"));
        assert_eq!(place.to_string(), "s3://books/etebar/east");
        assert_eq!(Place::parse("s3://books").unwrap().key("latest"), "latest");
        for text in
            ["books", "s3://", "s3://b", "s3://books//a", "s3://books/a/../b", "s3://bo oks/a", "s3://books/a\n"]
        {
            assert!(matches!(Place::parse(text), Err(CliError::Usage(_))), "{text}");
        }
    }

    #[test]
    fn a_name_of_an_object_is_one_of_a_file() {
        let (place, name) = Place::parse_with_name("s3://books/etebar/a-1.backup").unwrap();
        assert_eq!(
            (place.to_string(), name),
            ("s3://books/etebar".to_owned(), Some(ObjectName("a-1.backup".to_owned())))
        );
        assert_eq!(Place::parse_with_name("s3://books/etebar").unwrap().1, None);
        for name in ["", ".backup", "../a.backup", "a/b.backup", "a.chain", "a\\b.backup", "-a.backup"] {
            assert!(ObjectName::try_from(name.to_owned()).is_err(), "{name}");
        }
    }
}
