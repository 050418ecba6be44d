//! What a file is taken for when it is opened, and what is refused.

mod common;

use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use agent::client;
use agent::relay::Relayed;
use agent::server::{self, MitigationRecord, Standing};
use common::{AT, association, mitigation, request, snapshot};
use dots::lifetime::Lifetime;
use dots::mitigation::MitigationRequest;
use rusqlite::Connection;
use store::{ClientStore, ServerStore, SqliteStore, StoreError};

type Outcome = Result<(), Box<dyn Error>>;

#[test]
fn the_files_and_their_directory_are_private() -> Outcome {
    let directory = tempfile::tempdir()?;
    let made = directory.path().join("a/b");
    let path = made.join("state.db");
    let mut store = SqliteStore::open(&path)?;
    ServerStore::commit(&mut store, &[server::Change::Put(mitigation("a", 1))])?;
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
    ServerStore::commit(&mut first, &[server::Change::Put(mitigation("a", 1))])?;
    drop(first);
    assert_eq!(
        ServerStore::load(&mut SqliteStore::open(&path)?)?
            .mitigations
            .len(),
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
    Connection::open(&path)?.execute_batch("PRAGMA user_version = 99")?;
    let error = SqliteStore::open(&path).err().ok_or("opened")?;
    assert!(
        matches!(
            error,
            StoreError::NewerFormat {
                found: 99,
                supported: 12,
                ..
            }
        ),
        "{error:?}"
    );
    Ok(())
}

/// What an older version wrote, in the format it wrote it.
#[test]
fn a_file_of_the_first_format_is_brought_up_to_date() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("state.db");
    let old = Connection::open(&path)?;
    old.execute_batch(
        "CREATE TABLE mitigation (
             customer TEXT NOT NULL, cuid TEXT NOT NULL, mid INTEGER NOT NULL,
             credential BLOB NOT NULL, request BLOB NOT NULL, started INTEGER, expires INTEGER,
             PRIMARY KEY (customer, cuid, mid)
         ) STRICT, WITHOUT ROWID;
         CREATE TABLE association (
             pvd TEXT NOT NULL, server TEXT NOT NULL,
             cuid TEXT NOT NULL, reserved_mid INTEGER NOT NULL,
             PRIMARY KEY (pvd, server)
         ) STRICT, WITHOUT ROWID;
         CREATE TABLE request (
             id INTEGER NOT NULL, pvd TEXT NOT NULL, server TEXT NOT NULL,
             mid INTEGER NOT NULL, target BLOB NOT NULL,
             wanted_until INTEGER, withdrawing INTEGER NOT NULL,
             PRIMARY KEY (id, pvd, server)
         ) STRICT, WITHOUT ROWID;
         PRAGMA application_id = 1297039700; PRAGMA user_version = 1;",
    )?;
    // Without their order of acceptance, they are numbered by when they came into force.
    let mut active = mitigation("a", 1);
    active.accepted = 3;
    let mut earlier = mitigation("c", 3);
    earlier.accepted = 2;
    earlier.standing = Standing::Active { started_unix: 1 };
    let mut parked = mitigation("b", 2);
    parked.accepted = 1;
    parked.standing = Standing::Parked;
    for record in [&active, &parked, &earlier] {
        old.execute(
            "INSERT INTO mitigation VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            rusqlite::params![
                record.key.customer,
                record.key.cuid.as_str(),
                record.key.mid.0,
                record.credential,
                record.request.encode(),
                record.standing.started_unix().map(u64::cast_signed),
                record.expires_unix.map(u64::cast_signed),
            ],
        )?;
    }
    let asked = request(5, "x");
    let body = MitigationRequest::new(asked.target.clone(), Lifetime::Indefinite, true, None)?;
    old.execute(
        "INSERT INTO request VALUES (5, 'fixed.example', 'x', 7, ?1, 1900003600, 0)",
        [body.encode()],
    )?;
    drop(old);
    // No gateway had anything relayed.
    let mitigations = [active, parked, earlier].map(|record| MitigationRecord {
        relayed: Relayed::default(),
        ..record
    });
    for _ in 0..2 {
        let mut store = SqliteStore::open(&path)?;
        let loaded = ServerStore::load(&mut store)?;
        assert_eq!(loaded, snapshot(mitigations.clone()));
        let known = ClientStore::load(&mut store)?;
        assert_eq!(known.requests, std::slice::from_ref(&asked));
    }
    Ok(())
}

#[test]
fn a_damaged_file_is_noticed_when_it_is_opened() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("state.db");
    let mut store = SqliteStore::open(&path)?;
    let many: Vec<_> = (0..1000)
        .map(|mid| server::Change::Put(mitigation("a", mid)))
        .collect();
    ServerStore::commit(&mut store, &many)?;
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
    for (damage, expected) in [
        (
            "UPDATE mitigation SET mid = -1",
            "impossible mid in table mitigation",
        ),
        (
            "UPDATE mitigation SET cuid = ''",
            "impossible cuid in table mitigation",
        ),
        (
            "UPDATE mitigation SET credential = x'00'",
            "impossible credential in table mitigation",
        ),
        (
            "UPDATE mitigation SET scope = x'ff'",
            "a scope in table mitigation that does not decode",
        ),
        (
            "UPDATE mitigation SET scope = request, addresses = 'www.example 192.0.2.1'",
            "impossible addresses in table mitigation",
        ),
        (
            "INSERT INTO alias SELECT customer, cuid, '', request FROM mitigation",
            "impossible name in table alias",
        ),
        (
            "INSERT INTO alias SELECT customer, cuid, 'x', x'ff' FROM mitigation",
            "a target in table alias that does not decode",
        ),
        (
            "INSERT INTO accept_list VALUES ('home', 'a', 0, 'x', NULL, 'nonsense')",
            "impossible prefixes in table accept_list",
        ),
        (
            "UPDATE mitigation SET standing = 9",
            "impossible standing in table mitigation",
        ),
        (
            "UPDATE mitigation SET started = NULL",
            "impossible standing in table mitigation",
        ),
        (
            "UPDATE mitigation SET request = x'ff'",
            "a request in table mitigation that does not decode",
        ),
        (
            "UPDATE association SET pvd = ''",
            "impossible pvd in table association",
        ),
        (
            "UPDATE association SET reserved_mid = 4294967296",
            "impossible reserved_mid in table association",
        ),
        (
            "UPDATE request SET target = x'ff'",
            "a target in table request that does not decode",
        ),
    ] {
        let mut store = SqliteStore::open(&path)?;
        ServerStore::commit(&mut store, &[server::Change::Put(mitigation("a", 1))])?;
        ClientStore::commit(
            &mut store,
            AT,
            &[
                client::Change::PutAssociation(association("x", 1)),
                client::Change::PutRequest(request(1, "x")),
            ],
        )?;
        drop(store);
        Connection::open(&path)?.execute_batch(damage)?;
        let mut store = SqliteStore::open(&path)?;
        let error = ServerStore::load(&mut store)
            .err()
            .or_else(|| ClientStore::load(&mut store).err())
            .ok_or("loaded")?;
        assert!(error.to_string().contains(expected), "{error}");
        drop(store);
        fs::remove_file(&path)?;
    }
    Ok(())
}

/// Whatever times and numbers the file holds, a client starts with them.
#[test]
#[allow(clippy::disallowed_methods)] // Any instant does.
fn times_and_numbers_beyond_all_clocks_stop_nobody() -> Outcome {
    let now = agent::Now {
        monotonic: std::time::Instant::now(),
        unix: 1_900_000_000,
    };
    for unix in [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1] {
        assert!(now.instant_of(unix) > now.monotonic);
    }
    assert_eq!(now.instant_of(1), now.monotonic);
    Ok(())
}
