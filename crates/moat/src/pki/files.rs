//! Where `moat pki` keeps certificates and keys. A file appears whole, or not at all.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use openssl::pkey::PKey;
use openssl::x509::X509;
use tempfile::NamedTempFile;

use super::PkiError;
use super::certificate::{Ca, Made};
use crate::config::HostName;

/// The name of the CA's files, which no leaf may take.
const CA: &str = "ca";

/// What a key's file name ends with, before `.pem`.
const KEY_SUFFIX: &str = "-key";

/// A certificate's file and its key's.
pub(super) struct Pair {
    pub(super) certificate: PathBuf,
    pub(super) private_key: PathBuf,
}

impl Pair {
    pub(super) fn of_ca(dir: &Path) -> Self {
        Self::named(dir, CA)
    }

    pub(super) fn of_leaf(dir: &Path, name: &HostName) -> Result<Self, PkiError> {
        let reserved = |owner| {
            Err(PkiError::ReservedName {
                name: name.clone(),
                owner,
            })
        };
        match name.as_str() {
            CA => reserved("the CA"),
            other if other.ends_with(KEY_SUFFIX) => reserved("a private key"),
            other => Ok(Self::named(dir, other)),
        }
    }

    fn named(dir: &Path, name: &str) -> Self {
        Self {
            certificate: dir.join(format!("{name}.pem")),
            private_key: dir.join(format!("{name}{KEY_SUFFIX}.pem")),
        }
    }

    /// Nothing is made when a file would be replaced without `--force`.
    pub(super) fn refuse_existing(&self, force: bool) -> Result<(), PkiError> {
        refuse_existing(&self.certificate, force)?;
        refuse_existing(&self.private_key, force)
    }

    pub(super) fn write(&self, made: &Made, force: bool) -> Result<(), PkiError> {
        // The key first: a certificate without its key would be of no use.
        write(
            &self.private_key,
            &made.private_key.private_key_to_pem_pkcs8()?,
            0o600,
            force,
        )?;
        write(&self.certificate, &made.certificate.to_pem()?, 0o644, force)
    }
}

/// Nothing is made when this file would be replaced without `--force`.
pub(super) fn refuse_existing(file: &Path, force: bool) -> Result<(), PkiError> {
    if !force && file.symlink_metadata().is_ok() {
        Err(PkiError::Exists(file.to_owned()))
    } else {
        Ok(())
    }
}

pub(super) fn make_folder(dir: &Path) -> Result<(), PkiError> {
    std::fs::create_dir_all(dir).map_err(|source| PkiError::File {
        file: dir.to_owned(),
        action: "make this folder",
        source,
    })
}

pub(super) fn write(file: &Path, content: &[u8], mode: u32, force: bool) -> Result<(), PkiError> {
    let dir = file
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        // It is readable by its owner alone from its first moment.
        let mut temporary = NamedTempFile::new_in(dir)?;
        temporary.write_all(content)?;
        temporary
            .as_file()
            .set_permissions(Permissions::from_mode(mode))?;
        temporary.as_file().sync_all()?;
        if force {
            temporary.persist(file)?
        } else {
            temporary.persist_noclobber(file)?
        };
        Ok(())
    };
    write().map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => PkiError::Exists(file.to_owned()),
        _ => PkiError::File {
            file: file.to_owned(),
            action: "write it",
            source,
        },
    })
}

/// The CA of a folder, when it can issue.
pub(super) fn load_ca(dir: &Path) -> Result<Ca, PkiError> {
    let Pair {
        certificate: file,
        private_key: key_file,
    } = Pair::of_ca(dir);
    let broken = |file: &Path, what| PkiError::BrokenCa {
        file: file.to_owned(),
        dir: dir.to_owned(),
        what,
    };
    let certificate =
        X509::from_pem(&read(&file, dir)?).map_err(|_| broken(&file, "a certificate"))?;
    // An empty passphrase keeps OpenSSL from asking for one on the terminal.
    let key = PKey::private_key_from_pem_passphrase(&read(&key_file, dir)?, b"")
        .map_err(|_| broken(&key_file, "an unencrypted private key"))?;
    let ca = Ca::new(certificate, key)
        .ok_or_else(|| broken(&key_file, "the key of a CA's certificate in ca.pem"))?;
    if ca.has_expired()? {
        Err(PkiError::ExpiredCa {
            file,
            dir: dir.to_owned(),
        })
    } else {
        Ok(ca)
    }
}

fn read(file: &Path, dir: &Path) -> Result<Vec<u8>, PkiError> {
    std::fs::read(file).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => PkiError::NoCa {
            file: file.to_owned(),
            dir: dir.to_owned(),
        },
        _ => PkiError::File {
            file: file.to_owned(),
            action: "read it",
            source,
        },
    })
}
