//! What a build of the node says of itself in its hello: which versions of the link it speaks, which rules it knows, and how it
//! is called.

use std::fmt;

use ledger::RULES_VERSION;

use crate::storage::format::Kind;

/// A version of the link: the layout of every frame after the hello. It stands at the beginning of each.
pub type LinkVersion = u8;

/// The versions of the link that this build speaks. A change of any frame takes a new one; the one before stays for as long
/// as builds that speak no other are to be replaced one after the other.
pub const LINK_VERSIONS: LinkSpan = LinkSpan { lowest: 4, highest: Kind::Message.version() };

/// All versions from one to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkSpan {
    /// The lowest version.
    pub lowest: LinkVersion,
    /// The highest version.
    pub highest: LinkVersion,
}

impl LinkSpan {
    /// The highest version that is in both.
    pub fn common(self, other: Self) -> Option<LinkVersion> {
        let highest = self.highest.min(other.highest);
        (highest >= self.lowest.max(other.lowest)).then_some(highest)
    }
}

impl fmt::Display for LinkSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lowest == self.highest {
            return self.highest.fmt(f);
        }
        write!(f, "{} to {}", self.lowest, self.highest)
    }
}

/// What a build can do, as it says it in its hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build {
    /// The versions of the link that it speaks.
    pub link: LinkSpan,
    /// The newest version of the ledger's rules that it knows; it knows all before it.
    pub rules: u32,
    /// How it is called.
    pub name: BuildName,
}

impl Build {
    /// This build.
    pub const OWN: Self = Self { link: LINK_VERSIONS, rules: RULES_VERSION, name: BuildName::OWN };
}

/// Longest name of a build, in bytes. Source: a version of three large numbers, `+`, and a commit in hexadecimal.
const NAME_BYTES: usize = 60;

/// How a build is called, for people alone: nothing is decided by it. Visible ASCII, at most 60 bytes; empty where a build does
/// not say it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BuildName {
    bytes: [u8; NAME_BYTES],
    length: u8,
}

impl BuildName {
    /// That of a build that does not say one.
    pub const NONE: Self = Self { bytes: [0; NAME_BYTES], length: 0 };

    /// This build's: the version of the package, as in `0.1.0`, and `+` with the commit where the variable `ETEBAR_COMMIT` named
    /// it when the build was made, as in `0.1.0+9ab0f09`.
    pub const OWN: Self = {
        let version = Self::NONE.followed_by(env!("CARGO_PKG_VERSION"));
        match option_env!("ETEBAR_COMMIT") {
            Some(commit) if !commit.is_empty() => version.followed_by("+").followed_by(commit),
            Some(_) | None => version,
        }
    };

    const fn followed_by(mut self, text: &str) -> Self {
        let text = text.as_bytes();
        let mut place = 0;
        while place < text.len() && (self.length as usize) < NAME_BYTES {
            assert!(text[place].is_ascii_graphic(), "a build's name is visible ASCII");
            self.bytes[self.length as usize] = text[place];
            self.length += 1;
            place += 1;
        }
        self
    }

    /// The name that these bytes are; `None` where they are too many, or others than visible ASCII.
    pub fn new(text: &[u8]) -> Option<Self> {
        if !text.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        let mut name = Self::NONE;
        name.bytes.get_mut(..text.len())?.copy_from_slice(text);
        name.length = u8::try_from(text.len()).ok()?;
        Some(name)
    }

    /// Its text; empty where the build does not say one.
    pub fn as_str(&self) -> &str {
        let text = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl fmt::Debug for BuildName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn span(lowest: LinkVersion, highest: LinkVersion) -> LinkSpan {
        LinkSpan { lowest, highest }
    }

    #[test]
    fn a_build_has_a_short_name_of_visible_characters() {
        let own = BuildName::OWN;
        assert!(own.as_str().starts_with(env!("CARGO_PKG_VERSION")), "{own:?}");
        assert_eq!(BuildName::new(own.as_str().as_bytes()), Some(own));
        assert_eq!(BuildName::new(b""), Some(BuildName::NONE));
        assert_eq!(BuildName::new(&[b'x'; NAME_BYTES]).unwrap().as_str().len(), NAME_BYTES);
        for wrong in [&[b'x'; NAME_BYTES + 1][..], b"1 2", b"1\n", "۱".as_bytes()] {
            assert_eq!(BuildName::new(wrong), None, "{wrong:?}");
        }
        assert_eq!(BuildName::NONE.followed_by(&"7".repeat(99)).as_str(), "7".repeat(NAME_BYTES));
    }

    #[test]
    fn two_builds_speak_the_highest_version_that_both_know() {
        for (one, other, common) in [
            (span(4, 4), span(4, 4), Some(4)),
            (span(4, 5), span(4, 4), Some(4)),
            (span(4, 6), span(5, 9), Some(6)),
            (span(4, 4), span(5, 6), None),
        ] {
            assert_eq!((one.common(other), other.common(one)), (common, common), "{one} and {other}");
        }
    }
}
