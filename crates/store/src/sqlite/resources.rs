//! What clients have set up: a row for each alias and for each accept-list.

use std::collections::BTreeMap;
use std::path::Path;

use agent::server::{AcceptList, Alias, ClientKey, ClientResources};
use dots::lifetime::Lifetime;
use dots::mitigation::MitigationRequest;
use dots::target::AliasName;
use ipnet::IpNet;
use rusqlite::{Connection, params};

use super::read::{Record, Table};
use super::write::Batch;
use crate::StoreError;

pub(super) fn read(
    connection: &Connection,
    path: &Path,
) -> Result<BTreeMap<ClientKey, ClientResources>, StoreError> {
    let aliases = Table {
        name: "alias",
        select: "SELECT * FROM alias",
    };
    let accept_lists = Table {
        name: "accept_list",
        select: "SELECT * FROM accept_list ORDER BY customer, cuid, position",
    };
    let mut found: BTreeMap<ClientKey, (BTreeMap<AliasName, Alias>, Vec<AcceptList>)> =
        BTreeMap::new();
    for (client, name, alias) in aliases.read(connection, path, alias)? {
        found.entry(client).or_default().0.insert(name, alias);
    }
    for (client, list) in accept_lists.read(connection, path, accept_list)? {
        found.entry(client).or_default().1.push(list);
    }
    let resources = found.into_iter().map(|(client, (aliases, lists))| {
        let resources = ClientResources::new(aliases, lists);
        let resources = resources.map_err(|_| StoreError::Value {
            path: path.to_owned(),
            table: "alias",
            column: "name",
        });
        Ok((client, resources?))
    });
    resources.collect()
}

fn client(record: &Record<'_>) -> Result<ClientKey, StoreError> {
    Ok(ClientKey {
        customer: record.get("customer")?,
        cuid: record.parse("cuid")?,
    })
}

fn alias(record: &Record<'_>) -> Result<(ClientKey, AliasName, Alias), StoreError> {
    let target = record.request("target")?.target;
    let alias = Alias::new(target).map_err(|_| record.impossible("target"))?;
    Ok((client(record)?, record.parse("name")?, alias))
}

fn accept_list(record: &Record<'_>) -> Result<(ClientKey, AcceptList), StoreError> {
    let prefixes: String = record.get("prefixes")?;
    let prefixes = prefixes.split_whitespace().map(str::parse::<IpNet>);
    let acl_type: Option<String> = record.get("type")?;
    let acl_type = acl_type.map(|text| text.parse());
    let list = AcceptList {
        name: record.parse("name")?,
        acl_type: acl_type
            .transpose()
            .map_err(|_| record.impossible("type"))?,
        prefixes: prefixes
            .collect::<Result<_, _>>()
            .map_err(|_| record.impossible("prefixes"))?,
    };
    Ok((client(record)?, list))
}

/// Puts what a client has set up in place of what is there.
pub(super) fn write(
    batch: &Batch<'_>,
    client: &ClientKey,
    resources: &ClientResources,
) -> Result<(), StoreError> {
    let (customer, cuid) = (&client.customer, client.cuid.as_str());
    batch.run(
        "DELETE FROM alias WHERE customer = ?1 AND cuid = ?2",
        params![customer, cuid],
    )?;
    batch.run(
        "DELETE FROM accept_list WHERE customer = ?1 AND cuid = ?2",
        params![customer, cuid],
    )?;
    for (name, alias) in resources.aliases() {
        let target = alias.target().clone();
        let body = MitigationRequest::new(target, Lifetime::Indefinite, true, None);
        // An alias is a target that a request can have.
        let body = body.map(|request| request.encode()).unwrap_or_default();
        batch.run(
            "INSERT INTO alias (customer, cuid, name, target) VALUES (?1, ?2, ?3, ?4)",
            params![customer, cuid, name.as_str(), body],
        )?;
    }
    for (position, list) in (0_i64..).zip(resources.accept_lists()) {
        let prefixes: Vec<String> = list.prefixes.iter().map(IpNet::to_string).collect();
        batch.run(
            "INSERT INTO accept_list (customer, cuid, position, name, type, prefixes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                customer,
                cuid,
                position,
                list.name.as_str(),
                list.acl_type.as_ref().map(|acl_type| acl_type.as_str()),
                prefixes.join(" "),
            ],
        )?;
    }
    Ok(())
}
