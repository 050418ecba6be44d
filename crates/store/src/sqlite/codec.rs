//! Rows to records. Whatever the file holds, reading it ends in a record or an error that names the
//! column.

use std::path::Path;

use dots::identifiers::{Cuid, Mid};
use dots::mitigation::{MitigationRequest, Status};
use rusqlite::types::FromSql;
use rusqlite::{Connection, Row};

use super::classify;
use crate::{
    ClientRequestKey, ClientRequestRecord, CuidBinding, Expiry, MitigationKey, MitigationRecord,
    StoreError,
};

/// A table, and how to read it in the order of its keys.
#[derive(Clone, Copy)]
pub(super) struct Table {
    name: &'static str,
    select: &'static str,
}

pub(super) const MITIGATIONS: Table = Table {
    name: "mitigation",
    select: "SELECT * FROM mitigation ORDER BY customer, cuid, mid",
};
pub(super) const CUIDS: Table = Table {
    name: "cuid_binding",
    select: "SELECT * FROM cuid_binding ORDER BY customer, cuid",
};
pub(super) const MIDS: Table = Table {
    name: "mid_space",
    select: "SELECT * FROM mid_space ORDER BY association",
};
/// `id < 0` first puts the upper half of the unsigned range last.
pub(super) const REQUESTS: Table = Table {
    name: "client_request",
    select: "SELECT * FROM client_request ORDER BY id < 0, id, association",
};

/// One row, and what an error about it must name.
pub(super) struct Record<'a> {
    row: &'a Row<'a>,
    table: Table,
    path: &'a Path,
}

pub(super) fn read_all<T>(
    connection: &Connection,
    path: &Path,
    table: Table,
    decode: fn(&Record<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let failed = |source| classify(path, "read", source);
    let mut statement = connection.prepare_cached(table.select).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        records.push(decode(&Record { row, table, path })?);
    }
    Ok(records)
}

impl Record<'_> {
    fn get<T: FromSql>(&self, column: &'static str) -> Result<T, StoreError> {
        self.row.get(column).map_err(|_| self.impossible(column))
    }

    fn impossible(&self, column: &'static str) -> StoreError {
        StoreError::Value {
            path: self.path.to_owned(),
            table: self.table.name,
            column,
        }
    }

    fn cuid(&self) -> Result<Cuid, StoreError> {
        let text: String = self.get("cuid")?;
        text.parse().map_err(|_| self.impossible("cuid"))
    }

    fn request(&self) -> Result<MitigationRequest, StoreError> {
        let body: Vec<u8> = self.get("request")?;
        MitigationRequest::decode(&body).map_err(|source| StoreError::Request {
            path: self.path.to_owned(),
            table: self.table.name,
            source,
        })
    }
}

pub(super) fn mitigation(record: &Record<'_>) -> Result<MitigationRecord, StoreError> {
    Ok(MitigationRecord {
        key: MitigationKey {
            customer: record.get("customer")?,
            cuid: record.cuid()?,
            mid: Mid(record.get("mid")?),
        },
        request: record.request()?,
        status: Status::from_code(record.get("status")?),
        created_unix_seconds: to_unsigned(record.get("created")?),
        mitigation_start: record.get::<Option<i64>>("started")?.map(to_unsigned),
        expires: to_expiry(record.get("expires")?),
    })
}

pub(super) fn cuid_binding(record: &Record<'_>) -> Result<CuidBinding, StoreError> {
    Ok(CuidBinding {
        customer: record.get("customer")?,
        cuid: record.cuid()?,
        spki_sha256: record.get("spki_sha256")?,
    })
}

pub(super) fn next_mid(record: &Record<'_>) -> Result<(String, Mid), StoreError> {
    Ok((record.get("association")?, Mid(record.get("next")?)))
}

pub(super) fn client_request(record: &Record<'_>) -> Result<ClientRequestRecord, StoreError> {
    Ok(ClientRequestRecord {
        key: ClientRequestKey {
            id: to_unsigned(record.get("id")?),
            association: record.get("association")?,
        },
        mid: Mid(record.get("mid")?),
        request: record.request()?,
        wanted: record.get("wanted")?,
    })
}

/// SQLite knows signed integers only.
pub(super) fn from_unsigned(value: u64) -> i64 {
    value.cast_signed()
}

fn to_unsigned(value: i64) -> u64 {
    value.cast_unsigned()
}

pub(super) fn from_expiry(expires: Expiry) -> Option<i64> {
    match expires {
        Expiry::At(seconds) => Some(from_unsigned(seconds)),
        Expiry::Never => None,
    }
}

fn to_expiry(value: Option<i64>) -> Expiry {
    value.map_or(Expiry::Never, |seconds| Expiry::At(to_unsigned(seconds)))
}
