//! A proxy between one client and the members. It hands every request on, and in spells it answers something of its own
//! instead of what the member said, as proxies do where they lose patience.

use std::io;
use std::time::Duration;

use etebar_node::runtime::net::{TcpListener, TcpStream};
use etebar_node::runtime::spawn;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::host::name;
use crate::http::PORT;

/// Its host.
pub const NAME: &str = "proxy";
/// What it says in a spell.
const LIE: &[u8] = b"HTTP/1.1 503 X\r\ncontent-type: text/plain\r\ncontent-length: 22\r\n\r\nupstream connect error";
/// From the beginning of a spell to that of the next, in milliseconds, and how long a spell is.
const SPELLS_MS: (u128, u128) = (2_000, 700);
/// Longest time of one exchange with a member. Source: longer than a client of the simulation waits.
const PATIENCE: Duration = Duration::from_secs(8);
/// Largest message. Source: those of the simulation are far smaller.
const BYTES: usize = 4 * 1024 * 1024;

/// The port behind which a member is.
pub fn port(node: u64) -> u16 {
    8_000 + node as u16
}

/// Serves from now on.
pub async fn serve(hosts: u64) {
    let began = Instant::now();
    for node in 1..=hosts {
        let listener = TcpListener::bind(("0.0.0.0", port(node))).await.expect("nobody else has this port");
        spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A caller that goes away, or a member that does, ends its connection and nothing else.
                spawn(async move { drop(pass(stream, node, began).await) });
            }
        });
    }
}

async fn pass(mut caller: TcpStream, node: u64, began: Instant) -> io::Result<()> {
    loop {
        let request = message(&mut caller).await?;
        let exchange = async {
            let mut member = TcpStream::connect((name(node), PORT)).await?;
            member.write_all(&request).await?;
            message(&mut member).await
        };
        let answer = timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match answer {
            Ok(answer) if !in_spell(began) => caller.write_all(&answer).await?,
            Ok(_) | Err(_) => {
                caller.write_all(LIE).await?;
                return caller.shutdown().await;
            }
        }
    }
}

fn in_spell(began: Instant) -> bool {
    let (every, long) = SPELLS_MS;
    began.elapsed().as_millis() % every < long
}

/// A head and its body as they came.
async fn message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(whole) = length(&bytes) {
            if bytes.len() >= whole {
                return Ok(bytes);
            }
        } else if bytes.len() > BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => bytes.extend_from_slice(&piece[..read]),
        }
    }
}

/// How long a message is, once its head is there.
fn length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let body = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    Some(head + body.unwrap_or(0).min(BYTES))
}
