//! Opening the file: private, ours alone, of a known format, undamaged.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::classify;
use crate::StoreError;

/// Marks the file as ours, in SQLite's header: "MOAT".
pub const APPLICATION_ID: i32 = 0x4d4f_4154;

/// The format this version writes, and the newest that it reads.
const FORMAT: i32 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// How long to wait for a predecessor that is just being killed.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// What makes each format of the one before; the first, of an empty file. A format that was released
/// stays as it is.
///
/// Requests and targets are kept as the CBOR of a mitigation request, so that what a
/// later version adds to one needs no change here. 64-bit unsigned values are kept as the signed
/// value of the same bits; times are seconds since 1970.
const MIGRATIONS: [(i32, &str); 12] = [
    (
        1,
        "
CREATE TABLE mitigation (
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
",
    ),
    // Mitigations have a standing: 0 parked, 1 active, 2 terminating, 3 deactivated.
    (
        2,
        "
ALTER TABLE mitigation ADD COLUMN standing INTEGER NOT NULL DEFAULT 0;
UPDATE mitigation SET standing = 1 WHERE started IS NOT NULL;
",
    ),
    // What mitigations protect, where that is not what was asked: as a request without aliases and
    // URIs, and the addresses of its names, one name a line. What clients have set up.
    (
        3,
        "
ALTER TABLE mitigation ADD COLUMN scope BLOB;
ALTER TABLE mitigation ADD COLUMN addresses TEXT;
CREATE TABLE alias (
    customer TEXT NOT NULL, cuid TEXT NOT NULL, name TEXT NOT NULL, target BLOB NOT NULL,
    PRIMARY KEY (customer, cuid, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE accept_list (
    customer TEXT NOT NULL, cuid TEXT NOT NULL, position INTEGER NOT NULL,
    name TEXT NOT NULL, type TEXT, prefixes TEXT NOT NULL,
    PRIMARY KEY (customer, cuid, position)
) STRICT, WITHOUT ROWID;
",
    ),
    // A server may be asked for a large request in several messages, each with its mid.
    (
        4,
        "
CREATE TABLE part (
    id INTEGER NOT NULL, pvd TEXT NOT NULL, server TEXT NOT NULL,
    mid INTEGER NOT NULL, target BLOB NOT NULL,
    wanted_until INTEGER, withdrawing INTEGER NOT NULL,
    PRIMARY KEY (id, pvd, server, mid)
) STRICT, WITHOUT ROWID;
INSERT INTO part SELECT id, pvd, server, mid, target, wanted_until, withdrawing FROM request;
DROP TABLE request;
ALTER TABLE part RENAME TO request;
",
    ),
    // Mitigations are numbered in the order in which they were accepted. What is in force has its
    // place by when that began.
    (
        5,
        "
ALTER TABLE mitigation ADD COLUMN accepted INTEGER NOT NULL DEFAULT 0;
UPDATE mitigation SET accepted = ordered.place FROM (
    SELECT customer, cuid, mid,
        row_number() OVER (ORDER BY started, customer, cuid, mid) AS place
    FROM mitigation
) AS ordered
WHERE (mitigation.customer, mitigation.cuid, mitigation.mid)
    = (ordered.customer, ordered.cuid, ordered.mid);
",
    ),
    // What a client wants, whoever is asked for it; the PvDs on which an attack was seen, one a line.
    (
        6,
        "
CREATE TABLE wanted (
    id INTEGER NOT NULL PRIMARY KEY, target BLOB NOT NULL, seen_on TEXT NOT NULL,
    wanted_until INTEGER
) STRICT;
",
    ),
    // What a client's wall clock showed at its last commit.
    (
        7,
        "
CREATE TABLE clock (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 0),
    last_written INTEGER NOT NULL CHECK (last_written >= 0)
) STRICT;
",
    ),
    // How a gateway relays.
    (
        8,
        "
ALTER TABLE mitigation ADD COLUMN hop_limit INTEGER;
ALTER TABLE wanted ADD COLUMN hop_limit INTEGER;
ALTER TABLE wanted ADD COLUMN cdid TEXT;
",
    ),
    // What the server of a part of a request may have of it, and who is asked instead.
    (
        9,
        "
ALTER TABLE request ADD COLUMN granted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE request ADD COLUMN expires INTEGER;
ALTER TABLE request ADD COLUMN moved_to TEXT;
",
    ),
    // The domain for which a gateway asked.
    (
        10,
        "
ALTER TABLE mitigation ADD COLUMN cdid TEXT;
",
    ),
    // The prefixes of what is wanted that one request has no room for, one a line. When the server of a
    // part may be asked again.
    (
        11,
        "
ALTER TABLE wanted ADD COLUMN more TEXT NOT NULL DEFAULT '';
ALTER TABLE request ADD COLUMN not_before INTEGER;
",
    ),
    // The PvD of the server that is asked instead, where that is not the same.
    (
        12,
        "
ALTER TABLE request ADD COLUMN moved_to_pvd TEXT;
",
    ),
];

pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    make_private_file(path)?;
    let failed = |action| move |source| classify(path, action, source);

    // No SQLITE_OPEN_CREATE: the file exists, with the mode that its log inherits. No URI: a path
    // is a path.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed("open"))?;
    connection
        .busy_timeout(BUSY_TIMEOUT)
        .map_err(failed("open"))?;
    // Held from the first access until the connection is dropped or the process is gone.
    connection
        .pragma_update(None, "locking_mode", "EXCLUSIVE")
        .map_err(failed("lock"))?;

    // Before anything is written: is it ours?
    let format = identify(&connection, path)?;
    connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
        .and_then(|()| connection.pragma_update(None, "synchronous", "FULL"))
        .map_err(failed("lock"))?;
    // Damage is found before anything is built on it.
    if format > 0 {
        check(&connection, path)?;
    }
    if format < FORMAT {
        migrate(&mut connection, format).map_err(failed("initialise"))?;
    }
    Ok(connection)
}

/// Never opens a file that exists: closing any descriptor of it would drop the locks that this
/// process has on it.
fn make_private_file(path: &Path) -> Result<(), StoreError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|source| StoreError::Directory {
            path: directory.to_owned(),
            source,
        })?;
    let created = match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Ok(_) => sync_directory(directory),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            fs::set_permissions(path, Permissions::from_mode(0o600))
        }
        Err(error) => Err(error),
    };
    created.map_err(|source| StoreError::Create {
        path: path.to_owned(),
        source,
    })
}

/// A new file survives a power cut only when its directory entry does.
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The format of the file; 0 for an empty one.
fn identify(connection: &Connection, path: &Path) -> Result<i32, StoreError> {
    let failed = |source| classify(path, "read", source);
    let number = |name: &str| {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, i32>(0))
            .map_err(failed)
    };
    let application_id = number("application_id")?;
    let format = number("user_version")?;
    let objects: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    match (application_id, format) {
        (0, 0) if objects == 0 => Ok(0),
        (APPLICATION_ID, 1..=FORMAT) => Ok(format),
        (APPLICATION_ID, found) => Err(StoreError::NewerFormat {
            path: path.to_owned(),
            found,
            supported: FORMAT,
        }),
        _ => Err(StoreError::Foreign {
            path: path.to_owned(),
            application_id,
        }),
    }
}

/// Brings the file to the format of this version, or leaves it as it is.
fn migrate(connection: &mut Connection, format: i32) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for (_, step) in MIGRATIONS.iter().filter(|(to, _)| *to > format) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

/// Reads the whole file once, so that damage shows at start and not in an attack.
fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let detail: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|source| classify(path, "check", source))?;
    if detail == "ok" {
        Ok(())
    } else {
        Err(StoreError::Corrupt {
            path: path.to_owned(),
            detail,
        })
    }
}
