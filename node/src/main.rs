//! `etebar-node`: draws a key, makes certificates, makes a data directory, or serves one. Thin: the modules are in the library.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, IsTerminal};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use etebar_api as api;
use etebar_node::check::{self, CheckError};
use etebar_node::config::{
    ApiProtection, BackupArgs, CheckArgs, CommandLine, InitArgs, JoinArgs, RecoverArgs, RestoreArgs, RunArgs, Settings,
    Verb, key_window_warning,
};
use etebar_node::http::{self, ApiTls, App, Limits};
use etebar_node::identity::{
    DataDir, DataDirError, FORMAT, GenesisSettings, Identity, Joined, MemberAddress, UnfinishedDataDir,
};
use etebar_node::pki::{self, PkiError, PkiVerb};
use etebar_node::raft::new_epoch::{NewCluster, NewEpochError, ids_of, recover::Survivor, restore as new_epoch};
use etebar_node::raft::{self, Cluster, ClusterError, ClusterSettings, Introduction, PeerIdentity, PeerSecurity};
use etebar_node::runtime::log::{self, LogFormat};
use etebar_node::runtime::{Clock, Entropy, service_manager};
use etebar_node::storage::history::BackupOrigin;
use etebar_node::storage::{History, NodeAddresses, NodeDisks};
use etebar_node::tls::CredentialWatch;
use ledger::{ApiKeyHash, Digest, Genesis, Name, TableSeed, Time};
use pages::backup::Chain;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;

/// Least memory for the traffic of a node, whose threads free what others took. Measured after five million charges to a million
/// phones: 390 MB; mimalloc held 555 MB for the same rate, glibc's allocator 880 MB, of which 365 MB were in use.
#[cfg(feature = "allocator")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Its settings, where it looks for them. Freed memory goes back to the kernel after five seconds, in a thread of the allocator's:
/// later than a buffer is taken again. Huge pages would be cleared and counted whole where a few kilobytes are used. Four arenas
/// share what many threads free better than one for each. `_RJEM_MALLOC_CONF` in the environment counts before these.
#[cfg(feature = "allocator")]
// SAFETY: no other symbol has this name, and a pointer to characters that end with a zero is what it is declared as.
#[unsafe(export_name = "_rjem_malloc_conf")]
static ALLOCATOR_SETTINGS: &[u8; 80] =
    b"background_thread:true,dirty_decay_ms:5000,muzzy_decay_ms:0,narenas:4,thp:never\0";

/// Something failed while running. Source: the contract, section Programs.
const EXIT_FAILED: u8 = 1;
/// A wrong setting, or a data directory that is not to be served.
const EXIT_WRONG_SETTING: u8 = 2;

/// Connections that may wait to be accepted. Source: the bound that Linux has of its own, `net.core.somaxconn`, since 5.4.
const BACKLOG: u32 = 4096;
/// The same for operators, who are few.
const OPS_BACKLOG: u32 = 32;

/// Bytes of a backup that are read at a time.
const BACKUP_BUFFER: usize = 1024 * 1024;

/// Most characters of one line of output; it repeats settings, files and paths that others wrote.
const LINE_CHARS: usize = 2_000;
/// Most lines of help. Source: several times as many as there are.
const HELP_LINES: usize = 2_000;

fn main() -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => return wrong_line(&error),
    };
    let done = match line.verb {
        Verb::Keygen => keygen(),
        Verb::Init(arguments) => init(&arguments),
        Verb::Join(arguments) => join(&arguments),
        Verb::Run(arguments) => run(*arguments),
        Verb::Check(arguments) => check(&arguments),
        Verb::Backup(arguments) => backup(&arguments),
        Verb::Restore(arguments) => restore(&arguments),
        Verb::Recover(arguments) => recover(&arguments),
        Verb::Pki(verb) => pki(&verb),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, what }) => {
            if let Some(what) = what {
                eprintln!("etebar-node: {}", api::shown(&what, LINE_CHARS));
            }
            ExitCode::from(code)
        }
    }
}

/// Why the program ends with another code than 0; printed in one line, unless the log has it.
struct Failure {
    code: u8,
    what: Option<String>,
}

impl Failure {
    /// The same, written into the log in place of being printed.
    fn logged(self) -> Self {
        if let Some(what) = self.what {
            error!(reason = what, "node ended");
        }
        Self { what: None, ..self }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "callers pass what they made for the message")]
fn wrong(what: impl ToString) -> Failure {
    Failure { code: EXIT_WRONG_SETTING, what: Some(what.to_string()) }
}

#[expect(clippy::needless_pass_by_value, reason = "callers pass what they made for the message")]
fn failed(what: impl ToString) -> Failure {
    Failure { code: EXIT_FAILED, what: Some(what.to_string()) }
}

/// A directory that is not this node's is a wrong setting; one that is damaged is a failure.
fn refused(error: DataDirError) -> Failure {
    if error.is_wrong_setting() { wrong(error) } else { failed(error) }
}

/// What failed, and what to do where the disk's content is at fault.
fn not_started(error: ClusterError) -> Failure {
    match error {
        ClusterError::Storage(error) => failed(format!(
            "{error}: keep the data directory and do not run `init` or `join` again; this node does not start, and the others continue while \
             they are a majority"
        )),
        // Like a directory that is not this node's: no restart helps.
        ClusterError::Removed(_) => wrong(error),
        ClusterError::Setting(_)
        | ClusterError::Listen { .. }
        | ClusterError::Raft(_)
        | ClusterError::Rules(_)
        | ClusterError::Ledger { .. } => failed(error),
    }
}

/// Help goes out as it is; a mistake becomes one line.
fn wrong_line(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        print!("{}", api::shown_lines(&error.to_string(), LINE_CHARS, HELP_LINES));
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let shown: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let shown = shown.join(" ");
    eprintln!("etebar-node: {} (see --help)", api::shown(shown.trim_start_matches("error: "), LINE_CHARS));
    ExitCode::from(EXIT_WRONG_SETTING)
}

/// Draws an admin key and prints it, with the hash that `init` takes.
fn keygen() -> Result<(), Failure> {
    let entropy = Entropy::system().bytes().map_err(failed)?;
    let key = http::secret::text(etebar_api::Role::Admin, &entropy);
    let hash = Digest(http::secret::hash(&key).0);
    println!("{{\"key\":\"{key}\",\"hash\":\"{hash}\"}}");
    Ok(())
}

/// Makes an authority or a certificate.
fn pki(verb: &PkiVerb) -> Result<(), Failure> {
    let done = pki::run(verb, Clock::system().now_ms()).map_err(|error| match error {
        PkiError::Host(_) | PkiError::Exists(_) | PkiError::Authority(_) | PkiError::Revocation(_) => wrong(error),
        PkiError::Made(_) | PkiError::Io { .. } => failed(error),
    })?;
    println!("{done}");
    Ok(())
}

/// Makes the data directory of a founding member.
fn init(arguments: &InitArgs) -> Result<(), Failure> {
    let members = arguments.member_map().map_err(wrong)?;
    let incarnation = new_uuid()?;
    let identity = Identity {
        format: FORMAT,
        cluster: arguments.cluster_id,
        // A restore makes a new cluster of the same ledger; `init` begins both.
        ledger: arguments.cluster_id,
        epoch: 1,
        node: arguments.id,
        incarnation,
        members,
        joined: None,
        genesis: GenesisSettings {
            currency: arguments.currency.clone(),
            places: arguments.places,
            key_window_ms: u64::try_from(arguments.key_window.as_millis()).unwrap_or(u64::MAX),
            keys_max: arguments.keys_max,
            admin_key_hash: arguments.admin_key_hash.clone(),
        },
    };
    make(&arguments.data_dir, &identity)?;
    if let Some(warning) = key_window_warning(identity.genesis.key_window_ms) {
        eprintln!("etebar-node: warning: {warning}");
    }
    Ok(())
}

/// Makes the data directory of a member that was added, with what another member says. One that is there already is a success.
fn join(arguments: &JoinArgs) -> Result<(), Failure> {
    let (path, cluster, node) = (&arguments.data_dir, arguments.cluster_id, arguments.id);
    if DataDir::is_made_for(path, &NodeDisks::FOLDERS, node, cluster).map_err(refused)? {
        let path = path.display().to_string();
        println!("{} is there already for node {node} of cluster {cluster}", api::shown(&path, LINE_CHARS));
        return Ok(());
    }
    // Before anybody is asked: the disk is more often at fault than the cluster.
    DataDir::check_free(path, &NodeDisks::FOLDERS).map_err(refused)?;
    let security = PeerSecurity::open(arguments.peer_files(), Clock::system(), cluster, node).map_err(wrong)?;
    let incarnation = new_uuid()?;
    // The ledger is what the others are asked for.
    let me = PeerIdentity { ledger: uuid::Uuid::nil(), epoch: 0, ..PeerIdentity::new(cluster, node, incarnation) };
    let introduced = runtime(1)?.block_on(raft::ask_seeds(&security, me, &arguments.seeds)).map_err(failed)?;
    make(path, &joining(me, introduced)?)
}

/// The identity of a node that was introduced to its cluster. It is not among the members that it begins with.
fn joining(me: PeerIdentity, introduced: Introduction) -> Result<Identity, Failure> {
    let mut members = BTreeMap::new();
    for member in introduced.members {
        for address in [&member.api, &member.peer] {
            api::read_address(address)
                .map_err(|error| failed(format!("the address of node {}: {error}", member.node)))?;
        }
        members.insert(member.node, MemberAddress { api: member.api, peer: member.peer });
    }
    let address = members.remove(&me.node).ok_or_else(|| failed("the members that were sent lack this node"))?;
    Ok(Identity {
        format: FORMAT,
        cluster: me.cluster,
        ledger: introduced.ledger,
        epoch: introduced.epoch,
        node: me.node,
        incarnation: me.incarnation,
        members,
        joined: Some(Joined { address, members_index: introduced.members_index }),
        genesis: GenesisSettings {
            currency: introduced.currency,
            places: introduced.places,
            key_window_ms: introduced.key_window_ms,
            keys_max: introduced.keys_max,
            admin_key_hash: Digest(introduced.admin_key_hash).to_string(),
        },
    })
}

/// Draws a UUID: of a cluster, or what distinguishes this data directory from another one under its node's number.
fn new_uuid() -> Result<Uuid, Failure> {
    Ok(uuid::Builder::from_random_bytes(Entropy::system().bytes().map_err(failed)?).into_uuid())
}

/// Makes a data directory with an empty log and an empty history; all of it survives a power cut.
fn make(path: &Path, identity: &Identity) -> Result<(), Failure> {
    let unfinished = UnfinishedDataDir::begin(path, &NodeDisks::FOLDERS).map_err(refused)?;
    let disks = NodeDisks::open(path).map_err(failed)?;
    runtime(1)?.block_on(disks.create()).map_err(failed)?;
    drop(disks);
    unfinished.finish(identity, &NodeDisks::FOLDERS).map_err(refused)?;
    let path = path.display().to_string();
    let path = api::shown(&path, LINE_CHARS);
    println!("made {path} for node {} of cluster {}", identity.node, identity.cluster);
    Ok(())
}

/// Says whether this build can serve a data directory that no process serves, and changes nothing of it.
fn check(arguments: &CheckArgs) -> Result<(), Failure> {
    let report = check::check(arguments).map_err(|error| match error {
        CheckError::NoRoom { .. } => wrong(error),
        CheckError::Io { .. } => failed(error),
    })?;
    if arguments.json {
        println!("{}", serde_json::to_string(&report).map_err(failed)?);
    } else {
        print!("{}", api::shown_lines(&report.lines(), LINE_CHARS, HELP_LINES));
    }
    let path = report.data_dir().display();
    match report.refusal() {
        None => Ok(()),
        Some((why, true)) => Err(wrong(why)),
        Some((why, false)) => Err(failed(format!("this build does not serve {path}: {why}"))),
    }
}

/// Writes a backup of a data directory that no process serves.
fn backup(arguments: &BackupArgs) -> Result<(), Failure> {
    let out = io::stdout().lock();
    if out.is_terminal() {
        return Err(wrong("a backup is binary: send it to a file, as in `etebar-node backup --data-dir DIR > FILE`"));
    }
    let data_dir = DataDir::open(&arguments.data_dir, &NodeDisks::FOLDERS).map_err(refused)?;
    let disks = NodeDisks::open(&data_dir.path).map_err(failed)?;
    let history = History::open(disks.history).map_err(failed)?;
    let end = history.checkpoint();
    let of = (data_dir.identity.ledger, data_dir.identity.epoch);
    let (epoch, ids) = ids_of(&history, of, table_seed()?).map_err(failed)?;
    let origin = BackupOrigin {
        ledger: data_dir.identity.ledger,
        cluster: data_dir.identity.cluster,
        epoch,
        ids,
        rules: end.rules,
        position: end.applied,
        // The sums over all accounts are in a state, which nothing makes here.
        totals: None,
        made_ms: Clock::system().now_ms(),
    };
    let head = history.backup_head(&origin, end.records, arguments.after).map_err(failed)?;
    history.write_backup(&head, io::BufWriter::new(out)).map_err(failed)
}

/// Makes the data directory of a new cluster out of a backup.
fn restore(arguments: &RestoreArgs) -> Result<(), Failure> {
    let path = &arguments.data_dir;
    DataDir::check_free(path, &NodeDisks::FOLDERS).map_err(refused)?;
    let opened = |file: &PathBuf| {
        let shown = file.display().to_string();
        let opened = File::open(file).map_err(|error| wrong(format!("--from {shown}: {error}")))?;
        Ok((shown, BufReader::with_capacity(BACKUP_BUFFER, opened)))
    };
    let files = arguments.from.iter().map(opened).collect::<Result<Vec<_>, Failure>>()?;
    let backup = Chain::open(files).map_err(failed)?;
    let head = backup.head().clone();
    let to = NewCluster {
        cluster: arguments.cluster_id.map_or_else(new_uuid, Ok)?,
        node: arguments.id,
        addresses: NodeAddresses { api: arguments.api.clone(), peer: arguments.peer.clone() },
        admin_key: admin_key_hash(arguments.admin_key_hash.as_deref())?,
    };
    if to.cluster == head.cluster {
        return Err(not_begun(NewEpochError::ClusterUsed(to.cluster)));
    }
    let unfinished = UnfinishedDataDir::begin(path, &NodeDisks::FOLDERS).map_err(refused)?;
    let disks = NodeDisks::open(path).map_err(failed)?;
    let (seed, now) = (table_seed()?, Time(Clock::system().now_ms()));
    let restored = new_epoch::restore(backup, arguments.until, &disks, &to, seed, now).map_err(not_begun)?;
    drop(disks);
    let genesis = restored.genesis;
    let address = MemberAddress { api: to.addresses.api, peer: to.addresses.peer };
    let identity = Identity {
        format: FORMAT,
        cluster: to.cluster,
        ledger: genesis.ledger,
        epoch: restored.epoch,
        node: to.node,
        incarnation: new_uuid()?,
        members: BTreeMap::from([(to.node, address)]),
        joined: None,
        genesis: GenesisSettings {
            currency: genesis.currency.as_str().to_owned(),
            places: genesis.decimals,
            key_window_ms: genesis.key_window_ms,
            keys_max: genesis.keys_max,
            admin_key_hash: Digest(genesis.admin_key.0).to_string(),
        },
    };
    unfinished.finish(&identity, &NodeDisks::FOLDERS).map_err(refused)?;
    println!(
        "restored {} records, up to entry {}, of ledger {} into {}: node {} of the new cluster {}, epoch {}",
        restored.records,
        restored.entries,
        genesis.ledger,
        api::shown(&path.display().to_string(), LINE_CHARS),
        to.node,
        to.cluster,
        restored.epoch
    );
    println!("{}", on_hold(to.cluster, to.node));
    Ok(())
}

/// Lets a survivor go on alone.
fn recover(arguments: &RecoverArgs) -> Result<(), Failure> {
    let mut data_dir = DataDir::open(&arguments.data_dir, &NodeDisks::FOLDERS).map_err(refused)?;
    let identity = data_dir.identity.clone();
    let disks = NodeDisks::open(&data_dir.path).map_err(failed)?;
    let drawn = arguments.cluster_id.map_or_else(new_uuid, Ok)?;
    let survivor = Survivor::open(&disks, identity.node, drawn, table_seed()?).map_err(not_begun)?;
    // A recovery that was interrupted has changed the identity, and not the log.
    let is_begun = identity.epoch > survivor.epoch;
    let cluster = if is_begun { identity.cluster } else { drawn };
    let (last, addresses) = (survivor.last, survivor.addresses.clone());
    let epoch = survivor.epoch.saturating_add(1);
    let address = MemberAddress { api: addresses.api.clone(), peer: addresses.peer.clone() };
    data_dir.change_cluster(cluster, epoch, address).map_err(refused)?;
    let admin_key = admin_key_hash(arguments.admin_key_hash.as_deref())?;
    let to = NewCluster { cluster, node: identity.node, addresses, admin_key };
    survivor.go_on(&to, Time(Clock::system().now_ms())).map_err(not_begun)?;
    eprintln!(
        "etebar-node: warning: node {} goes on alone with log entry {last} as its last one: what only the lost nodes had is lost, \
         and no other node of the old cluster may be started again",
        identity.node
    );
    println!("node {} is the only member of the new cluster {cluster}, epoch {epoch}", identity.node);
    println!("{}", on_hold(cluster, identity.node));
    Ok(())
}

/// What to do next with a cluster on hold.
fn on_hold(cluster: Uuid, node: u64) -> String {
    format!(
        "next: a certificate (`etebar-node pki node --cluster-id {cluster} --id {node} …`), `etebar-node run`, and a look at what \
         was lost; every write is refused until `etebar cluster open`"
    )
}

/// A backup that is not one to restore is a wrong setting, like a cluster id that was used.
fn not_begun(error: NewEpochError) -> Failure {
    match error {
        NewEpochError::ClusterUsed(_)
        | NewEpochError::NoEntry { .. }
        | NewEpochError::NotAlone(_)
        | NewEpochError::NoMember(_) => wrong(error),
        NewEpochError::Storage(_)
        | NewEpochError::Backup(_)
        | NewEpochError::Rules(_)
        | NewEpochError::Empty
        | NewEpochError::Unfit(_)
        | NewEpochError::NotBegun(_) => failed(error),
    }
}

fn admin_key_hash(text: Option<&str>) -> Result<Option<ApiKeyHash>, Failure> {
    let hash = |text| Digest::from_hex(text).ok_or_else(|| wrong("--admin-key-hash has 64 hexadecimal digits"));
    Ok(text.map(hash).transpose()?.map(|digest| ApiKeyHash(digest.0)))
}

fn table_seed() -> Result<TableSeed, Failure> {
    Ok(TableSeed::from_bytes(Entropy::system().bytes().map_err(failed)?))
}

/// Serves a data directory until a signal, or until the node has to stop by itself.
fn run(arguments: RunArgs) -> Result<(), Failure> {
    let settings = arguments.complete().map_err(wrong)?;
    let format = settings.log_format;
    log::start(format, &settings.log_level).map_err(|error| wrong(format!("--log-level: {error}")))?;
    run_logged(&settings).map_err(|failure| match format {
        LogFormat::Text => failure,
        LogFormat::Json => failure.logged(),
    })
}

fn run_logged(settings: &Settings) -> Result<(), Failure> {
    std::panic::set_hook(Box::new(|panic| error!(%panic, "panicked: a defect")));
    if let Err(error) = allow_open_files() {
        warn!(%error, "the number of open files stays limited");
    }
    let data_dir = DataDir::open(&settings.data_dir, &NodeDisks::FOLDERS).map_err(refused)?;
    data_dir.expect(settings.id, settings.cluster_id).map_err(refused)?;
    let (cluster, node) = (data_dir.identity.cluster, data_dir.identity.node);
    let security = PeerSecurity::open(settings.peer_files.clone(), Clock::system(), cluster, node).map_err(wrong)?;
    let workers = std::thread::available_parallelism().map_or(2, usize::from).max(2);
    let runtime = runtime(workers)?;
    let done = runtime.block_on(serve(settings, &data_dir, security));
    // Recomputations of the books whose callers are gone must not delay the exit.
    runtime.shutdown_background();
    drop(data_dir);
    done
}

/// Raises the bound of open files to the most that this process may have.
fn allow_open_files() -> io::Result<()> {
    let bound = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: bound.maximum, maximum: bound.maximum })?)
}

async fn serve(settings: &Settings, data_dir: &DataDir, security: PeerSecurity) -> Result<(), Failure> {
    let mut stop = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let own = own_address(data_dir)?;
    let api_listen = settings.api_listen.map_or_else(|| own.api.clone(), |address| address.to_string());
    let not_listening = |error| failed(format!("could not listen for the API on {api_listen}: {error}"));
    let credentials = api_credentials(settings, &own.api)?;
    let claimed = claim(&api_listen).await.map_err(not_listening)?;
    let operators = OperatorPort::claim(settings, &api_listen).await?;
    warn_about(settings, data_dir);
    settings.api_protection.check(claimed.local_addr().map_err(not_listening)?).map_err(wrong)?;
    info!(node = data_dir.identity.node, "node starts: it reads its history");
    let disks = NodeDisks::open(&data_dir.path).map_err(|error| not_started(ClusterError::Storage(error)))?;
    let starting = Cluster::start(cluster_settings(settings, data_dir, security)?, disks, Clock::system());
    let cluster = tokio::select! {
        started = starting => started.map_err(not_started)?,
        // Nothing was served yet, so there is nothing to finish.
        _ = stop.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let mut app =
        App::new(cluster.clone(), limits(settings), Entropy::system(), data_dir.path.clone()).map_err(failed)?;
    if let Some(credentials) = &credentials {
        app = app.over_tls(ApiTls::new(credentials.subscribe()).map_err(failed)?);
    }
    let scheme = app.scheme();
    let listener = claimed.listen(BACKLOG).map_err(not_listening)?;
    let stopping = CancellationToken::new();
    if let Some(credentials) = credentials {
        tokio::spawn(credentials.run(stopping.clone()));
    }
    let ended = CancellationToken::new();
    let ops = operators.serve(app.clone(), ended.clone())?;
    let serving = tokio::spawn(http::serve(app, listener, stopping.clone()));
    info!(node = data_dir.identity.node, api = %format_args!("{scheme}://{api_listen}"), %ops, "node serves");
    notify(service_manager::READY);
    let failure = tokio::select! {
        _ = stop.recv() => None,
        _ = interrupt.recv() => None,
        reason = cluster.failed() => Some(reason),
    };
    notify(service_manager::STOPPING);
    stopping.cancel();
    // Requests in flight are answered first, since they need the cluster.
    serving.await.map_err(failed)?;
    cluster.shutdown().await;
    ended.cancel();
    match failure {
        None => Ok(()),
        Some(reason) => {
            // A disk that failed is not closed: sled would write to it once more, and panic.
            std::mem::forget(cluster);
            Err(failed(format!("node stopped: {reason}")))
        }
    }
}

/// What the settings say of the HTTP side.
fn limits(settings: &Settings) -> Limits {
    Limits {
        body_bytes: settings.body_bytes,
        request: settings.request_timeout,
        head: settings.head_timeout,
        connections: settings.connections_max,
        rate_per_key: settings.rate_per_key,
        connections_per_address: settings.connections_per_address,
        disk_reserve_bytes: settings.disk_reserve,
        ..Limits::default()
    }
}

/// Tells the service manager, where one waits for it.
fn notify(state: &str) {
    if let Err(error) = service_manager::notify(state) {
        warn!(%error, "the service manager could not be told");
    }
}

/// Where operators are served: bound at the start, like the API's address, and listened on once there is something to show.
struct OperatorPort {
    address: SocketAddr,
    claimed: TcpSocket,
}

impl OperatorPort {
    /// Binds what the settings say of a node whose API is at `api`.
    async fn claim(settings: &Settings, api: &str) -> Result<Self, Failure> {
        let address = settings.ops_address(api).map_err(wrong)?;
        let claimed = claim(&address.to_string()).await.map_err(|error| Self::failed(address, &error))?;
        Ok(Self { address, claimed })
    }

    /// Serves operators until `ended`; returns where, as a URL.
    fn serve(self, app: App, ended: CancellationToken) -> Result<String, Failure> {
        let Self { address, claimed } = self;
        let listening = claimed.listen(OPS_BACKLOG).and_then(TcpListener::into_std);
        let serving = listening.and_then(|listener| http::serve_operator(app, listener, ended));
        serving.map(|()| format!("http://{address}")).map_err(|error| Self::failed(address, &error))
    }

    fn failed(address: SocketAddr, error: &io::Error) -> Failure {
        failed(format!("could not listen for operators on {address}: {error} (--ops-listen chooses another address)"))
    }
}

/// Logs what an operator should not leave as it is.
fn warn_about(settings: &Settings, data_dir: &DataDir) {
    if let Some(warning) = key_window_warning(data_dir.identity.genesis.key_window_ms) {
        warn!("{warning}");
    }
    if settings.trust_clock {
        warn!("--trust-clock: if this node leads, ledger time follows its clock; leave it out at the next start");
    }
}

/// The API's certificate and key, where it is served over TLS.
fn api_credentials(settings: &Settings, address: &str) -> Result<Option<CredentialWatch>, Failure> {
    let paths = match &settings.api_protection {
        ApiProtection::Tls(paths) => paths,
        ApiProtection::Loopback | ApiProtection::Elsewhere => return Ok(None),
    };
    let credentials = CredentialWatch::open(paths.clone(), Clock::system()).map_err(wrong)?;
    let host = api::read_address(address).map_or(address, |(host, _)| host);
    if !credentials.subscribe().borrow().names(host) {
        warn!(
            host,
            "the certificate does not name this node's API address: clients that learn the address from /v1/cluster refuse it"
        );
    }
    Ok(Some(credentials))
}

/// Binds an address without listening: an address in use fails at once, and no client can connect yet. A start
/// reads the whole history: a caller that is refused meanwhile goes to another node, and one that was accepted would wait.
///
/// # Errors
/// Where the address names no host, or none of its addresses is free.
async fn claim(address: &str) -> io::Result<TcpSocket> {
    let mut last = io::Error::other("the name has no address");
    for address in tokio::net::lookup_host(address).await? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Connections of an earlier process that are still closing must not hold the address.
        socket.set_reuseaddr(true)?;
        match socket.bind(address) {
            Ok(()) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn own_address(data_dir: &DataDir) -> Result<&MemberAddress, Failure> {
    data_dir.identity.address().ok_or_else(|| failed("identity.json does not name this node's addresses"))
}

fn cluster_settings(
    settings: &Settings,
    data_dir: &DataDir,
    peer_security: PeerSecurity,
) -> Result<ClusterSettings, Failure> {
    let identity = &data_dir.identity;
    let own = own_address(data_dir)?;
    let admin_key = Digest::from_hex(&identity.genesis.admin_key_hash);
    let genesis = Genesis {
        ledger: identity.ledger,
        epoch: identity.epoch,
        currency: Name::new(&identity.genesis.currency).map_err(failed)?,
        decimals: identity.genesis.places,
        key_window_ms: identity.genesis.key_window_ms,
        keys_max: identity.genesis.keys_max,
        rules: ledger::RULES_VERSION,
        admin_key: ApiKeyHash(admin_key.ok_or_else(|| failed("identity.json holds no key hash"))?.0),
    };
    let addresses = |address: &MemberAddress| NodeAddresses { api: address.api.clone(), peer: address.peer.clone() };
    Ok(ClusterSettings {
        identity: PeerIdentity {
            cluster: identity.cluster,
            ledger: identity.ledger,
            epoch: identity.epoch,
            node: identity.node,
            incarnation: identity.incarnation,
            build: raft::Build::OWN,
        },
        members: identity.members.iter().map(|(id, address)| (*id, addresses(address))).collect(),
        members_index: identity.joined.as_ref().map(|joined| joined.members_index),
        genesis,
        peer_listen: settings.peer_listen.map_or_else(|| own.peer.clone(), |address| address.to_string()),
        peer_security,
        heartbeat: settings.heartbeat,
        election_min: settings.election_min,
        election_max: settings.election_max,
        log_bytes: settings.log_bytes,
        waiting_max: settings.waiting_max,
        table_seed: table_seed()?,
        trust_clock: settings.trust_clock,
    })
}

fn runtime(workers: usize) -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("http")
        .enable_all()
        .build()
        .map_err(failed)
}
