//! Rows to records. Whatever the file holds, reading it ends in a record or an error that names the
//! column.

use std::num::NonZeroU8;
use std::path::Path;

use agent::client::{AssociationRecord, RequestId, RequestRecord, WantedRecord};
use agent::relay::Relayed;
use agent::server::{MitigationKey, MitigationRecord, Scope, Standing};
use agent::server_selection::{AssociationId, Attack};
use dots::identifiers::Mid;
use dots::mitigation::MitigationRequest;
use dots::target::TargetPrefix;
use rusqlite::types::FromSql;
use rusqlite::{Connection, Row};

use super::{classify, scope, standing};
use crate::StoreError;

pub(super) fn mitigations(
    connection: &Connection,
    path: &Path,
) -> Result<Vec<MitigationRecord>, StoreError> {
    let table = Table {
        name: "mitigation",
        select: "SELECT * FROM mitigation ORDER BY customer, cuid, mid",
    };
    table.read(connection, path, |record| {
        Ok(MitigationRecord {
            key: MitigationKey {
                customer: record.get("customer")?,
                cuid: record.parse("cuid")?,
                mid: Mid(record.get("mid")?),
            },
            accepted: record.unsigned("accepted")?,
            credential: record.get("credential")?,
            scope: record.scope()?,
            request: record.request("request")?,
            standing: record.standing()?,
            expires_unix: record.optional_unsigned("expires")?,
            relayed: Relayed {
                hop_limit: record.hop_limit()?,
                cdid: record.optional_parse("cdid")?,
            },
        })
    })
}

pub(super) fn last_written(
    connection: &Connection,
    path: &Path,
) -> Result<Option<u64>, StoreError> {
    let table = Table {
        name: "clock",
        select: "SELECT last_written FROM clock",
    };
    let mut rows = table.read(connection, path, |record| record.unsigned("last_written"))?;
    Ok(rows.pop())
}

pub(super) fn associations(
    connection: &Connection,
    path: &Path,
) -> Result<Vec<AssociationRecord>, StoreError> {
    let table = Table {
        name: "association",
        select: "SELECT * FROM association ORDER BY pvd, server",
    };
    table.read(connection, path, |record| {
        Ok(AssociationRecord {
            association: record.association()?,
            cuid: record.parse("cuid")?,
            reserved_mid: Mid(record.get("reserved_mid")?),
        })
    })
}

pub(super) fn wanted(
    connection: &Connection,
    path: &Path,
) -> Result<Vec<WantedRecord>, StoreError> {
    let table = Table {
        name: "wanted",
        select: "SELECT * FROM wanted ORDER BY id < 0, id",
    };
    table.read(connection, path, |record| {
        let mut request = record.request("target")?;
        let more: Vec<TargetPrefix> = record.parse_lines("more")?;
        request.target.prefixes.extend(more);
        Ok(WantedRecord {
            id: RequestId(record.get::<i64>("id")?.cast_unsigned()),
            attack: Attack {
                target: request.target,
                seen_on: record.parse_lines("seen_on")?,
            },
            trigger_mitigation: request.trigger_mitigation,
            wanted_until_unix: record.optional_unsigned("wanted_until")?,
            relayed: Relayed {
                hop_limit: record.hop_limit()?,
                cdid: record.optional_parse("cdid")?,
            },
        })
    })
}

pub(super) fn requests(
    connection: &Connection,
    path: &Path,
) -> Result<Vec<RequestRecord>, StoreError> {
    // `id < 0` first puts the upper half of the unsigned range last.
    let table = Table {
        name: "request",
        select: "SELECT * FROM request ORDER BY id < 0, id, pvd, server, mid",
    };
    table.read(connection, path, |record| {
        let request = record.request("target")?;
        Ok(RequestRecord {
            id: RequestId(record.get::<i64>("id")?.cast_unsigned()),
            association: record.association()?,
            mid: Mid(record.get("mid")?),
            target: request.target,
            trigger_mitigation: request.trigger_mitigation,
            wanted_until_unix: record.optional_unsigned("wanted_until")?,
            withdrawing: record.get("withdrawing")?,
            granted: record.get("granted")?,
            expires_unix: record.optional_unsigned("expires")?,
            moved_to: record.moved_to()?,
            not_before_unix: record.optional_unsigned("not_before")?,
        })
    })
}

/// A table, and how to read it in the order of its keys.
#[derive(Clone, Copy)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) select: &'static str,
}

impl Table {
    pub(super) fn read<T>(
        self,
        connection: &Connection,
        path: &Path,
        decode: fn(&Record<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let failed = |source| classify(path, "read", source);
        let mut statement = connection.prepare_cached(self.select).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let mut records = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let table = self.name;
            records.push(decode(&Record { row, table, path })?);
        }
        Ok(records)
    }
}

/// One row, and what an error about it must name.
pub(super) struct Record<'a> {
    row: &'a Row<'a>,
    table: &'static str,
    path: &'a Path,
}

impl Record<'_> {
    pub(super) fn get<T: FromSql>(&self, column: &'static str) -> Result<T, StoreError> {
        self.row.get(column).map_err(|_| self.impossible(column))
    }

    fn unsigned(&self, column: &'static str) -> Result<u64, StoreError> {
        Ok(self.get::<i64>(column)?.cast_unsigned())
    }

    fn optional_unsigned(&self, column: &'static str) -> Result<Option<u64>, StoreError> {
        Ok(self.get::<Option<i64>>(column)?.map(i64::cast_unsigned))
    }

    pub(super) fn parse<T: std::str::FromStr>(
        &self,
        column: &'static str,
    ) -> Result<T, StoreError> {
        let text: String = self.get(column)?;
        text.parse().map_err(|_| self.impossible(column))
    }

    /// A text of one value a line.
    fn parse_lines<T: std::str::FromStr, C: FromIterator<T>>(
        &self,
        column: &'static str,
    ) -> Result<C, StoreError> {
        let text: String = self.get(column)?;
        let values = text.lines().map(|line| line.parse());
        values
            .collect::<Result<C, _>>()
            .map_err(|_| self.impossible(column))
    }

    fn optional_parse<T: std::str::FromStr>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let text: Option<String> = self.get(column)?;
        let parsed = text.map(|text| text.parse().map_err(|_| self.impossible(column)));
        parsed.transpose()
    }

    fn hop_limit(&self) -> Result<Option<NonZeroU8>, StoreError> {
        let hops: Option<u8> = self.get("hop_limit")?;
        Ok(hops.and_then(NonZeroU8::new))
    }

    fn association(&self) -> Result<AssociationId, StoreError> {
        Ok(AssociationId {
            pvd: self.parse("pvd")?,
            server: self.get("server")?,
        })
    }

    /// Who is asked instead: of the same PvD, where no column says of which.
    fn moved_to(&self) -> Result<Option<AssociationId>, StoreError> {
        let Some(server) = self.get("moved_to")? else {
            return Ok(None);
        };
        let pvd = match self.optional_parse("moved_to_pvd")? {
            Some(pvd) => pvd,
            None => self.parse("pvd")?,
        };
        Ok(Some(AssociationId { pvd, server }))
    }

    fn standing(&self) -> Result<Standing, StoreError> {
        let started_unix = self.optional_unsigned("started")?;
        match (self.get::<i64>("standing")?, started_unix) {
            (standing::PARKED, None) => Ok(Standing::Parked),
            (standing::ACTIVE, Some(started_unix)) => Ok(Standing::Active { started_unix }),
            (standing::TERMINATING, Some(started_unix)) => {
                Ok(Standing::Terminating { started_unix })
            }
            (standing::DEACTIVATED, None) => Ok(Standing::Deactivated),
            _ => Err(self.impossible("standing")),
        }
    }

    /// What the mitigation protects; where no column says so, what was asked.
    fn scope(&self) -> Result<Scope, StoreError> {
        if self.get::<Option<Vec<u8>>>("scope")?.is_none() {
            let asked = self.request("request")?.target;
            return Scope::new(&asked, None).map_err(|_| self.impossible("scope"));
        }
        let addresses: Option<String> = self.get("addresses")?;
        let target = self.request("scope")?.target;
        scope::from_columns(target, addresses.as_deref())
            .ok_or_else(|| self.impossible("addresses"))
    }

    pub(super) fn request(&self, column: &'static str) -> Result<MitigationRequest, StoreError> {
        let body: Vec<u8> = self.get(column)?;
        MitigationRequest::decode(&body).map_err(|source| StoreError::Request {
            path: self.path.to_owned(),
            table: self.table,
            column,
            source,
        })
    }

    pub(super) fn impossible(&self, column: &'static str) -> StoreError {
        StoreError::Value {
            path: self.path.to_owned(),
            table: self.table,
            column,
        }
    }
}
