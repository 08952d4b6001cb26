//! Files as operators leave them: absent, swapped, half-written, replaced one after the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::{CertificateParams, CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tests::api::certificates::Pair;
use tokio_util::sync::CancellationToken;

use super::reload::{Look, WatchedFiles};
use super::{CredentialWatch, Credentials, TlsFileError, TlsPaths};
use crate::runtime::Clock;

fn pair() -> Pair {
    Pair::self_signed(&["localhost"])
}

/// A folder with the three files, each of the same pair.
struct Files {
    folder: TempDir,
    paths: TlsPaths,
}

impl Files {
    fn of(pair: &Pair) -> Files {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let paths = TlsPaths {
            certificate: path("cert.pem"),
            key: path("key.pem"),
            authority: Some(path("ca.pem")),
            revoked: None,
        };
        let files = Files { folder, paths };
        write(&files.paths.certificate, &pair.certificate);
        write(&files.paths.key, &pair.key);
        write(&files.ca(), &pair.certificate);
        files
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn load(&self) -> Result<Credentials, TlsFileError> {
        Credentials::load(&self.paths)
    }

    /// Why they cannot be used: one line.
    fn refusal(&self) -> String {
        let text = self.load().unwrap_err().to_string();
        assert!(!text.contains('\n') && text.contains(".pem"), "{text}");
        text
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

#[test]
fn a_pair_that_fits_is_loaded_with_its_authorities() {
    let (own, other) = (pair(), pair());
    let files = Files::of(&own);
    write(&files.ca(), &(own.certificate.clone() + &other.certificate));
    let loaded = files.load().unwrap();
    assert_eq!((loaded.version, loaded.identity.cert.len(), loaded.authority.unwrap().len()), (1, 1, 2));
    assert!(loaded.validity.from_ms < loaded.validity.until_ms);
}

#[test]
fn a_certificate_says_which_hosts_it_is_for() {
    let loaded = Files::of(&Pair::self_signed(&["shop.example", "127.0.0.1", "::1"])).load().unwrap();
    for (host, is_named) in [
        ("shop.example", true),
        ("SHOP.example", true),
        ("127.0.0.1", true),
        ("[::1]", true),
        ("other.example", false),
        ("127.0.0.2", false),
        ("", false),
    ] {
        assert_eq!(loaded.names(host), is_named, "{host}");
    }
}

#[test]
fn each_fault_of_a_file_has_a_line_that_names_it() {
    let (own, other) = (pair(), pair());
    let files = Files::of(&own);
    let TlsPaths { certificate, key, .. } = &files.paths;
    let broken = own.certificate.replace("MII", "!!!");
    let not_a_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (text, expected) in [
        (own.key.as_str(), "no certificate in"),
        ("", "no certificate in"),
        (&own.certificate[..own.certificate.len() / 2], "ends within a section"),
        (&broken, "not base64"),
        (not_a_certificate, "certificate 1 in"),
        (&other.certificate, "does not fit"),
        (&"x".repeat(2 << 20), "longer than"),
    ] {
        write(certificate, text);
        assert!(files.refusal().contains(expected), "{expected}: {}", files.refusal());
    }
    write(certificate, &own.certificate);
    for (text, expected) in [(own.certificate.as_str(), "no private key in"), (&own.key[..60], "ends within a section")]
    {
        write(key, text);
        assert!(files.refusal().contains(expected), "{expected}: {}", files.refusal());
    }
    write(key, &own.key);
    write(&files.ca(), "");
    assert!(files.refusal().contains("ca.pem"));
    std::fs::remove_file(files.ca()).unwrap();
    assert!(files.refusal().contains("cannot read"));
    std::fs::create_dir(files.ca()).unwrap();
    assert!(files.refusal().contains("not a regular file"));
}

#[test]
fn no_fault_shows_what_is_in_a_key_file() {
    let own = pair();
    let files = Files::of(&own);
    let secret = own.key.lines().nth(1).unwrap();
    write(&files.paths.key, &format!("-----BEGIN {secret}\n{secret}"));
    assert!(!files.refusal().contains(&secret[..20]));
}

/// Looks until the change is stable; what it is then.
fn look_at_rest(files: &mut WatchedFiles) -> Look {
    match files.look() {
        Look::Moving => files.look(),
        at_rest @ (Look::Same | Look::New(_) | Look::Unusable(_)) => at_rest,
    }
}

#[track_caller]
fn assert_unusable(files: &mut WatchedFiles) {
    // However often: it is tried again, since what stands in the way may not show in the files' marks.
    for _ in 0..3 {
        let look = look_at_rest(files);
        assert!(matches!(look, Look::Unusable(_)), "{look:?}");
    }
}

#[track_caller]
fn assert_new(files: &mut WatchedFiles) -> Credentials {
    let look = look_at_rest(files);
    let Look::New(credentials) = look else { panic!("{look:?}") };
    assert!(matches!(files.look(), Look::New(_)), "it is offered again until it is taken");
    files.taken();
    assert!(matches!(files.look(), Look::Same));
    *credentials
}

#[test]
fn a_replaced_pair_is_in_use_once_both_files_fit_each_other() {
    let (old, new) = (pair(), pair());
    let files = Files::of(&old);
    let (mut watched, _) = WatchedFiles::open(files.paths.clone()).unwrap();
    assert!(matches!(watched.look(), Look::Same));
    write(&files.paths.certificate, &new.certificate);
    assert_unusable(&mut watched);
    write(&files.paths.key, &new.key);
    let loaded = assert_new(&mut watched);
    assert!(loaded.identity.keys_match().is_ok());
    assert_eq!(loaded.identity.cert[0], files.load().unwrap().identity.cert[0]);
}

#[test]
fn a_file_that_is_still_written_is_left_until_it_rests() {
    let (old, new) = (pair(), pair());
    let files = Files::of(&old);
    let (mut watched, _) = WatchedFiles::open(files.paths.clone()).unwrap();
    // Whole and usable at each look, and yet not the end.
    for count in 1..5 {
        write(&files.ca(), &new.certificate.repeat(count));
        assert!(matches!(watched.look(), Look::Moving));
    }
    assert_new(&mut watched);
}

#[test]
fn a_broken_or_absent_file_is_kept_out_until_it_is_whole() {
    let (old, new) = (pair(), pair());
    let files = Files::of(&old);
    let (mut watched, _) = WatchedFiles::open(files.paths.clone()).unwrap();
    write(&files.ca(), &new.certificate[..200]);
    assert_unusable(&mut watched);
    std::fs::remove_file(files.ca()).unwrap();
    assert_unusable(&mut watched);
    // Put in place by a rename, as careful tools do.
    write(&files.folder.path().join("next"), &(old.certificate.clone() + &new.certificate));
    std::fs::rename(files.folder.path().join("next"), files.ca()).unwrap();
    assert_eq!(assert_new(&mut watched).authority.unwrap().len(), 2);
}

#[test]
fn a_link_to_another_folder_is_a_change_of_all_files_at_once() {
    let (first, second) = (Files::of(&pair()), Files::of(&pair()));
    let place = tempfile::tempdir().unwrap();
    let link = place.path().join("current");
    std::os::unix::fs::symlink(first.folder.path(), &link).unwrap();
    let paths =
        TlsPaths { certificate: link.join("cert.pem"), key: link.join("key.pem"), authority: None, revoked: None };
    let (mut watched, _) = WatchedFiles::open(paths).unwrap();
    std::os::unix::fs::symlink(second.folder.path(), place.path().join("next")).unwrap();
    std::fs::rename(place.path().join("next"), &link).unwrap();
    assert_eq!(assert_new(&mut watched).identity.cert[0], second.load().unwrap().identity.cert[0]);
}

#[tokio::test]
async fn a_subscriber_learns_of_a_change_with_its_version() {
    let (old, new) = (pair(), pair());
    let files = Files::of(&old);
    let opened = CredentialWatch::open(files.paths.clone(), Clock::system()).unwrap();
    let (mut receiver, stop) = (opened.subscribe(), CancellationToken::new());
    let running = tokio::spawn(opened.run(stop.clone()));
    assert_eq!(receiver.borrow_and_update().version, 1);
    write(&files.ca(), &new.certificate);
    tokio::time::timeout(Duration::from_mins(1), receiver.changed()).await.expect("it is seen in time").unwrap();
    assert_eq!(receiver.borrow().version, 2);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn what_its_user_refuses_is_not_in_use_and_tried_again() {
    let (old, new) = (pair(), pair());
    let files = Files::of(&old);
    let opened = CredentialWatch::open(files.paths.clone(), Clock::system()).unwrap();
    let (mut receiver, stop, tries) = (opened.subscribe(), CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    receiver.mark_unchanged();
    write(&files.ca(), &new.certificate);
    let (shown, asked) = (receiver.clone(), tries.clone());
    let before = receiver.borrow().authority.clone().unwrap();
    let take = move |read: &Credentials| {
        // It is the one before whose expiry is warned of, and that others are given.
        assert!(Arc::ptr_eq(shown.borrow().authority.as_ref().unwrap(), &before));
        assert!(!Arc::ptr_eq(read.authority.as_ref().unwrap(), &before));
        if asked.fetch_add(1, Ordering::SeqCst) < 2 { Err("the clock is wrong".to_owned()) } else { Ok(()) }
    };
    let running = tokio::spawn(opened.run_taking(stop.clone(), take));
    // No file changes any more.
    tokio::time::timeout(Duration::from_mins(1), receiver.changed()).await.expect("it is tried again").unwrap();
    assert_eq!((receiver.borrow().version, tries.load(Ordering::SeqCst)), (2, 3));
    stop.cancel();
    running.await.unwrap();
}

/// An authority and its list of revoked certificates, which has none.
fn authority_with_list() -> (Pair, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    params.distinguished_name.push(rcgen::DnType::CommonName, format!("authority {:?}", &key.public_key_raw()[..8]));
    let certificate = params.self_signed(&key).unwrap().pem();
    let text = key.serialize_pem();
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2020, 1, 1),
        next_update: date_time_ymd(2020, 2, 1),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&Issuer::new(params, key)).unwrap().pem().unwrap();
    (Pair { certificate, key: text }, list)
}

#[test]
fn a_revocation_list_is_whole_and_of_an_authority_that_is_trusted() {
    let ((own, list), (_, other)) = (authority_with_list(), authority_with_list());
    let mut files = Files::of(&own);
    let path = files.folder.path().join("crl.pem");
    files.paths.revoked = Some(path.clone());
    assert!(files.refusal().contains("cannot read"), "a list that is set must be there");
    // The name is right, and the signature of another.
    let forged = list.replace("MI", "MJ");
    for (text, expected) in [
        ("", "there is no revocation list in"),
        (own.certificate.as_str(), "there is no revocation list in"),
        (&list[..list.len() / 2], "ends within a section"),
        (&other, "of no authority that is trusted here"),
        (&(list.clone() + &other), "revocation list 2"),
        (&(list.clone() + &list), "the second of one authority"),
        (&forged, "revocation list 1"),
    ] {
        write(&path, text);
        assert!(files.refusal().contains(expected), "{expected}: {}", files.refusal());
    }
    write(&path, &list);
    assert!(files.load().unwrap().revoked.is_some());
    let (mut watched, _) = WatchedFiles::open(files.paths.clone()).unwrap();
    write(&path, &other);
    assert_unusable(&mut watched);
    std::fs::remove_file(&path).unwrap();
    assert_unusable(&mut watched);
    write(&path, &list);
    assert_new(&mut watched);
}
