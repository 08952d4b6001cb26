//! What the service manager is told: that the node serves, and that it stops. The protocol of `sd_notify(3)`: lines in one
//! datagram to the socket that `NOTIFY_SOCKET` names, which only a manager that waits for them sets.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The node serves its clients and its peers.
pub const READY: &str = "READY=1\nSTATUS=serves";
/// The node stops: it hands leadership over, answers what is under way, and writes a checkpoint.
pub const STOPPING: &str = "STOPPING=1\nSTATUS=stops";

/// Tells the service manager `state`; does nothing where none asks for it.
///
/// # Errors
/// Where it asks, and the datagram could not be sent: it may then end a node that serves.
pub fn notify(state: &str) -> io::Result<()> {
    match env::var_os("NOTIFY_SOCKET") {
        Some(socket) if !socket.is_empty() => send(&socket, state),
        Some(_) | None => Ok(()),
    }
}

fn send(socket: &OsStr, state: &str) -> io::Result<()> {
    let name = socket.as_bytes();
    let address = match name.split_first() {
        // A name of the abstract namespace, which begins with a zero byte.
        Some((b'@', rest)) => SocketAddr::from_abstract_name(rest)?,
        Some((b'/', _)) => SocketAddr::from_pathname(socket)?,
        Some(_) | None => return Err(io::Error::new(io::ErrorKind::Unsupported, "NOTIFY_SOCKET is no path")),
    };
    let datagrams = UnixDatagram::unbound()?;
    // The manager's queue may be full: a node must not hang over it.
    datagrams.set_nonblocking(true)?;
    datagrams.send_to_addr(state.as_bytes(), &address).map(drop)
}
