//! Files that change are read again: checked every [`INTERVAL`], and in use as soon as they are stable.
//!
//! A file may be written in pieces and a pair in two steps, so a change is taken up only once it is the same at two looks,
//! and only where all files together are usable and their user accepts them. Until then the last good set stays in use,
//! the log says why, and it is tried again at each look.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::error::{TlsFileError, TlsPaths};
use super::expiry::Validity;
use super::files::{Credentials, warn_of_open_key};
use crate::runtime::{self, Clock};

/// How often the files are checked. Source: an operator who replaces one sees it in use within three seconds.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long the same fault of the files is not reported again.
const REPORT_AGAIN: Duration = Duration::from_mins(1);
/// How often an expiry that is near is warned of.
const EXPIRY_AGAIN: Duration = Duration::from_hours(24);

/// A day.
const DAY_MS: u64 = 86_400_000;
/// How long before its end a certificate is warned of. Source: the renewal time of the usual ACME clients.
const WARN_BEFORE_MS: u64 = 30 * DAY_MS;

/// Credentials that follow their files. Users subscribe; [`CredentialWatch::run`] must be polled for changes.
#[derive(Debug)]
pub struct CredentialWatch {
    files: WatchedFiles,
    clock: Clock,
    current: watch::Sender<Arc<Credentials>>,
}

impl CredentialWatch {
    /// Reads the files for the first time. Blocks on the disk.
    ///
    /// # Errors
    /// Where they cannot be used: a node does not start without its certificate.
    pub fn open(paths: TlsPaths, clock: Clock) -> Result<CredentialWatch, TlsFileError> {
        let (files, credentials) = WatchedFiles::open(paths)?;
        warn_of_open_key(&files.paths);
        warn_of_expiry(&files.paths, &credentials, clock.now_ms());
        Ok(CredentialWatch { files, clock, current: watch::Sender::new(Arc::new(credentials)) })
    }

    /// The current credentials, and each change. Each value is one consistent set.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Credentials>> {
        self.current.subscribe()
    }

    /// Follows the files until `stop` is cancelled.
    pub async fn run(self, stop: CancellationToken) {
        self.run_taking(stop, |_| Ok(())).await;
    }

    /// The same, where `take` puts changed credentials in use, or says why they do not fit: then the ones before stay in
    /// use, and their expiry is warned of.
    pub async fn run_taking(self, stop: CancellationToken, take: impl Fn(&Credentials) -> Result<(), String> + Send) {
        let CredentialWatch { mut files, clock, current } = self;
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut report = LastReport::default();
        let mut expiry_due = Instant::now() + EXPIRY_AGAIN;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if Instant::now() >= expiry_due {
                warn_of_expiry(&files.paths, &current.borrow(), clock.now_ms());
                expiry_due = Instant::now() + EXPIRY_AGAIN;
            }
            let looking = runtime::blocking(move || {
                let look = files.look();
                (files, look)
            });
            let look;
            (files, look) = match looking.await {
                Ok(looked) => looked,
                Err(error) => return warn!(%error, "the certificate files are no longer watched"),
            };
            match look {
                Look::Same | Look::Moving => {}
                Look::New(credentials) => match take(&credentials) {
                    Ok(()) => {
                        files.taken();
                        put_in_use(&current, *credentials, &files.paths, clock.now_ms());
                        report = LastReport::default();
                    }
                    Err(reason) => report.unusable(reason),
                },
                Look::Unusable(error) => report.unusable(error.to_string()),
            }
        }
    }
}

fn put_in_use(current: &watch::Sender<Arc<Credentials>>, new: Credentials, paths: &TlsPaths, now_ms: u64) {
    warn_of_open_key(paths);
    warn_of_expiry(paths, &new, now_ms);
    current.send_modify(|current| *current = Arc::new(Credentials { version: current.version + 1, ..new }));
    info!(certificate = ?paths.certificate, "changed certificate files were read: new connections use them");
}

/// Logs where the other side refuses a certificate, or will within [`WARN_BEFORE_MS`].
fn warn_of_expiry(paths: &TlsPaths, credentials: &Credentials, now_ms: u64) {
    let own = Some((WatchedFile::Own, &paths.certificate, credentials.validity));
    let authority = paths.authority.as_ref().zip(credentials.authority_validity);
    let lists = paths.revoked.as_ref().zip(credentials.revoked.as_ref());
    let all = own.into_iter().chain(authority.map(|(file, validity)| (WatchedFile::Authority, file, validity))).chain(
        lists.map(|(file, lists)| (WatchedFile::Lists, file, Validity { from_ms: 0, until_ms: lists.until_ms() })),
    );
    for (what, file, validity) in all {
        let left_ms = validity.until_ms.saturating_sub(now_ms);
        if left_ms == 0 {
            error!(?file, "{}", what.over());
        } else if now_ms < validity.from_ms {
            error!(?file, "{}, or this machine's clock is wrong", what.early());
        } else if left_ms < WARN_BEFORE_MS {
            warn!(?file, days = left_ms / DAY_MS, "{}: replace the file, a restart is not needed", what.soon());
        }
    }
}

/// The file whose expiry is warned of.
#[derive(Debug, Clone, Copy)]
enum WatchedFile {
    Own,
    Authority,
    Lists,
}

impl WatchedFile {
    fn over(self) -> &'static str {
        match self {
            Self::Own => "the certificate has expired: others refuse it",
            Self::Authority => "the last authority has expired: this node refuses every certificate of others",
            Self::Lists => {
                "a revocation list has ended: the certificates on it stay refused, but later revocations are not known here, and \
                 this node will not start again; repeat `etebar-node pki revoke` and replace the file"
            }
        }
    }

    fn early(self) -> &'static str {
        match self {
            Self::Own => "the certificate is not valid yet: others refuse it",
            Self::Authority => "no authority is valid yet: this node refuses every certificate of others",
            Self::Lists => "the revocation list is not valid yet",
        }
    }

    fn soon(self) -> &'static str {
        match self {
            Self::Own => "the certificate expires soon",
            Self::Authority => "the last authority expires soon",
            Self::Lists => "a revocation list ends soon (repeat `etebar-node pki revoke`)",
        }
    }
}

/// The files, and what they were like when they were last looked at and last read.
#[derive(Debug)]
pub(super) struct WatchedFiles {
    paths: TlsPaths,
    /// As what is in use was read from them.
    loaded: Marks,
    /// As of the last look.
    seen: Marks,
}

/// What a look at the files found.
#[derive(Debug)]
pub(super) enum Look {
    /// They are those in use.
    Same,
    /// They have changed since the last look.
    Moving,
    /// They have changed, are stable, and can be used; so at each look until [`WatchedFiles::taken`].
    New(Box<Credentials>),
    /// They have changed, are stable, and cannot be used.
    Unusable(TlsFileError),
}

impl WatchedFiles {
    /// Reads them for the first time.
    pub(super) fn open(paths: TlsPaths) -> Result<(WatchedFiles, Credentials), TlsFileError> {
        // Looked at before they are read: a change meanwhile is one that the next look sees.
        let loaded = Marks::of(&paths);
        let credentials = Credentials::load(&paths)?;
        Ok((WatchedFiles { paths, seen: loaded.clone(), loaded }, credentials))
    }

    /// Looks at them, and reads them where they have changed and are stable. Blocks on the disk.
    pub(super) fn look(&mut self) -> Look {
        let now = Marks::of(&self.paths);
        if now == self.loaded {
            self.seen = now;
            return Look::Same;
        }
        if now != self.seen {
            self.seen = now;
            return Look::Moving;
        }
        let read = Credentials::load(&self.paths);
        // Where they changed while they were read, the parts may be of different sets.
        let after = Marks::of(&self.paths);
        if after != now {
            self.seen = after;
            return Look::Moving;
        }
        match read {
            Ok(credentials) => Look::New(Box::new(credentials)),
            Err(error) => Look::Unusable(error),
        }
    }

    /// What the last look found new is in use from now on.
    pub(super) fn taken(&mut self) {
        self.loaded = self.seen.clone();
    }
}

/// What identifies a file's state; `None` where it cannot be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Marks(Vec<Option<Mark>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    /// Device and inode: another file may have been put in its place, or in that of a folder or link above it.
    file: (u64, u64),
    length: u64,
    /// Content and attributes, in seconds and nanoseconds.
    changed: [(i64, i64); 2],
}

impl Marks {
    fn of(paths: &TlsPaths) -> Marks {
        let files = [Some(&paths.certificate), Some(&paths.key), paths.authority.as_ref(), paths.revoked.as_ref()];
        Marks(files.into_iter().flatten().map(|path| Mark::of(path).ok()).collect())
    }
}

impl Mark {
    fn of(path: &Path) -> io::Result<Mark> {
        let metadata = std::fs::metadata(path)?;
        Ok(Mark {
            file: (metadata.dev(), metadata.ino()),
            length: metadata.len(),
            changed: [(metadata.mtime(), metadata.mtime_nsec()), (metadata.ctime(), metadata.ctime_nsec())],
        })
    }
}

/// Keeps a fault that lasts from filling the log.
#[derive(Debug, Default)]
struct LastReport(Option<(String, Instant)>);

impl LastReport {
    fn unusable(&mut self, text: String) {
        let now = Instant::now();
        let is_known = |(last, at): &(String, Instant)| *last == text && now.duration_since(*at) < REPORT_AGAIN;
        if self.0.as_ref().is_some_and(is_known) {
            return;
        }
        error!(reason = %text, "changed certificate files cannot be used: the earlier ones stay in use");
        self.0 = Some((text, now));
    }
}
