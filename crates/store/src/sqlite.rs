//! The state in one SQLite file.

mod codec;
mod open;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use dots::identifiers::Mid;
use rusqlite::{Connection, ErrorCode, Transaction, params};

use crate::{Change, ClientSnapshot, ServerSnapshot, Store, StoreError};

/// A [`Store`] in one SQLite file, which it holds for itself alone from open to drop.
///
/// Durability: the journal is a write-ahead log, and `synchronous=FULL` makes SQLite fsync that log
/// at every commit before the commit returns (with `NORMAL`, the default advice for a log, an fsync
/// happens at checkpoints only, and a power cut takes back commits that were acknowledged). A
/// commit that a crash cuts short has no commit frame in the log and is ignored when the file is
/// opened again.
pub struct SqliteStore {
    path: PathBuf,
    connection: Connection,
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
        Ok(SqliteStore {
            path: path.to_owned(),
            connection: open::open(path)?,
        })
    }

    fn error(&self, action: &'static str, source: rusqlite::Error) -> StoreError {
        classify(&self.path, action, source)
    }
}

impl Store for SqliteStore {
    fn load_server(&mut self) -> Result<ServerSnapshot, StoreError> {
        Ok(ServerSnapshot {
            mitigations: codec::read_all(
                &self.connection,
                &self.path,
                codec::MITIGATIONS,
                codec::mitigation,
            )?,
            cuids: codec::read_all(
                &self.connection,
                &self.path,
                codec::CUIDS,
                codec::cuid_binding,
            )?,
        })
    }

    fn load_client(&mut self) -> Result<ClientSnapshot, StoreError> {
        let next_mids =
            codec::read_all(&self.connection, &self.path, codec::MIDS, codec::next_mid)?;
        Ok(ClientSnapshot {
            next_mids: next_mids.into_iter().collect::<BTreeMap<String, Mid>>(),
            requests: codec::read_all(
                &self.connection,
                &self.path,
                codec::REQUESTS,
                codec::client_request,
            )?,
        })
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let write = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            for change in changes {
                execute(&transaction, change)?;
            }
            transaction.commit()
        };
        write(&mut self.connection).map_err(|source| self.error("write", source))
    }
}

fn execute(transaction: &Transaction<'_>, change: &Change) -> rusqlite::Result<()> {
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        transaction.prepare_cached(sql)?.execute(values)
    };
    match change {
        Change::PutMitigation(record) => run(
            "INSERT OR REPLACE INTO mitigation
                 (customer, cuid, mid, request, status, created, started, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                record.key.customer,
                record.key.cuid.as_str(),
                record.key.mid.0,
                record.request.encode(),
                record.status.code(),
                codec::from_unsigned(record.created_unix_seconds),
                record.mitigation_start.map(codec::from_unsigned),
                codec::from_expiry(record.expires),
            ],
        ),
        Change::DeleteMitigation(key) => run(
            "DELETE FROM mitigation WHERE customer = ?1 AND cuid = ?2 AND mid = ?3",
            params![key.customer, key.cuid.as_str(), key.mid.0],
        ),
        Change::BindCuid(binding) => run(
            "INSERT OR REPLACE INTO cuid_binding (customer, cuid, spki_sha256) VALUES (?1, ?2, ?3)",
            params![binding.customer, binding.cuid.as_str(), binding.spki_sha256],
        ),
        Change::ReserveMids { association, next } => run(
            "INSERT OR REPLACE INTO mid_space (association, next) VALUES (?1, ?2)",
            params![association, next.0],
        ),
        Change::PutClientRequest(record) => run(
            "INSERT OR REPLACE INTO client_request (id, association, mid, request, wanted)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                codec::from_unsigned(record.key.id),
                record.key.association,
                record.mid.0,
                record.request.encode(),
                record.wanted,
            ],
        ),
        Change::DeleteClientRequest(key) => run(
            "DELETE FROM client_request WHERE id = ?1 AND association = ?2",
            params![codec::from_unsigned(key.id), key.association],
        ),
    }?;
    Ok(())
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
