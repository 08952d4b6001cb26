//! Settings: which are accepted, refused and assumed.

use std::io::Write;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use super::init::{key_window_warning, parse_member};
use super::settings::Settings;
use super::{CommandLine, Verb};
use crate::runtime::log::LogFormat;
use crate::tls::TlsPaths;

fn run(arguments: &[&str]) -> Result<Settings, String> {
    let peers = ["--peer-ca", "ca.pem", "--peer-cert", "node-1.pem", "--peer-key", "node-1.key"];
    run_bare(&[&peers, arguments].concat())
}

fn run_bare(arguments: &[&str]) -> Result<Settings, String> {
    let line = ["etebar-node", "run", "--data-dir", "d"].iter().chain(arguments);
    let parsed = CommandLine::try_parse_from(line).map_err(|error| error.to_string())?;
    let Verb::Run(run) = parsed.verb else { panic!("run") };
    run.complete()
}

#[test]
fn a_node_without_certificates_does_not_run() {
    let given = ["--peer-ca", "ca.pem", "--peer-cert", "node-1.pem", "--peer-key", "node-1.key"];
    for missing in [0, 2, 4] {
        let mut rest = given.to_vec();
        let name = rest.drain(missing..missing + 2).next().unwrap();
        let error = run_bare(&rest).unwrap_err();
        assert!(error.contains(&format!("{name} is missing")) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn certificates_may_be_named_in_the_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "peer-ca = \"a\"\npeer-cert = \"b\"\npeer-key = \"c\"\npeer-crl = \"e\"").unwrap();
    let settings = run_bare(&["--config", file.path().to_str().unwrap(), "--peer-cert", "d"]).unwrap();
    let TlsPaths { authority, certificate, key, revoked } = settings.peer_files;
    assert_eq!([authority.unwrap(), certificate, key, revoked.unwrap()], ["a", "d", "c", "e"].map(PathBuf::from));
    assert_eq!(run(&[]).unwrap().peer_files.revoked, None, "no list is set");
}

#[test]
fn what_is_not_said_has_its_default() {
    let settings = run(&[]).unwrap();
    assert_eq!((settings.log_bytes, settings.waiting_max), (268_435_456, 65_536));
    assert_eq!((settings.election_max, settings.rate_per_key), (Duration::from_millis(400), None));
    assert_eq!((settings.connections_max, settings.connections_per_address), (10_000, 5_000));
    assert_eq!(run(&["--connections-max", "7"]).unwrap().connections_per_address, 4);
    assert!(run(&["--connections-per-address", "0"]).is_err());
}

#[test]
fn a_flag_wins_over_the_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "log-bytes = 33554432\nheartbeat = \"20ms\"\nrate-per-key = 50").unwrap();
    let path = file.path().to_str().unwrap();
    let settings = run(&["--config", path, "--heartbeat", "30ms"]).unwrap();
    assert_eq!((settings.log_bytes, settings.heartbeat), (33_554_432, Duration::from_millis(30)));
    assert_eq!(settings.rate_per_key, NonZeroU32::new(50));
}

#[test]
fn the_log_is_text_unless_json_is_asked_for() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "log-format = \"json\"").unwrap();
    let path = file.path().to_str().unwrap();
    assert_eq!(run(&[]).unwrap().log_format, LogFormat::Text);
    assert_eq!(run(&["--config", path]).unwrap().log_format, LogFormat::Json);
    assert_eq!(run(&["--config", path, "--log-format", "text"]).unwrap().log_format, LogFormat::Text);
    assert!(run(&["--log-format", "xml"]).is_err());
}

#[test]
fn a_wrong_setting_is_reported_in_one_line() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "\nlog-size = 1").unwrap();
    let error = run(&["--config", file.path().to_str().unwrap()]).unwrap_err();
    assert!(error.contains("line 2") && !error.contains('\n'), "{error}");
    assert!(run(&["--log-bytes", "5"]).unwrap_err().contains("at least 16777216"));
    assert!(run(&["--election-max", "100ms"]).unwrap_err().contains("election"));
    assert!(run(&["--heartbeat", "fast"]).is_err());
    assert!(run(&["--rate-per-key", "0"]).unwrap_err().contains("between 1 and 1000000"));
}

#[test]
fn a_key_window_is_a_second_at_least_and_warned_of_below_a_minute() {
    let init = |window: &str| {
        let line = ["etebar-node", "init", "--data-dir", "d", "--id", "1", "--key-window", window];
        let more = ["--cluster-id", "00000000-0000-0000-0000-000000000001", "--member", "1=a:1/b:2"];
        let hash = "0".repeat(64);
        let line = line.into_iter().chain(more).chain(["--admin-key-hash", hash.as_str()]);
        let Verb::Init(init) = CommandLine::try_parse_from(line).unwrap().verb else { panic!("init") };
        init.member_map().map(|_| key_window_warning(u64::try_from(init.key_window.as_millis()).unwrap()).is_some())
    };
    for short in ["1ms", "999ms", "1ns"] {
        let error = init(short).unwrap_err();
        assert!(error.contains("at least 1s") && !error.contains('\n'), "{error}");
    }
    assert_eq!((init("1s"), init("59s"), init("1m"), init("24h")), (Ok(true), Ok(true), Ok(false), Ok(false)));
}

#[test]
fn without_tls_the_api_stays_on_loopback_unless_it_is_asked_for() {
    let allows = |arguments: &[&str], address: &str| {
        run(arguments).unwrap().api_protection.check(address.parse().unwrap()).is_ok()
    };
    for address in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        assert!(allows(&[], address), "{address}");
    }
    let tls = ["--api-cert", "c", "--api-key", "k"];
    for address in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[fe80::1]:1", "[::ffff:10.0.0.1]:1"] {
        assert!(!allows(&[], address) && !allows(&["--api-plaintext=false"], address), "{address}");
        assert!(allows(&["--api-plaintext"], address) && allows(&tls, address), "{address}");
    }
    for wrong in [&["--api-cert", "c"][..], &["--api-key", "k"], &[&tls[..], &["--api-plaintext"]].concat()] {
        assert!(run(wrong).unwrap_err().contains("--api-cert"), "{wrong:?}");
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "api-plaintext = true").unwrap();
    let path = file.path().to_str().unwrap();
    assert!(allows(&["--config", path], "10.0.0.1:1"));
    assert!(!allows(&["--config", path, "--api-plaintext=false"], "10.0.0.1:1"));
}

#[test]
fn operators_are_served_on_loopback_beside_the_api_unless_set() {
    let address = |arguments: &[&str], api: &str| run(arguments).unwrap().ops_address(api).map(|it| it.to_string());
    assert_eq!(address(&[], "n1.example:7101").unwrap(), "127.0.0.1:7141");
    assert_eq!(address(&[], "[::]:7101").unwrap(), "127.0.0.1:7141");
    assert_eq!(address(&["--ops-listen", "10.0.0.1:9100"], "n1.example:65535").unwrap(), "10.0.0.1:9100");
    let error = address(&[], "n1.example:65500").unwrap_err();
    assert!(error.contains("--ops-listen is missing") && !error.contains('\n'), "{error}");
}

#[test]
fn a_founding_member_is_an_id_and_two_addresses() {
    let (id, address) = parse_member("2=127.0.0.1:7102/127.0.0.1:7122").unwrap();
    assert_eq!((id, address.api.as_str(), address.peer.as_str()), (2, "127.0.0.1:7102", "127.0.0.1:7122"));
    for wrong in ["", "2", "0=a:1/b:2", "2=a:1", "2=a/b", "x=a:1/b:2", "2=a:0/b:1", "2=::1:7101/b:1", "2=a:1/u@b:1"] {
        assert!(parse_member(wrong).is_err(), "{wrong}");
    }
}
