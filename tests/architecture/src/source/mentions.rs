//! Finds the paths that an item mentions: in types, expressions and patterns, in the tokens of macros and attributes, and in
//! `use` inside functions.

use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::source::tree::Path;

/// One name that a `use` brings.
pub struct Import {
    /// What it brings.
    pub path: Path,
    /// The name under which it is known here; none for `*` and `_`.
    pub name: Option<String>,
    /// Whether it brings all names of the path.
    pub is_glob: bool,
    /// From 1.
    pub line: usize,
}

/// A path in code.
pub struct Found {
    /// As it is written.
    pub path: Path,
    /// From 1.
    pub line: usize,
    /// Whether only tests see it.
    pub is_test: bool,
}

/// What an item mentions.
#[derive(Default)]
pub struct Mentions {
    /// Paths, in the order of the text.
    pub found: Vec<Found>,
    /// Of `use` inside functions; they are taken as the module's.
    pub imports: Vec<Import>,
    is_test: bool,
}

/// All that `item` mentions.
#[must_use]
pub fn mentions(item: &syn::Item, is_test: bool) -> Mentions {
    let mut mentions = Mentions { is_test, ..Mentions::default() };
    mentions.visit_item(item);
    mentions
}

/// Whether attributes say that only tests see the item: `#[test]`, `#[cfg(test)]`, `#[cfg(all(test, ..))]`.
#[must_use]
pub fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        if attribute.path().segments.last().is_some_and(|last| last.ident == "test") {
            return true;
        }
        match &attribute.meta {
            syn::Meta::List(list) if list.path.is_ident("cfg") => {
                let words: Vec<String> = list.tokens.clone().into_iter().map(|token| token.to_string()).collect();
                words.first().is_some_and(|word| word == "test")
                    || (words.first().is_some_and(|word| word == "all")
                        && words.get(1).is_some_and(|group| group.contains("test") && !group.contains("not")))
            }
            syn::Meta::List(_) | syn::Meta::Path(_) | syn::Meta::NameValue(_) => false,
        }
    })
}

/// The names that a `use` brings, flat.
#[must_use]
pub fn imports(item: &syn::ItemUse) -> Vec<Import> {
    let mut flat = Vec::new();
    let start = Path { absolute: item.leading_colon.is_some(), segments: Vec::new() };
    flatten(&item.tree, &start, &mut flat);
    flat
}

fn flatten(tree: &syn::UseTree, before: &Path, flat: &mut Vec<Import>) {
    let line = tree.span().start().line;
    let with = |ident: &syn::Ident| {
        let mut path = before.clone();
        path.segments.push(ident.unraw().to_string());
        path
    };
    // `use a::{self}` brings `a` itself.
    let named =
        |ident: &syn::Ident| if ident == "self" && !before.segments.is_empty() { before.clone() } else { with(ident) };
    match tree {
        syn::UseTree::Path(path) => flatten(&path.tree, &with(&path.ident), flat),
        syn::UseTree::Name(name) => {
            let path = named(&name.ident);
            flat.push(Import { name: path.segments.last().cloned(), path, is_glob: false, line });
        }
        syn::UseTree::Rename(rename) => {
            let name = (rename.rename != "_").then(|| rename.rename.unraw().to_string());
            flat.push(Import { path: named(&rename.ident), name, is_glob: false, line });
        }
        syn::UseTree::Glob(_) => flat.push(Import { path: before.clone(), name: None, is_glob: true, line }),
        syn::UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, before, flat)),
    }
}

impl Mentions {
    fn add(&mut self, path: Path, line: usize) {
        self.found.push(Found { path, line, is_test: self.is_test });
    }

    /// Visits within what has these attributes.
    fn within(&mut self, attributes: &[syn::Attribute], visit: impl FnOnce(&mut Self)) {
        let before = self.is_test;
        self.is_test |= is_test(attributes);
        visit(self);
        self.is_test = before;
    }

    /// Takes each chain of names in tokens as a path; one that is no path resolves to nothing later.
    fn scan(&mut self, tokens: TokenStream, in_attribute: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is = |at: Option<usize>, expected: char| matches!(at.and_then(|at| tokens.get(at)), Some(TokenTree::Punct(punct)) if punct.as_char() == expected);
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Group(group) => self.scan(group.stream(), in_attribute),
                TokenTree::Literal(literal) if in_attribute => self.scan_string(literal),
                TokenTree::Literal(_) | TokenTree::Punct(_) => {}
                TokenTree::Ident(first) => {
                    let is_member = is(at.checked_sub(1), '.') && !is(at.checked_sub(2), '.');
                    let absolute = is(at.checked_sub(1), ':') && is(at.checked_sub(2), ':');
                    let mut segments = vec![first.unraw().to_string()];
                    while is(Some(at + 1), ':')
                        && is(Some(at + 2), ':')
                        && let Some(TokenTree::Ident(next)) = tokens.get(at + 3)
                    {
                        segments.push(next.unraw().to_string());
                        at += 3;
                    }
                    if !is_member {
                        self.add(Path { absolute, segments }, first.span().start().line);
                    }
                }
            }
            at += 1;
        }
    }

    /// A string of an attribute that is a path, as in `#[serde(with = "crate::time")]`.
    fn scan_string(&mut self, literal: &proc_macro2::Literal) {
        let text = literal.to_string();
        let text = text.trim_matches('"');
        if text.contains("::")
            && let Ok(path) = syn::parse_str::<syn::Path>(text)
        {
            self.add(plain(&path), literal.span().start().line);
        }
    }
}

fn plain(path: &syn::Path) -> Path {
    Path {
        absolute: path.leading_colon.is_some(),
        segments: path.segments.iter().map(|segment| segment.ident.unraw().to_string()).collect(),
    }
}

impl<'ast> Visit<'ast> for Mentions {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.add(plain(path), path.span().start().line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, node: &'ast syn::Macro) {
        self.visit_path(&node.path);
        self.scan(node.tokens.clone(), false);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        match &attribute.meta {
            syn::Meta::List(list) if !list.path.is_ident("cfg") && !list.path.is_ident("doc") => {
                self.visit_path(&list.path);
                self.scan(list.tokens.clone(), true);
            }
            syn::Meta::Path(path) => self.visit_path(path),
            syn::Meta::List(_) | syn::Meta::NameValue(_) => {}
        }
    }

    // Where something may be seen, `pub(in path)`, is no use of it.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.imports.extend(imports(item));
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.within(&item.attrs, |mentions| visit::visit_item_fn(mentions, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.within(&item.attrs, |mentions| visit::visit_impl_item_fn(mentions, item));
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.within(&item.attrs, |mentions| visit::visit_trait_item_fn(mentions, item));
    }
}
