//! Whatever is committed, the file gives back what the model in memory does, also after reopening.

mod common;

use common::{binding, client_key, client_request, mitigation, mitigation_key};
use dots::identifiers::Mid;
use dots::mitigation::Status;
use proptest::prelude::*;
use store::{Change, Expiry, MemoryStore, SqliteStore, Store};

/// Few different keys, so that changes meet; odd texts, so that their order and escaping matter.
const NAMES: [&str; 5] = ["home", "A", "é", "'; DROP TABLE mitigation; --", "a%"];

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&NAMES[..])
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..4_u64, Just(i64::MAX as u64), Just(u64::MAX)]
}

fn mid() -> impl Strategy<Value = u32> {
    prop_oneof![0..3_u32, Just(u32::MAX)]
}

fn change() -> impl Strategy<Value = Change> {
    let put = (
        name(),
        name(),
        mid(),
        0..12_u32,
        number(),
        prop::option::of(number()),
        prop::option::of(number()),
    );
    prop_oneof![
        put.prop_map(|(customer, cuid, mid, status, created, start, expires)| {
            let mut record = mitigation(cuid, mid);
            record.key.customer = customer.to_owned();
            record.status = Status::from_code(status);
            record.created_unix_seconds = created;
            record.mitigation_start = start;
            record.expires = expires.map_or(Expiry::Never, Expiry::At);
            Change::PutMitigation(record)
        }),
        (name(), mid()).prop_map(|(cuid, mid)| Change::DeleteMitigation(mitigation_key(cuid, mid))),
        (name(), any::<u8>()).prop_map(|(cuid, digest)| Change::BindCuid(binding(cuid, digest))),
        (name(), mid()).prop_map(|(name, next)| Change::ReserveMids {
            association: name.to_owned(),
            next: Mid(next)
        }),
        (number(), any::<bool>(), mid()).prop_map(|(id, wanted, mid)| {
            let mut record = client_request(id);
            record.wanted = wanted;
            record.mid = Mid(mid);
            Change::PutClientRequest(record)
        }),
        number().prop_map(|id| Change::DeleteClientRequest(client_key(id))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_file_behaves_as_the_model(
        batches in prop::collection::vec((prop::collection::vec(change(), 0..12), any::<bool>()), 1..8)
    ) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("state.db");
        let mut model = MemoryStore::default();
        let mut file = SqliteStore::open(&path).expect("a store");
        for (batch, reopen) in batches {
            model.commit(&batch).expect("the model takes it");
            file.commit(&batch).expect("the file takes it");
            if reopen {
                drop(file);
                file = SqliteStore::open(&path).expect("the store again");
            }
            prop_assert_eq!(file.load_server().expect("server"), model.load_server().expect("server"));
            prop_assert_eq!(file.load_client().expect("client"), model.load_client().expect("client"));
        }
    }
}
