//! Who was asked for what: as the clients tell it, and as the servers do.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Failures;
use super::secrecy::is_of;
use crate::lab::agents::customer;
use crate::lab::report::{Report, Request};
use crate::lab::scenario::{Asked, Course, DotsClient, Provider, Scenario, Space};

impl Failures {
    /// Every client asked exactly those whom it must ask, for exactly their addresses, and accounts for the others.
    pub(super) fn requests(&mut self, scenario: &Scenario, report: &Report) {
        for client in scenario.clients {
            for upstream in client.upstreams {
                let (name, pvd) = (client.name, upstream.pvd());
                let mut expected = scenario.asked.iter();
                match expected.find(|asked| asked.client == name && asked.pvd == pvd) {
                    Some(asked) => self.asked(scenario, report, asked),
                    None => self.not_asked(report, client, pvd),
                }
            }
        }
        for Request { client, pvd, .. } in &report.requests {
            let mut clients = scenario.clients.iter().filter(|one| one.name == client);
            let is_known = clients.any(|one| one.upstreams.iter().any(|one| one.pvd() == pvd));
            self.unless(is_known, || {
                format!("{client}: asked {pvd}, which it has nothing to do with")
            });
        }
    }

    fn asked(&mut self, scenario: &Scenario, report: &Report, asked: &Asked) {
        let Asked {
            client,
            pvd,
            spaces,
            is_accepted,
        } = *asked;
        let requests = report.requests.iter();
        let requests: Vec<_> = requests
            .filter(|one| one.client == client && one.pvd == pvd)
            .collect();
        let mut others = report.not_asked.iter();
        self.unless(requests.len() == 1, || {
            format!(
                "{pvd}: {} requests of {client} instead of 1",
                requests.len()
            )
        });
        let is_excluded = others.any(|entry| entry.client == client && entry.pvd == pvd);
        self.unless(!is_excluded, || {
            format!("{pvd}: said not to be asked by {client}")
        });
        let expected = expected(scenario, spaces);
        let server = scenario.dots_name(pvd);
        for request in requests {
            self.unless(request.accepted || !is_accepted, || {
                format!("{pvd}: the request was not accepted ({})", request.status)
            });
            self.unless(is_accepted || !request.accepted, || {
                format!("{pvd}: a request was accepted that must be rejected")
            });
            self.unless(Some(request.server.as_str()) == server, || {
                format!("{pvd}: the request went to {}", request.server)
            });
            self.unless(hosts(&request.targets).as_ref() == Some(&expected), || {
                let targets = request.targets.join(" ");
                format!("{pvd}: asked for {targets} instead of its own addresses")
            });
        }
    }

    fn not_asked(&mut self, report: &Report, client: &DotsClient, pvd: &str) {
        let name = client.name;
        let mut requests = report.requests.iter();
        let was_asked = requests.any(|one| one.client == name && one.pvd == pvd);
        self.unless(!was_asked, || {
            format!("{pvd}: was asked by {name} although it must not be")
        });
        if client.is_alarmed {
            let entries = report.not_asked.iter();
            let entries: Vec<_> = entries
                .filter(|entry| entry.client == name && entry.pvd == pvd)
                .collect();
            let is_told = matches!(&entries[..], [entry] if !entry.reason.trim().is_empty());
            self.unless(is_told, || {
                format!("{pvd}: not asked by {name}, but the answer does not say so once and why")
            });
        }
    }

    /// Every server mitigated exactly what it must, was asked for nothing else, and heard from its own customers only.
    pub(super) fn servers(&mut self, scenario: &Scenario, report: &Report) {
        for (provider, server) in scenario.servers().into_iter().zip(&report.servers) {
            let name = server.server;
            let must = u64::from(scenario.mitigated(name).is_some());
            self.unless(mitigates_right(scenario, name, &server.mitigations), || {
                let list = list(&server.mitigations);
                format!("{name}: mitigates for {list}, not for what it must")
            });
            self.unless(server.mitigations_left.is_empty(), || {
                let list = list(&server.mitigations_left);
                format!("{name}: still mitigates for {list} after the withdrawal")
            });
            self.unless(server.accepted == must, || {
                format!(
                    "{name}: accepted {} requests instead of {must}",
                    server.accepted
                )
            });
            self.unless(server.refused == 0, || {
                format!("{name}: refused {} requests", server.refused)
            });
            // Who seeks a server that was away tries several ways, of which those that lose the race break off.
            let is_raced = !matches!(scenario.course, Course::Attack);
            self.unless(server.sessions_failed == 0 || is_raced, || {
                format!("{name}: {} sessions failed", server.sessions_failed)
            });
            self.customers(scenario, provider, &server.customers);
            let is_own = |name: &&String| is_of(provider.pvd, name);
            for name in server.names_asked.iter().filter(|name| !is_own(name)) {
                self.unless(false, || {
                    format!("{}: its name server was asked for {name}", server.server)
                });
            }
            self.unless(
                !scenario.known.asks_names() || !server.names_asked.is_empty(),
                || format!("{}: its name server was asked for nothing", server.server),
            );
        }
    }

    fn customers(&mut self, scenario: &Scenario, provider: &Provider, customers: &[String]) {
        let own = customer(provider);
        let name = provider.dots_name;
        for other in customers.iter().filter(|customer| **customer != own) {
            self.unless(false, || format!("{name}: has sessions with {other}"));
        }
        let attachments = scenario.providers.iter();
        let attachments = attachments.filter(|one| one.node == provider.node);
        let is_expected = attachments
            .flat_map(|one| scenario.sources(one))
            .next()
            .is_some();
        self.unless(!is_expected || !customers.is_empty(), || {
            format!("{name}: has no session with its customer")
        });
    }
}

/// Whether a server that has mitigations for these targets has what it must have, and nothing else.
pub(in crate::lab) fn mitigates_right(
    scenario: &Scenario,
    server: &str,
    mitigations: &[Vec<String>],
) -> bool {
    are(
        mitigations,
        scenario.mitigated(server).into_iter().collect(),
    )
}

/// Whether the mitigations are for these addresses, each for one of the sets.
pub(super) fn are(mitigations: &[Vec<String>], must: Vec<BTreeSet<IpAddr>>) -> bool {
    let has: Option<Vec<_>> = mitigations.iter().map(|one| hosts(one)).collect();
    has.is_some_and(|has| same(has, must))
}

/// Whether these targets are these addresses.
pub(in crate::lab) fn are_hosts(targets: &[String], addresses: &[IpAddr]) -> bool {
    hosts(targets) == Some(addresses.iter().copied().collect())
}

/// The victim's addresses in these spaces.
pub(super) fn expected(scenario: &Scenario, spaces: &[Space]) -> BTreeSet<IpAddr> {
    scenario.victims(spaces).into_iter().collect()
}

/// Targets of mitigations, for a person.
fn list(mitigations: &[Vec<String>]) -> String {
    let list: Vec<_> = mitigations.iter().map(|one| one.join(" ")).collect();
    match &list[..] {
        [] => "nothing".to_owned(),
        some => some.join(" and "),
    }
}

/// Whether both hold the same, in any order.
pub(super) fn same<T: Ord>(mut one: Vec<T>, mut other: Vec<T>) -> bool {
    one.sort_unstable();
    other.sort_unstable();
    one == other
}

/// The single address that a target is, written with or without a prefix length.
fn host(target: &str) -> Option<IpAddr> {
    target.parse().ok().or_else(|| {
        let net: IpNet = target.parse().ok()?;
        (net.prefix_len() == net.max_prefix_len()).then_some(net.addr())
    })
}

/// `None` when one of them is not a single address.
fn hosts(targets: &[String]) -> Option<BTreeSet<IpAddr>> {
    targets.iter().map(|target| host(target)).collect()
}
