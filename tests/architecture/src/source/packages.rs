//! Finds the packages of the repository and the roots of their crates, by their manifests.

use std::fs;
use std::path::{Path, PathBuf};

/// The root file of a crate.
pub struct CrateRoot {
    /// The name that others give it; none where no other can name it (a program, a test).
    pub library: Option<String>,
    /// Its path.
    pub file: PathBuf,
    /// A test or an example.
    pub is_test: bool,
}

/// What could not be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ReadError {
    /// A file or folder.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// A manifest that is no TOML, or none of a package.
    #[error("{}: {source}", path.display())]
    Manifest { path: PathBuf, source: Box<toml::de::Error> },
    /// A source file that is no Rust.
    #[error("{}:{line}: {source}", path.display())]
    Syntax { path: PathBuf, line: usize, source: syn::Error },
    /// A module that is declared, and has no file.
    #[error("{}: no file for the module {name}", declared_in.display())]
    NoModule { declared_in: PathBuf, name: String },
}

/// Reads a file as text.
///
/// # Errors
/// Where it cannot be read.
pub fn read(path: &Path) -> Result<String, ReadError> {
    fs::read_to_string(path).map_err(|source| ReadError::Io { path: path.to_owned(), source })
}

/// The crates of all packages below `root`, without those of other workspaces.
///
/// # Errors
/// Where a folder or a manifest cannot be read.
pub fn crate_roots(root: &Path) -> Result<Vec<CrateRoot>, ReadError> {
    let mut roots = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let manifest = folder.join("Cargo.toml");
        if manifest.is_file() {
            let table: toml::Table = read(&manifest)?
                .parse()
                .map_err(|source| ReadError::Manifest { path: manifest.clone(), source: Box::new(source) })?;
            if folder != root && table.contains_key("workspace") {
                continue;
            }
            if let Some(name) = table.get("package").and_then(|package| package.get("name")?.as_str()) {
                package_roots(&folder, name, &mut roots)?;
            }
        }
        for child in children(&folder)? {
            let hidden = child.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if child.is_dir() && !hidden && !child.ends_with("target") {
                folders.push(child);
            }
        }
    }
    Ok(roots)
}

fn package_roots(folder: &Path, name: &str, roots: &mut Vec<CrateRoot>) -> Result<(), ReadError> {
    let library = folder.join("src/lib.rs");
    if library.is_file() {
        roots.push(CrateRoot { library: Some(name.replace('-', "_")), file: library, is_test: false });
    }
    let program = folder.join("src/main.rs");
    if program.is_file() {
        roots.push(CrateRoot { library: None, file: program, is_test: false });
    }
    for (group, is_test) in [("src/bin", false), ("tests", true), ("examples", true), ("benches", true)] {
        let group = folder.join(group);
        if !group.is_dir() {
            continue;
        }
        for file in children(&group)? {
            if file.extension().is_some_and(|extension| extension == "rs") {
                roots.push(CrateRoot { library: None, file, is_test });
            }
        }
    }
    Ok(())
}

/// What a folder has, in the order of names.
fn children(folder: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let failed = |source| ReadError::Io { path: folder.to_owned(), source };
    let entries = fs::read_dir(folder).map_err(failed)?;
    let mut children = entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect::<Result<Vec<_>, ReadError>>()?;
    children.sort();
    Ok(children)
}
