//! A proxy before one node that cuts connections in the middle of an answer, after so many bytes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that are handed on at once.
const PIECE_BYTES: usize = 16 * 1024;

/// A running proxy. It ends with the test's process.
#[derive(Debug)]
pub struct CuttingProxy {
    /// Where it listens.
    pub address: SocketAddr,
    cuts: Arc<AtomicUsize>,
}

impl CuttingProxy {
    /// A proxy before that node, which ends each connection once it has handed on so many bytes of answers.
    pub fn before(node: SocketAddr, after_bytes: u64) -> CuttingProxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let cuts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&cuts);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counted = Arc::clone(&counted);
                // A caller that goes away, or a node that does, ends its connection and nothing else.
                std::thread::spawn(move || drop(serve(&stream, node, after_bytes, &counted)));
            }
        });
        CuttingProxy { address, cuts }
    }

    /// Its address as `--server` takes it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections it has cut.
    pub fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

fn serve(caller: &TcpStream, node: SocketAddr, after_bytes: u64, cuts: &AtomicUsize) -> io::Result<()> {
    let behind = TcpStream::connect(node)?;
    let (mut from_caller, mut to_node) = (caller.try_clone()?, behind.try_clone()?);
    std::thread::spawn(move || {
        let copied = io::copy(&mut from_caller, &mut to_node);
        drop(to_node.shutdown(Shutdown::Write));
        copied
    });
    let (mut left, mut piece) = (after_bytes, vec![0; PIECE_BYTES]);
    let mut answers = &behind;
    loop {
        let read = answers.read(&mut piece)?;
        if read == 0 {
            return caller.shutdown(Shutdown::Both);
        }
        let handed_on = usize::try_from(left).unwrap_or(usize::MAX).min(read);
        (&*caller).write_all(&piece[..handed_on])?;
        left -= handed_on as u64;
        if left == 0 {
            cuts.fetch_add(1, Ordering::SeqCst);
            drop(behind.shutdown(Shutdown::Both));
            return caller.shutdown(Shutdown::Both);
        }
    }
}
