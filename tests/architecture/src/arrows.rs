//! Draws the arrows: which file names something that another file defines.

use std::collections::BTreeMap;

use crate::resolve::{Target, resolve};
use crate::source::tree::{FileId, Mention, ModuleId, Role, Tree};

/// Where a file names another, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// From 1.
    pub line: usize,
    /// What the file names.
    pub path: String,
    /// Whether a `use` does.
    pub is_import: bool,
}

/// The reasons of each arrow, by the files at its ends; in product code, or in tests too.
pub type Arrows = BTreeMap<(FileId, FileId), Vec<Reason>>;

/// The arrows of product code, and those of all code.
#[must_use]
pub fn arrows(tree: &Tree) -> (Arrows, Arrows) {
    let (mut product, mut all) = (Arrows::new(), Arrows::new());
    for mention in &tree.mentions {
        let from = tree.module(mention.module).file;
        let is_import = mention.role != Role::Code;
        let reason = Reason { line: mention.line, path: mention.path.to_string(), is_import };
        for module in named_by(tree, mention) {
            let to = tree.module(module).file;
            if from == to {
                continue;
            }
            if !mention.is_test {
                add(&mut product, (from, to), &reason);
            }
            add(&mut all, (from, to), &reason);
        }
    }
    (product, all)
}

fn add(arrows: &mut Arrows, ends: (FileId, FileId), reason: &Reason) {
    let reasons = arrows.entry(ends).or_default();
    if !reasons.contains(reason) {
        reasons.push(reason.clone());
    }
}

/// The modules whose items a mention names. Modules alone are no items: what is named through them counts where it is named.
fn named_by(tree: &Tree, mention: &Mention) -> Vec<ModuleId> {
    let items = resolve(tree, mention.module, &mention.path).into_iter().filter_map(|target| match target {
        Target::Item(module) => Some(module),
        Target::Module(_) => None,
    });
    match mention.role {
        Role::ReExport | Role::GlobReExport => items.filter(|module| !tree.is_below(*module, mention.module)).collect(),
        Role::Import | Role::Glob | Role::Code => items.collect(),
    }
}
