//! Where a cluster lives: a folder of its own under the target folder, and a block of ports of its own.
//!
//! A block is owned by listening on its first port, so that test binaries that run at the same time never share one and
//! a killed one gives its block back. All lie below the range from which the kernel takes ports for outgoing connections.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::machine::programs;

const FIRST_PORT: u32 = 10_000;
const PORTS_A_BLOCK: u32 = 60;
const BLOCKS: u32 = 370;
/// How long the folder of a test that failed or was killed stays for a look.
const KEPT_FOR: Duration = Duration::from_hours(1);

/// A block of ports: the API on `base + id`, peers on `base + 20 + id`, operators on `base + 40 + id`, as the scripts lay them
/// out and a node chooses them.
#[derive(Debug)]
pub struct Ports {
    /// The first port, which nothing of a cluster uses.
    pub base: u16,
    _owned: TcpListener,
}

impl Ports {
    /// Takes a free block; panics where there is none.
    pub fn take() -> Ports {
        let start = std::process::id().wrapping_mul(7) % BLOCKS;
        (0..BLOCKS).find_map(|step| Ports::block((start + step) % BLOCKS)).expect("a free block of ports")
    }

    fn block(index: u32) -> Option<Ports> {
        let base = FIRST_PORT + index * PORTS_A_BLOCK;
        let port = |offset: u32| u16::try_from(base + offset).expect("every block lies below 65536");
        let owned = TcpListener::bind(("127.0.0.1", port(0))).ok()?;
        let free = (1..PORTS_A_BLOCK).all(|offset| TcpListener::bind(("127.0.0.1", port(offset))).is_ok());
        free.then_some(Ports { base: port(0), _owned: owned })
    }

    /// The port of that node's API.
    pub fn api(&self, id: u64) -> u16 {
        self.base + u16::try_from(id).expect("a small id")
    }

    /// The port where that node listens for its peers.
    pub fn peer(&self, id: u64) -> u16 {
        self.api(id) + 20
    }

    /// The port where that node serves operators.
    pub fn ops(&self, id: u64) -> u16 {
        self.api(id) + 40
    }
}

/// A folder that is removed when it is dropped, unless its test is failing: then it stays and is named.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new folder below the target folder, with this in its name.
    pub fn new(name: &str) -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        static SWEPT: Once = Once::new();
        let scenarios = programs::target().join("scenarios");
        SWEPT.call_once(|| sweep(&scenarios));
        Folder::below(&scenarios, &format!("{}-{}-{name}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    /// A new folder of that name in another place than the target folder.
    #[track_caller]
    pub fn below(place: &Path, name: &str) -> Folder {
        let path = place.join(name);
        fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Folder(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Removes it now, whatever became of the test.
    pub fn remove(&self) {
        // What cannot be removed does no harm, and the next run sweeps it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept: {}", self.0.display());
        } else {
            self.remove();
        }
    }
}

/// Removes what test processes that have ended left.
fn sweep(scenarios: &Path) {
    let Ok(entries) = fs::read_dir(scenarios) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let alive = name.split('-').next().is_some_and(|pid| Path::new("/proc").join(pid).exists());
        let old = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|made| made.elapsed().is_ok_and(|age| age > KEPT_FOR));
        if !alive && old {
            crate::machine::disk::unmount_below(&entry.path());
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
