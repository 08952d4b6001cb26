//! The API over TLS, as an operator sets it up: the program trusts the configured authority and no other, a certificate is
//! renewed without a restart, and nothing leaves the machine in plain text by mistake.
//!
//! The independent client is Python's ssl, with OpenSSL below it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::Connection;
use tests::Folder;
use tests::api::certificates::{Authority, ServerFiles};
use tests::machine::needs::{Need, lacks};
use tests::machine::programs::{clean_command, programs};
use tests::machine::turns::Turn;
use tests::wait::PATIENCE;
use tests::{Cluster, Plan, Request, eventually, until};

/// A caller of Python's: `versions PORT CA` asks with each version of TLS; `follow PORT CA` opens connections until it
/// sees another certificate, and 100 more.
const PYTHON: &str = include_str!("api_tls/caller.py");

/// A cluster whose API is served over TLS, all nodes with one certificate for 127.0.0.1.
struct Https {
    cluster: Cluster,
    authority: Authority,
    files: ServerFiles,
    _folder: Folder,
}

impl Https {
    fn start(name: &str, nodes: u64, settings: &[(&str, &str)]) -> Https {
        let folder = Folder::new(name);
        let authority = Authority::new(folder.path(), "authority");
        let files = ServerFiles::below(folder.path(), "api");
        files.replace(&authority.server(&["127.0.0.1"]));
        let path = |path: &Path| path.display().to_string();
        let plan = Plan::new(name)
            .nodes(nodes)
            .setting("ETEBAR_API_CERT", path(&files.certificate))
            .setting("ETEBAR_API_KEY", path(&files.key));
        let plan = settings.iter().fold(plan, |plan, (name, value)| plan.setting(name, *value));
        let cluster = plan.init(Some(Turn::take()));
        cluster.ids().iter().for_each(|id| cluster.node(*id).launch());
        let https = Https { cluster, authority, files, _folder: folder };
        https.wait_ready();
        https
    }

    fn wait_ready(&self) {
        eventually("all nodes to be healthy", || {
            let output = self.etebar(&["--json", "--timeout", "1s", "cluster", "status"]);
            let Ok(status) = serde_json::from_slice::<Value>(&output.stdout) else { return false };
            let nodes = status["members"].as_array().expect("members");
            status["leader"].is_u64() && nodes.iter().all(|node| node["healthy"] == true)
        });
    }

    fn servers(&self) -> String {
        self.cluster.servers().replace("http://", "https://")
    }

    /// The program as the admin, with the addresses of all nodes, and no authority to trust.
    fn without_trust(&self, arguments: &[&str]) -> Command {
        let mut command = clean_command(&programs().client);
        command.env("ETEBAR_SERVER", self.servers()).env("ETEBAR_KEY", &self.cluster.admin_key);
        command.args(arguments);
        command
    }

    fn etebar(&self, arguments: &[&str]) -> Output {
        self.without_trust(arguments).env("ETEBAR_CA", &self.authority.file).output().expect("etebar starts")
    }

    /// The same, which must succeed, and its JSON.
    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.etebar(&[&["--json"], arguments].concat());
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    #[track_caller]
    fn seller(&self, credit: &str) -> (String, String) {
        let id = self.json(&["sellers", "create", "shop"])["id"].as_str().expect("an id").to_owned();
        self.json(&["adjust", &id, credit, "--reason", "a start"]);
        let key =
            self.json(&["keys", "create", "--role", "seller", "--name", &format!("key of {id}"), "--seller", &id]);
        (id, key["key"].as_str().expect("a key").to_owned())
    }

    #[track_caller]
    fn balance(&self, seller: &str) -> String {
        self.json(&["sellers", "show", seller])["balance"].as_str().expect("an amount").to_owned()
    }

    fn address(&self) -> SocketAddr {
        self.cluster.address(1)
    }

    fn python(&self, what: &str) -> Command {
        let mut command = Command::new("python3");
        command.args(["-W", "ignore", "-c", PYTHON, what, &self.address().port().to_string()]);
        command.arg(&self.authority.file).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_program_works_over_tls_with_every_node() {
    let https = Https::start("tls-program", 3, &[]);
    let (seller, key) = https.seller("100000");
    let sold = https.json(&["--key", &key, "charge", "09123456789", "5000"]);
    assert_eq!(sold["balance"], "95000");
    for node in https.json(&["cluster", "status"])["members"].as_array().expect("members") {
        assert!(node["api"].as_str().expect("an address").starts_with("https://127.0.0.1:"), "{node}");
    }
    let bench = ["bench", "--seconds", "1", "--connections", "4", "--sellers", "2", "--processes", "2"];
    assert_eq!(https.json(&bench)["errors"], 0);
    // These ask each node at the address that the cluster reports.
    https.json(&["verify"]);
    let watched = https.json(&["watch", "--count", "1", "--interval", "2s"]);
    let nodes = watched["members"].as_array().expect("members");
    assert!(nodes.len() == 3 && nodes.iter().all(|node| node["digest"].is_string()), "{watched}");
    assert_eq!(https.balance(&seller), "95000");
}

#[test]
fn a_server_that_does_not_prove_to_be_the_node_gets_no_request() {
    let https = Https::start("tls-trust", 1, &[]);
    let (seller, key) = https.seller("100000");
    let other = Authority::new(https.files.folder(), "other");
    let charge = ["--key", &key, "charge", "09123456789", "5000"];
    // The machine's authorities are what this variable says, as for other programs.
    let machine = |file: &Path| {
        let mut command = https.without_trust(&charge);
        command.env("SSL_CERT_FILE", file).env("SSL_CERT_DIR", "");
        command
    };
    let by_name = format!("https://localhost:{}", https.address().port());
    let mut unknown = machine(&other.file);
    let mut only = machine(&https.authority.file);
    only.arg("--ca").arg(&other.file);
    let mut name = machine(&https.authority.file);
    name.args(["--server", &by_name]);
    for (command, why) in
        [(&mut unknown, "no authority that is trusted"), (&mut only, "--ca"), (&mut name, "another name")]
    {
        let started = Instant::now();
        let output = command.output().expect("etebar starts");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains("not done") && said.contains("certificate") && said.contains(why), "{said}");
        assert!(said.lines().count() <= 2, "an error and a hint: {said}");
        assert!(started.elapsed() < Duration::from_secs(10), "a hopeless attempt is not repeated for long: {said}");
        assert_eq!(https.balance(&seller), "100000");
    }
    assert!(machine(&https.authority.file).output().expect("etebar starts").status.success());
    assert_eq!(https.balance(&seller), "95000");

    let expired = https.authority.expired(&["127.0.0.1"]);
    https.files.replace(&expired);
    eventually("the expired certificate to be served", || {
        let output = https.etebar(&["--timeout", "3s", "sellers", "list"]);
        output.status.code() == Some(3) && text(&output.stderr).contains("has expired")
    });
}

#[test]
fn a_wrong_authority_file_is_a_wrong_setting() {
    let folder = Folder::new("tls-ca-file");
    let (empty, torn) = (folder.path().join("empty.pem"), folder.path().join("torn.pem"));
    std::fs::write(&empty, "nothing").expect("a file");
    let authority = std::fs::read(Authority::new(folder.path(), "authority").file).expect("a file");
    std::fs::write(&torn, &authority[..100]).expect("a file");
    for file in [folder.path().join("absent.pem"), empty, torn] {
        let mut command = clean_command(&programs().client);
        command.args(["--server", "https://127.0.0.1:1", "--key", "etb_admin_x", "sellers", "list", "--ca"]).arg(&file);
        let output = command.output().expect("etebar starts");
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("--ca"), "{}", text(&output.stderr));
    }
}

#[test]
fn an_independent_client_gets_tls_1_2_and_1_3_and_nothing_older() {
    if lacks(Need::Python, "TLS with another library than ours") {
        return;
    }
    let https = Https::start("tls-versions", 1, &[("ETEBAR_HEAD_TIMEOUT", "1s")]);
    let output = https.python("versions").output().expect("python3 starts");
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    for line in ["TLSv1.2 http/1.1 HTTP/1.1 200", "TLSv1.3 http/1.1 HTTP/1.1 200"] {
        assert!(said.lines().any(|given| given == line), "{line}: {said}");
    }
    let old = said.lines().find(|line| line.starts_with("TLSv1.1")).expect("a line on TLS 1.1");
    assert!(old.contains("ALERT") || old.contains("not offered"), "{said}");

    // Plain HTTP to this port is refused with the reason, in HTTP, and the program prints it.
    let refused =
        Request::get("/v1/sellers").bearer(&https.cluster.admin_key).send(https.address()).expect("an answer");
    assert_eq!(refused.refusal(), (400, "invalid_request".to_owned()));
    assert!(refused.text().contains("https") && refused.header("Etebar-Node") == Some("1"), "{}", refused.text());
    let plain = https.cluster.servers();
    let output = https.etebar(&["--server", &plain, "sellers", "list"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));

    // A handshake has the time of a head, whatever part of it came.
    for part in [&b""[..], &[22], &[22, 3, 1, 2, 0, 1]] {
        let mut stream = TcpStream::connect(https.address()).expect("a connection");
        stream.write_all(part).expect("a few bytes are sent");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has a time-out");
        let started = Instant::now();
        let end = stream.read(&mut [0; 64]);
        assert!(!matches!(&end, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock), "{part:?} stays open");
        assert!(started.elapsed() < Duration::from_secs(10), "{part:?}: {:?}", started.elapsed());
    }
}

#[test]
fn a_certificate_is_renewed_without_a_restart_or_a_failed_request() {
    if lacks(Need::Python, "TLS with another library than ours") {
        return;
    }
    let https = Https::start("tls-renewal", 1, &[]);
    let mut bench =
        https.without_trust(&["--json", "bench", "--seconds", "12", "--connections", "8", "--sellers", "4"]);
    bench.env("ETEBAR_CA", &https.authority.file).stdout(Stdio::piped());
    let mut bench = Killed(bench.spawn().expect("etebar starts"));
    let mut caller = Killed(https.python("follow").spawn().expect("python3 starts"));
    let mut lines = BufReader::new(caller.0.stdout.take().expect("its output")).lines();
    let mut line = || lines.next().and_then(Result::ok);
    let first = line().expect("the first certificate");

    // One file after the other, the first of them in pieces: at no time does anything but a whole pair serve.
    let next = https.authority.server(&["127.0.0.1"]);
    let (half, rest) = next.certificate.split_at(next.certificate.len() / 2);
    std::fs::write(&https.files.certificate, half).expect("a file");
    wait_for_log(&https.cluster, "ends within a section");
    std::fs::write(&https.files.certificate, [half, rest].concat()).expect("a file");
    wait_for_log(&https.cluster, "does not fit");
    std::fs::write(&https.files.key, &next.key).expect("a file");

    let second = line().expect("the renewed certificate");
    assert_ne!(first, second);
    let done = line().expect("a last line");
    assert!(done.starts_with("done, "), "{done}");
    let mut output = Vec::new();
    bench.0.stdout.take().expect("its output").read_to_end(&mut output).expect("the bench ends");
    let report: Value = serde_json::from_slice(&output).expect("JSON");
    assert!(bench.0.wait().expect("the bench ends").success() && report["errors"] == 0, "{report}");
}

#[track_caller]
fn wait_for_log(cluster: &Cluster, what: &str) {
    until(PATIENCE, what, || cluster.node(1).log_tail(1_000).contains(what).then_some(()));
}

/// A process that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn nothing_leaves_the_machine_in_plain_text_unless_it_is_asked_for() {
    let folder = Folder::new("tls-start");
    let authority = Authority::new(folder.path(), "authority");
    let (good, other) = (ServerFiles::below(folder.path(), "good"), ServerFiles::below(folder.path(), "other"));
    good.replace(&authority.server(&["127.0.0.1"]));
    other.replace(&authority.server(&["127.0.0.1"]));
    let cluster = Plan::new("tls-start-node").nodes(1).init(Some(Turn::take()));
    let run = |arguments: &[&str]| {
        let mut command = clean_command(&programs().node);
        command.arg("run").arg("--data-dir").arg(&cluster.node(1).data_dir).args(arguments);
        command.envs(tests::cluster::pki::settings(&cluster.pki(), 1));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Killed(command.spawn().expect("the node's program starts"))
    };
    let path = |path: &Path| path.display().to_string();
    let port = cluster.address(1).port();
    let everywhere = format!("0.0.0.0:{port}");
    let (certificate, key) = (path(&good.certificate), path(&good.key));
    let absent = path(&folder.path().join("absent.pem"));
    for (arguments, why) in [
        (&["--api-listen", &everywhere][..], "without TLS"),
        (&["--api-listen", &everywhere, "--api-plaintext=false"], "without TLS"),
        (&["--api-listen", &format!("[::]:{port}")], "without TLS"),
        (&["--api-cert", &certificate], "--api-key"),
        (&["--api-key", &key], "--api-cert"),
        (&["--api-cert", &certificate, "--api-key", &key, "--api-plaintext"], "--api-plaintext"),
        (&["--api-cert", &absent, "--api-key", &key], "absent.pem"),
        (&["--api-cert", &key, "--api-key", &certificate], "no certificate"),
        (&["--api-cert", &certificate, "--api-key", &certificate], "no private key"),
        (&["--api-cert", &certificate, "--api-key", &path(&other.key)], "does not fit"),
    ] {
        let mut node = run(arguments);
        let status = until(PATIENCE, "the node to refuse", || node.0.try_wait().expect("a child can be asked"));
        let mut said = String::new();
        node.0.stderr.take().expect("its errors").read_to_string(&mut said).expect("text");
        assert_eq!(status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.lines().count() == 1 && said.contains(why), "{arguments:?}: {said}");
    }
    let node = run(&["--api-listen", &everywhere, "--api-plaintext"]);
    until(PATIENCE, "the node to serve in plain text", || {
        let mut connection = Connection::open(cluster.address(1), Duration::from_secs(1)).ok()?;
        connection.send(&Request::get("/livez")).ok().filter(|answer| answer.status == 200)
    });
    drop(node);
    // With TLS it may listen everywhere.
    let _node = run(&["--api-listen", &everywhere, "--api-cert", &certificate, "--api-key", &key]);
    until(PATIENCE, "the node to serve", || TcpStream::connect(cluster.address(1)).ok());
}
