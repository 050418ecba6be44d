//! What gateways must have, and reject, of what clients inside ask them.

use super::Failures;
use super::requests::{are, expected, same};
use crate::lab::agents::customer_inside;
use crate::lab::report::{Report, Server};
use crate::lab::scenario::{Asked, Gateway, Scenario};

impl Failures {
    /// Every gateway has what it must relay, has rejected what is not its providers', and has heard from clients of the site only.
    pub(super) fn gateways(&mut self, scenario: &Scenario, report: &Report) {
        for (gateway, inside) in scenario.gateways.iter().zip(&report.gateways) {
            self.gateway(scenario, gateway, inside);
        }
    }

    fn gateway(&mut self, scenario: &Scenario, gateway: &Gateway, inside: &Server) {
        let name = inside.server;
        let asked = scenario.asked.iter().filter(|one| one.pvd == gateway.pvd);
        let (relayed, rejected): (Vec<&Asked>, Vec<&Asked>) =
            asked.partition(|one| one.is_accepted);
        let must = relayed.iter().map(|one| expected(scenario, one.spaces));
        self.unless(are(&inside.mitigations, must.collect()), || {
            format!("{name}: relays {:?}, not what it must", inside.mitigations)
        });
        for (what, counted, must) in [
            ("accepted", inside.accepted, relayed.len()),
            // Each copy of a request that is on its way when it is rejected is rejected, too.
            ("rejected", inside.refused, rejected.len()),
            ("broke off sessions", inside.sessions_failed, 0),
        ] {
            let copies = what == "rejected" && must > 0 && counted > must as u64;
            self.unless(counted == must as u64 || copies, || {
                format!("{name}: {what} {counted} times instead of {must}")
            });
        }
        let clients = scenario.clients_inside(gateway);
        let names = clients.map(|client| customer_inside(gateway, client));
        self.unless(same(inside.customers.clone(), names.collect()), || {
            format!("{name}: has sessions with {:?}", inside.customers)
        });
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::lab::scenario::find;

    /// What a gateway must have, and have rejected.
    pub(in super::super) fn inside(gateway: &Gateway, scenario: &Scenario) -> Server {
        let asked = scenario.asked.iter().filter(|one| one.pvd == gateway.pvd);
        let (relayed, rejected): (Vec<&Asked>, Vec<&Asked>) =
            asked.partition(|one| one.is_accepted);
        let texts = |one: &&Asked| -> Vec<String> {
            let addresses = scenario.victims(one.spaces).into_iter();
            addresses.map(|address| address.to_string()).collect()
        };
        let clients = scenario.clients_inside(gateway);
        Server {
            server: gateway.dots_name,
            mitigations: relayed.iter().map(texts).collect(),
            mitigations_left: Vec::new(),
            mitigated_for: Vec::new(),
            cuids: Vec::new(),
            customers: clients.map(|one| customer_inside(gateway, one)).collect(),
            sessions_established: 3,
            sessions_failed: 0,
            accepted: relayed.len() as u64,
            refused: rejected.len() as u64,
            names_asked: Vec::new(),
        }
    }

    /// Covers: M-021
    #[test]
    fn a_gateway_must_relay_what_is_its_providers_and_reject_the_rest() {
        type Spoil = fn(&mut Server);
        let scenario = find("multi-cpe-pa-nofilter").unwrap();
        let cases: [(usize, Spoil, &str); 7] = [
            (0, |one| one.mitigations.clear(), "relays [], not"),
            (0, |one| drop(one.mitigations[0].pop()), "relays"),
            (0, |one| one.accepted = 0, "accepted 0 times instead of 1"),
            (1, |one| one.accepted = 1, "accepted 1 times instead of 0"),
            (1, |one| one.refused = 0, "rejected 0 times instead of 1"),
            (1, |one| one.sessions_failed = 2, "broke off sessions 2"),
            (1, |one| drop(one.customers.pop()), "has sessions with"),
        ];
        for gateway in scenario.gateways {
            let mut failures = Failures::default();
            failures.gateway(scenario, gateway, &inside(gateway, scenario));
            assert_eq!(failures.0, Vec::<String>::new());
        }
        for (number, spoil, expected) in cases {
            let gateway = &scenario.gateways[number];
            let mut server = inside(gateway, scenario);
            spoil(&mut server);
            let mut failures = Failures::default();
            failures.gateway(scenario, gateway, &server);
            assert!(
                failures.0.iter().any(|one| one.contains(expected)),
                "{expected}: {:?}",
                failures.0
            );
        }
    }
}
