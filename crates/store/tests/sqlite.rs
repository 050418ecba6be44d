//! What the file keeps, and what it refuses.

mod common;

use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::{binding, client_key, client_request, mitigation, mitigation_key};
use dots::identifiers::Mid;
use dots::mitigation::Status;
use rusqlite::Connection;
use store::{Change, ClientSnapshot, Expiry, ServerSnapshot, SqliteStore, Store, StoreError};

type Outcome = Result<(), Box<dyn Error>>;

/// A record with every field at an end of its range.
fn extremes() -> store::MitigationRecord {
    let mut record = mitigation("extreme", u32::MAX);
    record.created_unix_seconds = u64::MAX;
    record.mitigation_start = None;
    record.expires = Expiry::Never;
    record.status = Status::from_code(u32::MAX);
    record
}

/// Covers: design rule 2 (persist before you promise).
#[test]
fn what_was_committed_is_there_after_reopening() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("state.db");
    let mut store = SqliteStore::open(&path)?;
    assert_eq!(store.load_server()?, ServerSnapshot::default());
    assert_eq!(store.load_client()?, ClientSnapshot::default());
    let (old, huge) = (client_request(1), client_request(u64::MAX));
    store.commit(&[
        Change::PutMitigation(mitigation("b", 1)),
        Change::PutMitigation(extremes()),
        Change::PutMitigation(mitigation("a", 2)),
        Change::BindCuid(binding("a", 1)),
        Change::ReserveMids {
            association: "x".to_owned(),
            next: Mid(100),
        },
        Change::PutClientRequest(huge.clone()),
        Change::PutClientRequest(old.clone()),
    ])?;
    drop(store);

    let mut store = SqliteStore::open(&path)?;
    assert_eq!(
        store.load_server()?,
        ServerSnapshot {
            mitigations: vec![mitigation("a", 2), mitigation("b", 1), extremes()],
            cuids: vec![binding("a", 1)],
        }
    );
    assert_eq!(
        store.load_client()?,
        ClientSnapshot {
            next_mids: [("x".to_owned(), Mid(100))].into(),
            requests: vec![old, huge],
        }
    );
    Ok(())
}

#[test]
fn a_put_replaces_and_a_delete_removes() -> Outcome {
    let directory = tempfile::tempdir()?;
    let mut store = SqliteStore::open(&directory.path().join("state.db"))?;
    store.commit(&[
        Change::PutMitigation(mitigation("a", 1)),
        Change::PutMitigation(mitigation("a", 2)),
        Change::PutClientRequest(client_request(1)),
        Change::BindCuid(binding("a", 1)),
        Change::ReserveMids {
            association: "x".to_owned(),
            next: Mid(100),
        },
    ])?;
    let mut changed = mitigation("a", 1);
    changed.status = Status::AttackStopped;
    store.commit(&[
        Change::PutMitigation(changed.clone()),
        Change::DeleteMitigation(mitigation_key("a", 2)),
        Change::DeleteMitigation(mitigation_key("never", 9)),
        Change::DeleteClientRequest(client_key(1)),
        Change::BindCuid(binding("a", 2)),
        // S-016: a mid space may start again at zero.
        Change::ReserveMids {
            association: "x".to_owned(),
            next: Mid(0),
        },
    ])?;
    let server = store.load_server()?;
    assert_eq!(server.mitigations, [changed]);
    assert_eq!(server.cuids, [binding("a", 2)]);
    let client = store.load_client()?;
    assert_eq!(client.requests, []);
    assert_eq!(client.next_mids, [("x".to_owned(), Mid(0))].into());
    Ok(())
}

#[test]
fn a_batch_that_fails_in_the_middle_leaves_nothing() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("state.db");
    drop(SqliteStore::open(&path)?);
    Connection::open(&path)?.execute_batch(
        "CREATE TRIGGER fail BEFORE INSERT ON mitigation WHEN new.mid = 3
         BEGIN SELECT RAISE(ABORT, 'three'); END",
    )?;
    let mut store = SqliteStore::open(&path)?;
    store.commit(&[Change::PutMitigation(mitigation("a", 1))])?;
    let batch = [
        Change::DeleteMitigation(mitigation_key("a", 1)),
        Change::PutMitigation(mitigation("a", 2)),
        Change::PutMitigation(mitigation("a", 3)),
    ];
    assert!(matches!(
        store.commit(&batch),
        Err(StoreError::Sqlite {
            action: "write",
            ..
        })
    ));
    assert_eq!(store.load_server()?.mitigations, [mitigation("a", 1)]);
    // And the store goes on working.
    store.commit(&batch[1..2])?;
    assert_eq!(store.load_server()?.mitigations.len(), 2);
    Ok(())
}

#[test]
fn a_commit_is_in_the_log_when_it_returns() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("state.db");
    let mut store = SqliteStore::open(&path)?;
    store.commit(&[Change::PutMitigation(mitigation("a", 1))])?;
    // The change is in the log alone: whoever reads the database file without it sees none.
    let copy = directory.path().join("copy.db");
    fs::copy(&path, &copy)?;
    let log = fs::read(directory.path().join("state.db-wal"))?;
    assert!(!log.is_empty());
    fs::write(directory.path().join("copy.db-wal"), log)?;
    assert_eq!(
        SqliteStore::open(&copy)?.load_server()?.mitigations,
        [mitigation("a", 1)]
    );
    Ok(())
}

#[test]
fn the_files_and_their_directory_are_private() -> Outcome {
    let directory = tempfile::tempdir()?;
    let made = directory.path().join("a/b");
    let path = made.join("state.db");
    let mut store = SqliteStore::open(&path)?;
    store.commit(&[Change::PutMitigation(mitigation("a", 1))])?;
    let mode =
        |path: &std::path::Path| fs::metadata(path).map(|data| data.permissions().mode() & 0o777);
    assert_eq!(mode(&made)?, 0o700);
    for entry in fs::read_dir(&made)? {
        let path = entry?.path();
        assert_eq!(mode(&path)?, 0o600, "{}", path.display());
    }
    drop(store);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    let _store = SqliteStore::open(&path)?;
    assert_eq!(mode(&path)?, 0o600);
    Ok(())
}

#[test]
fn a_second_opener_is_refused_and_does_not_break_the_lock() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("state.db");
    let mut first = SqliteStore::open(&path)?;
    for _ in 0..2 {
        let error = SqliteStore::open(&path)
            .err()
            .ok_or("a second store was opened")?;
        assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
        assert!(
            error
                .to_string()
                .starts_with(&format!("{} is in use", path.display()))
        );
    }
    first.commit(&[Change::PutMitigation(mitigation("a", 1))])?;
    drop(first);
    assert_eq!(
        SqliteStore::open(&path)?.load_server()?.mitigations.len(),
        1
    );
    Ok(())
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("notes.txt");
    let text = "some text that is no database\n".repeat(100);
    fs::write(&path, &text)?;
    let error = SqliteStore::open(&path).err().ok_or("opened")?;
    assert!(
        matches!(error, StoreError::NotADatabase { .. }),
        "{error:?}"
    );
    assert_eq!(fs::read_to_string(&path)?, text);
    Ok(())
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() -> Outcome {
    let directory = tempfile::tempdir()?;
    for (name, sql) in [
        ("tables.db", "CREATE TABLE t (x); INSERT INTO t VALUES (1)"),
        ("id.db", "PRAGMA application_id = 99"),
        ("version.db", "PRAGMA user_version = 1"),
    ] {
        let path = directory.path().join(name);
        Connection::open(&path)?.execute_batch(sql)?;
        let before = fs::read(&path)?;
        let error = SqliteStore::open(&path).err().ok_or("opened")?;
        assert!(
            matches!(error, StoreError::Foreign { .. }),
            "{name}: {error:?}"
        );
        assert_eq!(fs::read(&path)?, before, "{name}");
    }
    Ok(())
}

#[test]
fn a_newer_format_is_refused_by_number() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("state.db");
    drop(SqliteStore::open(&path)?);
    Connection::open(&path)?.execute_batch("PRAGMA user_version = 2")?;
    let error = SqliteStore::open(&path).err().ok_or("opened")?;
    assert!(
        matches!(
            error,
            StoreError::NewerFormat {
                found: 2,
                supported: 1,
                ..
            }
        ),
        "{error:?}"
    );
    Ok(())
}

#[test]
fn a_damaged_file_is_noticed_when_it_is_opened() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("state.db");
    let mut store = SqliteStore::open(&path)?;
    let many: Vec<_> = (0..1000)
        .map(|mid| Change::PutMitigation(mitigation("a", mid)))
        .collect();
    store.commit(&many)?;
    drop(store);
    let mut bytes = fs::read(&path)?;
    assert!(bytes.len() > 40_000);
    let from = bytes.len() / 2;
    bytes[from..from + 8192].fill(0xa5);
    fs::write(&path, bytes)?;
    let error = SqliteStore::open(&path).err().ok_or("opened")?;
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains("restore it from a backup"));
    Ok(())
}

#[test]
fn an_impossible_value_is_named() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("state.db");
    let mut store = SqliteStore::open(&path)?;
    store.commit(&[
        Change::PutMitigation(mitigation("a", 1)),
        Change::BindCuid(binding("a", 1)),
    ])?;
    drop(store);
    for (damage, repair, expected) in [
        (
            "UPDATE mitigation SET mid = -1",
            "UPDATE mitigation SET mid = 1",
            "impossible mid in table mitigation",
        ),
        (
            "UPDATE mitigation SET status = 4294967296",
            "UPDATE mitigation SET status = 2",
            "impossible status",
        ),
        (
            "UPDATE mitigation SET cuid = ''",
            "UPDATE mitigation SET cuid = 'a'",
            "impossible cuid in table mitigation",
        ),
        (
            "UPDATE cuid_binding SET spki_sha256 = x'00'",
            "UPDATE cuid_binding SET spki_sha256 = zeroblob(32)",
            "impossible spki_sha256 in table cuid_binding",
        ),
        (
            "UPDATE mitigation SET request = x'ff'",
            "",
            "a request in table mitigation that does not decode",
        ),
    ] {
        Connection::open(&path)?.execute_batch(damage)?;
        let error = SqliteStore::open(&path)?
            .load_server()
            .err()
            .ok_or("loaded")?;
        assert!(error.to_string().contains(expected), "{error}");
        Connection::open(&path)?.execute_batch(repair)?;
    }
    Ok(())
}
