//! What was read: the modules of all crates with the names they have, and what their code mentions.

use std::collections::{BTreeMap, BTreeSet};

/// A module; index into [`Tree::modules`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModuleId(pub usize);

/// A file; index into [`Tree::files`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(pub usize);

/// All crates.
#[derive(Debug, Default)]
pub struct Tree {
    /// Paths relative to the root of the repository, each once.
    pub files: Vec<String>,
    /// The modules of all crates.
    pub modules: Vec<Module>,
    /// The root module of each library, by the name that other crates give it.
    pub libraries: BTreeMap<String, ModuleId>,
    /// What their code mentions.
    pub mentions: Vec<Mention>,
    /// Files whose inner attributes say `#![no_std]`.
    pub no_std: BTreeSet<FileId>,
}

/// A module of a crate, with the names that can be looked up in it.
#[derive(Debug)]
pub struct Module {
    /// None for a crate's root.
    pub parent: Option<ModuleId>,
    /// The root of its crate.
    pub root: ModuleId,
    /// Where it is written.
    pub file: FileId,
    /// Child modules; more than one of a name where each has its own `cfg`.
    pub children: BTreeMap<String, Vec<ModuleId>>,
    /// Names of what is defined here.
    pub items: BTreeSet<String>,
    /// What each name stands for that a `use` brings.
    pub imports: BTreeMap<String, Vec<Path>>,
    /// Paths of `use path::*`.
    pub globs: Vec<Path>,
}

/// A path as it is written, without generics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// It starts with `::`, so its first segment is a crate.
    pub absolute: bool,
    /// The names, in order.
    pub segments: Vec<String>,
}

/// How a path is mentioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `use path;`
    Import,
    /// `pub use path;` of any visibility.
    ReExport,
    /// `use path::*;`
    Glob,
    /// `pub use path::*;` of any visibility.
    GlobReExport,
    /// Anywhere else.
    Code,
}

/// A path that stands in a module.
#[derive(Debug)]
pub struct Mention {
    /// Where it is mentioned.
    pub module: ModuleId,
    /// What is mentioned.
    pub path: Path,
    /// From 1.
    pub line: usize,
    /// In which way.
    pub role: Role,
    /// Only tests see it.
    pub is_test: bool,
}

impl Tree {
    /// The file's number; a file that several crates have is one.
    pub fn file(&mut self, path: &str) -> FileId {
        let known = self.files.iter().position(|file| file == path);
        FileId(known.unwrap_or_else(|| {
            self.files.push(path.to_owned());
            self.files.len() - 1
        }))
    }

    /// A new module without names.
    pub fn add_module(&mut self, parent: Option<ModuleId>, file: FileId) -> ModuleId {
        let id = ModuleId(self.modules.len());
        self.modules.push(Module {
            parent,
            root: parent.map_or(id, |parent| self.module(parent).root),
            file,
            children: BTreeMap::new(),
            items: BTreeSet::new(),
            imports: BTreeMap::new(),
            globs: Vec::new(),
        });
        id
    }

    /// A module by its index.
    #[must_use]
    pub fn module(&self, id: ModuleId) -> &Module {
        &self.modules[id.0]
    }

    /// The path of a file by its index.
    #[must_use]
    pub fn path_of(&self, file: FileId) -> &str {
        &self.files[file.0]
    }

    /// Whether `module` is `ancestor` or stands below it.
    #[must_use]
    pub fn is_below(&self, module: ModuleId, ancestor: ModuleId) -> bool {
        std::iter::successors(Some(module), |id| self.module(*id).parent).any(|id| id == ancestor)
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.absolute { "::" } else { "" }, self.segments.join("::"))
    }
}
