//! A proxy that delays what passes: `delay-proxy PORT FILE`, for `cluster-scripts/chaos.sh`.
//!
//! Connections come to PORT by a `redirect` of nftables, which remembers where they were meant to go. FILE holds two numbers,
//! the least and the most milliseconds that a piece of data is kept back; it is read anew a few times a second, and the
//! delay counts for open connections too. Its own connections carry [`MARK`], so that the redirect can leave them alone.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use tests::load::dice::Dice;
use tests::wait::let_pass;

/// The mark of the proxy's own packets.
const MARK: u32 = 77;
/// Pause between two looks at the file.
const LOOK: Duration = Duration::from_millis(50);
/// Pieces that are kept back at a time in one direction, and bytes of one. Further ones wait in the network.
const PIECES: usize = 256;
const PIECE_BYTES: usize = 64 * 1024;

/// The least and the most delay, in milliseconds.
#[derive(Debug, Default)]
struct Delay {
    least: AtomicU64,
    most: AtomicU64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, file] = arguments.as_slice() else {
        eprintln!("usage: delay-proxy PORT FILE");
        return ExitCode::from(2);
    };
    match port.parse().map_err(io::Error::other).and_then(|port| serve(port, file)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("delay-proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(port: u16, file: &str) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
    let delay = Arc::new(Delay::default());
    let (read, file) = (delay.clone(), file.to_owned());
    std::thread::spawn(move || {
        loop {
            let text = fs::read_to_string(&file).unwrap_or_default();
            let mut numbers = text.split_whitespace().map(|word| word.parse().unwrap_or(0));
            let least = numbers.next().unwrap_or(0);
            read.least.store(least, Ordering::Relaxed);
            read.most.store(numbers.next().unwrap_or(0).max(least), Ordering::Relaxed);
            let_pass(LOOK);
        }
    });
    for (count, client) in (1..).zip(listener.incoming()) {
        let (client, delay) = (client?, delay.clone());
        // Without a server the client's connection is closed, as by a node that cannot be reached.
        std::thread::spawn(move || join(client, &delay, count));
    }
    Ok(())
}

/// Joins a client with the server that it meant.
fn join(client: TcpStream, delay: &Arc<Delay>, count: u64) -> io::Result<()> {
    let server = connect(&original(&client)?)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let (client_writer, server_writer) = (client.try_clone()?, server.try_clone()?);
    pass(client, server_writer, delay.clone(), Dice(count * 2));
    pass(server, client_writer, delay.clone(), Dice(count * 2 + 1));
    Ok(())
}

/// Passes on what comes from `from`, each piece after its delay and in order.
fn pass(mut from: TcpStream, to: TcpStream, delay: Arc<Delay>, mut dice: Dice) {
    let (pieces, waiting) = sync_channel::<(Instant, Vec<u8>)>(PIECES);
    std::thread::spawn(move || write_all(to, &waiting));
    std::thread::spawn(move || {
        let mut piece = vec![0; PIECE_BYTES];
        // An error is an end: the other side sees the connection close, and so does its peer.
        while let Ok(bytes @ 1..) = from.read(&mut piece) {
            let (least, most) = (delay.least.load(Ordering::Relaxed), delay.most.load(Ordering::Relaxed));
            let kept = Duration::from_millis(least + dice.below(most.saturating_sub(least) + 1));
            if pieces.send((Instant::now() + kept, piece[..bytes].to_vec())).is_err() {
                break;
            }
        }
    });
}

fn write_all(mut to: TcpStream, waiting: &Receiver<(Instant, Vec<u8>)>) {
    for (due, piece) in waiting {
        let left = due.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            let_pass(left);
        }
        if to.write_all(&piece).is_err() {
            break;
        }
    }
    // The other direction ends by itself, when its own reader does.
    to.shutdown(Shutdown::Write).ok();
}

/// Where a redirected connection was meant to go.
fn original(client: &TcpStream) -> io::Result<SockAddr> {
    SockRef::from(client).original_dst_v4()
}

/// A connection that carries the mark from its first packet on.
fn connect(to: &SockAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_mark(MARK)?;
    socket.connect(to)?;
    Ok(socket.into())
}
