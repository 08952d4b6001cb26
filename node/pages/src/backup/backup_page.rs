//! A page in a backup file, and where it stands there.

/// The page of a backup, as it stands in the pages of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupPage {
    /// Which page, from 0.
    pub number: u64,
    /// Its bytes; [`super::Head::decode`] gives its records.
    pub bytes: Vec<u8>,
    /// Where its frame begins, by which [`super::read_page`] reads it again.
    pub place: PagePlace,
}

/// Where the frame of a page is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PagePlace {
    /// Which file of a [`super::Chain`], from 0.
    pub file: usize,
    /// Bytes before it in the file.
    pub offset: u64,
}

/// How much of a backup was read or written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Pages.
    pub pages: u64,
    /// Their bytes, without those of the frames around them.
    pub bytes: u64,
}
