//! Objects of storage as files: downloaded to `NAME.part`, gone on with where they were cut, and put in place once their bytes
//! are those that `latest` names.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::folder::{fingerprint, make, remove};
use super::manifest::{Link, Manifest};
use super::place::{LATEST, ObjectName, Place};
use super::store::Store;
use crate::arguments::BackupFetch;
use crate::backup::files::{failed, open_chain};
use crate::backup::verify;
use crate::backup::work::blocking;
use crate::output::error::CliError;
use crate::output::hint::quoted;
use crate::output::whole_file::folder_of;
use crate::output::{Output, count};
use crate::session::Session;

/// For its owner's eyes alone: it has every phone number.
const PRIVATE: u32 = 0o600;

/// What `--json` prints.
#[derive(Serialize)]
struct Fetched {
    /// The object.
    object: String,
    /// What a restore takes, in this order.
    files: Vec<PathBuf>,
    #[serde(flatten)]
    verified: verify::Report,
}

/// `etebar backup fetch`.
pub(super) async fn run(session: &Session, asked: BackupFetch) -> Result<(), CliError> {
    let (place, name) = Place::parse_with_name(&asked.place)?;
    let store = Store::new(&asked.storage, &place)?;
    let read = read_manifest(&store, &place, name.as_ref()).await?;
    let (named, manifest) = read.ok_or_else(|| none(&place, name.as_ref()))?;
    make(&asked.folder)?;
    let files = chain(&store, &place, &manifest, &asked.folder, session.output).await?;
    manifest.check_head(&named, open_chain(&files)?.head())?;
    session.output.progress("all objects are there; they are verified now");
    let verified = verify::with_progress(session.output, files.clone()).await?;
    let fetched = Fetched { object: place.shown(manifest.object().as_str()), files, verified };
    let printed = session.output.either(&fetched, || shown(&fetched));
    verify::conclude(&fetched.verified)?;
    printed
}

fn shown(fetched: &Fetched) -> String {
    let from = |file: &PathBuf| format!(" --from {}", quoted(&file.to_string_lossy()));
    format!(
        "{}\n{}\nto restore it: etebar-node restore{} --data-dir DIR …",
        fetched.object,
        verify::shown(&fetched.verified),
        fetched.files.iter().map(from).collect::<String>()
    )
}

/// What `latest`, or a backup of that name, stands on, and where that is said; `None` where there is none.
pub(super) async fn read_manifest(
    store: &Store,
    place: &Place,
    name: Option<&ObjectName>,
) -> Result<Option<(String, Manifest)>, CliError> {
    let object = name.map_or_else(|| LATEST.to_owned(), ObjectName::chain);
    let shown = place.shown(&object);
    match store.small(&place.key(&object)).await? {
        Some(text) => Manifest::read(&shown, &text).map(|manifest| Some((shown, manifest))),
        None => Ok(None),
    }
}

/// There is no such backup.
pub(super) fn none(place: &Place, name: Option<&ObjectName>) -> CliError {
    let (text, hint) = match name {
        Some(name) => (
            format!("there is no verified backup {} at {place}", name.as_str()),
            format!("`etebar backup fetch {place} DIR` fetches the newest one"),
        ),
        None => (
            format!("there is no verified backup at {place}"),
            format!("`etebar backup {place}` makes a whole one; or correct the bucket and the prefix"),
        ),
    };
    CliError::Advised { text, hint, code: 1 }
}

/// Downloads what is missing of a chain into a folder.
pub(super) async fn chain(
    store: &Store,
    place: &Place,
    manifest: &Manifest,
    folder: &Path,
    output: Output,
) -> Result<Vec<PathBuf>, CliError> {
    for link in &manifest.chain {
        let to = folder.join(link.object.as_str());
        let at = to.clone();
        let found = blocking(move |_| if at.exists() { fingerprint(&at).map(Some) } else { Ok(None) }).await?;
        match found {
            Some(found) if found == link.print() => {}
            // By its name it is ours, and its bytes are no more what they were.
            Some(_) => {
                remove(&to)?;
                download(store, place, link, &to, output).await?;
            }
            None => download(store, place, link, &to, output).await?,
        }
    }
    Ok(manifest.files(folder))
}

async fn download(store: &Store, place: &Place, link: &Link, to: &Path, output: Output) -> Result<(), CliError> {
    let shown = place.shown(link.object.as_str());
    output.progress(&format!("{shown}: {} bytes", count(link.bytes)));
    let part = to.with_extension("backup.part");
    let (mut file, mut hasher, from) = begun(&part, link.bytes).await?;
    let take = |piece: &[u8]| {
        hasher.update(piece);
        file.write_all(piece).map_err(|error| failed(&part, &error))
    };
    let read = store.read(&place.key(link.object.as_str()), from, link.bytes, take).await;
    let altered = match read {
        Ok(()) if hasher.finalize().to_hex().as_str() == link.blake3 => {
            let put = file.sync_all().and_then(|()| fs::rename(&part, to));
            let put = put.and_then(|()| File::open(folder_of(to))?.sync_all());
            return put.map_err(|error| failed(to, &error));
        }
        Ok(()) => format!("{shown} is altered: it has not the digest that was uploaded"),
        Err(CliError::Damaged(why)) => format!("{shown} is altered: {why}"),
        Err(error) => return Err(error),
    };
    remove(&part)?;
    Err(CliError::Damaged(altered))
}

/// What an earlier run left of a file, with the digest of it and its length.
async fn begun(part: &Path, bytes: u64) -> Result<(File, blake3::Hasher, u64), CliError> {
    let path = part.to_owned();
    blocking(move |_| {
        let failed = |error| failed(&path, &error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(PRIVATE);
        let mut file = options.open(&path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() >= bytes {
            file.set_len(0).map_err(failed)?;
        }
        let mut hasher = blake3::Hasher::new();
        let from = std::io::copy(&mut file, &mut Hashing(&mut hasher)).map_err(failed)?;
        Ok((file, hasher, from))
    })
    .await
}

/// A hasher as something to copy into.
struct Hashing<'a>(&'a mut blake3::Hasher);

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
