//! A disk whose power can be cut: an ext4 file system in a file, mounted, and shut down at once without its journal.
//!
//! After the cut the file system loses everything that was not synced, as a machine does; a killed process would not
//! show that, since the kernel keeps its pages. Needs root.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::wait::until;

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::ioctl::{Opcode, Setter, ioctl, opcode};

/// `FS_IOC_SHUTDOWN` of linux/fs.h: `_IOR('X', 125, __u32)`.
const FS_IOC_SHUTDOWN: Opcode = opcode::read::<u32>(b'X', 125);
/// `EXT4_GOING_FLAGS_NOLOGFLUSH`: not even the file system's journal is written.
const WITHOUT_LOG: u32 = 2;

/// Longest time until nothing uses a disk any more whose users were killed.
const UNMOUNT: Duration = Duration::from_secs(5);

/// A mounted disk; unmounted when it is dropped.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

/// True where this process may mount.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Disk {
    /// Makes and mounts a disk of so many MiB below `folder`.
    pub fn new(folder: &Path, mebibytes: u64) -> Disk {
        Disk::named(folder, "disk", mebibytes)
    }

    /// The same, where a folder has several.
    pub fn named(folder: &Path, name: &str, mebibytes: u64) -> Disk {
        let disk = Disk { image: folder.join(format!("{name}.ext4")), mount: folder.join(name) };
        std::fs::create_dir_all(&disk.mount).expect("a folder to mount on");
        let image = File::create(&disk.image).expect("a file for the disk");
        image.set_len(mebibytes << 20).expect("a sparse file");
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&disk.image));
        disk.mount();
        disk
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Cuts the power: from now on every write fails, and what was not synced is gone.
    pub fn cut(&self) {
        let root = File::open(&self.mount).expect("the mounted folder can be opened");
        // SAFETY: the kernel reads one u32 for this request, which is what is given.
        let done = unsafe { ioctl(&root, Setter::<FS_IOC_SHUTDOWN, u32>::new(WITHOUT_LOG)) };
        done.expect("the power is cut");
    }

    /// Switches it on again: mounted anew, its file system recovered as after a real cut. Nothing may use it any more.
    pub fn restore(&self) {
        // A process that was just killed may still hold a file.
        let unmounted = || Command::new("umount").arg(&self.mount).output().is_ok_and(|output| output.status.success());
        until(UNMOUNT, "the disk to be free", || unmounted().then_some(()));
        self.mount();
    }

    fn mount(&self) {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.mount));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount_below(&self.mount);
    }
}

/// Makes `file`, on the file system that holds `folder`, so large that about `left` bytes are free there.
pub fn fill(file: &File, folder: &Path, left: u64) {
    let bytes = free_bytes(folder).saturating_sub(left);
    fallocate(file, FallocateFlags::empty(), 0, bytes).expect("the disk is filled");
}

fn free_bytes(folder: &Path) -> u64 {
    let found = statvfs(folder).expect("a file system reports its free space");
    found.f_bavail * found.f_frsize
}

/// Unmounts whatever is mounted at or below `folder`.
pub fn unmount_below(folder: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    for mount in mounts.lines().filter_map(|line| line.split(' ').nth(1)) {
        if Path::new(mount).starts_with(folder) {
            // Lazily, since a dying process may hold a file; best effort, since a drop cannot fail.
            let _ = Command::new("umount").arg("-l").arg(mount).status();
        }
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
