//! A file system that can lose its power.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::ioctl::{Opcode, Setter, ioctl, opcode};

/// `FS_IOC_SHUTDOWN` of Linux, and its flag for going down without writing anything out.
const FS_IOC_SHUTDOWN: Opcode = opcode::read::<u32>(b'X', 125);
const NO_LOG_FLUSH: u32 = 2;

/// Ext4 in a file, mounted over a loop device. Unmounted and removed when dropped.
pub(crate) struct Volume {
    image: PathBuf,
    mount_point: PathBuf,
    mounted: bool,
    /// Holds both, and is dropped last.
    _folder: tempfile::TempDir,
}

impl Volume {
    /// Makes and mounts one of 512 MiB.
    pub(crate) fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (image, mount_point) = (folder.path().join("image"), folder.path().join("mounted"));
        File::create(&image).unwrap().set_len(512 << 20).unwrap();
        std::fs::create_dir(&mount_point).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image));
        let mut volume = Self { image, mount_point, mounted: false, _folder: folder };
        volume.mount();
        volume
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        &self.mount_point
    }

    /// Cuts the power: whatever is not on the disk yet never gets there.
    pub(crate) fn cut_power(&self) {
        let root = File::open(&self.mount_point).unwrap();
        // SAFETY: the kernel reads one u32 for this request, which is what is given.
        unsafe { ioctl(&root, Setter::<FS_IOC_SHUTDOWN, u32>::new(NO_LOG_FLUSH)) }.unwrap();
    }

    /// Brings it back, as after the power came back. It must not be in use.
    pub(crate) fn mount_again(&mut self) {
        run(Command::new("umount").arg(&self.mount_point));
        self.mounted = false;
        self.mount();
    }

    fn mount(&mut self) {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.mount_point));
        self.mounted = true;
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if self.mounted {
            // At the end of a failed test it may still be in use: it is unmounted when that ends.
            drop(Command::new("umount").arg("-l").arg(&self.mount_point).status());
        }
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
