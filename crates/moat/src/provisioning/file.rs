//! Files of objects, certificates and keys: bounded, read again when they have changed, and replaced as a whole.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use tempfile::NamedTempFile;

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
        fs::metadata(file).ok().map(|found| Self::from(&found))
    }
}

impl From<&fs::Metadata> for Stamp {
    fn from(found: &fs::Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            bytes: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

/// The content of a file of at most so many bytes.
///
/// # Errors
/// Those of the system; [`io::ErrorKind::FileTooLarge`], and [`io::ErrorKind::InvalidInput`] for what is no file: to read a pipe could
/// take for ever.
pub(super) fn read(file: &Path, limit: usize) -> io::Result<Vec<u8>> {
    if !fs::metadata(file)?.is_file() {
        return Err(no_file());
    }
    read_open(File::open(file)?, limit)
}

/// The same of what strangers may have put there: no link is followed, and nothing is opened that does something when it is.
///
/// # Errors
/// As [`read`].
pub(super) fn read_of_stranger(file: &Path, limit: usize) -> io::Result<Vec<u8>> {
    if !fs::symlink_metadata(file)?.is_file() {
        return Err(no_file());
    }
    // It may be another one by now.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let open = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(file)?;
    match open.metadata()?.is_file() {
        true => read_open(open, limit),
        false => Err(no_file()),
    }
}

fn no_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")
}

fn read_open(file: File, limit: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut content)?;
    if content.len() > limit {
        let sentence = format!("it is longer than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, sentence));
    }
    Ok(content)
}

/// Puts a file in the place of another one, or where there was none: whatever happens to this machine, it is the whole of one of them, and nobody
/// had more rights to it than `mode` says, at any time.
///
/// # Errors
/// Those of the system; then what was there still is.
pub(super) fn replace(file: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    // A temporary file has mode 0600.
    let mut temporary = NamedTempFile::new_in(folder)?;
    temporary.write_all(content)?;
    let written = temporary.as_file();
    written.set_permissions(Permissions::from_mode(mode))?;
    written.sync_all()?;
    temporary.persist(file)?;
    File::open(folder)?.sync_all()
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
