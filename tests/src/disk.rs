//! A disk whose power can be cut: an ext4 file system in a file, mounted, and shut down at once without its journal.
//!
//! After the cut the file system loses everything that was not synced, as a machine does; a killed process would not
//! show that, since the kernel keeps its pages. Needs root.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::wait::until;

/// `FS_IOC_SHUTDOWN` of linux/fs.h: `_IOR('X', 125, __u32)`.
const FS_IOC_SHUTDOWN: libc::c_ulong = 0x8004_587d;
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
    // SAFETY: geteuid always succeeds and touches no memory.
    unsafe { libc::geteuid() == 0 }
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

    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Cuts the power: from now on every write fails, and what was not synced is gone.
    pub fn cut(&self) {
        let root = File::open(&self.mount).expect("the mounted folder can be opened");
        let flags = WITHOUT_LOG;
        // SAFETY: the file descriptor is open, and the request reads one u32 behind the pointer, which outlives the call.
        let done = unsafe { libc::ioctl(root.as_raw_fd(), FS_IOC_SHUTDOWN, &raw const flags) };
        assert_eq!(done, 0, "the power cut: {}", io::Error::last_os_error());
    }

    /// Switches it on again: mounted anew, its file system recovered as after a real cut. Nothing may use it any more.
    pub fn restore(&self) {
        // A process that was killed a moment ago may still hold a file.
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
    let length = libc::off_t::try_from(bytes).expect("a disk of less than exabytes");
    // SAFETY: the file descriptor is open for the whole call.
    let failed = unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, length) };
    assert_eq!(failed, 0, "the disk is filled: {}", io::Error::from_raw_os_error(failed));
}

fn free_bytes(folder: &Path) -> u64 {
    let path = CString::new(folder.as_os_str().as_bytes()).expect("a path has no zero byte");
    let mut found = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends with a zero byte, and the call writes the whole structure where it succeeds.
    let found = unsafe {
        assert_eq!(libc::statvfs(path.as_ptr(), found.as_mut_ptr()), 0, "{}", io::Error::last_os_error());
        found.assume_init()
    };
    found.f_bavail * found.f_frsize
}

/// Unmounts whatever is mounted at or below `folder`.
pub fn unmount_below(folder: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    for mount in mounts.lines().filter_map(|line| line.split(' ').nth(1)) {
        if Path::new(mount).starts_with(folder) {
            // Lazily, since a dying process may hold a file; best effort, as there is nobody to tell.
            let _ = Command::new("umount").arg("-l").arg(mount).status();
        }
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
