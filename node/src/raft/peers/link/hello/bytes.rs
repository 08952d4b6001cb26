//! The bytes of the hello and of its answer, written by hand.
//!
//! Frozen: every build, however old or new, reads these fields at these places. What is added comes after them, and is skipped
//! by a build that does not know it. Integers are big-endian. Layout: `docs/format.md`, section Peer link.

use ledger::{Incarnation, NodeNumber};
use uuid::Uuid;

use super::version::{Build, BuildName, LinkSpan, LinkVersion};
use crate::raft::peers::link::error::{HelloRefusal, LinkError};
use crate::raft::peers::link::message::Purpose;

/// What a hello begins with, so that another protocol is told from it.
const MAGIC: [u8; 4] = *b"ETBR";
/// The first byte of an answer that welcomes; all others refuse.
const WELCOME: u8 = 0;

/// What the caller says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello {
    /// What its build can do.
    pub build: Build,
    /// The id of its cluster.
    pub cluster: Uuid,
    /// The id of its ledger.
    pub ledger: Uuid,
    /// How often that was restored, and one.
    pub epoch: u32,
    /// Its number.
    pub node: NodeNumber,
    /// Its data directory.
    pub incarnation: Incarnation,
    /// Whom it calls.
    pub to: NodeNumber,
    /// What for.
    pub purpose: CalledFor,
}

/// What a caller says that it calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalledFor {
    /// A purpose that this build knows.
    Known(Purpose),
    /// One that it does not: the caller's build is newer.
    Unknown(u8),
}

/// What it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Welcome {
    /// The connection is open.
    Welcome {
        /// The version of the link that is used from here on.
        version: LinkVersion,
        /// The newest rules that the answering build knows.
        rules: u32,
        /// The answering node.
        node: NodeNumber,
        /// Its data directory.
        incarnation: Incarnation,
        /// How the answering build is called.
        name: BuildName,
    },
    /// It is refused, and closed.
    Refused(HelloRefusal),
}

impl Hello {
    /// The frame's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let purpose = match self.purpose {
            CalledFor::Known(purpose) => byte_of(purpose),
            CalledFor::Unknown(byte) => byte,
        };
        let mut bytes = MAGIC.to_vec();
        bytes.extend([self.build.link.lowest, self.build.link.highest]);
        bytes.extend(self.build.rules.to_be_bytes());
        bytes.extend(self.cluster.as_bytes());
        bytes.extend(self.ledger.as_bytes());
        bytes.extend(self.epoch.to_be_bytes());
        bytes.extend(self.node.to_be_bytes());
        bytes.extend(self.incarnation.as_bytes());
        bytes.extend(self.to.to_be_bytes());
        bytes.push(purpose);
        push_name(&mut bytes, &self.build.name);
        bytes
    }

    /// What these bytes say.
    ///
    /// # Errors
    /// Where they are no hello.
    pub fn decode(bytes: &[u8]) -> Result<Self, LinkError> {
        let mut fields = Fields(bytes);
        if fields.take()? != MAGIC {
            return Err(LinkError::Malformed("it is no hello".to_owned()));
        }
        let link = LinkSpan { lowest: fields.u8()?, highest: fields.u8()? };
        let mut hello = Self {
            build: Build { link, rules: fields.u32()?, name: BuildName::NONE },
            cluster: fields.uuid()?,
            ledger: fields.uuid()?,
            epoch: fields.u32()?,
            node: fields.u64()?,
            incarnation: fields.uuid()?,
            to: fields.u64()?,
            purpose: purpose_of(fields.u8()?),
        };
        hello.build.name = fields.name();
        Ok(hello)
    }
}

impl Welcome {
    /// The frame's bytes.
    pub fn encode(&self) -> Vec<u8> {
        match *self {
            Self::Welcome { version, rules, node, incarnation, name } => {
                let mut bytes = vec![WELCOME, version];
                bytes.extend(rules.to_be_bytes());
                bytes.extend(node.to_be_bytes());
                bytes.extend(incarnation.as_bytes());
                push_name(&mut bytes, &name);
                bytes
            }
            Self::Refused(HelloRefusal::Version(span)) => vec![1, span.lowest, span.highest],
            Self::Refused(HelloRefusal::Certificate) => vec![2],
            Self::Refused(HelloRefusal::Address) => vec![3],
            Self::Refused(HelloRefusal::NoMember) => vec![4],
            Self::Refused(HelloRefusal::Directory) => vec![5],
            Self::Refused(HelloRefusal::Disk) => vec![6],
            Self::Refused(HelloRefusal::Purpose) => vec![7],
            Self::Refused(HelloRefusal::Ledger) => vec![8],
            Self::Refused(HelloRefusal::Other(byte)) => vec![byte],
        }
    }

    /// What these bytes say.
    ///
    /// # Errors
    /// Where they are no answer to a hello.
    pub fn decode(bytes: &[u8]) -> Result<Self, LinkError> {
        let mut fields = Fields(bytes);
        let refusal = match fields.u8()? {
            WELCOME => {
                return Ok(Self::Welcome {
                    version: fields.u8()?,
                    rules: fields.u32()?,
                    node: fields.u64()?,
                    incarnation: fields.uuid()?,
                    name: fields.name(),
                });
            }
            1 => HelloRefusal::Version(LinkSpan { lowest: fields.u8()?, highest: fields.u8()? }),
            2 => HelloRefusal::Certificate,
            3 => HelloRefusal::Address,
            4 => HelloRefusal::NoMember,
            5 => HelloRefusal::Directory,
            6 => HelloRefusal::Disk,
            7 => HelloRefusal::Purpose,
            8 => HelloRefusal::Ledger,
            other => HelloRefusal::Other(other),
        };
        Ok(Self::Refused(refusal))
    }
}

/// A build's name, behind its length in one byte. A build that says none appends nothing.
fn push_name(bytes: &mut Vec<u8>, name: &BuildName) {
    let text = name.as_str().as_bytes();
    if let (Ok(length), false) = (u8::try_from(text.len()), text.is_empty()) {
        bytes.push(length);
        bytes.extend(text);
    }
}

fn byte_of(purpose: Purpose) -> u8 {
    match purpose {
        Purpose::Append => 1,
        Purpose::Control => 2,
        Purpose::Forward => 3,
        Purpose::Snapshot => 4,
        Purpose::Join => 5,
    }
}

fn purpose_of(byte: u8) -> CalledFor {
    let purposes = [Purpose::Append, Purpose::Control, Purpose::Forward, Purpose::Snapshot, Purpose::Join];
    purposes.into_iter().find(|purpose| byte_of(*purpose) == byte).map_or(CalledFor::Unknown(byte), CalledFor::Known)
}

/// The bytes that are not read yet.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], LinkError> {
        let (field, rest) =
            self.0.split_first_chunk().ok_or_else(|| LinkError::Malformed("a hello is cut short".to_owned()))?;
        self.0 = rest;
        Ok(*field)
    }

    fn u8(&mut self) -> Result<u8, LinkError> {
        self.take().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Result<u32, LinkError> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, LinkError> {
        self.take().map(u64::from_be_bytes)
    }

    fn uuid(&mut self) -> Result<Uuid, LinkError> {
        self.take().map(Uuid::from_bytes)
    }

    /// The name behind the frozen fields. An older build has none there, and a newer one may have something else.
    fn name(&mut self) -> BuildName {
        let name = self.0.split_first().and_then(|(length, rest)| rest.get(..usize::from(*length)));
        name.and_then(BuildName::new).unwrap_or(BuildName::NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }

    fn hello(purpose: CalledFor) -> Hello {
        Hello {
            build: Build { link: LinkSpan { lowest: 4, highest: 5 }, rules: 2, name: BuildName::NONE },
            cluster: Uuid::from_u128(0xc1),
            ledger: Uuid::from_u128(0x1e),
            epoch: 3,
            node: 1,
            incarnation: Uuid::from_u128(0x1c),
            to: 2,
            purpose,
        }
    }

    #[test]
    fn a_hello_has_the_same_bytes_in_every_build() {
        let golden = "45544252\
                      04\
                      05\
                      00000002\
                      000000000000000000000000000000c1\
                      0000000000000000000000000000001e\
                      00000003\
                      0000000000000001\
                      0000000000000000000000000000001c\
                      0000000000000002\
                      02";
        let hello = hello(CalledFor::Known(Purpose::Control));
        assert_eq!(hex(&hello.encode()), golden);
        assert_eq!(Hello::decode(&hello.encode()).unwrap(), hello);
    }

    #[test]
    fn a_later_build_may_add_to_a_hello_and_know_other_purposes() {
        let later = hello(CalledFor::Unknown(99));
        let bytes = [later.encode().as_slice(), b"more"].concat();
        assert_eq!(Hello::decode(&bytes).unwrap(), later);
        for cut in 0..later.encode().len() {
            assert!(Hello::decode(&later.encode()[..cut]).is_err(), "cut at {cut}");
        }
        let answer = Welcome::Refused(HelloRefusal::Disk);
        assert_eq!(Welcome::decode(&[answer.encode().as_slice(), b"more"].concat()).unwrap(), answer);
    }

    #[test]
    fn a_build_is_named_behind_the_frozen_fields() {
        let name = BuildName::new(b"0.2.0+9ab0f09").unwrap();
        let silent = hello(CalledFor::Known(Purpose::Control));
        let named = Hello { build: Build { name, ..silent.build }, ..silent };
        let golden = format!("{}0d302e322e302b39616230663039", hex(&silent.encode()));
        assert_eq!(hex(&named.encode()), golden);
        assert_eq!(Hello::decode(&[named.encode().as_slice(), b"more"].concat()).unwrap(), named);
        let (version, rules, node, incarnation) = (5, 3, 1, Uuid::from_u128(0x1c));
        let welcome = |name| Welcome::Welcome { version, rules, node, incarnation, name };
        assert_eq!(Welcome::decode(&welcome(name).encode()).unwrap(), welcome(name));
        let cut = &named.encode()[..named.encode().len() - 1];
        assert_eq!(Hello::decode(cut).unwrap(), silent, "a name that is none names nothing");
    }

    #[test]
    fn every_purpose_has_its_byte() {
        let purposes = [Purpose::Append, Purpose::Control, Purpose::Forward, Purpose::Snapshot, Purpose::Join];
        for (purpose, byte) in purposes.into_iter().zip(1..) {
            let hello = hello(CalledFor::Known(purpose));
            assert_eq!(hello.encode().last(), Some(&byte));
            assert_eq!(Hello::decode(&hello.encode()).unwrap(), hello);
        }
    }

    #[test]
    fn every_answer_has_its_bytes() {
        let (incarnation, name) = (Uuid::from_u128(0x1c), BuildName::NONE);
        let welcome = Welcome::Welcome { version: 4, rules: 2, node: 1, incarnation, name };
        let span = LinkSpan { lowest: 4, highest: 5 };
        for (answer, golden) in [
            (welcome, "00040000000200000000000000010000000000000000000000000000001c"),
            (Welcome::Refused(HelloRefusal::Version(span)), "010405"),
            (Welcome::Refused(HelloRefusal::Certificate), "02"),
            (Welcome::Refused(HelloRefusal::Address), "03"),
            (Welcome::Refused(HelloRefusal::NoMember), "04"),
            (Welcome::Refused(HelloRefusal::Directory), "05"),
            (Welcome::Refused(HelloRefusal::Disk), "06"),
            (Welcome::Refused(HelloRefusal::Purpose), "07"),
            (Welcome::Refused(HelloRefusal::Ledger), "08"),
            (Welcome::Refused(HelloRefusal::Other(200)), "c8"),
        ] {
            assert_eq!(hex(&answer.encode()), golden);
            assert_eq!(Welcome::decode(&answer.encode()).unwrap(), answer);
        }
    }
}
