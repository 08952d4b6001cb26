//! What a build of the node says of itself in its hello: which versions of the link it speaks, and which rules it knows.

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
}

impl Build {
    /// This build.
    pub const OWN: Self = Self { link: LINK_VERSIONS, rules: RULES_VERSION };
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn span(lowest: LinkVersion, highest: LinkVersion) -> LinkSpan {
        LinkSpan { lowest, highest }
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
