//! What hosts get of a PvD.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};
use pvd::DomainName;
use pvd::bindings::router_advertisement::{
    Lifetime, NdOption, Preference, PrefixInformation, RouteInformation,
};

use super::{SECONDS, boolean, number};
use crate::config::problem::ProblemKind;
use crate::config::reader::{Diagnostics, Table};
use crate::config::value;

/// `AdvValidLifetime` and `AdvPreferredLifetime`, in seconds (RFC 4861 §6.2.1).
const VALID: u32 = 2_592_000;
const PREFERRED: u32 = 604_800;

const PREFIX: &str = "a prefix in quotes, like \"2001:db8:cafe::/64\"";

/// What hosts get of the PvD: prefixes, routes, resolvers; `lasting` is how long what says nothing holds.
pub(super) fn options(
    table: &mut Table<'_>,
    lasting: u32,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Vec<NdOption>> {
    let mut options = Some(Vec::new());
    let mut add = |option: Option<NdOption>| {
        options = options.take().zip(option).map(|(mut options, option)| {
            options.push(option);
            options
        });
    };
    each(
        table,
        "prefix",
        "a table for each prefix: [[pvd.prefix]]",
        diagnostics,
        |table, diagnostics| {
            add(prefix_information(table, diagnostics));
        },
    );
    each(
        table,
        "route",
        "a table for each route: [[pvd.route]]",
        diagnostics,
        |table, diagnostics| {
            add(route_information(table, lasting, diagnostics));
        },
    );
    let lifetime = number(
        table,
        "dns_lifetime",
        1..=u32::MAX,
        lasting,
        SECONDS,
        diagnostics,
    );
    let lifetime = lifetime.map_or(Lifetime::Infinite, lifetime_of);
    if let Some(list) = table.take("dns") {
        let wanted = "an address in quotes, like \"2001:db8:cafe::53\"";
        let addresses: Option<Vec<Ipv6Addr>> = list
            .filled_list("a list, like [\"2001:db8:cafe::53\"]", wanted, diagnostics)
            .into_iter()
            .map(|value| {
                value
                    .parse(wanted, diagnostics, ipv6_address)
                    .map(|it| it.value)
            })
            .collect();
        add(addresses.map(|addresses| NdOption::RecursiveDnsServers {
            lifetime,
            addresses,
        }));
    }
    if let Some(list) = table.take("search") {
        let wanted = "a domain name in quotes, like \"fixed.example\"";
        let domains: Option<Vec<DomainName>> = list
            .filled_list("a list, like [\"fixed.example\"]", wanted, diagnostics)
            .into_iter()
            .map(|value| {
                let name = value.parse(wanted, diagnostics, value::discovery_domain);
                name.map(|it| it.value)
            })
            .collect();
        add(domains.map(|domains| NdOption::DnsSearchList { lifetime, domains }));
    }
    options
}

/// Reads each table of a list.
fn each(
    table: &mut Table<'_>,
    key: &'static str,
    header: &'static str,
    diagnostics: &mut Diagnostics<'_>,
    mut read: impl FnMut(Table<'_>, &mut Diagnostics<'_>),
) {
    let Some(list) = table.take(key) else { return };
    for value in list.list(header, diagnostics) {
        if let Some(table) = value.table(header, diagnostics) {
            read(table, diagnostics);
        }
    }
}

fn prefix_information(mut table: Table<'_>, diagnostics: &mut Diagnostics<'_>) -> Option<NdOption> {
    let prefix = prefix(&mut table, diagnostics);
    let valid = number(
        &mut table,
        "valid",
        1..=u32::MAX,
        VALID,
        SECONDS,
        diagnostics,
    );
    let most = valid.unwrap_or(u32::MAX);
    let default = PREFERRED.min(most);
    let preferred = number(
        &mut table,
        "preferred",
        0..=most,
        default,
        SECONDS,
        diagnostics,
    );
    let is_on_link = boolean(&mut table, "on_link", true, diagnostics);
    let is_autonomous = boolean(&mut table, "autonomous", true, diagnostics);
    table.finish(diagnostics);
    Some(NdOption::PrefixInformation(PrefixInformation {
        prefix: prefix?,
        is_on_link: is_on_link?,
        is_autonomous: is_autonomous?,
        valid: lifetime_of(valid?),
        preferred: lifetime_of(preferred?),
    }))
}

fn route_information(
    mut table: Table<'_>,
    lasting: u32,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<NdOption> {
    let prefix = prefix(&mut table, diagnostics);
    let preference = preference(&mut table, diagnostics);
    let lifetime = number(
        &mut table,
        "lifetime",
        1..=u32::MAX,
        lasting,
        SECONDS,
        diagnostics,
    );
    table.finish(diagnostics);
    Some(NdOption::RouteInformation(RouteInformation {
        prefix: prefix?,
        preference: preference?,
        lifetime: lifetime_of(lifetime?),
    }))
}

/// 4294967295 is for ever (RFC 4861 §4.6.2).
fn lifetime_of(seconds: u32) -> Lifetime {
    match seconds {
        u32::MAX => Lifetime::Infinite,
        seconds => Lifetime::Seconds(seconds),
    }
}

fn prefix(table: &mut Table<'_>, diagnostics: &mut Diagnostics<'_>) -> Option<Ipv6Net> {
    let value = table.require("prefix", "\"2001:db8:cafe::/64\"", diagnostics)?;
    let prefix = value.parse(PREFIX, diagnostics, |text| {
        match value::assigned_prefix(text)? {
            IpNet::V6(prefix) => Ok(prefix),
            IpNet::V4(_) => Err(ProblemKind::NotIpv6 {
                text: text.to_owned(),
            }),
        }
    });
    prefix.map(|prefix| prefix.value)
}

pub(super) fn preference(
    table: &mut Table<'_>,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Preference> {
    let Some(value) = table.take("preference") else {
        return Some(Preference::Medium);
    };
    let choices = [
        ("low", Preference::Low),
        ("medium", Preference::Medium),
        ("high", Preference::High),
    ];
    let wanted = "\"low\", \"medium\" or \"high\"";
    let chosen = value.choice(wanted, choices, diagnostics);
    chosen.map(|chosen| chosen.value)
}

fn ipv6_address(text: &str) -> Result<Ipv6Addr, ProblemKind> {
    match value::host_address(text)? {
        IpAddr::V6(address) => Ok(address),
        IpAddr::V4(_) => Err(ProblemKind::NotIpv6 {
            text: text.to_owned(),
        }),
    }
}
