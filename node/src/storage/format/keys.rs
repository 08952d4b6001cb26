//! Keys on the disk: one byte that names the kind, then big-endian fields, so that byte order is number order.
//!
//! An assigned byte is never used again for something else.

/// Kinds of keys of the log.
const GENERATION: u8 = 0x01;
const VOTE: u8 = 0x02;
const COMMITTED: u8 = 0x03;
const PURGED: u8 = 0x04;
const ENTRY: u8 = 0x05;
/// Kinds of keys of the history.
const CHECKPOINT: u8 = 0x11;
const PAGE: u8 = 0x12;
const KNOWN_PEER: u8 = 0x13;
const TIME_MARK: u8 = 0x14;
const INSTALLED: u8 = 0x15;
/// Kinds of keys of the history's lists: the entries of a seller, credit requests, and charges of a phone.
pub(crate) const ENTRIES: u8 = 0x16;
pub(crate) const REQUESTS: u8 = 0x17;
pub(crate) const ANCHORS: u8 = 0x18;
const CONCLUSION: u8 = 0x19;
const STAGED: u8 = 0x1a;
/// One more list: acts.
pub(crate) const ACTS: u8 = 0x1b;

/// Which generation this is, and the first index that it may hold.
pub(crate) fn generation() -> Vec<u8> {
    vec![GENERATION]
}

/// The vote.
pub(crate) fn vote() -> Vec<u8> {
    vec![VOTE]
}

/// The last log id known to be committed.
pub(crate) fn committed() -> Vec<u8> {
    vec![COMMITTED]
}

/// The last log id that was purged.
pub(crate) fn purged() -> Vec<u8> {
    vec![PURGED]
}

/// Part `part` of the log entry `index`.
pub(crate) fn entry(index: u64, part: u16) -> Vec<u8> {
    numbered(ENTRY, index, part)
}

/// After the last part of any log entry.
pub(crate) fn after_entries() -> Vec<u8> {
    vec![ENTRY + 1]
}

/// What the history holds.
pub(crate) fn checkpoint() -> Vec<u8> {
    vec![CHECKPOINT]
}

/// Part `part` of page `page`.
pub(crate) fn page(page: u64, part: u16) -> Vec<u8> {
    numbered(PAGE, page, part)
}

/// The data directory that a node is known by.
pub(crate) fn known_peer(node: u64) -> Vec<u8> {
    [[KNOWN_PEER].as_slice(), &node.to_be_bytes()].concat()
}

/// After the last known peer.
pub(crate) fn after_known_peers() -> Vec<u8> {
    vec![KNOWN_PEER + 1]
}

/// Where ledger time stood by the node's clocks.
pub(crate) fn time_mark() -> Vec<u8> {
    vec![TIME_MARK]
}

/// Which position was installed last.
pub(crate) fn installed() -> Vec<u8> {
    vec![INSTALLED]
}

/// How far the pages of a transfer go that are not installed yet.
pub(crate) fn staged() -> Vec<u8> {
    vec![STAGED]
}

/// The block that begins with the record `first` of a list of `owner`.
pub(crate) fn listed(kind: u8, owner: u64, first: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(17);
    key.push(kind);
    key.extend_from_slice(&owner.to_be_bytes());
    key.extend_from_slice(&first.to_be_bytes());
    key
}

/// What concluded the charge or the credit request of this number.
pub(crate) fn conclusion(subject: u64) -> Vec<u8> {
    [[CONCLUSION].as_slice(), &subject.to_be_bytes()].concat()
}

/// The number and the part that a key of an entry or a page names.
pub(crate) fn read_numbered(key: &[u8]) -> Option<(u64, u16)> {
    let (number, rest) = key.get(1..)?.split_first_chunk::<8>()?;
    let part = <[u8; 2]>::try_from(rest).ok()?;
    Some((u64::from_be_bytes(*number), u16::from_be_bytes(part)))
}

fn numbered(kind: u8, number: u64, part: u16) -> Vec<u8> {
    let mut key = Vec::with_capacity(11);
    key.push(kind);
    key.extend_from_slice(&number.to_be_bytes());
    key.extend_from_slice(&part.to_be_bytes());
    key
}
