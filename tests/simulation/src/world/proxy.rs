//! A proxy between one client and the nodes. It forwards every request; during simulated outages it replaces the
//! node's answer by an error of its own, as proxies do at a time-out.

use std::io;
use std::time::Duration;

use etebar_node::runtime::net::{TcpListener, TcpStream};
use etebar_node::runtime::spawn;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::network::{HTTP_PORT, host_name, proxy_port};

/// Its answer during an outage.
const FALSE_ANSWER: &[u8] =
    b"HTTP/1.1 503 X\r\ncontent-type: text/plain\r\ncontent-length: 22\r\n\r\nupstream connect error";
/// From the start of an outage to that of the next, and how long an outage is, in milliseconds.
const OUTAGES_MS: (u128, u128) = (2_000, 700);
/// Longest time of one exchange with a node. Source: longer than a client of the simulation waits.
const TIMEOUT: Duration = Duration::from_secs(8);
/// Largest message. Source: those of the simulation are far smaller.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Serves a port for each node.
pub async fn serve(hosts: u64) {
    let started = Instant::now();
    for node in 1..=hosts {
        let listener = TcpListener::bind(("0.0.0.0", proxy_port(node))).await.expect("no other host has this port");
        spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that disconnects, or a node that does, ends its connection and nothing else.
                spawn(async move { drop(forward(stream, node, started).await) });
            }
        });
    }
}

async fn forward(mut client: TcpStream, node: u64, started: Instant) -> io::Result<()> {
    loop {
        let request = message(&mut client).await?;
        let exchange = async {
            let mut server = TcpStream::connect((host_name(node), HTTP_PORT)).await?;
            server.write_all(&request).await?;
            message(&mut server).await
        };
        let answer = timeout(TIMEOUT, exchange).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match answer {
            Ok(answer) if !in_outage(started) => client.write_all(&answer).await?,
            Ok(_) | Err(_) => {
                client.write_all(FALSE_ANSWER).await?;
                return client.shutdown().await;
            }
        }
    }
}

fn in_outage(started: Instant) -> bool {
    let (every, long) = OUTAGES_MS;
    started.elapsed().as_millis() % every < long
}

/// Reads one message, head and body, unchanged.
async fn message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(whole) = length(&bytes) {
            if bytes.len() >= whole {
                return Ok(bytes);
            }
        } else if bytes.len() > MESSAGE_BYTES_MAX {
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
    Some(head + body.unwrap_or(0).min(MESSAGE_BYTES_MAX))
}
