//! What a daemon will need of the machine: `moat config check` looks whether it is there.
//!
//! A daemon that starts does not come here: it takes what it needs, and says what it could not get. The check may be another
//! user's than the daemon, so what only this user may not do is a warning.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::Access;
use rustix::process::geteuid;

use super::problem::ProblemKind;
use super::reader::{Diagnostics, Located, Place};
use super::transport::Transports;
use crate::server;
use crate::words;

/// Octets at the start of an SQLite file that say whose it is, and where in them its schema's and its program's numbers are.
const HEADER: u64 = 100;
const SCHEMA_COOKIE: usize = 40;
const APPLICATION_ID_AT: usize = 68;

/// Where distributions keep `nft`, which the `PATH` of an ordinary user may not name.
const SYSTEM_PROGRAMS: &str = "/usr/sbin";

/// Notes addresses that a server cannot listen on.
pub(super) fn note_listen(
    addresses: &[Located<SocketAddr>],
    transports: &Transports,
    diagnostics: &mut Diagnostics<'_>,
) {
    for Located { value, place } in addresses {
        for transport in transports {
            let Err(source) = server::try_listen(*value, *transport) else {
                continue;
            };
            let (address, transport) = (*value, words::protocol_of(*transport));
            let kind = match source.kind() {
                ErrorKind::AddrInUse => ProblemKind::AddressTaken { address, transport },
                ErrorKind::PermissionDenied => ProblemKind::AddressNotAllowed {
                    address,
                    transport,
                    user: geteuid().as_raw(),
                },
                _ => ProblemKind::AddressUnusable {
                    address,
                    transport,
                    source,
                },
            };
            diagnostics.note(place, kind);
        }
    }
}

/// Notes a program that is not there.
pub(super) fn note_program(program: &Path, place: &Place, diagnostics: &mut Diagnostics<'_>) {
    let can_run = |file: &Path| {
        let is_file = fs::metadata(file).is_ok_and(|found| found.is_file());
        is_file && rustix::fs::access(file, Access::EXEC_OK).is_ok()
    };
    let search = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&search).chain([PathBuf::from(SYSTEM_PROGRAMS)]);
    let is_there = if program.components().count() == 1 {
        folders.any(|folder| can_run(&folder.join(program)))
    } else {
        can_run(program)
    };
    if !is_there {
        let program = program.to_owned();
        diagnostics.note(place, ProblemKind::NoProgram { program });
    }
}

/// Notes a database that cannot be written.
pub(super) fn note_state(path: &Located<PathBuf>, diagnostics: &mut Diagnostics<'_>) {
    let found = fs::metadata(&path.value);
    let kind = match &found {
        Ok(found) if !found.is_file() => Err(ProblemKind::OtherKind {
            path: path.value.clone(),
            wanted: "a database",
        }),
        Ok(_) if is_of_another_program(&path.value) => Err(ProblemKind::OtherKind {
            path: path.value.clone(),
            wanted: "a database of moat",
        }),
        Ok(found) => may(&path.value, found, Access::READ_OK | Access::WRITE_OK),
        Err(_) => Ok(()),
    };
    if let Err(kind) = kind.and_then(|()| may_make_files_beside(&path.value)) {
        diagnostics.note(&path.place, kind);
    }
}

/// Whether a file holds something, and that is no database of moat: only the header of an SQLite file is read, for
/// a daemon may be at work on it.
fn is_of_another_program(path: &Path) -> bool {
    let mut header = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(HEADER).read_to_end(&mut header));
    let number = |at: usize| {
        let bytes = header.get(at..at + 4)?.try_into().ok()?;
        Some(i32::from_be_bytes(bytes))
    };
    let is_ours = match (number(SCHEMA_COOKIE), number(APPLICATION_ID_AT)) {
        // Nothing was written yet.
        (Some(0), Some(0)) => true,
        (_, id) => id == Some(store::APPLICATION_ID),
    };
    let is_database = header.starts_with(b"SQLite format 3\0");
    read.is_ok_and(|bytes| bytes > 0) && !(is_database && is_ours)
}

/// Notes an address to send from that this machine does not have now.
pub(super) fn note_own_address(address: &Located<IpAddr>, diagnostics: &mut Diagnostics<'_>) {
    let Located { value, place } = address;
    let bound = UdpSocket::bind((*value, 0));
    if bound.is_err_and(|error| error.kind() == ErrorKind::AddrNotAvailable) {
        diagnostics.note(place, ProblemKind::NotOwnAddress { address: *value });
    }
}

/// A right that Linux gives apart from the others (capabilities(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Capability {
    /// To filter packets and to change routes.
    NetAdmin = 12,
    /// To open packet sockets.
    NetRaw = 13,
}

/// Notes a right that the daemon will need and this user does not have: the loss is what will not be done.
pub(super) fn note_capability(
    capability: Capability,
    loss: &'static str,
    place: &Place,
    diagnostics: &mut Diagnostics<'_>,
) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if !has_capability(&status, capability) {
        let name = match capability {
            Capability::NetAdmin => "CAP_NET_ADMIN",
            Capability::NetRaw => "CAP_NET_RAW",
        };
        let user = geteuid().as_raw();
        diagnostics.note(place, ProblemKind::NoCapability { user, name, loss });
    }
}

/// Whether a process with this `/proc/PID/status` has it; where that is not known, it may.
fn has_capability(status: &str, capability: Capability) -> bool {
    let mut lines = status.lines();
    let effective = lines.find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    bits.is_none_or(|bits| bits >> capability as u64 & 1 == 1)
}

/// Notes a control socket that cannot be made.
pub(super) fn note_control(path: &Located<PathBuf>, diagnostics: &mut Diagnostics<'_>) {
    let kind = match fs::symlink_metadata(&path.value) {
        Ok(found) if !found.file_type().is_socket() => Err(ProblemKind::OtherKind {
            path: path.value.clone(),
            wanted: "a control socket",
        }),
        // A daemon that runs has made it, and one that starts makes it anew.
        Ok(_) | Err(_) => may_make_files_beside(&path.value),
    };
    if let Err(kind) = kind {
        diagnostics.note(&path.place, kind);
    }
}

/// Whether files can be made in the folder of a file, or the folder itself can, which a daemon does.
fn may_make_files_beside(file: &Path) -> Result<(), ProblemKind> {
    for folder in file.ancestors().skip(1) {
        let folder = match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        };
        match fs::metadata(folder) {
            Ok(found) if found.is_dir() => {
                return may(folder, &found, Access::WRITE_OK | Access::EXEC_OK);
            }
            Ok(_) => {
                return Err(ProblemKind::OtherKind {
                    path: folder.to_owned(),
                    wanted: "a folder",
                });
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(source) => return Err(not_writable(folder, source)),
        }
    }
    Ok(())
}

/// Whether this user may do that with what was found at a path.
fn may(path: &Path, found: &Metadata, access: Access) -> Result<(), ProblemKind> {
    let Err(error) = rustix::fs::access(path, access) else {
        return Ok(());
    };
    let (user, owner) = (geteuid().as_raw(), found.uid());
    let source = io::Error::from(error);
    if source.kind() == ErrorKind::PermissionDenied && user != owner {
        let path = path.to_owned();
        return Err(ProblemKind::OfAnotherUser { path, user, owner });
    }
    Err(not_writable(path, source))
}

fn not_writable(path: &Path, source: io::Error) -> ProblemKind {
    let path = path.to_owned();
    ProblemKind::NotWritable { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_is_one_bit_of_those_in_effect() {
        let status = |bits| format!("Name:\tmoat\nCapPrm:\t000001ffffffffff\nCapEff:\t{bits}\n");
        for (bits, admin, raw) in [
            ("000001ffffffffff", true, true),
            ("0000000000001000", true, false),
            ("0000000000002000", false, true),
            ("0000000000000000", false, false),
        ] {
            let status = status(bits);
            assert_eq!(
                has_capability(&status, Capability::NetAdmin),
                admin,
                "{bits}"
            );
            assert_eq!(has_capability(&status, Capability::NetRaw), raw, "{bits}");
        }
        assert!(has_capability("", Capability::NetAdmin), "not known");
    }
}
