//! bpf(2), as far as it is needed: loads a program and attaches it to a control group.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::program::Program;

const LOAD: libc::c_long = 5;
const ATTACH: libc::c_long = 8;
/// Beside whatever others there are, of this group and of those around it.
const ALLOW_MULTI: u32 = 2;

/// `union bpf_attr` of a load, as far as it is used; the kernel takes what is left out for zero.
#[repr(C)]
#[derive(Default)]
struct Load {
    program_type: u32,
    instructions: u32,
    program: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach_type: u32,
}

#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
}

/// Has the kernel call the program for the sockets of this control group and of those in it, as long as it exists.
///
/// # Errors
/// Those of the kernel, which checks the program, and wants CAP_BPF and CAP_NET_ADMIN.
pub(super) fn attach(group: BorrowedFd<'_>, (hook, program): &Program) -> io::Result<()> {
    let kind = *hook as u32;
    let load = Load {
        program_type: hook.program_type(),
        instructions: u32::try_from(program.len()).map_err(io::Error::other)?,
        program: program.as_ptr() as u64,
        license: c"Dual MIT/GPL".as_ptr() as u64,
        attach_type: kind,
        ..Load::default()
    };
    // SAFETY: the attribute and what it points to live through the call, with the sizes that are said.
    let loaded = unsafe { libc::syscall(libc::SYS_bpf, LOAD, &raw const load, size_of::<Load>()) };
    let loaded = i32::try_from(checked(loaded)?).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor, and nobody else has it.
    let loaded = unsafe { OwnedFd::from_raw_fd(loaded) };
    let number = |fd: i32| u32::try_from(fd).map_err(io::Error::other);
    let attach = Attach {
        target: number(group.as_raw_fd())?,
        program: number(loaded.as_raw_fd())?,
        attach_type: kind,
        flags: ALLOW_MULTI,
    };
    // SAFETY: as above.
    let attached = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            ATTACH,
            &raw const attach,
            size_of::<Attach>(),
        )
    };
    checked(attached).map(drop)
}

fn checked(result: libc::c_long) -> io::Result<libc::c_long> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}
