//! What an agent proves itself with, and whom it trusts (RFC 9132 §7.1, §8): certificates, or a pre-shared key.

mod certificate;
mod pre_shared_key;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::problem::ProblemKind;
use super::reader::{Diagnostics, Table};

pub(crate) use certificate::CertificateCredentials;
pub(super) use certificate::{Role, read as certificate, server_certificate};
pub(crate) use pre_shared_key::PreSharedKey;
pub(super) use pre_shared_key::{Written as WrittenKey, read as pre_shared_key};

/// What a client proves itself with to one server, and knows it by.
#[derive(Debug, Clone)]
pub(crate) enum Credentials {
    /// A certificate, and the authorities that the server's must lead to.
    Certificate(CertificateCredentials),
    /// A key that the server has as well.
    PreSharedKey(PreSharedKey),
}

/// The credentials of a client for one server: of one kind.
pub(super) fn of_client(
    table: &mut Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Credentials> {
    let certificate = certificate(table, Role::Client, folder, diagnostics);
    let key = pre_shared_key(table, folder, diagnostics);
    let kind = match (certificate?, key?) {
        (Some(certificate), None) => return Some(Credentials::Certificate(certificate)),
        (None, Some(key)) => return Some(Credentials::PreSharedKey(key.key)),
        (None, None) => ProblemKind::NoCredentials,
        (Some(_), Some(_)) => ProblemKind::CredentialsOfBothKinds,
    };
    diagnostics.note(table.place(), kind);
    None
}

/// Permissions that nobody but the owner of a secret may have: any of others, and to write of the group.
pub(crate) const OPEN_TO_OTHERS: u32 = 0o027;

/// Refuses a file with a secret that others could read or replace.
fn refuse_open_to_others(file: &Path, mode: u32) -> Result<(), ProblemKind> {
    if mode & OPEN_TO_OTHERS == 0 {
        return Ok(());
    }
    let file = file.to_owned();
    Err(ProblemKind::SecretOpenToOthers { file, mode })
}

/// The content of a file that the configuration names, and its permissions.
fn read_bounded(
    file: &Path,
    limit: u64,
    wanted: &'static str,
) -> Result<(Vec<u8>, u32), ProblemKind> {
    let file = || file.to_owned();
    let unreadable = |source: io::Error| ProblemKind::FileUnreadable {
        file: file(),
        source,
    };
    let opened = File::open(file()).map_err(unreadable)?;
    let mode = opened.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
    let mut content = Vec::new();
    opened
        .take(limit.saturating_add(1))
        .read_to_end(&mut content)
        .map_err(unreadable)?;
    if content.len() as u64 > limit {
        return Err(ProblemKind::FileTooLong {
            file: file(),
            limit,
            wanted,
        });
    }
    Ok((content, mode))
}
