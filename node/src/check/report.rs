//! What `etebar-node check` found, as lines for people and as JSON.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::identity::FORMAT;
use crate::raft::Build;

/// A thing that is looked at, in the order of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// Whose the directory is, its format, and whether it is whole.
    Identity,
    /// Whether no process serves it.
    Lock,
    /// Whether this build knows the ledger's rules.
    Rules,
    /// Whether the history opens: its checkpoint and the last page.
    History,
    /// Whether the log opens whole and joins the history.
    Log,
}

impl Finding {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [Self::Identity, Self::Lock, Self::Rules, Self::History, Self::Log];

    fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Lock => "lock",
            Self::Rules => "rules",
            Self::History => "history",
            Self::Log => "log",
        }
    }
}

/// One line: a thing that was looked at, or was not because something before it is refused already.
#[derive(Debug, Serialize)]
struct Line {
    check: Finding,
    /// `null` where it was not looked at.
    ok: Option<bool>,
    /// What was found.
    found: Option<String>,
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Report {
    data_dir: PathBuf,
    /// Whether a start of this build would serve it.
    can_serve: bool,
    build: String,
    data_format: u32,
    rules_known: u32,
    link_lowest: u8,
    link_highest: u8,
    checks: Vec<Line>,
    #[serde(skip)]
    is_wrong_setting: bool,
}

impl Report {
    pub(super) fn new(data_dir: PathBuf) -> Self {
        let checks = Finding::ALL.map(|check| Line { check, ok: None, found: None }).into();
        Self {
            data_dir,
            can_serve: false,
            build: Build::OWN.name.as_str().to_owned(),
            data_format: FORMAT,
            rules_known: Build::OWN.rules,
            link_lowest: Build::OWN.link.lowest,
            link_highest: Build::OWN.link.highest,
            checks,
            is_wrong_setting: false,
        }
    }

    pub(super) fn pass(&mut self, check: Finding, found: String) {
        self.set(check, true, found);
        self.can_serve = self.checks.iter().all(|line| line.ok == Some(true));
    }

    pub(super) fn refuse(&mut self, check: Finding, why: String, is_wrong_setting: bool) {
        self.set(check, false, why);
        self.can_serve = false;
        self.is_wrong_setting = is_wrong_setting;
    }

    fn set(&mut self, check: Finding, ok: bool, found: String) {
        if let Some(line) = self.checks.iter_mut().find(|line| line.check == check) {
            (line.ok, line.found) = (Some(ok), Some(found));
        }
    }

    /// Why a start of this build refuses the directory; none where it would serve it. True where the directory is no node's, or
    /// another's: a wrong setting, and no damage.
    pub fn refusal(&self) -> Option<(&str, bool)> {
        let line = self.checks.iter().find(|line| line.ok == Some(false))?;
        Some((line.found.as_deref().unwrap_or_default(), self.is_wrong_setting))
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// A line for each thing.
    pub fn lines(&self) -> String {
        let mut lines = String::new();
        for line in &self.checks {
            let name = line.check.name();
            let found = line.found.as_deref().unwrap_or_default();
            // Writing to a string does not fail.
            let _ = match line.ok {
                Some(true) => writeln!(lines, "{name:<9} ok      {found}"),
                Some(false) => writeln!(lines, "{name:<9} REFUSED {found}"),
                None => writeln!(lines, "{name:<9} -       not looked at"),
            };
        }
        lines
    }
}
