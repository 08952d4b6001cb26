//! Reads the crates into a [`Tree`]: follows each `mod` to its file, as rustc does.

use std::path::{Path, PathBuf};

use syn::ext::IdentExt;

use crate::source::mentions::{Import, imports, is_test, mentions};
use crate::source::packages::{CrateRoot, ReadError, crate_roots, read};
use crate::source::tree::{self, Mention, ModuleId, Role, Tree};

/// Reads all crates of the repository.
///
/// # Errors
/// Where a file cannot be read, or is no Rust.
pub fn load(root: &Path) -> Result<Tree, ReadError> {
    let mut loader = Loader { root, tree: Tree::default() };
    for CrateRoot { library, file, is_test } in crate_roots(root)? {
        let folder = file.parent().unwrap_or(root).to_owned();
        let module = loader.load_file(None, &file, folder, is_test)?;
        if let Some(library) = library {
            loader.tree.libraries.insert(library, module);
        }
    }
    Ok(loader.tree)
}

struct Loader<'a> {
    root: &'a Path,
    tree: Tree,
}

/// Where a module's code stands.
#[derive(Clone)]
struct Place {
    file: PathBuf,
    /// Where its child modules have their files.
    folder: PathBuf,
    /// Whether it is a block in a file, not a file.
    is_inline: bool,
}

impl Loader<'_> {
    fn load_file(
        &mut self,
        parent: Option<ModuleId>,
        file: &Path,
        folder: PathBuf,
        test: bool,
    ) -> Result<ModuleId, ReadError> {
        let syntax = syn::parse_file(&read(file)?).map_err(|source| ReadError::Syntax {
            path: file.to_owned(),
            line: source.span().start().line,
            source,
        })?;
        let name = file.strip_prefix(self.root).unwrap_or(file).to_string_lossy().into_owned();
        let id = self.tree.file(&name);
        if syntax.attrs.iter().any(|attribute| attribute.path().is_ident("no_std")) {
            self.tree.no_std.insert(id);
        }
        let module = self.tree.add_module(parent, id);
        let place = Place { file: file.to_owned(), folder, is_inline: false };
        self.fill(module, &syntax.items, &place, test || is_test(&syntax.attrs))?;
        Ok(module)
    }

    fn fill(&mut self, module: ModuleId, items: &[syn::Item], place: &Place, test: bool) -> Result<(), ReadError> {
        for item in items {
            match item {
                syn::Item::Mod(item) => self.child(module, item, place, test || is_test(&item.attrs))?,
                syn::Item::Use(item) => {
                    let is_re_export = !matches!(item.vis, syn::Visibility::Inherited);
                    self.import(module, imports(item), is_re_export, test || is_test(&item.attrs));
                }
                syn::Item::ExternCrate(item) => {
                    let path = tree::Path { absolute: true, segments: vec![item.ident.unraw().to_string()] };
                    let line = item.ident.span().start().line;
                    self.tree.mentions.push(Mention { module, path, line, role: Role::Code, is_test: test });
                }
                other => self.item(module, other, test),
            }
        }
        Ok(())
    }

    fn child(&mut self, parent: ModuleId, item: &syn::ItemMod, place: &Place, test: bool) -> Result<(), ReadError> {
        let name = item.ident.unraw().to_string();
        let child = if let Some((_, items)) = &item.content {
            let child = self.tree.add_module(Some(parent), self.tree.module(parent).file);
            let place = Place { folder: place.folder.join(&name), is_inline: true, ..place.clone() };
            self.fill(child, items, &place, test)?;
            child
        } else {
            let (file, folder) = file_of(item, &name, place)?;
            self.load_file(Some(parent), &file, folder, test)?
        };
        self.tree.modules[parent.0].children.entry(name).or_default().push(child);
        Ok(())
    }

    fn import(&mut self, module: ModuleId, imports: Vec<Import>, is_re_export: bool, is_test: bool) {
        for Import { path, name, is_glob, line } in imports {
            let role = match (is_glob, is_re_export) {
                (false, false) => Role::Import,
                (false, true) => Role::ReExport,
                (true, false) => Role::Glob,
                (true, true) => Role::GlobReExport,
            };
            let names = &mut self.tree.modules[module.0];
            if is_glob {
                names.globs.push(path.clone());
            } else if let Some(name) = name {
                names.imports.entry(name).or_default().push(path.clone());
            }
            self.tree.mentions.push(Mention { module, path, line, role, is_test });
        }
    }

    fn item(&mut self, module: ModuleId, item: &syn::Item, test: bool) {
        if let Some(ident) = name_of(item) {
            self.tree.modules[module.0].items.insert(ident.unraw().to_string());
        }
        let test = test || is_test(attributes_of(item));
        let mentions = mentions(item, test);
        self.import(module, mentions.imports, false, test);
        self.tree.mentions.extend(mentions.found.into_iter().map(|found| Mention {
            module,
            path: found.path,
            line: found.line,
            role: Role::Code,
            is_test: found.is_test,
        }));
    }
}

/// The file of a module that is declared without a body, and where its own children have theirs.
fn file_of(item: &syn::ItemMod, name: &str, place: &Place) -> Result<(PathBuf, PathBuf), ReadError> {
    let own_folder = place.file.parent().unwrap_or(Path::new(""));
    for attribute in &item.attrs {
        if let syn::Meta::NameValue(pair) = &attribute.meta
            && pair.path.is_ident("path")
            && let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. }) = &pair.value
        {
            let file = if place.is_inline { place.folder.join(path.value()) } else { own_folder.join(path.value()) };
            let folder = file.parent().unwrap_or(own_folder).to_owned();
            return Ok((file, folder));
        }
    }
    let file = place.folder.join(format!("{name}.rs"));
    let folder = place.folder.join(name);
    if file.is_file() {
        return Ok((file, folder));
    }
    let file = folder.join("mod.rs");
    if file.is_file() {
        return Ok((file, folder));
    }
    Err(ReadError::NoModule { declared_in: place.file.clone(), name: name.to_owned() })
}

fn name_of(item: &syn::Item) -> Option<&syn::Ident> {
    match item {
        syn::Item::Const(item) => Some(&item.ident),
        syn::Item::Enum(item) => Some(&item.ident),
        syn::Item::Fn(item) => Some(&item.sig.ident),
        syn::Item::Macro(item) => item.ident.as_ref(),
        syn::Item::Static(item) => Some(&item.ident),
        syn::Item::Struct(item) => Some(&item.ident),
        syn::Item::Trait(item) => Some(&item.ident),
        syn::Item::TraitAlias(item) => Some(&item.ident),
        syn::Item::Type(item) => Some(&item.ident),
        syn::Item::Union(item) => Some(&item.ident),
        _ => None,
    }
}

fn attributes_of(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Union(item) => &item.attrs,
        _ => &[],
    }
}
