//! A control group of its own, around a program and whatever that starts: what its sockets may do, the kernel decides by the group.
//!
//! ```text
//! exec: makes the group, attaches the programs --forks--> janitor, outside: waits until the group is empty, and removes it
//!       joins it, becomes the command
//! ```
//!
//! The group lies in the one that the caller is in, so limits that are set there go on to hold.
#![allow(unsafe_code)]

use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use rustix::process::{WaitOptions, getpid, setsid, waitpid};

use super::kernel;
use super::program::Program;
use crate::clock;

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

/// A group with nobody in it yet.
#[derive(Debug)]
pub(super) struct Group {
    parent: OwnedFd,
    name: String,
    own: OwnedFd,
}

impl Group {
    /// Makes one within the caller's group. The hierarchy is opened anew, wherever it is mounted, or not at all.
    ///
    /// # Errors
    /// Those of the system: without CAP_SYS_ADMIN, or where control groups are not to be changed.
    pub(super) fn new() -> io::Result<Self> {
        let hierarchy = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(hierarchy.as_fd())?;
        let flags = FsMountFlags::FSMOUNT_CLOEXEC;
        let root = fsmount(hierarchy.as_fd(), flags, MountAttrFlags::empty())?;
        let list = fs::read_to_string("/proc/self/cgroup")?;
        let path = list.lines().find_map(|line| line.strip_prefix("0::"));
        let path = path.ok_or(io::ErrorKind::Unsupported)?;
        let path = Path::new(path.trim_start_matches('/'));
        let path = if path == Path::new("") {
            Path::new(".")
        } else {
            path
        };
        let parent = openat(&root, path, FOLDER, Mode::empty())?;
        // Processes have the same number in other namespaces, whose sockets are held to something else.
        let chance = clock::short_seed()?;
        let name = format!("moat-pvd-exec.{}.{chance:016x}", getpid().as_raw_nonzero());
        mkdirat(&parent, &name, Mode::from_raw_mode(0o755))?;
        let own = openat(&parent, &name, FOLDER, Mode::empty())?;
        Ok(Self { parent, name, own })
    }

    /// Holds its sockets to this.
    ///
    /// # Errors
    /// Those of the kernel.
    pub(super) fn attach(&self, program: &Program) -> io::Result<()> {
        kernel::attach(self.own.as_fd(), program)
    }

    /// Joins it, with all that this process will be and start. It is removed when nobody is left in it.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn join(self) -> io::Result<()> {
        let events = self.open("cgroup.events", OFlags::RDONLY)?;
        let processes = self.open("cgroup.procs", OFlags::WRONLY)?;
        // Ends with this process, or when it becomes another program.
        let (started, starts) = io::pipe()?;
        // SAFETY: this process has one thread; the child makes system calls, reads and writes memory of its own, and exits.
        match unsafe { libc::fork() } {
            -1 => return Err(io::Error::last_os_error()),
            0 => {
                drop(starts);
                // SAFETY: as above; nobody waits for the grandchild, whom process 1 adopts.
                if setsid().is_ok() && unsafe { libc::fork() } == 0 {
                    self.wait_and_remove(started.into(), events);
                }
                // SAFETY: nothing of the parent is to be done by the child as well.
                unsafe { libc::_exit(0) }
            }
            child => {
                let child = rustix::process::Pid::from_raw(child);
                while matches!(waitpid(child, WaitOptions::empty()), Err(Errno::INTR)) {}
            }
        }
        // Dropping it early would begin the wait before anybody is in the group.
        std::mem::forget(starts);
        rustix::io::write(&processes, b"0")?;
        Ok(())
    }

    fn remove(&self) {
        // It stays while somebody is in it.
        let _gone = unlinkat(&self.parent, &self.name, AtFlags::REMOVEDIR);
    }

    fn open(&self, file: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        Ok(openat(&self.own, file, flags, Mode::empty())?)
    }

    /// The janitor, which holds nothing open of its caller's.
    fn wait_and_remove(&self, started: OwnedFd, events: OwnedFd) {
        close_all_but([&started, &events, &self.parent].map(AsRawFd::as_raw_fd));
        let mut started = fs::File::from(started);
        while matches!(started.read(&mut [0]), Ok(1..)) {}
        let events = fs::File::from(events);
        loop {
            let mut text = [0; 256];
            let length = rustix::io::pread(&events, &mut text, 0).unwrap_or_default();
            let text = text.get(..length).unwrap_or_default();
            if !text.windows(11).any(|words| words == b"populated 1") {
                return self.remove();
            }
            let mut changes = [PollFd::new(&events, PollFlags::PRI)];
            let _either_way = poll(&mut changes, None);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.remove();
    }
}

fn close_all_but(mut kept: [RawFd; 3]) {
    kept.sort_unstable();
    let mut first: libc::c_uint = 0;
    for fd in kept {
        let Ok(fd) = libc::c_uint::try_from(fd) else {
            return;
        };
        if fd > first {
            // SAFETY: nothing of what is closed is used any more in this process.
            unsafe { libc::syscall(libc::SYS_close_range, first, fd - 1, 0) };
        }
        first = fd + 1;
    }
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
}
