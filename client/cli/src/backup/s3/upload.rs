//! A file as an object: uploaded in parts, read back, and compared byte for byte by its digest.
//!
//! Memory: one part. A run that was killed leaves the parts that arrived; the next one lists them and sends the others. An
//! upload that the storage refuses is aborted, since its parts are stored, and paid for, until then.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rusty_s3::actions::{CreateMultipartUpload, ListParts};

use super::folder::{Folder, Upload};
use super::manifest::Fingerprint;
use super::refusal::StorageError;
use super::store::{Store, signed};
use crate::backup::files::failed;
use crate::backup::work::blocking;
use crate::output::error::CliError;
use crate::output::{Output, count};

/// Most parts of an upload, S3's own limit.
const PARTS_MAX: u64 = 10_000;
/// Parts of a growing size are whole mebibytes.
const MEBIBYTE: u64 = 1 << 20;
/// Between two lines of progress.
const EVERY: Duration = Duration::from_secs(5);

/// What is uploaded.
pub(super) struct Source<'a> {
    pub(super) file: &'a Path,
    pub(super) print: &'a Fingerprint,
    /// The object's key.
    pub(super) key: String,
    /// Bytes of a part, unless there would be too many.
    pub(super) part_bytes: u64,
}

/// How it was uploaded.
#[derive(Debug, Default)]
pub(super) struct Uploaded {
    /// Parts that were sent now.
    pub(super) sent: u64,
    /// Parts that were there already.
    pub(super) there: u64,
}

/// Uploads a file, unless the object is there. Afterwards the object has the file's length.
pub(super) async fn upload(
    store: &Store,
    folder: &mut Folder,
    source: &Source<'_>,
    output: Output,
) -> Result<Uploaded, CliError> {
    let begun = folder.under_way.as_ref().and_then(|under_way| under_way.upload.clone());
    let (upload, there) = match begun.filter(|upload| upload.key == source.key) {
        Some(upload) => match parts(store, &upload).await? {
            Some(there) => (Some(upload), there),
            // It was put together, aborted by somebody, or expired.
            None => (None, Vec::new()),
        },
        None => (None, Vec::new()),
    };
    if upload.is_none() && store.length(&source.key).await? == Some(source.print.bytes) {
        folder.set_upload(None)?;
        return Ok(Uploaded::default());
    }
    let upload = match upload {
        Some(upload) => upload,
        None => begin(store, folder, source).await?,
    };
    let sent = send(store, &upload, source, there, output).await;
    match sent {
        Ok(uploaded) => {
            folder.set_upload(None)?;
            Ok(uploaded)
        }
        Err(Failed::Refused(error)) => {
            if abort(store, &upload).await {
                folder.set_upload(None)?;
            }
            Err(error)
        }
        Err(Failed::Cut(error)) => Err(error),
    }
}

/// Reads an object back; it must be the file. One that is not is deleted.
pub(super) async fn check(store: &Store, source: &Source<'_>, output: Output) -> Result<(), CliError> {
    let (mut hasher, mut at, mut shown) = (blake3::Hasher::new(), 0, Instant::now());
    let bytes = source.print.bytes;
    let take = |piece: &[u8]| {
        hasher.update(piece);
        at += piece.len() as u64;
        if shown.elapsed() >= EVERY {
            shown = Instant::now();
            output.progress(&format!("{} of {} bytes read back", count(at), count(bytes)));
        }
        Ok(())
    };
    match store.read(&source.key, 0, bytes, take).await {
        Ok(()) if hasher.finalize().to_hex().as_str() == source.print.blake3 => return Ok(()),
        Ok(()) | Err(CliError::Damaged(_)) => {}
        Err(error) => return Err(error),
    }
    let action = store.bucket.delete_object(Some(&store.credentials), &source.key);
    // Where it stays, nothing names it.
    drop(store.ask(|| signed(&action, Bytes::new())).await);
    let text = format!("{} did not keep {} as it was sent; `latest` is as it was", store.shown, source.key);
    let hint = "the same command uploads it again; where that happens twice, use another storage".to_owned();
    Err(CliError::Advised { text, hint, code: 4 })
}

/// Aborts an upload; false where the storage did not confirm it.
pub(super) async fn abort(store: &Store, upload: &Upload) -> bool {
    let action = store.bucket.abort_multipart_upload(Some(&store.credentials), &upload.key, &upload.id);
    match store.ask(|| signed(&action, Bytes::new())).await {
        Ok(_) => true,
        Err(StorageError::Refused(refusal)) => refusal.is_absent(),
        Err(StorageError::Unavailable { .. } | StorageError::Untrusted(_)) => false,
    }
}

async fn begin(store: &Store, folder: &mut Folder, source: &Source<'_>) -> Result<Upload, CliError> {
    let what = format!("to begin an upload of {}", source.key);
    let action = store.bucket.create_multipart_upload(Some(&store.credentials), &source.key);
    let answer = store.ask(|| signed(&action, Bytes::new())).await.map_err(|error| store.failed(&what, error))?;
    let begun =
        CreateMultipartUpload::parse_response(answer.text()?).map_err(|error| misunderstood(store, &what, &error))?;
    let least = source.print.bytes.div_ceil(PARTS_MAX).next_multiple_of(MEBIBYTE);
    let part_bytes = if source.print.bytes > PARTS_MAX * source.part_bytes { least } else { source.part_bytes };
    let upload = Upload { key: source.key.clone(), id: begun.upload_id().to_owned(), part_bytes };
    folder.set_upload(Some(upload.clone()))?;
    Ok(upload)
}

/// A part that the storage has.
struct Part {
    number: u16,
    etag: String,
    bytes: u64,
}

/// The parts of an upload; `None` where there is no such upload.
async fn parts(store: &Store, upload: &Upload) -> Result<Option<Vec<Part>>, CliError> {
    let what = format!("to list the parts of {}", upload.key);
    let (mut all, mut marker) = (Vec::new(), None);
    loop {
        let mut action = ListParts::new(&store.bucket, Some(&store.credentials), &upload.key, &upload.id);
        if let Some(marker) = marker {
            action.set_part_number_marker(marker);
        }
        let answer = match store.ask(|| signed(&action, Bytes::new())).await {
            Ok(answer) => answer,
            Err(StorageError::Refused(refusal)) if refusal.is_absent() => return Ok(None),
            Err(error) => return Err(store.failed(&what, error)),
        };
        let page = ListParts::parse_response(answer.text()?).map_err(|error| misunderstood(store, &what, &error))?;
        all.extend(page.parts.into_iter().map(|part| Part { number: part.number, etag: part.etag, bytes: part.size }));
        let next = page.next_part_number_marker;
        if next.is_none() || next <= marker {
            return Ok(Some(all));
        }
        marker = next;
    }
}

/// Why an upload is not whole.
enum Failed {
    /// It is of no more use.
    Refused(CliError),
    /// It goes on in another run.
    Cut(CliError),
}

/// Sends the parts that are not there, and has the storage put all of them together.
async fn send(
    store: &Store,
    upload: &Upload,
    source: &Source<'_>,
    there: Vec<Part>,
    output: Output,
) -> Result<Uploaded, Failed> {
    let bytes = source.print.bytes;
    let (mut etags, mut uploaded, mut shown) = (Vec::new(), Uploaded::default(), Instant::now());
    for number in 1..=bytes.div_ceil(upload.part_bytes) {
        let from = (number - 1) * upload.part_bytes;
        let due = upload.part_bytes.min(bytes - from);
        let is_due = |part: &&Part| u64::from(part.number) == number && part.bytes == due;
        if let Some(part) = there.iter().find(is_due) {
            etags.push(part.etag.clone());
            uploaded.there += 1;
            continue;
        }
        let piece = piece(source.file, from, due).await.map_err(Failed::Cut)?;
        etags.push(send_part(store, upload, number, piece).await?);
        uploaded.sent += 1;
        if shown.elapsed() >= EVERY {
            shown = Instant::now();
            output.progress(&format!("{} of {} bytes uploaded", count(from + due), count(bytes)));
        }
    }
    complete(store, upload, bytes, &etags).await?;
    Ok(uploaded)
}

/// Sends one part; returns its entity tag.
async fn send_part(store: &Store, upload: &Upload, number: u64, piece: Bytes) -> Result<String, Failed> {
    let what = format!("to take part {number} of {}", upload.key);
    let part = u16::try_from(number).map_err(|_| Failed::Cut(CliError::local("too many parts: a defect")))?;
    let action = store.bucket.upload_part(Some(&store.credentials), &upload.key, part, &upload.id);
    let answer = store.ask(|| signed(&action, piece.clone())).await;
    let answer = answer.map_err(|error| ended(store, &what, error))?;
    let untagged = || Failed::Refused(CliError::local(format!("{} gave part {number} no entity tag", store.shown)));
    answer.header("etag").map(str::to_owned).ok_or_else(untagged)
}

async fn complete(store: &Store, upload: &Upload, bytes: u64, etags: &[String]) -> Result<(), Failed> {
    let what = format!("to put {} together", upload.key);
    let action = |etags: &[String]| {
        let etags = etags.to_vec();
        let etags: Vec<&str> = etags.iter().map(String::as_str).collect();
        let action = store.bucket.complete_multipart_upload(
            Some(&store.credentials),
            &upload.key,
            &upload.id,
            etags.iter().copied(),
        );
        let body = action.clone().body();
        signed(&action, Bytes::from(body))
    };
    match store.ask(|| action(etags)).await {
        Ok(_) => Ok(()),
        // An attempt whose answer was lost has done it.
        Err(StorageError::Refused(refusal)) if refusal.is_absent() => {
            match store.length(&upload.key).await.map_err(Failed::Cut)? {
                Some(length) if length == bytes => Ok(()),
                Some(_) | None => Err(ended(store, &what, StorageError::Refused(refusal))),
            }
        }
        Err(error) => Err(ended(store, &what, error)),
    }
}

fn ended(store: &Store, what: &str, error: StorageError) -> Failed {
    let is_refused = matches!(error, StorageError::Refused(_));
    let error = store.failed(what, error);
    if is_refused { Failed::Refused(error) } else { Failed::Cut(error) }
}

/// Some bytes of a file.
async fn piece(file: &Path, from: u64, bytes: u64) -> Result<Bytes, CliError> {
    let path: PathBuf = file.to_owned();
    blocking(move |_| {
        let length = usize::try_from(bytes).map_err(|_| CliError::local("a part is too large for this machine"))?;
        let mut piece = vec![0; length];
        let read = File::open(&path).and_then(|file| file.read_exact_at(&mut piece, from));
        read.map_err(|error| failed(&path, &error))?;
        Ok(Bytes::from(piece))
    })
    .await
}

fn misunderstood(store: &Store, what: &str, error: &impl std::fmt::Display) -> CliError {
    CliError::local(format!("{} was asked {what}, and answers what is not S3's: {error}", store.shown))
}
