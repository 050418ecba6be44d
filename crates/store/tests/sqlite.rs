//! What the file keeps.

mod common;

use std::error::Error;
use std::fs;

use agent::client::{self, RequestId};
use agent::server::{self, AcceptList, Alias, ClientKey, ClientResources, Standing};
use agent::server_selection::AssociationId;
use common::{
    AT, association, association_id, mitigation, mitigation_key, request, snapshot, target, wanted,
};
use dots::identifiers::Mid;
use dots::target::Target;
use rusqlite::Connection;
use store::{ClientStore, ServerStore, SqliteStore, StoreError, WallClock};

type Outcome = Result<(), Box<dyn Error>>;

/// Covers: design rule 2 (persist before you promise).
#[test]
fn what_a_server_committed_is_there_after_reopening() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("state.db");
    let mut store = SqliteStore::open(&path)?;
    assert_eq!(ServerStore::load(&mut store)?, snapshot([]));
    let mut parked = mitigation("parked", u32::MAX);
    parked.standing = Standing::Parked;
    parked.expires_unix = None;
    let mut late = mitigation("late", 0);
    late.expires_unix = Some(u64::MAX);
    ServerStore::commit(
        &mut store,
        &[
            server::Change::Put(parked.clone()),
            server::Change::Put(late.clone()),
            server::Change::Put(mitigation("a", 2)),
        ],
    )?;
    drop(store);

    let mut store = SqliteStore::open(&path)?;
    assert_eq!(
        ServerStore::load(&mut store)?,
        snapshot([mitigation("a", 2), late, parked])
    );
    Ok(())
}

/// Covers: design rule 2 (persist before you promise).
#[test]
fn what_a_client_committed_is_there_after_reopening() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("state.db");
    let mut store = SqliteStore::open(&path)?;
    assert_eq!(ClientStore::load(&mut store)?, client::Snapshot::default());
    let mut huge = request(u64::MAX, "x");
    huge.wanted_until_unix = None;
    huge.withdrawing = true;
    huge.granted = true;
    huge.expires_unix = Some(u64::MAX);
    huge.moved_to = Some(AssociationId {
        pvd: "y".parse()?,
        server: "y".to_owned(),
    });
    huge.not_before_unix = Some(u64::MAX);
    huge.target = Target {
        prefixes: vec!["203.0.113.0/24".parse()?, "2001:db8::/32".parse()?],
        fqdns: vec!["www.example".parse()?],
        uris: vec!["https://www.example/".parse()?],
        aliases: vec!["web".parse()?],
        ..target("192.0.2.1/32")
    };
    ClientStore::commit(
        &mut store,
        AT,
        &[
            client::Change::PutAssociation(association("y", u32::MAX)),
            client::Change::PutAssociation(association("x", 0)),
            client::Change::PutWanted(wanted(u64::MAX, true, None)),
            client::Change::PutWanted(wanted(1, false, Some(7))),
            client::Change::PutWanted(wanted(2, false, Some(7))),
            client::Change::DeleteWanted(RequestId(2)),
            client::Change::PutRequest(huge.clone()),
            client::Change::PutRequest(request(1, "y")),
            client::Change::PutRequest(request(1, "x")),
        ],
    )?;
    drop(store);

    let mut store = SqliteStore::open(&path)?;
    assert_eq!(
        ClientStore::load(&mut store)?,
        client::Snapshot {
            associations: vec![association("x", 0), association("y", u32::MAX)],
            wanted: vec![wanted(1, false, Some(7)), wanted(u64::MAX, true, None)],
            requests: vec![request(1, "x"), request(1, "y"), huge],
        }
    );
    Ok(())
}

#[test]
fn a_put_replaces_and_a_delete_removes() -> Outcome {
    let directory = tempfile::tempdir()?;
    let mut store = SqliteStore::open(&directory.path().join("state.db"))?;
    ServerStore::commit(
        &mut store,
        &[
            server::Change::Put(mitigation("a", 1)),
            server::Change::Put(mitigation("a", 2)),
        ],
    )?;
    let mut changed = mitigation("a", 1);
    changed.credential = [8; 32];
    ServerStore::commit(
        &mut store,
        &[
            server::Change::Put(changed.clone()),
            server::Change::Delete(mitigation_key("a", 2)),
            server::Change::Delete(mitigation_key("never", 9)),
        ],
    )?;
    assert_eq!(ServerStore::load(&mut store)?, snapshot([changed]));

    ClientStore::commit(
        &mut store,
        AT,
        &[
            client::Change::PutAssociation(association("x", 100)),
            client::Change::PutRequest(request(1, "x")),
            client::Change::PutRequest(request(1, "y")),
        ],
    )?;
    ClientStore::commit(
        &mut store,
        AT,
        &[
            // S-016: a mid space may start again at zero.
            client::Change::PutAssociation(association("x", 0)),
            client::Change::DeleteRequest(
                RequestId(1),
                association_id("fixed.example", "x"),
                Mid(7),
            ),
        ],
    )?;
    assert_eq!(
        ClientStore::load(&mut store)?,
        client::Snapshot {
            associations: vec![association("x", 0)],
            wanted: vec![],
            requests: vec![request(1, "y")],
        }
    );
    Ok(())
}

#[test]
fn a_target_that_cannot_be_encoded_is_refused_with_its_whole_batch() -> Outcome {
    let directory = tempfile::tempdir()?;
    let mut store = SqliteStore::open(&directory.path().join("state.db"))?;
    let mut nothing = request(7, "x");
    nothing.target = Target::default();
    let batch = [
        client::Change::PutAssociation(association("x", 1)),
        client::Change::PutRequest(nothing),
    ];
    let error = ClientStore::commit(&mut store, AT, &batch)
        .err()
        .ok_or("committed")?;
    assert!(
        matches!(
            error,
            StoreError::Target {
                id: RequestId(7),
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(ClientStore::load(&mut store)?, client::Snapshot::default());
    // And the store goes on working.
    ClientStore::commit(&mut store, AT, &batch[..1])?;
    assert_eq!(ClientStore::load(&mut store)?.associations.len(), 1);
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
    ServerStore::commit(&mut store, &[server::Change::Put(mitigation("a", 1))])?;
    let batch = [
        server::Change::Delete(mitigation_key("a", 1)),
        server::Change::Put(mitigation("a", 2)),
        server::Change::Put(mitigation("a", 3)),
    ];
    assert!(matches!(
        ServerStore::commit(&mut store, &batch),
        Err(StoreError::Sqlite {
            action: "write",
            ..
        })
    ));
    assert_eq!(
        ServerStore::load(&mut store)?,
        snapshot([mitigation("a", 1)])
    );
    // And the store goes on working.
    ServerStore::commit(&mut store, &batch[1..2])?;
    assert_eq!(ServerStore::load(&mut store)?.mitigations.len(), 2);
    Ok(())
}

#[test]
fn a_commit_is_in_the_log_when_it_returns() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("state.db");
    let mut store = SqliteStore::open(&path)?;
    ServerStore::commit(&mut store, &[server::Change::Put(mitigation("a", 1))])?;
    // The change is in the log alone: whoever reads the database file without it sees none.
    let copy = directory.path().join("copy.db");
    fs::copy(&path, &copy)?;
    let log = fs::read(directory.path().join("state.db-wal"))?;
    assert!(!log.is_empty());
    fs::write(directory.path().join("copy.db-wal"), log)?;
    assert_eq!(
        ServerStore::load(&mut SqliteStore::open(&copy)?)?,
        snapshot([mitigation("a", 1)])
    );
    Ok(())
}

/// Covers: S-028, S-019. What aliases and names stood for outlives what they stand for now.
#[test]
fn the_scope_of_a_mitigation_is_kept_as_it_was_authorised() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("state.db");
    let mut named = mitigation("a", 1);
    named.request.target.aliases = vec!["shop".parse()?];
    named.request.target.fqdns = vec!["www.example".parse()?, "old.example".parse()?];
    named.scope.fixed.prefixes.push("2001:db8::/64".parse()?);
    named.scope.names = [
        (
            "www.example".parse()?,
            vec!["203.0.113.9/32".parse()?, "2001:db8::9/128".parse()?],
        ),
        ("old.example".parse()?, vec![]),
    ]
    .into();
    // All that is left of this one is a name.
    let mut moved = mitigation("b", 1);
    moved.scope.fixed.prefixes.clear();
    moved.scope.names = [("www.example".parse()?, vec![])].into();
    let batch = [&named, &moved].map(|record| server::Change::Put(record.clone()));
    ServerStore::commit(&mut SqliteStore::open(&path)?, &batch)?;
    let mut store = SqliteStore::open(&path)?;
    assert_eq!(ServerStore::load(&mut store)?, snapshot([named, moved]));
    Ok(())
}

/// Covers: S-027, S-036
#[test]
fn what_a_client_has_set_up_is_kept_until_it_is_replaced() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("state.db");
    let client = |cuid: &str| ClientKey {
        customer: "home".to_owned(),
        cuid: common::cuid(cuid),
    };
    let alias = Alias::new(Target {
        uris: vec!["https://www.example/shop".parse()?],
        ..target("203.0.113.7/32")
    })?;
    let list = |name: &str, acl_type: Option<&str>| -> Result<AcceptList, Box<dyn Error>> {
        Ok(AcceptList {
            name: name.parse()?,
            acl_type: acl_type.map(str::parse).transpose()?,
            prefixes: vec!["203.0.113.0/25".parse()?, "2001:db8::/64".parse()?],
        })
    };
    let lists = vec![list("z", Some("ipv4-acl-type"))?, list("a", None)?];
    let aliases = [("shop".parse()?, alias.clone()), ("all".parse()?, alias)];
    let full = ClientResources::new(aliases.into(), lists)?;
    let lists_alone = ClientResources::new([].into(), vec![list("only", None)?])?;
    let put = |cuid: &str, resources: &ClientResources| {
        server::Change::PutResources(client(cuid), resources.clone())
    };
    let mut store = SqliteStore::open(&path)?;
    ServerStore::commit(&mut store, &[put("a", &full), put("b", &lists_alone)])?;
    drop(store);
    let mut store = SqliteStore::open(&path)?;
    let kept = ServerStore::load(&mut store)?.resources;
    let expected = [(client("a"), full), (client("b"), lists_alone.clone())];
    assert_eq!(kept, expected.into());
    let nothing = ClientResources::default();
    ServerStore::commit(&mut store, &[put("a", &lists_alone), put("b", &nothing)])?;
    let kept = ServerStore::load(&mut store)?.resources;
    assert_eq!(kept, [(client("a"), lists_alone)].into());
    Ok(())
}

#[test]
fn the_time_of_the_last_commit_is_kept_and_what_is_wanted_moves_with_the_clock() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("state.db");
    let mut store = SqliteStore::open(&path)?;
    assert_eq!(store.last_written()?, None);
    let clock = |unix, jumped| WallClock { unix, jumped };
    let part = |until| {
        let mut part = request(1, "x");
        part.wanted_until_unix = Some(until);
        part.expires_unix = Some(until + 1);
        part
    };
    let ends = |store: &mut SqliteStore| -> Result<Vec<Option<u64>>, StoreError> {
        let known = ClientStore::load(store)?;
        let wanted = known.wanted.iter().map(|it| it.wanted_until_unix);
        let parts = known.requests.iter();
        let parts = parts.flat_map(|it| [it.wanted_until_unix, it.expires_unix]);
        Ok(wanted.chain(parts).collect())
    };
    let put = |id, until| client::Change::PutWanted(wanted(id, false, until));
    let early = [put(1, Some(600)), put(2, None), put(3, Some(u64::MAX))];
    ClientStore::commit(&mut store, clock(3, 0), &early)?;
    let parts = [client::Change::PutRequest(part(700))];
    ClientStore::commit(&mut store, clock(4, 0), &parts)?;
    // The clock is set; what comes with that is by the new time.
    let late = [put(4, Some(1_900_000_099))];
    ClientStore::commit(&mut store, clock(1_900_000_006, 1_900_000_000), &late)?;
    drop(store);
    let mut store = SqliteStore::open(&path)?;
    assert_eq!(store.last_written()?, Some(1_900_000_006));
    let [first, part, held] = [1_900_000_600, 1_900_000_700, 1_900_000_701].map(Some);
    let late = Some(1_900_000_099);
    let expected = [first, None, Some(u64::MAX), late, part, held];
    assert_eq!(ends(&mut store)?, expected);
    // It was wrong, and is set back; nothing else has changed.
    ClientStore::commit(&mut store, clock(7, -1_900_000_000), &[])?;
    assert_eq!(store.last_written()?, Some(7));
    let (first, part, held) = (Some(600), Some(700), Some(701));
    let expected = [first, None, Some(u64::MAX), Some(99), part, held];
    assert_eq!(ends(&mut store)?, expected);
    Ok(())
}

/// Covers: design rule 2 (persist before you promise).
#[test]
fn nothing_is_committed_to_a_file_that_was_removed_or_replaced() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("state.db");
    let replace = |with: Option<&str>| -> Result<StoreError, Box<dyn Error>> {
        let mut store = SqliteStore::open(&path)?;
        let change = [server::Change::Put(mitigation("a", 2))];
        ServerStore::commit(&mut store, &change)?;
        fs::remove_file(&path)?;
        if let Some(content) = with {
            fs::write(&path, content)?;
        }
        let committed = ServerStore::commit(&mut store, &change);
        Ok(committed
            .err()
            .ok_or("committed to a file without a name")?)
    };
    for with in [Some(""), None] {
        let error = replace(with)?;
        assert!(matches!(error, StoreError::Replaced { .. }), "{error:?}");
        for left in fs::read_dir(directory.path())? {
            fs::remove_file(left?.path())?;
        }
    }
    Ok(())
}

/// Covers: S-076, M-005. What is wanted is asked for in several messages, and kept as a whole.
#[test]
fn a_target_that_one_request_has_no_room_for_is_kept() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("state.db");
    let mut store = SqliteStore::open(&path)?;
    let mut large = wanted(1, true, None);
    let hosts = (0..1000).map(|host| format!("2001:db8::{host:x}/128").parse());
    large.attack.target.prefixes = hosts.collect::<Result<_, _>>()?;
    let change = client::Change::PutWanted(large.clone());
    ClientStore::commit(&mut store, AT, &[change])?;
    drop(store);
    let mut store = SqliteStore::open(&path)?;
    assert_eq!(ClientStore::load(&mut store)?.wanted, [large]);
    Ok(())
}
