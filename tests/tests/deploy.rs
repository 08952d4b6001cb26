//! What is in `deploy/`: the examples of settings start nodes, and the init container makes no directory that it must not.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tests::api::caller::{charge, phone, unique};
use tests::cluster::pki;
use tests::load::batches::charge_in_batches;
use tests::machine::programs::{clean_command, programs, root};
use tests::machine::turns::Turn;
use tests::operator::scripts::{Ended, run};
use tests::wait::PATIENCE;
use tests::{Cluster, Folder, Plan, books, until};

/// A node that was started as a service, killed when this is dropped.
struct Service(Child);

impl Service {
    fn start(config: &Path, socket: &str, log: &Path) -> Service {
        let mut command = clean_command(&programs().node);
        command.args(["run", "--config"]).arg(config).env("NOTIFY_SOCKET", socket);
        let log = fs::File::create(log).expect("its log");
        Service(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("it starts"))
    }

    fn end(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.0), Signal::TERM).expect("it runs");
        let status = until(PATIENCE, "the service to end", || self.0.try_wait().expect("a child can be asked"));
        status.code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // One that ended is no error.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The next datagram that the service manager gets.
#[track_caller]
fn told(manager: &UnixDatagram, log: &Path) -> String {
    manager.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let mut bytes = [0; 256];
    match manager.recv(&mut bytes) {
        Ok(length) => String::from_utf8_lossy(&bytes[..length]).into_owned(),
        Err(error) => panic!("{error}: {}", fs::read_to_string(log).unwrap_or_default()),
    }
}

#[test]
fn each_example_of_settings_starts_a_node_that_reports_to_the_service_manager() {
    let examples = fs::read_dir(root().join("deploy/config")).expect("the examples").flatten();
    let examples: Vec<PathBuf> = examples.map(|entry| entry.path()).collect();
    assert!(examples.len() >= 3, "{examples:?}");
    for (number, example) in examples.iter().enumerate() {
        let cluster = Plan::new("config").nodes(1).init(Some(Turn::take()));
        for (made, named) in [("node-1.pem", "node.pem"), ("node-1.key", "node.key")] {
            fs::copy(cluster.pki().join(made), cluster.pki().join(named)).expect("it is copied");
        }
        let text = fs::read_to_string(example).expect("an example");
        let data_dir = cluster.node(1).data_dir.display().to_string();
        let text = text
            .replace("/var/lib/etebar/node", &data_dir)
            .replace("/etc/etebar/pki", &cluster.pki().display().to_string());
        assert!(!text.contains("= \"/etc") && !text.contains("= \"/var"), "{text}");
        // The examples keep more of the disk than a test machine may have.
        let text = text.replace("disk-reserve = 1073741824", "disk-reserve = 16777216");
        let [config, log] = ["node.toml", "service.log"].map(|name| cluster.folder().join(name));
        fs::write(&config, text).expect("it is written");

        // A path, as systemd gives it to services of the system, or a name of the abstract namespace.
        let (socket, address) = if number == 0 {
            let name = format!("etebar-test-{}", std::process::id());
            (format!("@{name}"), SocketAddr::from_abstract_name(&name).expect("a short name"))
        } else {
            let path = std::env::temp_dir().join(format!("etebar-notify-{}-{number}", std::process::id()));
            (path.display().to_string(), SocketAddr::from_pathname(&path).expect("a short path"))
        };
        let manager = UnixDatagram::bind_addr(&address).expect("a socket");
        let service = Service::start(&config, &socket, &log);
        let ready = told(&manager, &log);
        assert!(ready.lines().any(|line| line == "READY=1"), "{}: {ready}", example.display());
        assert!(fs::read_to_string(&log).expect("its log").contains("node serves"), "not before");
        let code = service.end();
        let stopping = told(&manager, &log);
        assert!(stopping.lines().any(|line| line == "STOPPING=1"), "{}: {stopping}", example.display());
        assert_eq!(code, Some(0), "{}: {}", example.display(), fs::read_to_string(&log).unwrap_or_default());
        if number > 0 {
            fs::remove_file(&socket).expect("the socket was made");
        }
    }
}

/// The init container of node `id`, with the settings of the manifests.
fn init_container(cluster: &Cluster, numbers: &Path, id: u64, founding: bool) -> Ended {
    let pod = format!("etebar-{}", id - 1);
    fs::create_dir_all(numbers).expect("a folder");
    fs::write(numbers.join(&pod), id.to_string()).expect("it is written");
    let peer = |id: u64| format!("{}:{}", cluster.address(id).ip(), cluster.peer_port(id));
    let member = |id: &u64| format!("{id}={}/{}", cluster.address(*id), peer(*id));
    let ids = cluster.ids();
    let mut command: Command = clean_command(root().join("deploy/kubernetes/make-data-dir.sh"));
    command.env("ETEBAR_NODE_PROGRAM", &programs().node).env("POD_NAME", &pod).env("ETEBAR_NUMBERS", numbers);
    command.env("ETEBAR_DATA_DIR", &cluster.node(id).data_dir).env("ETEBAR_CLUSTER_ID", cluster.id());
    command.env("ETEBAR_MEMBERS", ids.iter().map(member).collect::<Vec<_>>().join(","));
    command.env(
        "ETEBAR_SEEDS",
        ids.iter().filter(|other| **other != id).map(|other| peer(*other)).collect::<Vec<_>>().join(","),
    );
    command.env("ETEBAR_ADMIN_KEY_HASH", &cluster.admin_key_hash).envs(pki::settings(&cluster.pki(), id));
    run(command.env("ETEBAR_FOUNDING", if founding { "yes" } else { "no" }))
}

#[test]
fn an_empty_volume_revives_no_member_under_its_old_number() {
    let cluster = Plan::new("init-container").init(Some(Turn::take()));
    let numbers = Folder::new("numbers");
    for id in cluster.ids() {
        fs::remove_dir_all(&cluster.node(id).data_dir).expect("it was made");
    }

    // Not founding, nothing is made up; founding, each node gets its directory, and keeps it.
    let alone = init_container(&cluster, numbers.path(), 1, false);
    assert_eq!((alone.code, cluster.node(1).data_dir.exists()), (Some(1), false), "{alone:?}");
    assert_eq!(alone.err.lines().count(), 1, "{}", alone.err);
    for id in cluster.ids() {
        let made = init_container(&cluster, numbers.path(), id, true).success();
        assert!(made.contains(&format!("for node {id} of cluster")), "{made}");
        assert!(init_container(&cluster, numbers.path(), id, true).success().contains("there already"));
    }
    cluster.start_all();
    let seller = cluster.seller_with(1_000_000);
    charge_in_batches(&cluster, &seller, 2, 500);
    assert!(init_container(&cluster, numbers.path(), 2, false).success().contains("there already"), "at each restart");

    // The volume of a follower is lost, whether the switch for the founding was left on or not.
    let lost = cluster.followers()[0];
    cluster.node(lost).kill();
    fs::remove_dir_all(&cluster.node(lost).data_dir).expect("its disk is lost");
    for founding in [false, true] {
        let refused = init_container(&cluster, numbers.path(), lost, founding);
        assert_eq!(refused.code, Some(1), "{founding}: {refused:?}");
        assert!(refused.err.contains(&format!("number {lost} was used")), "{}", refused.err);
        assert_eq!(refused.err.lines().count(), 1, "{}", refused.err);
        assert!(!cluster.node(lost).data_dir.exists(), "nothing is made");
    }

    // Had nobody been reachable, the node would have been made, and the others refuse it: it serves nothing.
    cluster.init(lost);
    cluster.node(lost).launch();
    let refusal = format!("node {lost} is known with data directory");
    until(PATIENCE, "the others to refuse it", || {
        cluster.ids().iter().any(|id| cluster.node(*id).log_tail(200).contains(&refusal)).then_some(())
    });
    let ready = cluster.node(lost).quick("/readyz");
    assert!(ready.is_none_or(|answer| answer.status == 503), "a member without its data is not ready");
    let rest: Vec<u64> = cluster.ids().into_iter().filter(|id| *id != lost).collect();
    for count in 0..20 {
        let charge = charge(&unique("beside-it"), &phone(count), 1);
        cluster.seller(rest[usize::from(count % 2 == 0)], &seller).settle(&charge).expect(201);
    }
    for id in &rest {
        assert_eq!(cluster.seller(*id, &seller).balance("me"), 1_000_000 - 2 * 500 - 20, "node {id}");
    }
    books::check_on(&cluster, &rest);
}
