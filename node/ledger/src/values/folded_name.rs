//! Names compared as people see them: two names fold to the same text exactly where people cannot distinguish them.
//!
//! Canonical decomposition and full case folding (Unicode, section 3.13, D145), Arabic yeh and kaf as the Persian ones,
//! runs of spaces as one, zero-width non-joiners as nothing. Replicas must agree on it, also when records are read
//! again years later: the tables are pinned in `Cargo.toml`, [`Name`]s are checked at the edge to have characters that
//! these know alone, and of those Unicode promises never to change either. `caseless` is the one dependency of this
//! crate that links `std`; it is a table and an iterator, and this crate still can name neither clock nor file.

use alloc::boxed::Box;
use alloc::string::String;

use caseless::Caseless;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::rules::RULES_FOLDED_NAMES;
use super::text::Name;

/// The form of a name that is compared. Kept in memory and in an image of it, never in a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FoldedName(Box<str>);

impl FoldedName {
    /// As people see it.
    pub fn of(name: &Name) -> Self {
        let letters = name
            .as_str()
            .chars()
            .nfd()
            .default_case_fold()
            .nfd()
            .filter(|char| *char != '\u{200c}')
            .map(one_of_its_kind);
        let mut folded = String::with_capacity(name.as_str().len());
        for char in letters {
            if char != ' ' || !(folded.is_empty() || folded.ends_with(' ')) {
                folded.push(char);
            }
        }
        folded.truncate(folded.trim_end_matches(' ').len());
        Self(folded.into_boxed_str())
    }

    /// Byte for byte, as under the rules of version 1.
    pub fn exact(name: &Name) -> Self {
        Self(name.as_str().into())
    }

    /// The form of a name that is compared in a ledger of these rules.
    pub fn under(rules: u32, name: &Name) -> Self {
        if rules >= RULES_FOLDED_NAMES { Self::of(name) } else { Self::exact(name) }
    }

    /// The text that is compared.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One character for those that look alike: the two Arabic letters that Persian keyboards of old wrote, and the spaces
/// (`General_Category` `Zs`).
fn one_of_its_kind(char: char) -> char {
    match char {
        '\u{64a}' => '\u{6cc}',
        '\u{643}' => '\u{6a9}',
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        char => char,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(name: &str) -> FoldedName {
        FoldedName::of(&Name::new(name).unwrap())
    }

    #[test]
    fn names_that_look_alike_are_one() {
        let alike: [&[&str]; 8] = [
            &["kiosk 12", "Kiosk 12", "KIOSK  12", "kiosk\u{a0}12", "kiosk \u{3000} 12"],
            &["\u{e9}cole", "e\u{301}cole", "\u{c9}COLE", "E\u{301}cole"],
            &["علی", "علي"],
            &["کیوسک", "كيوسك", "كیوسک"],
            &["رئیس", "رئيس", "ري\u{654}يس", "ری\u{654}یس"],
            &["stra\u{df}e", "STRASSE", "strasse", "STRA\u{1e9e}E"],
            &["\u{3c3}\u{3bf}\u{3c6}\u{3cc}\u{3c2}", "\u{3a3}\u{39f}\u{3a6}\u{38c}\u{3a3}"],
            &["نمایندگی\u{200c}ها", "نمایندگیها"],
        ];
        for names in alike {
            for name in names {
                assert_eq!(folded(name), folded(names[0]), "{name}");
            }
        }
        let apart = ["kiosk 12", "kiosk12", "kiosk 1", "école", "ecole", "علی", "على", "کیوسک", "strase", "کی و سک"];
        for (index, name) in apart.iter().enumerate() {
            assert!(apart[index + 1..].iter().all(|other| folded(name) != folded(other)), "{name}");
        }
        assert_ne!(FoldedName::exact(&Name::new("A").unwrap()), FoldedName::exact(&Name::new("a").unwrap()));
    }

    /// Where a newer table changes this, it must have changed characters alone that were unassigned before; those the edge
    /// refused (`client/api/src/values/text/name.rs`). Otherwise it needs a new rules version.
    #[test]
    fn the_tables_of_rules_version_2_stay_as_they_are() {
        let mut tables = blake3::Hasher::new();
        for char in ('\0'..=char::MAX).filter(|char| !char.is_control()) {
            let name = Name(alloc::format!("a{char}b").into());
            tables.update(FoldedName::of(&name).0.as_bytes());
            tables.update(&[0]);
        }
        assert_eq!(
            tables.finalize().to_hex().as_str(),
            "3e9ab25354ebaac9848fca1d3c4631a6cb87a2058034eaa14dd51ca7ed1b7211"
        );
    }
}
