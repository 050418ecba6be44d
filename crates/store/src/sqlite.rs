//! The state in one SQLite file.

mod open;
mod read;
mod resources;
mod scope;
mod standing;
mod write;

pub use self::open::APPLICATION_ID;

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use agent::{client, server};
use rusqlite::{Connection, ErrorCode};

use crate::{ClientStore, ServerStore, StoreError, WallClock};

/// The state of a server or a client in one SQLite file, which it holds for itself alone from open
/// to drop.
///
/// Durability: the journal is a write-ahead log, and `synchronous=FULL` makes SQLite fsync that log
/// at every commit before the commit returns (with `NORMAL`, the default advice for a log, an fsync
/// happens at checkpoints only, and a power cut takes back commits that were acknowledged). A
/// commit that a crash cuts short has no commit frame in the log and is ignored when the file is
/// opened again. A file that was removed or replaced meanwhile would take commits that nobody ever
/// reads, so that none succeeds any more.
pub struct SqliteStore {
    path: PathBuf,
    file: FileId,
    connection: Connection,
}

/// What a file is, whatever its name: device and inode.
type FileId = (u64, u64);

fn file_id(path: &Path) -> Result<FileId, StoreError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok((metadata.dev(), metadata.ino())),
        Err(_) => Err(StoreError::Replaced {
            path: path.to_owned(),
        }),
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the file, or creates it (mode 0600) with its directory (mode 0700).
    ///
    /// # Errors
    /// When the file cannot be created, is in use, is damaged, is not ours, or was written by a
    /// newer version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = open::open(path)?;
        Ok(SqliteStore {
            path: path.to_owned(),
            file: file_id(path)?,
            connection,
        })
    }

    /// Whether what is written will be found again.
    fn check_file(&self) -> Result<(), StoreError> {
        if file_id(&self.path)? == self.file {
            return Ok(());
        }
        Err(StoreError::Replaced {
            path: self.path.clone(),
        })
    }
}

impl ServerStore for SqliteStore {
    fn load(&mut self) -> Result<server::Snapshot, StoreError> {
        Ok(server::Snapshot {
            mitigations: read::mitigations(&self.connection, &self.path)?,
            resources: resources::read(&self.connection, &self.path)?,
        })
    }

    fn commit(&mut self, changes: &[server::Change]) -> Result<(), StoreError> {
        if !changes.is_empty() {
            write::batch(&mut self.connection, &self.path, |batch| {
                let mut changes = changes.iter();
                changes.try_for_each(|change| write::server(batch, change))
            })?;
        }
        self.check_file()
    }
}

impl ClientStore for SqliteStore {
    fn load(&mut self) -> Result<client::Snapshot, StoreError> {
        Ok(client::Snapshot {
            associations: read::associations(&self.connection, &self.path)?,
            wanted: read::wanted(&self.connection, &self.path)?,
            requests: read::requests(&self.connection, &self.path)?,
        })
    }

    fn last_written(&mut self) -> Result<Option<u64>, StoreError> {
        read::last_written(&self.connection, &self.path)
    }

    fn commit(&mut self, clock: WallClock, changes: &[client::Change]) -> Result<(), StoreError> {
        write::batch(&mut self.connection, &self.path, |batch| {
            write::clock(batch, clock)?;
            let mut changes = changes.iter();
            changes.try_for_each(|change| write::client(batch, change))
        })?;
        self.check_file()
    }
}

/// Sorts SQLite's errors by what a person can do about them.
fn classify(path: &Path, action: &'static str, source: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::InUse { path },
        Some(ErrorCode::NotADatabase) => StoreError::NotADatabase { path },
        Some(ErrorCode::DatabaseCorrupt) => StoreError::Corrupt {
            path,
            detail: source.to_string(),
        },
        Some(ErrorCode::DiskFull) => StoreError::DiskFull { path },
        _ => StoreError::Sqlite {
            path,
            action,
            source,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A power cut cannot be tested here; what makes a commit survive one can.
    #[test]
    fn commits_sync_a_write_ahead_log() -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let store = SqliteStore::open(&directory.path().join("state.db"))?;
        let settings =
            "SELECT journal_mode, synchronous FROM pragma_journal_mode, pragma_synchronous";
        let (journal, synchronous): (String, i64) =
            store
                .connection
                .query_row(settings, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        // 2 is FULL.
        assert_eq!((journal.as_str(), synchronous), ("wal", 2));
        Ok(())
    }
}
