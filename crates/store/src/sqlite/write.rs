//! Changes to rows.

use std::num::NonZeroU8;
use std::path::Path;

use agent::client::RequestId;
use agent::{client, server};
use dots::identifiers::Cdid;
use dots::lifetime::Lifetime;
use dots::limits;
use dots::mitigation::MitigationRequest;
use dots::target::Target;
use rusqlite::{Connection, ToSql, Transaction, params};

use super::{classify, resources, scope, standing};
use crate::{StoreError, WallClock};

/// Writes all changes, or none when one of them fails.
pub(super) fn batch(
    connection: &mut Connection,
    path: &Path,
    write: impl FnOnce(&Batch<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let failed = |source| classify(path, "write", source);
    let transaction = connection.transaction().map_err(failed)?;
    // Dropped without a commit, a transaction is rolled back.
    let batch = Batch { transaction, path };
    write(&batch)?;
    batch.transaction.commit().map_err(failed)
}

/// A batch under way.
pub(super) struct Batch<'a> {
    transaction: Transaction<'a>,
    path: &'a Path,
}

impl Batch<'_> {
    pub(super) fn run(&self, sql: &str, values: &[&dyn ToSql]) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(values))
            .map(|_rows| ())
            .map_err(|source| classify(self.path, "write", source))
    }

    /// What a client wants, as the body of a request for it.
    fn body(&self, id: RequestId, target: &Target, trigger: bool) -> Result<Vec<u8>, StoreError> {
        let body = MitigationRequest::new(target.clone(), Lifetime::Indefinite, trigger, None);
        let body = body.map_err(|source| StoreError::Target {
            path: self.path.to_owned(),
            id,
            source,
        })?;
        Ok(body.encode())
    }
}

pub(super) fn server(batch: &Batch<'_>, change: &server::Change) -> Result<(), StoreError> {
    match change {
        server::Change::Put(record) => {
            let (scope, addresses) = scope::columns(record);
            batch.run(
                "INSERT OR REPLACE INTO mitigation
                 (customer, cuid, mid, credential, request, standing, started, expires,
                  scope, addresses, accepted, hop_limit, cdid)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
                params![
                    record.key.customer,
                    record.key.cuid.as_str(),
                    record.key.mid.0,
                    record.credential,
                    record.request.encode(),
                    standing::of(record.standing),
                    record.standing.started_unix().map(u64::cast_signed),
                    record.expires_unix.map(u64::cast_signed),
                    scope,
                    addresses,
                    record.accepted.cast_signed(),
                    record.relayed.hop_limit.map(NonZeroU8::get),
                    record.relayed.cdid.as_ref().map(Cdid::as_str),
                ],
            )
        }
        server::Change::PutResources(client, resources) => {
            resources::write(batch, client, resources)
        }
        server::Change::Delete(key) => batch.run(
            "DELETE FROM mitigation WHERE customer = ?1 AND cuid = ?2 AND mid = ?3",
            params![key.customer, key.cuid.as_str(), key.mid.0],
        ),
    }
}

pub(super) fn clock(batch: &Batch<'_>, clock: WallClock) -> Result<(), StoreError> {
    if clock.jumped != 0 {
        // What is further away than any clock goes stays where it is.
        for moved in [
            "UPDATE wanted SET wanted_until = max(wanted_until + ?1, 0)
             WHERE wanted_until BETWEEN 0 AND 0xFFFFFFFFFFFF",
            "UPDATE request SET wanted_until = max(wanted_until + ?1, 0)
             WHERE wanted_until BETWEEN 0 AND 0xFFFFFFFFFFFF",
            "UPDATE request SET expires = max(expires + ?1, 0)
             WHERE expires BETWEEN 0 AND 0xFFFFFFFFFFFF",
            "UPDATE request SET not_before = max(not_before + ?1, 0)
             WHERE not_before BETWEEN 0 AND 0xFFFFFFFFFFFF",
        ] {
            batch.run(moved, params![clock.jumped])?;
        }
    }
    batch.run(
        "INSERT OR REPLACE INTO clock (id, last_written) VALUES (0, ?1)",
        params![clock.unix.cast_signed()],
    )
}

pub(super) fn client(batch: &Batch<'_>, change: &client::Change) -> Result<(), StoreError> {
    match change {
        client::Change::PutAssociation(record) => batch.run(
            "INSERT OR REPLACE INTO association (pvd, server, cuid, reserved_mid)
             VALUES (?1, ?2, ?3, ?4)",
            params![
                record.association.pvd.as_str(),
                record.association.server,
                record.cuid.as_str(),
                record.reserved_mid.0,
            ],
        ),
        client::Change::DeleteAssociation(association) => batch.run(
            "DELETE FROM association WHERE pvd = ?1 AND server = ?2",
            params![association.pvd.as_str(), association.server],
        ),
        client::Change::PutWanted(record) => {
            let mut target = record.attack.target.clone();
            let room = target.prefixes.len().min(limits::LIST_ENTRIES);
            let more = target.prefixes.split_off(room);
            let more: Vec<String> = more.iter().map(ToString::to_string).collect();
            let body = batch.body(record.id, &target, record.trigger_mitigation)?;
            let seen_on = record.attack.seen_on.iter().map(|pvd| pvd.as_str());
            batch.run(
                "INSERT OR REPLACE INTO wanted
                     (id, target, more, seen_on, wanted_until, hop_limit, cdid)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    record.id.0.cast_signed(),
                    body,
                    more.join("\n"),
                    seen_on.collect::<Vec<_>>().join("\n"),
                    record.wanted_until_unix.map(u64::cast_signed),
                    record.relayed.hop_limit.map(NonZeroU8::get),
                    record.relayed.cdid.as_ref().map(Cdid::as_str),
                ],
            )
        }
        client::Change::DeleteWanted(id) => batch.run(
            "DELETE FROM wanted WHERE id = ?1",
            params![id.0.cast_signed()],
        ),
        client::Change::PutRequest(record) => {
            let body = batch.body(record.id, &record.target, record.trigger_mitigation)?;
            let moved_to = record.moved_to.as_ref();
            let elsewhere = moved_to.filter(|to| to.pvd != record.association.pvd);
            batch.run(
                "INSERT OR REPLACE INTO request
                     (id, pvd, server, mid, target, wanted_until, withdrawing,
                      granted, expires, moved_to, moved_to_pvd, not_before)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                params![
                    record.id.0.cast_signed(),
                    record.association.pvd.as_str(),
                    record.association.server,
                    record.mid.0,
                    body,
                    record.wanted_until_unix.map(u64::cast_signed),
                    record.withdrawing,
                    record.granted,
                    record.expires_unix.map(u64::cast_signed),
                    moved_to.map(|to| to.server.as_str()),
                    elsewhere.map(|to| to.pvd.as_str()),
                    record.not_before_unix.map(u64::cast_signed),
                ],
            )
        }
        client::Change::DeleteRequest(id, association, mid) => batch.run(
            "DELETE FROM request WHERE id = ?1 AND pvd = ?2 AND server = ?3 AND mid = ?4",
            params![
                id.0.cast_signed(),
                association.pvd.as_str(),
                association.server,
                mid.0,
            ],
        ),
    }
}
