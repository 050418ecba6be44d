//! What a daemon will need of the machine: `moat config check` looks whether it is there.
//!
//! A daemon that starts does not come here: it takes what it needs, and says what it could not get. The check may be another
//! user's than the daemon, so what only this user may not do is a warning.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::Access;
use rustix::process::geteuid;

use super::problem::ProblemKind;
use super::reader::{Diagnostics, Located, Place};
use super::transport::Transports;
use crate::server;
use crate::words;

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
        Ok(found) => may(&path.value, found, Access::READ_OK | Access::WRITE_OK),
        Err(_) => Ok(()),
    };
    if let Err(kind) = kind.and_then(|()| may_make_files_beside(&path.value)) {
        diagnostics.note(&path.place, kind);
    }
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
