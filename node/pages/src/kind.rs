//! The kinds of things that have bytes, each with a version of its own: one that changes leaves the others as they are.
//!
//! A version is a byte. It is raised where the bytes of a kind change, and never used again for others. Version 1 of every
//! kind was written before the first release, and is not read.

/// What bytes stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A log entry, and each of its parts on the disk.
    LogEntry,
    /// The commands of a log entry.
    Commands,
    /// The vote.
    Vote,
    /// A position of the log: committed, purged, installed.
    LogPosition,
    /// The heading of a generation of the log.
    Generation,
    /// How far a generation got.
    LogHighWater,
    /// Each part of a page on the disk.
    Page,
    /// A record. Its version follows the rules of the ledger and not the build, since pages are equal byte for byte on all
    /// replicas: another layout is one of new rules, and records that were decided under older ones keep theirs.
    Record,
    /// The checkpoint.
    Checkpoint,
    /// How far the history got.
    HistoryHighWater,
    /// A known peer.
    KnownPeer,
    /// A mark of ledger time.
    TimeMark,
    /// The frame around a high-water mark in its file.
    HighWater,
    /// A block of a list of record numbers.
    List,
    /// How a charge or a credit request was concluded.
    Conclusion,
    /// How far the pages of a transfer go that are not installed yet.
    Staged,
    /// A part of an image. Raised with every change of what it holds: an image of another version is not read.
    Image,
    /// A frame of a backup file.
    Backup,
    /// A message of the peer link. The two sides agree on a version; this is the newest that the build speaks.
    Message,
}

impl Kind {
    /// The version that this build writes, and the one that it reads.
    pub const fn version(self) -> u8 {
        match self {
            Self::LogEntry
            | Self::Commands
            | Self::Vote
            | Self::LogPosition
            | Self::Generation
            | Self::LogHighWater
            | Self::Page
            | Self::Record
            | Self::Checkpoint
            | Self::HistoryHighWater
            | Self::KnownPeer
            | Self::TimeMark
            | Self::HighWater
            | Self::List
            | Self::Conclusion
            | Self::Staged
            | Self::Image
            | Self::Backup => 2,
            // Versions up to 3 had no hello that both sides could go by.
            Self::Message => 6,
        }
    }

    /// How it is called in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LogEntry => "a log entry",
            Self::Commands => "the commands of a log entry",
            Self::Vote => "the vote",
            Self::LogPosition => "a position of the log",
            Self::Generation => "the heading of a log generation",
            Self::LogHighWater => "the high-water mark of a log generation",
            Self::Page => "a page",
            Self::Record => "a record",
            Self::Checkpoint => "a checkpoint",
            Self::HistoryHighWater => "the high-water mark of the history",
            Self::KnownPeer => "a known peer",
            Self::TimeMark => "a mark of ledger time",
            Self::HighWater => "a high-water mark",
            Self::List => "a list of records",
            Self::Conclusion => "a conclusion",
            Self::Staged => "the mark of pages that were received",
            Self::Image => "a part of an image",
            Self::Backup => "a frame of a backup",
            Self::Message => "a message between nodes",
        }
    }
}
