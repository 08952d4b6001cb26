//! Checks the source against the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::arrows::{Arrows, Reason, arrows};
use crate::circles::{Circle, circles};
use crate::resolve::is_known;
use crate::rules::{Libraries, Rules, is_within};
use crate::source::tree::{FileId, Role, Tree};

/// What was found.
pub struct Findings {
    /// Of product code.
    pub arrows: Arrows,
    /// Also of product code.
    pub circles: Vec<Circle>,
    /// One line a breach of an order, of a rule about libraries, or of a table that names a path that does not exist.
    pub breaches: Vec<String>,
    /// Folders with more children than the bound, and how many.
    pub crowded: Vec<(String, usize)>,
}

/// Checks all rules.
#[must_use]
pub fn check(tree: &Tree, rules: &Rules) -> Findings {
    let (product, all) = arrows(tree);
    let mut breaches = absent(tree, rules);
    breaches.extend(upward(tree, rules, &all));
    breaches.extend(rules.libraries.iter().flat_map(|rule| misplaced(tree, rule)));
    for root in rules.no_std {
        if !tree.no_std.iter().any(|file| tree.path_of(*file) == *root) {
            breaches.push(format!("{root}: it does not say #![no_std]"));
        }
    }
    Findings { circles: circles(&product), crowded: crowded(tree, rules), arrows: product, breaches }
}

impl Findings {
    /// How many files are in circles.
    #[must_use]
    pub fn files_in_circles(&self) -> usize {
        self.circles.iter().map(|circle| circle.files.len()).sum()
    }
}

/// An arrow for people: `from -> to` with each line that causes it.
#[must_use]
pub fn described(tree: &Tree, from: FileId, to: FileId, reasons: &[Reason]) -> String {
    let mut text = format!("{} -> {}", tree.path_of(from), tree.path_of(to));
    for Reason { line, path, is_import } in reasons {
        let import = if *is_import { "use " } else { "" };
        write!(text, "\n    line {line}: {import}{path}").expect("a text takes whatever is written");
    }
    text
}

/// Paths of the tables that are not there: a rule about them would always hold.
fn absent(tree: &Tree, rules: &Rules) -> Vec<String> {
    let paths = rules.orders.iter().copied().flatten().chain(rules.libraries.iter().map(|rule| &rule.scope));
    let paths: BTreeSet<&str> = paths.copied().collect();
    let is_there = |path: &&str| tree.files.iter().any(|file| is_within(file, path));
    paths.into_iter().filter(|path| !is_there(path)).map(|path| format!("there is no {path} to check")).collect()
}

fn upward(tree: &Tree, rules: &Rules, all: &Arrows) -> Vec<String> {
    let mut breaches = Vec::new();
    for ((from, to), reasons) in all {
        // The rank of a file is the deepest layer that holds it.
        let rank = |order: &[&str], file: FileId| {
            let path = tree.path_of(file);
            let layers = order.iter().enumerate().filter(|(_, layer)| is_within(path, layer));
            layers.max_by_key(|(_, layer)| layer.len()).map(|(rank, _)| rank)
        };
        let points_up = rules.orders.iter().any(|order| match (rank(order, *from), rank(order, *to)) {
            (Some(from), Some(to)) => from > to,
            (None, _) | (_, None) => false,
        });
        if points_up {
            breaches.push(format!("{} (it points up)", described(tree, *from, *to, reasons)));
        }
    }
    breaches
}

fn misplaced(tree: &Tree, rule: &Libraries) -> Vec<String> {
    let mut breaches = Vec::new();
    for mention in &tree.mentions {
        let module = tree.module(mention.module);
        let file = tree.path_of(module.file);
        let Some(first) = mention.path.segments.first() else { continue };
        // One name alone in code is a variable.
        let is_crate =
            mention.path.absolute || tree.libraries.contains_key(first) || !is_known(tree, mention.module, first);
        if rule.names.contains(&first.as_str())
            && (mention.path.absolute || mention.path.segments.len() > 1 || mention.role != Role::Code)
            && is_within(file, rule.scope)
            && !rule.except.iter().any(|path| is_within(file, path))
            && is_crate
        {
            breaches.push(format!("{file}:{}: {}: {}", mention.line, mention.path, rule.why));
        }
    }
    breaches
}

/// Folders of product code with too many children. `name.rs` and `name/` are one child; the folder's own file is none.
fn crowded(tree: &Tree, rules: &Rules) -> Vec<(String, usize)> {
    let mut children: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for file in tree.files.iter().filter(|file| file.contains("/src/")) {
        let mut path = file.trim_end_matches(".rs");
        while let Some((folder, child)) = path.rsplit_once('/') {
            if !["mod", "lib", "main", "tests", "src"].contains(&child) {
                children.entry(folder).or_default().insert(child);
            }
            if folder.ends_with("/src") {
                break;
            }
            path = folder;
        }
    }
    let counted = children.into_iter().map(|(folder, children)| (folder.to_owned(), children.len()));
    counted.filter(|(_, count)| *count > rules.children_max).collect()
}
