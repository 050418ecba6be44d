//! Files of objects, certificates and keys: bounded, and read again when they have changed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::config::OPEN_TO_OTHERS;

/// What changes with a file. A file that is not there has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// That of a file as it is now.
    pub(super) fn of(file: &Path) -> Option<Self> {
        let found = fs::metadata(file).ok()?;
        Some(Self {
            device: found.dev(),
            inode: found.ino(),
            bytes: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

/// The content of a file of at most so many bytes.
///
/// # Errors
/// Those of the system; [`io::ErrorKind::FileTooLarge`], and [`io::ErrorKind::InvalidInput`] for what is no file: to read a pipe could
/// take for ever.
pub(super) fn read(file: &Path, limit: usize) -> io::Result<Vec<u8>> {
    if !fs::metadata(file)?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a file",
        ));
    }
    let mut content = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    File::open(file)?.take(most).read_to_end(&mut content)?;
    if content.len() > limit {
        let sentence = format!("it is longer than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, sentence));
    }
    Ok(content)
}

/// Refuses a secret that others could read or replace.
///
/// # Errors
/// Those of the system; [`io::ErrorKind::PermissionDenied`].
pub(super) fn refuse_open_to_others(file: &Path) -> io::Result<()> {
    match fs::metadata(file)?.permissions().mode() & OPEN_TO_OTHERS {
        0 => Ok(()),
        _ => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "it can be read by others; a key needs mode 0600 or 0640",
        )),
    }
}
