//! Why the storage did not do what it was asked for, and what a person can do about it.

use crate::output::error::CliError;

/// Why a request has no answer that is of use.
#[derive(Debug)]
pub(super) enum StorageError {
    /// Not reached, or busy, at every attempt.
    Unavailable {
        attempts: u32,
        why: String,
    },
    /// It did not prove to be this host.
    Untrusted(String),
    Refused(Refusal),
}

/// A "no" that another attempt does not change.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// S3's name for it; empty where the answer has none.
    pub(super) code: String,
    message: String,
}

/// What may be answered otherwise a moment later.
const PASSING: [&str; 6] =
    ["InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown", "ThrottlingException"];
/// What is said of wrong credentials.
const CREDENTIALS: [&str; 6] = [
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
];

impl Refusal {
    /// Reads an answer that is no success.
    pub(super) fn read(status: u16, body: &[u8]) -> Refusal {
        let text = String::from_utf8_lossy(body);
        let field = |name: &str| {
            let after = text.split_once(&format!("<{name}>")).map(|(_, after)| after);
            let inner = after.and_then(|after| after.split_once(&format!("</{name}>")));
            inner.map_or_else(String::new, |(inner, _)| inner.trim().to_owned())
        };
        Refusal { status, code: field("Code"), message: field("Message") }
    }

    /// Whether another attempt may succeed.
    pub(super) fn is_passing(&self) -> bool {
        self.status >= 500 || [408, 429].contains(&self.status) || PASSING.contains(&self.code.as_str())
    }

    /// Whether there is no such object, and nothing else is wrong.
    pub(super) fn is_absent(&self) -> bool {
        self.status == 404 && self.code != "NoSuchBucket"
    }

    /// As S3 says it.
    pub(super) fn said(&self) -> String {
        let code = if self.code.is_empty() { String::new() } else { format!(" {}", self.code) };
        let message = if self.message.is_empty() { String::new() } else { format!(": {}", self.message) };
        format!("{}{code}{message}", self.status)
    }
}

impl StorageError {
    /// The failure of what was asked of `storage`, such as "to list the parts".
    pub(super) fn explained(self, storage: &str, bucket: &str, what: &str) -> CliError {
        let (text, hint, code) = match self {
            StorageError::Unavailable { attempts, why } => (
                format!("{storage} does not answer {what} ({attempts} attempts): {why}"),
                "what was done stays: the same command goes on where it was cut",
                3,
            ),
            StorageError::Untrusted(why) => (
                format!("{storage} is not trusted: {why}"),
                "nothing was sent. An authority of your own is given with --s3-ca FILE or ETEBAR_S3_CA",
                3,
            ),
            StorageError::Refused(refusal) if refusal.code == "NoSuchBucket" => (
                format!("there is no bucket {bucket} at {storage}"),
                "make it first, or correct its name, --s3-endpoint or --s3-region",
                1,
            ),
            StorageError::Refused(refusal) if CREDENTIALS.contains(&refusal.code.as_str()) => (
                format!("{storage} refuses the credentials: {}", refusal.said()),
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN where there is one) to those of this storage, \
                 and --s3-region to its region",
                1,
            ),
            StorageError::Refused(refusal) if refusal.status == 403 => (
                format!("{storage} does not permit {what}: {}", refusal.said()),
                "docs/operator.md lists what the credentials have to permit, and on which objects",
                1,
            ),
            StorageError::Refused(refusal) => (
                format!("{storage} refuses {what}: {}", refusal.said()),
                "correct what it names; --s3-endpoint and --s3-region say where the bucket is",
                1,
            ),
        };
        CliError::Advised { text, hint: hint.to_owned(), code }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_from_xml_and_from_anything_else() {
        let xml = b"<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message> Reduce it. </Message></Error>";
        let refusal = Refusal::read(400, xml);
        assert!(refusal.is_passing() && !refusal.is_absent());
        assert_eq!(refusal.said(), "400 SlowDown: Reduce it.");
        assert_eq!(Refusal::read(404, b"<html>").said(), "404");
        assert!(Refusal::read(404, b"<Code>NoSuchKey</Code>").is_absent());
        assert!(!Refusal::read(404, b"<Code>NoSuchBucket</Code>").is_absent());
        assert!(Refusal::read(502, b"").is_passing() && !Refusal::read(403, b"").is_passing());
    }

    #[test]
    fn each_kind_of_failure_has_its_exit_code() {
        let code = |error: StorageError| error.explained("http://s3", "books", "to read an object").exit_code();
        assert_eq!(code(StorageError::Unavailable { attempts: 8, why: "refused".to_owned() }), 3);
        assert_eq!(code(StorageError::Untrusted("unknown".to_owned())), 3);
        for body in ["<Code>NoSuchBucket</Code>", "<Code>InvalidAccessKeyId</Code>", "<Code>AccessDenied</Code>", ""] {
            assert_eq!(code(StorageError::Refused(Refusal::read(403, body.as_bytes()))), 1, "{body}");
        }
    }
}
