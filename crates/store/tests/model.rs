//! Whatever is committed, the file gives back what a map does, also after reopening.

mod common;

use std::collections::BTreeMap;

use agent::client::{self, RequestId};
use agent::server::{self, Standing};
use agent::server_selection::AssociationId;
use common::{
    AT, association, association_id, mitigation, mitigation_key, request, target, wanted,
};
use dots::identifiers::Mid;
use proptest::prelude::*;
use store::{ClientStore, ServerStore, SqliteStore};

/// Few different keys, so that changes meet; odd texts, so that their order and escaping matter.
const NAMES: [&str; 5] = ["home", "A", "é", "'; DROP TABLE mitigation; --", "a%"];

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&NAMES[..])
}

fn association_name() -> impl Strategy<Value = AssociationId> {
    let pvd = prop::sample::select(&["fixed.example", "a-b.example", "a.example"][..]);
    (pvd, name()).prop_map(|(pvd, server)| association_id(pvd, server))
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..4_u64, Just(i64::MAX as u64), Just(u64::MAX)]
}

fn time() -> impl Strategy<Value = Option<u64>> {
    prop::option::of(number())
}

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        Just(Standing::Parked),
        Just(Standing::Deactivated),
        number().prop_map(|started_unix| Standing::Active { started_unix }),
        number().prop_map(|started_unix| Standing::Terminating { started_unix }),
    ]
}

fn mid() -> impl Strategy<Value = u32> {
    prop_oneof![0..3_u32, Just(u32::MAX)]
}

fn server_change() -> impl Strategy<Value = server::Change> {
    let put = (name(), name(), mid(), any::<[u8; 32]>(), standing(), time());
    prop_oneof![
        put.prop_map(|(customer, cuid, mid, credential, standing, expires)| {
            let mut record = mitigation(cuid, mid);
            record.key.customer = customer.to_owned();
            record.credential = credential;
            record.standing = standing;
            record.expires_unix = expires;
            server::Change::Put(record)
        }),
        (name(), name(), mid()).prop_map(|(customer, cuid, mid)| {
            let mut key = mitigation_key(cuid, mid);
            key.customer = customer.to_owned();
            server::Change::Delete(key)
        }),
    ]
}

fn client_change() -> impl Strategy<Value = client::Change> {
    let prefix = prop::sample::select(&["203.0.113.0/24", "2001:db8::/32"][..]);
    let put = (
        number(),
        association_name(),
        mid(),
        prefix,
        time(),
        (any::<[bool; 3]>(), time()),
    );
    prop_oneof![
        (association_name(), name(), mid()).prop_map(|(name, cuid, mid)| {
            let mut record = association("", mid);
            record.association = name;
            record.cuid = common::cuid(cuid);
            client::Change::PutAssociation(record)
        }),
        put.prop_map(|(id, name, mid, prefix, wanted_until, (flags, expires))| {
            let mut record = request(id, "");
            record.association = name;
            record.mid = Mid(mid);
            record.target = target(prefix);
            record.wanted_until_unix = wanted_until;
            [
                record.withdrawing,
                record.trigger_mitigation,
                record.granted,
            ] = flags;
            record.expires_unix = expires;
            let elsewhere = AssociationId {
                server: "elsewhere".to_owned(),
                ..record.association.clone()
            };
            record.moved_to = record.granted.then_some(elsewhere);
            client::Change::PutRequest(record)
        }),
        (number(), any::<bool>(), time()).prop_map(|(id, is_seen, wanted_until)| {
            client::Change::PutWanted(wanted(id, is_seen, wanted_until))
        }),
        association_name().prop_map(client::Change::DeleteAssociation),
        number().prop_map(|id| client::Change::DeleteWanted(RequestId(id))),
        (number(), association_name(), mid()).prop_map(|(id, name, mid)| {
            client::Change::DeleteRequest(RequestId(id), name, Mid(mid))
        }),
    ]
}

fn batches<C: std::fmt::Debug>(
    change: impl Strategy<Value = C>,
) -> impl Strategy<Value = Vec<(Vec<C>, bool)>> {
    prop::collection::vec((prop::collection::vec(change, 0..12), any::<bool>()), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_file_of_a_server_behaves_as_a_map(batches in batches(server_change())) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("state.db");
        let mut model = BTreeMap::new();
        let mut file = SqliteStore::open(&path).expect("a store");
        for (batch, reopen) in batches {
            ServerStore::commit(&mut file, &batch).expect("the file takes it");
            for change in batch {
                match change {
                    server::Change::Put(record) => model.insert(record.key.clone(), record),
                    server::Change::Delete(key) => model.remove(&key),
                    server::Change::PutResources(..) => unreachable!("not among the changes"),
                };
            }
            if reopen {
                drop(file);
                file = SqliteStore::open(&path).expect("the store again");
            }
            let kept = ServerStore::load(&mut file).expect("the records");
            let expected = model.values().cloned().collect::<Vec<_>>();
            prop_assert_eq!(kept.mitigations, expected);
        }
    }

    #[test]
    fn the_file_of_a_client_behaves_as_three_maps(batches in batches(client_change())) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("state.db");
        let (mut associations, mut all_wanted) = (BTreeMap::new(), BTreeMap::new());
        let mut requests = BTreeMap::new();
        let mut file = SqliteStore::open(&path).expect("a store");
        for (batch, reopen) in batches {
            ClientStore::commit(&mut file, AT, &batch).expect("the file takes it");
            for change in batch {
                match change {
                    client::Change::PutAssociation(record) => {
                        associations.insert(record.association.clone(), record);
                    }
                    client::Change::DeleteAssociation(id) => {
                        associations.remove(&id);
                    }
                    client::Change::PutWanted(record) => {
                        all_wanted.insert(record.id, record);
                    }
                    client::Change::DeleteWanted(id) => {
                        all_wanted.remove(&id);
                    }
                    client::Change::PutRequest(record) => {
                        let key = (record.id, record.association.clone(), record.mid);
                        requests.insert(key, record);
                    }
                    client::Change::DeleteRequest(id, association, mid) => {
                        requests.remove(&(id, association, mid));
                    }
                }
            }
            if reopen {
                drop(file);
                file = SqliteStore::open(&path).expect("the store again");
            }
            let expected = client::Snapshot {
                associations: associations.values().cloned().collect(),
                wanted: all_wanted.values().cloned().collect(),
                requests: requests.values().cloned().collect(),
            };
            prop_assert_eq!(ClientStore::load(&mut file).expect("the records"), expected);
        }
    }
}
