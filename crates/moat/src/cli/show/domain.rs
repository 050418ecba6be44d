//! Provisioning domains.

use std::time::{SystemTime, UNIX_EPOCH};

use super::table;
use crate::provisioning::watch::{DomainView, NameView, ShelvedView};
use crate::terminal::say;

/// A row for each PvD.
pub(in crate::cli) fn domains(views: &[DomainView]) {
    if views.is_empty() {
        say!("no PvD is known: no router has advertised yet");
    }
    let mut views: Vec<_> = views.iter().collect();
    views.sort_by_key(|view| view.rank);
    let rows: Vec<_> = views.into_iter().map(row).collect();
    table(
        [
            "",
            "PVD",
            "INTERFACE",
            "HEALTH",
            "LINK",
            "PREFIXES",
            "RESOLVERS",
            "INFORMATION",
        ],
        &rows,
    );
}

fn row(view: &DomainView) -> [String; 8] {
    let prefixes: Vec<_> = view.prefixes.iter().map(|it| it.prefix.as_str()).collect();
    let resolvers: Vec<_> = view.resolvers.iter().map(|it| it.name.as_str()).collect();
    [
        mark(view),
        title(view),
        view.interface.clone(),
        view.health.clone(),
        view.link.clone(),
        prefixes.join(" "),
        resolvers.join(" "),
        view.information.state.clone(),
    ]
}

/// The place, with a star for what is new.
fn mark(view: &DomainView) -> String {
    let star = if view.is_preferred { "*" } else { "" };
    format!("{}{star}", view.rank)
}

fn title(view: &DomainView) -> String {
    match &view.pvd {
        Some(pvd) => pvd.clone(),
        None => format!("(implicit) {}", view.name()),
    }
}

/// Everything of one, a line for each fact.
pub(in crate::cli) fn domain(view: &DomainView) {
    let mut rows = vec![
        ["pvd", &title(view), ""].map(str::to_owned),
        ["interface", &view.interface, ""].map(str::to_owned),
        ["link", &view.link, ""].map(str::to_owned),
        ["place", &format!("{}: {}", mark(view), view.reason), ""].map(str::to_owned),
        ["health", &view.health, ""].map(str::to_owned),
    ];
    let mut add = |fact: &str, what: String, until: Option<u64>| {
        rows.push([fact.to_owned(), what, left(until)]);
    };
    for router in &view.routers {
        let preference = &router.preference;
        add(
            "router",
            format!("{}, preference {preference}", router.via),
            router.until,
        );
    }
    for prefix in &view.prefixes {
        let flags = match (prefix.on_link, prefix.autonomous) {
            (true, true) => "",
            (true, false) => ", addresses by DHCP or by hand",
            (false, true) => ", not on the link",
            (false, false) => ", not on the link, addresses by DHCP or by hand",
        };
        add("prefix", format!("{}{flags}", prefix.prefix), prefix.until);
    }
    for route in &view.routes {
        let preference = &route.preference;
        let what = format!("{} via {}, preference {preference}", route.to, route.via);
        add("route", what, route.until);
    }
    for own in &view.addresses {
        let kinds = [("temporary", own.temporary), ("deprecated", own.deprecated)];
        let kinds = kinds
            .iter()
            .filter(|(_, is)| *is)
            .map(|(word, _)| format!(", {word}"));
        rows.push([
            "address".to_owned(),
            format!("{}{}", own.address, kinds.collect::<String>()),
            String::new(),
        ]);
    }
    let names = |fact: &str, names: &[NameView]| -> Vec<[String; 3]> {
        let rows = names
            .iter()
            .map(|it| [fact.to_owned(), it.name.clone(), left(it.until)]);
        rows.collect()
    };
    rows.extend(names("resolver", &view.resolvers));
    rows.extend(names("search", &view.search));
    rows.extend(names("nat64", &view.nat64));
    let mut say_of = |fact: &str, what: &str| {
        rows.push([fact.to_owned(), what.to_owned(), String::new()]);
    };
    if let Some(mtu) = view.mtu {
        say_of("mtu", &mtu.to_string());
    }
    if let Some(tunnel) = &view.tunnel {
        say_of("tunnel to", &tunnel.gateways.join(" "));
        say_of("reaches", &tunnel.reaches.join(" "));
        for carrier in &tunnel.carried_by {
            say_of("carried by", carrier);
        }
        say_of("tunnel", &tunnel.state);
    }
    for interface in &view.also_on {
        say_of("also on", interface);
    }
    say_of("information", &view.information.state);
    if let Some(evidence) = &view.information.evidence {
        say_of("proved by", evidence);
    }
    if view.information.elsewhere {
        say_of("given by", "somebody else than the PvD's server");
    }
    for (to, why) in &view.information.refused_for {
        say_of("not used for", &format!("{to}: {why}"));
    }
    for ignored in &view.information.ignored {
        say_of("ignored", ignored);
    }
    table(["FACT", "VALUE", "FOR"], &rows);
    if let Some(object) = &view.information.object {
        say!("\n{object:#}");
    }
}

/// A row for each signed object.
pub(in crate::cli) fn shelf(views: &[ShelvedView]) {
    if views.is_empty() {
        say!("there is no signed object");
    }
    let row = |view: &ShelvedView| {
        let evidence = view.information.evidence.clone().unwrap_or_default();
        [view.pvd.clone(), left(Some(view.expires)), evidence]
    };
    let rows: Vec<_> = views.iter().map(row).collect();
    table(["PVD", "FOR", "PROVED BY"], &rows);
}

/// How long something holds on.
fn left(until: Option<u64>) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs());
    until.map_or(String::new(), |until| {
        format!("{} s", until.saturating_sub(now))
    })
}
