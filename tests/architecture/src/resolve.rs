//! Follows a path to the modules and items that it names.

use crate::source::tree::{ModuleId, Path, Tree};

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A module itself.
    Module(ModuleId),
    /// Something that this module defines, or gets from outside our crates.
    Item(ModuleId),
}

/// The names that are being looked up, so that imports in a circle end.
type Trail = Vec<(ModuleId, String)>;

/// What `path` names in `module`; nothing where it leads out of our crates, or is no path.
#[must_use]
pub fn resolve(tree: &Tree, module: ModuleId, path: &Path) -> Vec<Target> {
    follow(tree, module, path, &mut Trail::new())
}

/// Whether a name is known in a module, so that it is no crate's.
#[must_use]
pub fn is_known(tree: &Tree, module: ModuleId, name: &str) -> bool {
    !look_up(tree, module, name, &mut Trail::new()).is_empty()
}

fn follow(tree: &Tree, module: ModuleId, path: &Path, trail: &mut Trail) -> Vec<Target> {
    let Some((first, rest)) = path.segments.split_first() else { return Vec::new() };
    let library = || tree.libraries.get(first).map(|root| Target::Module(*root)).into_iter().collect::<Vec<_>>();
    let starts = match first.as_str() {
        _ if path.absolute => library(),
        "crate" => vec![Target::Module(tree.module(module).root)],
        "self" => vec![Target::Module(module)],
        "super" => tree.module(module).parent.map(Target::Module).into_iter().collect(),
        name => {
            let known = look_up(tree, module, name, trail);
            if known.is_empty() { library() } else { known }
        }
    };
    descend(tree, starts, rest, trail)
}

fn descend(tree: &Tree, targets: Vec<Target>, rest: &[String], trail: &mut Trail) -> Vec<Target> {
    let Some((name, rest)) = rest.split_first() else { return targets };
    let (mut exact, mut items, mut guessed) = (Vec::new(), Vec::new(), Vec::new());
    for target in targets {
        match target {
            // A variant, or an associated item: it is where its type is.
            Target::Item(_) => items.push(target),
            Target::Module(module) => {
                let next = match name.as_str() {
                    "self" => vec![target],
                    "super" => tree.module(module).parent.map(Target::Module).into_iter().collect(),
                    name => look_up(tree, module, name, trail),
                };
                if next.is_empty() {
                    // What a macro made there, or what it has from another crate.
                    guessed.push(Target::Item(module));
                } else {
                    exact.extend(descend(tree, next, rest, trail));
                }
            }
        }
    }
    [exact, items, guessed].into_iter().find(|found| !found.is_empty()).unwrap_or_default()
}

fn look_up(tree: &Tree, id: ModuleId, name: &str, trail: &mut Trail) -> Vec<Target> {
    if trail.iter().any(|(module, looked_up)| *module == id && looked_up == name) {
        return Vec::new();
    }
    trail.push((id, name.to_owned()));
    let module = tree.module(id);
    let mut found: Vec<Target> =
        module.children.get(name).into_iter().flatten().map(|child| Target::Module(*child)).collect();
    if module.items.contains(name) {
        found.push(Target::Item(id));
    }
    for path in module.imports.get(name).into_iter().flatten() {
        found.extend(follow(tree, id, path, trail));
    }
    if found.is_empty() {
        for glob in &module.globs {
            for target in follow(tree, id, glob, trail) {
                if let Target::Module(module) = target {
                    found.extend(look_up(tree, module, name, trail));
                }
            }
        }
    }
    trail.pop();
    found
}
